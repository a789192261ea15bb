// `ferry serve gs://…` while the weights still arrive: what is answered, told and refused, and what the network may do.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { toFile } from "openai";
import { Emulator } from "../emulator/run_emulator.mjs";
import { all, greedy, hear, model, recording, say, Service, textOf, tiny } from "./service.js";
import { stageFolder } from "./staged.js";

const bucket = "model-bkt";
const uri = `gs://${bucket}/${model}`;
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** What happens to reads of shards, from the n-th on. */
const onShards = (what, from = 1, times = 0) => ({
  faults: [{ method: "GET", path: "*.safetensors", query: "*alt=media*", from, times, do: what }],
});
/** A few seconds for all 330 ranges, however many connections there are. */
const slowly = onShards({ bytes_per_second: 25000 });

let emulator, hub, local, client;
before(async () => {
  hub = mkdtempSync(join(tmpdir(), "ferry-hub-"));
  mkdirSync(join(hub, "owner"));
  cpSync(tiny, join(hub, "owner", model), { recursive: true, dereference: true });
  emulator = await Emulator.start({ bucket, hub, lfsBytes: 100000 });
  await stageFolder(emulator, bucket, model, tiny, 4096);
  local = await Service.start();
  client = local.client();
});
after(async () => {
  await local.stop();
  await emulator.stop();
  rmSync(hub, { recursive: true });
});

/** A service that has just begun to load. */
async function begin({ folder = uri, args = [], fault = slowly, ...more } = {}) {
  await emulator.faults(fault);
  const service = await Service.start({ folder, args, env: emulator.env, until: "listening", ...more });
  begun.push(service);
  return service;
}
const begun = [];
afterEach(() => {
  for (const service of begun.splice(0)) service.process.kill("SIGKILL"); // of a test that failed
});

async function loadOf(service) {
  return (await fetch(`${service.url}/v1/load`)).json();
}

/** What the service answers, without what differs from call to call. */
const choices = async (c, body) => (await c.chat.completions.create({ ...greedy, ...body })).choices;

const spoken = {
  messages: hear("short_1p3s.wav", "What does the speaker say?"), max_tokens: 24, logprobs: true, top_logprobs: 5,
};
const written = { messages: say("Tell me a story."), max_tokens: 30, logprobs: true, top_logprobs: 5 };
const long = { messages: hear("long_34s.wav", "What is said?"), max_tokens: 6, logprobs: true, top_logprobs: 5 };

/* --- the answer --- */

test("answers behind arriving weights are those of a local folder, bit by bit", async () => {
  const service = await begin();
  const bodies = [spoken, written, long, { ...written, temperature: 1, seed: 7, n: 2 }];
  const held = bodies.map((body) => choices(service.client(), body));
  const got = await Promise.all(held);
  for (const [i, body] of bodies.entries()) assert.deepEqual(got[i], await choices(client, body));
  await service.logged("ready");
  const { stages, elapsed_ms } = await loadOf(service);
  const [decoder, head, embedding] = ["decoder layer 0", "head", "embedding"].map((n) => stages.find((s) => s.name === n));
  assert.ok(decoder.done_ms < head.arrived_ms, "the first layer was through before the last one came");
  assert.ok(head.done_ms < embedding.arrived_ms && head.done_ms < elapsed_ms, "a token came before the embedding");
  for (const body of bodies) assert.deepEqual(await choices(service.client(), body), await choices(client, body));
  await service.stop();
});

test("a streamed answer and a transcript are the same too", async () => {
  const service = await begin();
  const chunks = await all(await service.client().chat.completions.create({ ...greedy, ...spoken, stream: true }));
  const transcribe = async (c) =>
    c.audio.transcriptions.create({ model, file: await toFile(recording("short_1p3s.wav"), "a.wav") });
  const transcript = await transcribe(service.client());
  assert.equal(textOf(chunks), (await choices(client, spoken))[0].message.content);
  assert.equal(transcript.text, (await transcribe(client)).text);
  await service.stop();
});

test("text does not wait for the audio tower", async () => {
  const service = await begin();
  const got = await choices(service.client(), { ...written, max_tokens: 2 });
  const load = await loadOf(service);
  const tower = load.stages.filter((s) => /^(encoder|projector)/.test(s.name));
  assert.equal(tower.length, 3);
  for (const s of tower) assert.equal(s.arrived_ms, null, s.name);
  for (const s of load.stages.filter((s) => /^(decoder|head)/.test(s.name))) {
    assert.ok(s.arrived_ms > 0, s.name);
    assert.ok(s.done_ms >= s.arrived_ms, s.name);
  }
  assert.deepEqual(got, await choices(client, { ...written, max_tokens: 2 }));
  assert.deepEqual(await choices(service.client(), spoken), await choices(client, spoken));
  await service.stop();
});

test("a pack and a repository on the hub are served the same way", async () => {
  const env = { ...process.env, ...emulator.env };
  const packed = join(hub, "packed");
  await emulator.faults();
  for (const target of [`gs://${bucket}/q8`, packed])
    execFileSync(process.env.FERRY, ["stage", `hf://owner/${model}`, target, "--encode", "q8_0", "-q"], { env });
  const here = await Service.start({ folder: packed });
  const there = await begin({ folder: `gs://${bucket}/q8`, fault: onShards({ bytes_per_second: 300000 }) });
  const q8 = { ...spoken, model: "q8" };
  assert.deepEqual(await choices(there.client(), q8), await choices(here.client(), { ...spoken, model: "packed" }));
  await here.stop();
  await there.stop();
  const fromHub = await begin({ folder: `hf://owner/${model}`, fault: "" });
  assert.deepEqual(await choices(fromHub.client(), spoken), await choices(client, spoken));
  await fromHub.stop();
});

test("ferry ask answers out of a bucket", async () => {
  await emulator.faults();
  const ask = (target) =>
    spawnSync(process.env.FERRY, ["ask", target, "Hello", "--temperature", "0", "--max-tokens", "12", "--json"], {
      env: { ...process.env, ...emulator.env, FERRY_MATH: "exact" }, encoding: "utf8",
    });
  const [there, here] = [ask(uri), ask(tiny)];
  assert.equal(there.status, 0, there.stderr);
  assert.equal(JSON.parse(there.stdout).text, JSON.parse(here.stdout).text);
});

/* --- what is told --- */

test("a held stream carries comments that real clients pass over", async () => {
  const service = await begin();
  const body = JSON.stringify({ ...greedy, ...spoken, stream: true });
  const headers = { "content-type": "application/json" };
  const [raw, chunks] = await Promise.all([
    fetch(`${service.url}/v1/chat/completions`, { method: "POST", body, headers }).then((r) => r.text()),
    service.client().chat.completions.create({ ...greedy, ...spoken, stream: true }).then(all),
  ]);
  assert.match(raw, /^: loading \d+ %, first token in about \d+ s\n\n/m);
  assert.equal(textOf(chunks), (await choices(client, spoken))[0].message.content);
  await service.stop();
});

test("/v1/load tells of the load as a stream until it is through", async () => {
  const service = await begin();
  const r = await fetch(`${service.url}/v1/load`, { headers: { accept: "text/event-stream" } });
  assert.match(r.headers.get("content-type"), /^text\/event-stream/);
  const events = (await r.text()).split("\n\n").filter(Boolean).map((e) => JSON.parse(e.replace(/^data: /, "")));
  assert.ok(events.length > 3, `${events.length} events`);
  for (let i = 1; i < events.length; i++) assert.ok(events[i].bytes >= events[i - 1].bytes);
  const last = events.at(-1);
  assert.equal(last.state, "loaded");
  assert.equal(last.bytes, last.total);
  assert.deepEqual(last.reached, { waits_for: null, done: 9, of: 9 });
  for (const e of events.filter((e) => e.state === "loading" && e.bytes > e.total / 4))
    assert.ok(e.loaded_ms > 0 && e.bytes_per_second > 0, JSON.stringify(e));
  await service.stop();
});

test("readiness comes when all is loaded, and the log says what the time went into", async () => {
  const service = await begin();
  const ready = async () => (await fetch(`${service.url}/readyz`)).status;
  assert.equal(await ready(), 503);
  await choices(service.client(), { ...spoken, max_tokens: 1 });
  assert.equal(await ready(), 503, "an answer came, the embedding has not");
  const line = await service.logged("loaded");
  await service.logged("ready");
  assert.equal(await ready(), 200);
  const phases = ["start", "files", "headers", "fetch", "wait", "compute"].map((p) => line[`${p}_ms`]);
  const sum = phases.reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - line.total_ms) < line.total_ms / 1e4, `${sum} of ${line.total_ms} ms`);
  assert.ok(line.wait_ms > line.total_ms / 4, "most of it a prompt waited");
  assert.ok(line.compute_ms > 0);
  await service.stop();
});

test("behind the gate nothing is answered before all is loaded", async () => {
  const service = await begin({ args: ["--start", "gate"] });
  await service.logged("weights are arriving");
  const early = await choices(service.client(), written).then(assert.fail, (e) => e);
  assert.equal(early.status, 503);
  assert.equal(early.code, "model_loading");
  assert.ok(Number(early.headers.get("retry-after")) >= 1);
  assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
  assert.equal((await fetch(`${service.url}/readyz`)).status, 503);
  await service.logged("ready");
  assert.deepEqual(await choices(service.client(), written), await choices(client, written));
  await service.stop();
});

/* --- what the network does --- */

const passing = {
  "resets": onShards({ after_bytes: 1000, then: "reset" }, 30, 20),
  "bodies cut short": onShards({ after_bytes: 1000, then: "close" }, 30, 20),
  "503": onShards({ status: 503 }, 30, 3),
  "damaged ranges": { faults: [30, 60, 90].flatMap((n) => onShards({ corrupt_byte: 77 }, n, 1).faults) },
  "a stall": onShards({ after_bytes: 100, then: "stall" }, 30, 2),
  "no answer": onShards({ stall_seconds: 3600 }, 30, 2),
};
for (const [name, fault] of Object.entries(passing))
  test(`a load survives ${name}`, async () => {
    const service = await begin({ fault });
    assert.deepEqual(await choices(service.client(), spoken), await choices(client, spoken));
    await service.logged("ready");
    await service.stop();
  });

test("a load survives a token that ends and a bucket that is away for a second", async () => {
  const service = await begin({ env: { ...emulator.env, FERRY_ACCESS_TOKEN: "" }, fault: { faults: [
    { path: "/*storage*", from: 40, do: { kill_token: true } },
    ...slowly.faults,
  ] } });
  const held = choices(service.client(), spoken);
  await service.logged("weights are arriving");
  await pause(500);
  await emulator.restart();
  assert.deepEqual(await held, await choices(client, spoken));
  await service.logged("ready");
  await service.stop();
});

const lasting = {
  "a range that is wrong twice": [onShards({ corrupt_byte: 7 }), /bytes \d+-\d+: CRC32C [0-9a-f]{8}, expected/],
  "a right that is taken away": [onShards({ status: 403 }), /HTTP 403/],
};
for (const [name, [fault, says]] of Object.entries(lasting))
  test(`a load that ends with ${name} says so to who waits, and ends the service`, async () => {
    const service = await begin();
    const held = choices(service.client(), spoken).then(assert.fail, (e) => e);
    await service.logged("weights are arriving");
    await pause(500);
    await emulator.faults(fault);
    const failed = await held;
    assert.equal(failed.status, 503);
    assert.match(failed.message, /the model did not load: .*model-0000\d-of-00003\.safetensors/);
    assert.match(failed.message, says);
    assert.equal((await service.exited).code, 1);
    const line = service.log.find((l) => l.text.startsWith("ferry: serve: "));
    assert.match(line.text, says);
  });

test("a place without a model ends the service with the reason", async () => {
  const service = await begin({ folder: `gs://${bucket}/nothing`, fault: "" });
  assert.equal((await service.exited).code, 1);
  assert.match(service.log.at(-1).text, /^ferry: serve: gs:\/\/model-bkt\/nothing: nothing is there/);
});

test("SIGTERM while loading ends at once and tells who waits", async () => {
  const service = await begin({ fault: onShards({ bytes_per_second: 5000 }) });
  const held = choices(service.client(), spoken).then(assert.fail, (e) => e);
  await service.logged("weights are arriving");
  await pause(300);
  const asked = Date.now();
  await service.stop();
  assert.ok(Date.now() - asked < 5000, `${Date.now() - asked} ms`);
  const e = await held;
  assert.equal(e.status, 503);
  assert.equal(e.code, "shutting_down");
});

test("a model that does not fit is refused at once, with the sum", async (t) => {
  // a memory limit as a container has it, where this user may make one
  const limited = (bytes) => [
    "unshare", "--mount", "sh", "-c",
    `mount -t tmpfs none /sys/fs/cgroup && echo ${bytes} >/sys/fs/cgroup/memory.max && exec "$@"`, "sh",
  ];
  if (spawnSync(limited(1)[0], [...limited(1).slice(1), "true"]).status !== 0) {
    t.skip("no right to make a mount namespace");
    return;
  }
  await emulator.clearLog();
  const service = await begin({ wrap: limited(16000000), fault: "" });
  assert.equal((await service.exited).code, 1);
  assert.match(
    service.log.at(-1).text,
    /does not fit into memory: weights 1\.35 MB \+ KV cache of one full context [\d.]+ MB \+ activations [\d.]+ MB = [\d.]+ MB, and 16\.0 MB are available; give it more memory, or a smaller --context or --kv q8$/,
  );
  const reads = (await emulator.log()).filter((r) => /safetensors\?.*alt=media/.test(r.path));
  assert.ok(reads.reduce((n, r) => n + r.sent, 0) < 1e5, "no weights were fetched");
});
