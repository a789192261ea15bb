// The emulator for a node test: run_emulator.h's sibling. EMULATOR names the program.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const token = "emulator-token";
export const hfToken = "hf_emulator";

export class Emulator {
  /** options: {bucket, hub, faults, publicKey, serviceUrl, tokenSeconds, urlSeconds, lfsBytes, program} */
  static async start(options = {}) {
    const m = new Emulator();
    m.data = mkdtempSync(join(tmpdir(), "ferry-emulator-"));
    m.options = options;
    m.port = m.cdnPort = 0;
    await m.spawn();
    return m;
  }

  async spawn() {
    const o = this.options;
    const given = {
      port: this.port, "cdn-port": this.cdnPort, data: this.data, bucket: o.bucket, hub: o.hub, faults: o.faults,
      "public-key": o.publicKey, "service-url": o.serviceUrl, "token-seconds": o.tokenSeconds, "url-seconds": o.urlSeconds,
      "lfs-bytes": o.lfsBytes, program: o.program,
    };
    const args = Object.entries(given).flatMap(([k, v]) => (v === undefined ? [] : [`--${k}`, String(v)]));
    this.process = spawn(process.env.EMULATOR, ["--with-parent", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    this.exited = new Promise((done) => this.process.on("exit", (code, signal) => done({ code, signal })));
    const line = await new Promise((ready, failed) => {
      createInterface({ input: this.process.stdout }).once("line", ready);
      this.exited.then((e) => failed(new Error(`the emulator ended: ${JSON.stringify(e)}`)));
    });
    const ports = JSON.parse(line);
    this.port = ports.port;
    this.cdnPort = ports.cdn_port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** SIGTERM, and what it kept is removed; a sanitizer's report makes it fail. */
  async stop() {
    this.process.kill("SIGTERM");
    const { code, signal } = await this.exited;
    rmSync(this.data, { recursive: true });
    if (code !== 0) throw new Error(`the emulator ended with ${code ?? signal}`);
  }

  /** SIGKILL, then again on the same ports with the same state. */
  async restart() {
    this.process.kill("SIGKILL");
    await this.exited;
    await this.spawn();
  }

  async control(path, body = "") {
    const r = await fetch(`${this.url}/emulator/${path}`, { method: "POST", body });
    if (r.status !== 204) throw new Error(`/emulator/${path}: ${r.status} ${await r.text()}`);
  }

  /** A name in faults/, a path, or an object {faults: […]}; nothing: none. */
  faults(what = "") {
    return this.control("faults", typeof what === "string" ? what : JSON.stringify(what));
  }

  /** Requests so far, oldest first, once none is under way. */
  async log() {
    await this.control("idle");
    const text = readFileSync(join(this.data, "requests.jsonl"), "utf8");
    return text.split("\n").filter((l) => l).map((l) => JSON.parse(l));
  }

  /** Requests that the API's description does not know were sent on purpose; else stop() fails. */
  async forgetInvalid() {
    await this.control("idle");
    await this.control("invalid/forget");
  }

  /** A log entry as Cloud Logging would have it, but for its time and id. */
  entry(fields) {
    return this.control("entry", JSON.stringify(fields));
  }

  async clearLog() {
    await this.control("idle");
    await this.control("log/clear");
  }

  /** What points ferry here, and nowhere else. */
  get env() {
    const apis = ["RUN", "COMPUTE", "ARTIFACTREGISTRY", "SERVICEUSAGE", "IAM", "LOGGING", "REGISTRY", "OAUTH2", "STORAGE",
      "SECRETMANAGER", "CLOUDBILLING"];
    return {
      ...Object.fromEntries(apis.map((name) => [`FERRY_ENDPOINT_${name}`, this.url])), HF_ENDPOINT: this.url,
      GCE_METADATA_HOST: `127.0.0.1:${this.port}`, FERRY_ACCESS_TOKEN: token, HF_TOKEN: hfToken,
      CLOUDSDK_CONFIG: join(this.data, "home"), HF_HOME: join(this.data, "home"),
      FERRY_PRICES: "snapshot", // the catalog is asked by tests that unset it
    };
  }
}
