// Containers for the tests of images: one image unpacked by umoci, run by runc as little trusted as can be.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { environment, ok, run, skipped } from "./parts.mjs";

export const MiB = 1 << 20;
const id = (what) => `ferry-test-${process.pid}-${what}`;

/** A container of this machine's own /bin/true, which has nothing of ours in it: why it does not run, or false. */
export function cannotRun(data) {
  if (process.getuid() !== 0) return skipped("runc needs root here");
  const bundle = join(data, "trial");
  mkdirSync(join(bundle, "rootfs"), { recursive: true });
  run("runc", ["spec", "--bundle", bundle]);
  const c = JSON.parse(readFileSync(join(bundle, "config.json")));
  c.process.terminal = false;
  c.process.args = ["/bin/true"];
  c.linux.resources.memory = { limit: 64 * MiB };
  c.linux.namespaces = c.linux.namespaces.filter((n) => n.type !== "network");
  for (const d of ["/bin", "/lib", "/lib64", "/usr"]) c.mounts.push({ destination: d, type: "bind", source: d, options: ["rbind", "ro"] });
  writeFileSync(join(bundle, "config.json"), JSON.stringify(c));
  const r = run("runc", ["run", "--bundle", bundle, id("trial")]);
  return r.status === 0 ? false : skipped(`runc cannot run a container here: ${(r.stderr || `code ${r.status}`).split("\n")[0]}`);
}

export const mount = (source, destination) => ({ type: "bind", source, destination, options: ["rbind", "ro"] });
export const tmpfs = { type: "tmpfs", source: "tmpfs", destination: "/tmp", options: ["nosuid", "mode=1777"] };

/** A bundle's folder beside that of the image: the image as it says of itself, with no right left to it, this machine's
 * network, a read-only root and a limit. words follow its entry point, or stand instead of it. */
function prepare(bundle, what, { words = [], instead, env = {}, mounts = [], memory }) {
  const c = JSON.parse(readFileSync(join(bundle, "config.json")));
  c.process.terminal = false;
  c.process.args = instead ?? [...c.process.args, ...words];
  c.process.env.push(...Object.entries(env).map(([k, v]) => `${k}=${v}`));
  c.process.capabilities = {};
  c.root = { path: join(bundle, "rootfs"), readonly: true };
  c.mounts.push(...mounts);
  c.linux.namespaces = c.linux.namespaces.filter((n) => n.type !== "network");
  c.linux.resources.memory = { limit: memory, swap: memory };
  const own = mkdtempSync(join(dirname(bundle), `${what}-`));
  writeFileSync(join(own, "config.json"), JSON.stringify(c));
  return own;
}

/** A container while it runs: logs as they come. */
export class Container {
  constructor(bundle, what, options) {
    this.id = id(what);
    this.log = [];
    this.rest = "";
    const own = prepare(bundle, what, options);
    this.since = performance.now();
    this.process = spawn("runc", ["run", "--bundle", own, this.id], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    this.process.stderr.on("data", (d) => this.take(d));
    this.exited = new Promise((done) => this.process.on("close", (code) => done(code)));
  }

  take(bytes) {
    const lines = (this.rest + bytes).split("\n");
    this.rest = lines.pop();
    for (const l of lines) this.log.push({ at: performance.now() - this.since, ...(l.startsWith("{") ? JSON.parse(l) : { text: l }) });
  }

  /** The event of the log with that message. */
  async until(message) {
    for (;;) {
      const found = this.log.find((l) => l.message === message);
      if (found) return found;
      const ended = await Promise.race([this.exited, new Promise((later) => setTimeout(later, 5))]);
      if (ended !== undefined) assert.fail(`ended with ${ended} before it was ${message}: ${JSON.stringify(this.log)}`);
    }
  }

  get pid() {
    return JSON.parse(ok("runc", ["state", this.id])).pid;
  }

  async stop() {
    ok("runc", ["kill", this.id, "TERM"]);
    return await this.exited;
  }
}
