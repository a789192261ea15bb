// What the tests of images share: ferry, the real parts around it, and a network that breaks.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { clean } from "../emulator/ferry.mjs";

const path = `${process.env.PATH}:/usr/sbin:/sbin`; // where Debian puts runc
const mine = { ...clean, PATH: path, NO_COLOR: "1", LC_ALL: "C.UTF-8" };
export const environment = mine;

/** Why these cannot be tested here, or false; what is printed makes ctest say that the test was skipped. */
export function missing(...commands) {
  const gone = commands.filter((c) => spawnSync("sh", ["-c", `command -v ${c}`], { env: mine }).status !== 0);
  return gone.length ? skipped(`${gone.join(", ")}: not installed; script/setup installs it`) : false;
}

export function skipped(reason) {
  console.log(`SKIPPED: ${reason}`);
  return reason;
}

export function folder() {
  return mkdtempSync(join(tmpdir(), "ferry-image-"));
}

/** {status, stdout, stderr} of a program. */
export function run(program, args, env = {}) {
  const r = spawnSync(program, args, { env: { ...mine, ...env }, encoding: "utf8", maxBuffer: 64 << 20 });
  if (r.error) throw r.error;
  return r;
}

/** The same while this process goes on serving. */
export async function runBeside(program, args, env = {}) {
  const child = spawn(program, args, { env: { ...mine, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const r = { stdout: "", stderr: "" };
  child.stdout.on("data", (d) => (r.stdout += d));
  child.stderr.on("data", (d) => (r.stderr += d));
  r.status = await new Promise((done) => child.on("close", done));
  return r;
}

/** stdout of a program that must end well. */
export function ok(program, args, env) {
  const r = run(program, args, env);
  assert.equal(r.status, 0, `${program} ${args.join(" ")}: ${r.stderr}`);
  return r.stdout;
}

export const ferry = (...args) => ok(mine.FERRY, args);

/** docker-registry on a free port of 127.0.0.1. options: {htpasswd} */
export class Registry {
  static async start(data, options = {}) {
    const r = new Registry();
    const auth = options.htpasswd ? `auth: {htpasswd: {realm: test, path: ${data}/htpasswd}}\n` : "";
    if (options.htpasswd) writeFileSync(join(data, "htpasswd"), options.htpasswd);
    writeFileSync(
      join(data, "registry.yml"),
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${data}/registry}}\n` +
        `http: {addr: "127.0.0.1:0", relativeurls: ${options.relative ? "true" : "false"}}\n${auth}`,
    );
    r.process = spawn("docker-registry", ["serve", join(data, "registry.yml")], {
      env: { ...mine, OTEL_TRACES_EXPORTER: "none" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    r.lines = [];
    r.exited = new Promise((done) => r.process.on("exit", done));
    createInterface({ input: r.process.stdout }).on("line", (l) => r.lines.push(l));
    r.port = await new Promise((ready, failed) => {
      createInterface({ input: r.process.stderr }).on("line", (l) => {
        const at = l.match(/listening on 127\.0\.0\.1:(\d+)/);
        if (at) ready(Number(at[1]));
      });
      r.exited.then((code) => failed(new Error(`docker-registry ended with ${code}`)));
    });
    r.host = `127.0.0.1:${r.port}`;
    return r;
  }

  /** "PUT /v2/… 201" of each request since the last call, in order. */
  async requests() {
    await new Promise((done) => setTimeout(done, 200)); // it logs after it has answered
    const said = this.lines.splice(0);
    return said.map((l) => l.match(/"([A-Z]+ \S+) HTTP\/1\.1" (\d+)/)).filter((m) => m).map((m) => `${m[1]} ${m[2]}`);
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.exited;
  }
}

/** Passes connections on to a port, and breaks them: so many bytes into a request as limit says of its head, or when
 * the answer comes that loses says is to be lost. */
export class Breaker {
  static async start(to) {
    const b = new Breaker();
    b.broken = 0;
    b.limit = () => Infinity;
    b.loses = () => false;
    b.server = createServer((client) => b.pass(client, to));
    await new Promise((ready) => b.server.listen(0, "127.0.0.1", ready));
    b.host = `127.0.0.1:${b.server.address().port}`;
    return b;
  }

  pass(client, to) {
    const server = connect(to, "127.0.0.1");
    let left = Infinity, lost = false;
    client.on("data", (data) => {
      const head = data.toString("latin1", 0, 200);
      if (/^[A-Z]+ \/v2\//.test(head)) {
        left = this.limit(head);
        lost = this.loses(head);
      }
      if (data.length > left) {
        this.broken++;
        server.write(data.subarray(0, left));
        server.end();
        client.resetAndDestroy();
        return;
      }
      left -= data.length;
      server.write(data);
    });
    client.on("end", () => server.end());
    server.on("data", (data) => {
      if (!lost) return client.writable && client.write(data);
      this.broken++;
      client.resetAndDestroy();
    });
    for (const s of [client, server]) s.on("error", () => {}), s.on("close", () => (client.destroy(), server.destroy()));
  }

  stop() {
    return new Promise((done) => this.server.close(done));
  }
}

export function remove(path) {
  rmSync(path, { recursive: true, force: true });
}
