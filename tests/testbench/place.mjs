// What a case stands on: a folder, a bucket of the test bench, and a way there that no other case has.
import { createCipheriv } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import assert from "node:assert/strict";
import { Bench, Proxy, ferry } from "./bench.mjs";
import { Emulator, hfToken } from "../emulator/run_emulator.mjs";

export const KiB = 1024, MiB = 1 << 20;
export const part = 8 * MiB; // what ferry sends and asks for at a time

/** Bytes that are the same in every run and compress to nothing. */
function noise(size, seed) {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(size));
}

export const small = noise(1000, 1), large = noise(20 * MiB + 5, 2), other = noise(300, 3), empty = Buffer.alloc(0);
export const middling = large.subarray(0, 300 * KiB);

/** hf://owner/name. */
export const model = {
  "config.json": noise(500, 4),
  "empty.txt": empty,
  "model-00001-of-00002.safetensors": large,
  "model-00002-of-00002.safetensors": noise(3 * MiB, 5),
};

function write(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

/** All cases share one test bench, and one hub. */
export class World {
  static async open() {
    const w = new World();
    w.folder = mkdtempSync(join(tmpdir(), "ferry-testbench-"));
    for (const [name, bytes] of Object.entries(model)) write(join(w.folder, "hub/owner/name", name), bytes);
    w.hub = await Emulator.start({ hub: join(w.folder, "hub"), lfsBytes: 1000 });
    w.bench = await Bench.start();
    w.count = 0;
    return w;
  }

  async close() {
    await this.bench.stop();
    await this.hub.stop();
    rmSync(this.folder, { recursive: true });
  }
}

export class Place {
  /** bucket false: the case makes it. */
  static async make(world, { bucket = true } = {}) {
    const p = new Place();
    p.bench = world.bench;
    p.bucket = `test-${process.pid}-${++world.count}`;
    p.folder = join(world.folder, p.bucket);
    mkdirSync(p.folder);
    if (bucket) await p.bench.makeBucket(p.bucket);
    p.proxy = await Proxy.start(p.bench.port);
    p.env = {
      STORAGE_EMULATOR_HOST: p.proxy.host, FERRY_ACCESS_TOKEN: "any", CLOUDSDK_CONFIG: p.folder, HOME: p.folder,
      HF_ENDPOINT: world.hub.url, HF_TOKEN: hfToken,
    };
    return p;
  }

  async close() {
    await this.proxy.stop();
    rmSync(this.folder, { recursive: true });
  }

  write(name, bytes) {
    write(join(this.folder, name), bytes);
  }

  put(name, bytes) {
    return this.bench.put(this.bucket, name, bytes);
  }

  uri(name = "") {
    return `gs://${this.bucket}/${name}`;
  }

  // --- ferry

  run(args, input) {
    return ferry(args, { cwd: this.folder, env: this.env, input });
  }

  async ok(...args) {
    const r = await this.run(args);
    assert.equal(r.code, 0, `ferry ${args.join(" ")}: ${r.code}\n${r.err}${this.story()}`);
    return r;
  }

  /** It fails with one line that says so. */
  async fails(code, says, ...args) {
    const r = await this.run(args);
    assert.equal(r.code, code, `ferry ${args.join(" ")}: ${r.code}\n${r.err}${this.story()}`);
    assert.match(r.err, says);
    assert.equal(r.err.trimEnd().split("\n").length, 1, r.err);
  }

  /** The requests since the last strike, for a message; a star: it carried the fault's name. */
  story() {
    const line = (r) => [r.status, r.method, r.path, r.headers["content-range"] ?? r.headers.range, r.fault && "*"];
    return this.proxy.log.map((r) => `\n  ${line(r).filter(Boolean).join(" ")}`).join("");
  }

  // --- faults

  /** From now on these meet the requests of that API method that `which` takes. */
  async strike(method, instructions, which) {
    this.script = await this.bench.script({ [method]: instructions });
    this.proxy.log.length = 0;
    this.proxy.strike({ "x-retry-test-id": this.script }, which);
  }

  /** The test bench's older way to say it: one header, for the first request that `which` takes. */
  strikeOnce(instruction, which) {
    let struck = false;
    this.proxy.log.length = 0;
    this.proxy.strike({ "x-goog-emulator-instructions": instruction }, (r) => !struck && which(r) && (struck = true));
  }

  async allWasMet() {
    assert.deepEqual(await this.bench.left(this.script), [], `not met; the requests were:${this.story()}`);
  }

  // --- what is there afterwards

  /** What the bucket holds: exactly this. */
  async holds(wanted) {
    assert.deepEqual(await this.bench.names(this.bucket), Object.keys(wanted).sort());
    for (const [name, bytes] of Object.entries(wanted))
      assert.ok(bytes.equals(await this.bench.get(this.bucket, name)), `${name} is another`);
  }

  /** What a folder here holds: exactly this. */
  has(folder, wanted) {
    const root = join(this.folder, folder);
    const names = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile())
      .map((f) => join(f.path, f.name).slice(root.length + 1));
    assert.deepEqual(names.sort(), Object.keys(wanted).sort());
    for (const [name, bytes] of Object.entries(wanted))
      assert.ok(bytes.equals(readFileSync(join(root, name))), `${name} is another`);
  }

  bucketResource() {
    return this.bench.json("GET", `/storage/v1/b/${this.bucket}`);
  }

  /** Bytes of bodies that requests of this HTTP method carried. */
  sent(method) {
    return this.proxy.log.filter((r) => r.method === method).reduce((n, r) => n + r.body, 0);
  }
}
