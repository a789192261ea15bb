// `ferry deploy --target local` and its kin, with a state folder of their own for each test file.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { tiny } from "./service.js";

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Until `look` gives something true. */
export async function until(look, what, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; ; await pause(10)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

export const alive = (pid) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

export class Local {
  constructor({ env = {} } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "ferry-local-"));
    this.env = { ...process.env, XDG_STATE_HOME: this.folder, FERRY_MATH: "exact", FERRY_THREADS: "2", ...env };
  }

  /** Takes down what is left. */
  close() {
    for (const s of this.status()) this.run("down", s.name);
    rmSync(this.folder, { recursive: true });
  }

  /** { code, out, err } of a command that ends by itself. */
  run(...words) {
    const r = spawnSync(process.env.FERRY, words, { env: this.env, encoding: "utf8", timeout: 60000 });
    return { code: r.status, out: r.stdout, err: r.stderr };
  }

  start(...words) {
    const child = spawn(process.env.FERRY, words, { env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    child.text = { out: "", err: "" };
    child.stdout.on("data", (d) => (child.text.out += d));
    child.stderr.on("data", (d) => (child.text.err += d));
    child.exited = new Promise((done) => child.on("close", (code, signal) => done({ code, signal, ...child.text })));
    return child;
  }

  /** The service; the test fails when it is not there. The idle time is in seconds here. */
  deploy(name, { model = tiny, idle = 60, args = [] } = {}) {
    const r = this.run("deploy", name, model, "--target", "local", "--port", "0", "--idle", String(idle / 60), "--json", ...args);
    if (r.code !== 0) throw new Error(`deploy: ${r.code}: ${r.err}`);
    return JSON.parse(r.out);
  }

  status(name) {
    const r = this.run("status", "--json", ...(name ? [name] : []));
    if (r.code !== 0) throw new Error(`status: ${r.err}`);
    const { services } = JSON.parse(r.out);
    return name ? services[0] : services;
  }

  becomes(name, state, seconds) {
    return until(() => {
      const s = this.status(name);
      return s.state === state && s;
    }, `${name} ${state}`, seconds);
  }

  log(name) {
    return this.run("logs", name, "-n", "100000")
      .out.split("\n")
      .filter(Boolean)
      .map((text) => {
        try {
          return { text, ...JSON.parse(text) };
        } catch {
          return { text };
        }
      });
  }

  stateOf(name) {
    return JSON.parse(readFileSync(join(this.folder, "ferry/local", name, "state.json"), "utf8"));
  }

  serverPid(name) {
    return this.stateOf(name).servers[0]?.pid;
  }

  left() {
    try {
      return readdirSync(join(this.folder, "ferry/local"));
    } catch {
      return [];
    }
  }
}

export const clientOf = (service, options = {}) =>
  new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "none", maxRetries: 0, ...options });
