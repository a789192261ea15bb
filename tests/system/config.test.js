// The live configuration under load: 50 changes, bad ones between them, and every answer made by exactly the one that
// its header names. Once with the emulator's bucket, once with a file.
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Emulator, token } from "../emulator/run_emulator.mjs";
import { all, endless, say, Service } from "./service.js";

const changes = 50;
const bad = ['{"max_tokens":0}', "{", '{"tempreature":1}', '{"stop":7}', `{"system_prompt":"${"a".repeat(300000)}"}`];
const named = (headers) => headers.get("x-ferry-config-generation");
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** Number i: how long the answer gets and how long the prompt is say which one it was. */
const configOf = (i) => ({ max_tokens: 3 + i, system_prompt: "word ".repeat(i + 1).trim() });

/** Puts an object, answers its generation. */
class Bucket {
  static async open() {
    const b = new Bucket();
    b.emulator = await Emulator.start({ bucket: "config-bkt" });
    b.uri = "gs://config-bkt/live/config.json";
    b.env = b.emulator.env;
    return b;
  }
  async put(text) {
    const url = `${this.emulator.url}/upload/storage/v1/b/config-bkt/o?uploadType=media&name=live/config.json`;
    const r = await fetch(url, { method: "POST", body: text, headers: { authorization: `Bearer ${token}` } });
    assert.equal(r.status, 200);
    return (await r.json()).generation;
  }
  close() {
    return this.emulator.stop();
  }
}

class Folder {
  static open() {
    const f = new Folder();
    f.folder = mkdtempSync(join(tmpdir(), "ferry-config-"));
    f.uri = join(f.folder, "config.json");
    f.env = {};
    return f;
  }
  async put(text) {
    writeFileSync(`${this.uri}.new`, text);
    renameSync(`${this.uri}.new`, this.uri);
    await pause(5); // the next one gets another tick of the file system's clock
    return String(statSync(this.uri, { bigint: true }).mtimeNs);
  }
  close() {
    rmSync(this.folder, { recursive: true });
  }
}

/** Asks until it is told to stop, in each way that a client has. */
async function ask(client, answers, load) {
  const { temperature, logit_bias, model } = endless;
  const body = { model, temperature, logit_bias, messages: say("Hello") };
  for (let i = 0; !load.stop; i++) {
    const way = i % 4;
    if (way === 0) {
      const { data, response } = await client.chat.completions.create(body).withResponse();
      answers.push({ generation: named(response.headers), usage: data.usage });
    } else if (way === 1) {
      const asked = { ...body, stream: true, stream_options: { include_usage: true } };
      const { data, response } = await client.chat.completions.create(asked).withResponse();
      answers.push({ generation: named(response.headers), usage: (await all(data)).at(-1).usage });
    } else if (way === 2) {
      const { data, response } = await client.chat.completions.create({ ...body, max_tokens: 2 }).withResponse();
      answers.push({ generation: named(response.headers), usage: data.usage, own: 2 });
    } else {
      const refused = await client.chat.completions.create({ ...body, temperature: 3 }).catch((e) => e);
      assert.equal(refused.status, 400);
      answers.push({ generation: named(refused.headers) });
    }
  }
}

async function until(what, holds) {
  for (const end = Date.now() + 30000; !(await holds()); await pause(2))
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
}

/** Every good one is seen to answer, every bad one to be refused. */
async function change(place, service, answers) {
  const configs = new Map();
  for (let i = 0; i < changes; i++) {
    const generation = await place.put(JSON.stringify(configOf(i)));
    configs.set(generation, configOf(i));
    await until(`generation ${generation} in force`, () => answers.some((a) => a.generation === generation && a.usage));
    if (i % 5 === 4) {
      const refused = await place.put(bad[((i - 4) / 5) % bad.length]);
      const status = async () => (await fetch(`${service.url}/v1/config`)).json();
      await until(`generation ${refused} refused`, async () => (await status()).rejected?.generation === refused);
      assert.equal((await status()).generation, generation);
    }
  }
  return configs;
}

/** What the prompt costs when a request says the same words itself. */
async function promptTokens(client, config) {
  const messages = [{ role: "system", content: config.system_prompt }, ...say("Hello")];
  return (await client.chat.completions.create({ ...endless, messages, max_tokens: 1 })).usage.prompt_tokens;
}

async function check(client, configs, answers) {
  for (const [generation, config] of configs) {
    const prompt = await promptTokens(client, config);
    for (const a of answers.filter((a) => a.generation === generation && a.usage)) {
      assert.equal(a.usage.completion_tokens, a.own ?? config.max_tokens);
      assert.equal(a.usage.prompt_tokens, prompt);
    }
  }
  assert.deepEqual(answers.filter((a) => !configs.has(a.generation)), [], "answers under a configuration nobody put");
}

for (const Place of [Bucket, Folder])
  test(`${changes} changes under load from a ${Place.name.toLowerCase()}: each answer is of one configuration`, async () => {
    const place = await Place.open();
    const first = await place.put(JSON.stringify(configOf(changes)));
    const service = await Service.start({ args: ["--config", place.uri, "--config-seconds", "0.02"], env: place.env });
    const client = service.client(), answers = [], load = { stop: false };
    const clients = [1, 2, 3, 4].map(() => ask(client, answers, load));
    const failed = Promise.all(clients).then(() => new Promise(() => {})); // a client that fails ends the test at once
    const configs = await Promise.race([change(place, service, answers), failed]);
    load.stop = true;
    await Promise.all(clients);
    configs.set(first, configOf(changes));
    await check(client, configs, answers);
    assert.equal(await service.metric("ferry_config_rejected_total"), changes / 5);
    const lines = service.log.filter((l) => l.message?.startsWith("configuration refused"));
    assert.equal(new Set(lines.map((l) => l.problem)).size, bad.length);
    assert.equal(lines.length, changes / 5, "one line for each that was refused");
    assert.deepEqual(service.log.filter((l) => l.message === "request" && l.status >= 500), []);
    await service.stop();
    await place.close();
  });

test("without an object the service starts with the model's own defaults and says so", async () => {
  const place = Folder.open();
  const service = await Service.start({ args: ["--config", place.uri] });
  const { response } = await service.client().chat.completions.create({ ...endless, messages: say("Hello"), max_tokens: 1 }).withResponse();
  assert.equal(named(response.headers), "0");
  assert.equal(service.log.filter((l) => l.message?.startsWith("there is no configuration object")).length, 1);
  await service.stop();
  place.close();
});

test("a bucket that does not answer holds requests up for half a second, once, and fails none", async () => {
  const place = await Bucket.open();
  const generation = await place.put('{"max_tokens":3}');
  const service = await Service.start({ args: ["--config", place.uri, "--config-seconds", "0.1"], env: place.env });
  const create = () => service.client().chat.completions.create({ ...endless, messages: say("Hello") }).withResponse();
  await create();
  await place.emulator.faults({ faults: [{ path: "*/o/*", times: 0, do: { stall_seconds: 3600 } }] });
  await pause(300);
  const begun = Date.now();
  const { data, response } = await create();
  assert.ok(Date.now() - begun < 5000);
  assert.equal(named(response.headers), generation);
  assert.equal(data.usage.completion_tokens, 3);
  await service.stop();
  await place.emulator.faults();
  await place.close();
});
