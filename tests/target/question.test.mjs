// The first question after a deploy to Cloud Run: the real ferry, deployed to the emulator and really started by its first request
// as a container is, its weights over a line of limited speed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Line } from "../emulator/line.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";
import { stageFolder } from "../system/staged.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", model = "gs://model-bkt/demo";
const rate = 600000; // 6 s for the 3.64 MB of the demo model
const up = ["deploy", "qwen", model, "--region", region, "--yes"];
const wait = (ms) => new Promise((later) => setTimeout(later, ms));
let emulator, line, front, hub;

const { env, ferry, ok, send } = ferryBeside(() => emulator, () => ({
  XDG_STATE_HOME: join(emulator.data, "state"), FERRY_IDENTITY_TOKEN: "id.of.me",
}));
const statePath = (name) => join(emulator.data, "state/ferry", name);
const kept = (name) => JSON.parse(readFileSync(statePath(name), "utf8"));

/** Cloud Run in front of a container: who has no ID token is refused, the first request starts an instance. */
async function startFront() {
  const f = { containerMs: 1500, says: null, seen: [] };
  f.sleep = async () => {
    const it = f.instance;
    f.instance = null;
    if (it) (await it).child.kill("SIGKILL");
  };
  f.wake = () => (f.instance ??= (async () => {
    await wait(f.containerMs);
    const child = spawn(process.env.FERRY, ["serve", f.model, "--host", "127.0.0.1", "--port", "0"], {
      env: { ...line.through(env()), ...(f.key && { FERRY_API_KEY: f.key }) }, stdio: ["ignore", "ignore", "pipe"],
    });
    const port = await new Promise((ready, failed) => {
      child.on("exit", () => failed(new Error("the instance ended")));
      child.stderr.on("data", (d) => {
        const at = /"message":"listening".*"port":\s*(\d+)/.exec(d);
        if (at) ready(Number(at[1]));
      });
    });
    return { child, port };
  })());
  f.server = createServer(async (q, answer) => {
    const { "x-serverless-authorization": identity, ...headers } = q.headers;
    f.seen.push(q.url);
    line.release();
    if (f.says) return answer.writeHead(f.says[0]).end(f.says[1]);
    if (identity !== "Bearer id.of.me") return answer.writeHead(403).end("Your client does not have permission to get this URL.");
    const { port } = await f.wake();
    const on = request({ host: "127.0.0.1", port, path: q.url, method: q.method, headers }, (r) => {
      answer.writeHead(r.statusCode, r.headers);
      r.pipe(answer);
    });
    on.on("error", () => answer.destroy());
    q.pipe(on);
  });
  await new Promise((ready) => f.server.listen(0, "127.0.0.1", ready));
  f.url = `http://127.0.0.1:${f.server.address().port}`;
  return f;
}

before(async () => {
  hub = mkdtempSync(join(tmpdir(), "ferry-question-"));
  mkdirSync(join(hub, "tiny"));
  cpSync(join(root, "models/demo"), join(hub, "tiny/Demo-Listener"), { recursive: true });
  front = await startFront();
  emulator = await Emulator.start({ bucket: "model-bkt", hub, serviceUrl: front.url });
  line = await Line.start(emulator.port, rate);
  // Ranges as short as 8 MiB are in a model of 7 billion parameters, so that layers come one after the other.
  await stageFolder(emulator, "model-bkt", "demo", join(root, "models/demo"), 8192);
});
after(async () => {
  await front.sleep();
  front.server.close();
  await line.stop();
  await emulator.stop();
  rmSync(hub, { recursive: true });
});
beforeEach(async () => {
  await front.sleep();
  Object.assign(front, { model, says: null, key: null, seen: [] });
  rmSync(join(emulator.data, "state"), { recursive: true, force: true });
});

/** The line is what takes the time: nine tenths of it, however busy this machine is. */
function within15(predictions, whats) {
  for (const what of whats) {
    const p = predictions.find((one) => one.what === what);
    assert.ok(Math.abs(p.error_percent) < 15, JSON.stringify(p));
  }
}

test("the first question is answered, its cold start compared with the plan, and the next plan knows better", async () => {
  const first = JSON.parse((await ok(...up, "--json")).stdout).question;
  assert.equal(first.met, "nothing");
  assert.ok(first.since_it_began.first_layer <= first.since_it_began.first_token);
  assert.equal(first.since_it_began.weight_bytes, statSync(join(root, "models/demo/model.safetensors")).size);
  assert.ok(first.first_token_seconds > 1.5, "with the container");
  assert.ok(Math.abs(first.bytes_per_second / rate - 1) < 0.15, `${first.bytes_per_second} B/s`);
  const by = (list, what) => list.find((p) => p.what === what);
  assert.equal(by(first.predictions, "cold_first_token_seconds").holds, false, "no line of 600 kB/s was expected");
  assert.equal(by(first.predictions, "memory_bytes").where, `cloud-run ${region}`);

  const fetched = kept("measured.json").measured;
  assert.deepEqual(fetched.map((m) => [m.what, m.where, m.from]), [["fetch", `cloud-run ${region}`, "gs://model-bkt"]]);
  assert.equal(statSync(statePath("predictions.json")).mode & 0o777, 0o600);
  assert.equal(statSync(statePath("measured.json")).mode & 0o777, 0o600);

  await front.sleep();
  const second = await ok(...up, "--json");
  const again = JSON.parse(second.stdout).question.predictions;
  within15(again, ["cold_first_token_seconds", "loaded_seconds"]);
  assert.equal(kept("predictions.json").predictions.length, first.predictions.length + again.length);
});

test("what is told: the answer, what was met, the timeline, and predicted beside measured", async () => {
  const cold = (await ok(...up)).stdout;
  assert.match(cold, /^qwen: http.*\n/m);
  assert.match(cold, /it answered +["n]/);
  assert.match(cold, /it met +no instance: this contact started one/);
  assert.match(cold, /since it began +headers read .* first layer .* first token .* all .* of weights/);
  assert.match(cold, /first token, cold +[\d.]+–[\d.]+ s +[\d.]+ s +\+\d+ % +outside/);
  assert.match(cold, /memory +.* to .* within/);
  const warm = (await ok(...up)).stdout;
  assert.match(warm, /it met +an instance that was loaded/);
  assert.match(warm, /first token, warm/);
  assert.doesNotMatch(warm, /first token, cold/);
});

test("an instance that had begun to load counts for what was missing", async () => {
  await ok(...up); // how fast the line is
  await front.sleep();
  await front.wake();
  await wait(600);
  line.hold(); // until the first contact, however long the deploy takes
  const q = JSON.parse((await ok(...up, "--json")).stdout).question;
  assert.equal(q.met, "loading");
  within15(q.predictions, ["loaded_seconds"]);
  const [first] = q.predictions;
  assert.equal(first.what, "cold_first_token_seconds");
  const all = statSync(join(root, "models/demo/model.safetensors")).size / rate;
  assert.ok(first.predicted[1] < all && first.predicted[1] - first.predicted[0] < 0.1, "neither container nor opening");
});

test("a bench of a private service is set beside its plan, too", async () => {
  await ok(...up, "--no-question");
  const { predictions } = JSON.parse((await ok("bench", "qwen", "-c", "1", "-n", "2", "--length", "0", "--json")).stdout);
  assert.deepEqual(predictions.map((p) => p.what), ["first_token_seconds", "tokens_per_second", "memory_bytes"]);
  for (const p of predictions) assert.deepEqual([p.where, p.service, p.vcpu], [`cloud-run ${region}`, "qwen", 1]);
  assert.equal(kept("predictions.json").predictions.length, 3);
});

test("ferry up asks the same", async () => {
  const args = ["up", "tiny/Demo-Listener", "--region", region, "--yes", "--json"];
  front.model = "gs://demo-proj-models/demo-listener";
  const { question, service } = JSON.parse((await ok(...args)).stdout);
  assert.equal(question.met, "nothing");
  assert.ok(question.predictions.some((p) => p.what === "loaded_seconds" && p.model === service.model));
  front.seen = [];
  assert.equal(JSON.parse((await ok(...args, "--no-question")).stdout).question, null);
  assert.deepEqual(front.seen, []);
});

test("a service that wants a key is asked with it", async () => {
  const project = "/v1/projects/demo-proj", secrets = `${project}/secrets`;
  const post = async (path, body) => assert.equal((await send(path, "POST", body)).status, 200);
  front.key = "sesame";
  await post(`${project}/services:batchEnable`, { serviceIds: ["secretmanager.googleapis.com"] });
  await post(`${secrets}?secretId=mine`, { replication: { automatic: {} } });
  await post(`${secrets}/mine:addVersion`, { payload: { data: Buffer.from(front.key).toString("base64") } });
  const r = await ok(...up, "--key-secret", "mine", "--json");
  assert.equal(JSON.parse(r.stdout).question.met, "nothing");
  assert.equal((await fetch(`${front.url}/v1/models`, { headers: { "x-serverless-authorization": "Bearer id.of.me" } })).status, 401);
});

test("nobody is asked with --no-question, without traffic, in a rehearsal", async () => {
  for (const args of [["--no-question"], ["--no-question", "--cpus", "8"], ["--no-traffic"], ["--dry-run"]]) await ok(...up, ...args);
  await ok("deploy", "qwen", "--rollback", "--region", region);
  assert.deepEqual(front.seen, []);
});

test("a service that does not answer is deployed all the same, and one line says what to do", async (t) => {
  const cases = {
    "no right to call it": [[403, "Your client does not have permission"], /add-iam-policy-binding qwen --region asia-northeast1 --project demo-proj --member user:YOU --role roles\/run\.invoker/],
    "it fails": [[500, "broken"], /HTTP 500: broken; `ferry logs qwen` shows/],
    "another program": [[200, "ok"], /something else than JSON.*`ferry logs qwen`/],
    "JSON of another": [[200, '{"state":"loaded"}'], /does not say how far its model is/],
  };
  for (const [name, [says, line]] of Object.entries(cases))
    await t.test(name, async () => {
      front.says = says;
      const r = await ok(...up);
      assert.match(r.stdout, /^qwen: http/m);
      const told = r.stderr.trimEnd().split("\n").filter((l) => l.startsWith("qwen is deployed, but"));
      assert.equal(told.length, 1, r.stderr);
      assert.match(told[0], line);
    });
});

test("a file of predictions that is damaged is told of, and nothing is overwritten", async () => {
  mkdirSync(join(emulator.data, "state/ferry"), { recursive: true });
  writeFileSync(statePath("predictions.json"), "{}");
  const r = await ok(...up);
  assert.match(r.stderr, /is not kept: .*predictions\.json: not what Ferry writes of its predictions; remove it/);
  assert.equal(readFileSync(statePath("predictions.json"), "utf8"), "{}");
});

test("Ctrl-C in the question ends it, and says that the service is there", async () => {
  const r = await ferry(up, { interrupt: "qwen: http" });
  assert.equal(r.status, "SIGINT", r.stderr);
  assert.match(r.stderr, /interrupted; qwen is deployed/);
});
