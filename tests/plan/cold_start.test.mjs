// What `ferry plan` says of a cold start, with the speed of the line measured by --measure, against a `ferry serve` that really
// starts out of a bucket over that line, asked at once by voice. A line of 600 kB/s takes six seconds for the demo model, and the
// whole of the rest some tenths of one, so that a busy machine does not decide.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Line } from "../emulator/line.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";
import { stageFolder } from "../system/staged.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const model = "gs://model-bkt/demo", region = "asia-northeast1";
const recording = readFileSync(join(root, "samples/digits-en.wav"));
const seconds = (recording.length - 44) / 2 / recording.readUInt32LE(24); // 16 bits, mono
const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(FERRY_|GOOGLE_|CLOUDSDK_|GCLOUD_|https?_proxy)/i.test(k)));
let emulator, line, env;

before(async () => {
  emulator = await Emulator.start({ bucket: "model-bkt" });
  await stageFolder(emulator, "model-bkt", "demo", join(root, "models/demo"), 32768);
  line = await Line.start(emulator.port, 600000);
  env = { ...clean, ...line.through(emulator.env), XDG_STATE_HOME: join(emulator.data, "state"), LC_ALL: "C.UTF-8" };
});
after(async () => {
  await line.stop();
  await emulator.stop();
});

/** Seconds from the first weights on: {first_token: [least, most], loaded}. Container and opening are a cloud's. */
async function predict() {
  const args = ["plan", model, "--measure", "--json", "--region", region, "--audio", seconds.toFixed(2)];
  const { stdout } = await promisify(execFile)(process.env.FERRY, args, { env: { ...env, K_SERVICE: "measures-there" } });
  const plan = JSON.parse(stdout), [{ file_bytes: bytes, cold_start_seconds: cold }] = plan.encodings;
  const rate = plan.measured.find((m) => m.what === "fetch").bytes_per_second;
  assert.ok(Math.abs(rate / 600000 - 1) < 0.1, `${rate} B/s measured of a line of 600000`);
  const loaded = bytes / rate, begun = cold.loaded.map((t) => t - loaded);
  return { loaded, first_token: cold.first_token.map((t, i) => t - begun[i]) };
}

/** Seconds since the program was started: {first_token, loaded}. */
async function start() {
  const began = performance.now();
  const child = spawn(process.env.FERRY, ["serve", model, "--host", "127.0.0.1", "--port", "0"], { env, stdio: ["ignore", "ignore", "pipe"] });
  try {
    const port = await new Promise((ready) => child.stderr.on("data", (d) => {
      const at = /"port":\s*(\d+)/.exec(d);
      if (at) ready(Number(at[1]));
    }));
    const content = [{ type: "input_audio", input_audio: { data: recording.toString("base64"), format: "wav" } }, { type: "text", text: "What is said here?" }];
    const body = JSON.stringify({ model: "demo", max_tokens: 1, messages: [{ role: "user", content }] });
    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", body, headers: { "content-type": "application/json" } });
    assert.equal(answer.status, 200, await answer.text());
    const first_token = (performance.now() - began) / 1000;
    const events = await (await fetch(`http://127.0.0.1:${port}/v1/load`, { headers: { accept: "text/event-stream" } })).text();
    const load = JSON.parse(events.trim().split("\n\n").at(-1).replace(/^data: /, ""));
    assert.equal(load.state, "loaded");
    return { first_token, loaded: load.elapsed_ms / 1000 };
  } finally {
    child.kill("SIGKILL");
  }
}

test("first token and all weights come within 15 % of the plan on a line whose speed was measured", async () => {
  const said = await predict(), came = await start();
  const off = { first_token: came.first_token / Math.sqrt(said.first_token[0] * said.first_token[1]) - 1, loaded: came.loaded / said.loaded - 1 };
  for (const [what, part] of Object.entries(off))
    assert.ok(Math.abs(part) < 0.15, `${what}: ${(part * 100).toFixed(1)} % off: ${JSON.stringify({ said, came })}`);
});
