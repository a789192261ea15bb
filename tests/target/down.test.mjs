// `ferry down NAME --bucket`: the service with all that lies in buckets for it: the real ferry against the emulator.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", bucket = "my-models", config = "gs://my-models/audio.json";
let emulator, front;

const { ferry, ok, send, api } = ferryBeside(() => emulator);
const names = async (name = bucket) => ((await api(`/storage/v1/b/${name}/o`))?.items ?? []).map((o) => o.name);
const bucketThere = (name = bucket) => api(`/storage/v1/b/${name}`);
const service = (name) => api(`/v2/projects/demo-proj/locations/${region}/services/${name}`);
const account = (name) => api(`/v1/projects/demo-proj/serviceAccounts/ferry-${name}@demo-proj.iam.gserviceaccount.com`);
const deploy = (name, folder, ...more) => ["deploy", name, `gs://${bucket}/${folder}`, "--region", region, "--yes", "--no-question", ...more];
const down = ["down", "audio", "--bucket", "--yes"];

async function nothingIsLeft() {
  assert.equal(await service("audio"), null);
  assert.equal(await account("audio"), null);
  assert.equal(await api(`/v1/projects/demo-proj/locations/${region}/repositories/ferry`), null);
  assert.equal(await bucketThere(), null);
  const all = JSON.parse((await ok("status", "--json")).stdout);
  assert.deepEqual([all.services, all.holdings, all.usd_per_month], [[], [], 0]);
}

const files = ["chat_template.json", "config.json", "generation_config.json", "merges.txt", "model.safetensors",
  "preprocessor_config.json", "tokenizer_config.json", "vocab.json"];
/** The model into a folder of the bucket; "": into the bucket itself. */
const stage = (folder) => ok("cp", ...files.map((n) => join(root, "models/demo", n)), `gs://${bucket}/${folder}`);
async function makeBucket() {
  await ok("bucket", "create", bucket, "--region", region, "--project", "demo-proj", "--soft-delete", "off");
  await stage("audio-model/");
}
async function makeAll(...more) {
  await makeBucket();
  await ok("config", "set", config, "temperature=0.2");
  await ok("config", "set", config, "temperature=0.3");
  await ok(...deploy("audio", "audio-model", "--config", config, ...more));
}

before(async () => {
  front = createServer((q, answer) => answer.end("ok"));
  await new Promise((ready) => front.listen(0, "127.0.0.1", ready));
});
after(() => front.close());
/** A test in a world of its own. */
function fromNothing(name, fn) {
  test(name, async (t) => {
    emulator = await Emulator.start({ serviceUrl: `http://127.0.0.1:${front.address().port}` });
    try {
      await fn(t);
    } finally {
      await emulator.stop();
    }
  });
}

fromNothing("all of it is listed, asked about, and gone", async () => {
  await makeAll();
  assert.ok((await names()).some((n) => n.startsWith("audio.json.history/")), "a history to take away");
  const before = await names();
  const asked = await ferry(["down", "audio", "--bucket"]);
  assert.equal(asked.status, 4, asked.stderr);
  assert.match(asked.stderr, /remove all of this\?.*--yes/);
  for (const name of before) assert.ok(asked.stdout.includes(`  gs://${bucket}/${name}  `), name);
  assert.match(asked.stdout, /gs:\/\/my-models, the bucket itself/);
  assert.match(asked.stdout, /\d+ objects; [\d.]+ MB that lie there cost <?\$[\d.]+ a month/);
  assert.match(asked.stdout, /images in asia-northeast1  [\d.]+ MB/);
  assert.deepEqual(await names(), before, "nothing was done");
  assert.ok(await service("audio"));
  await ok(...down);
  await nothingIsLeft();
  const again = await ferry(down);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /no service "audio"/);
});

fromNothing("a folder that another service reads stays, and so does its bucket", async () => {
  await makeAll();
  await ok(...deploy("other", "audio-model"));
  const r = await ok(...down);
  assert.match(r.stdout, /gs:\/\/my-models\/audio-model stays: the service other reads it/);
  assert.match(r.stdout, /gs:\/\/my-models stays: /);
  assert.ok(!/images in/.test(r.stdout), "its images are used, too");
  const left = await names();
  assert.ok(left.includes("audio-model/model.safetensors") && !left.some((n) => n.startsWith("audio.json")), left.join());
  assert.equal(await service("audio"), null);
  assert.ok((await service("other")) && (await api(`/v1/projects/demo-proj/locations/${region}/repositories/ferry`)));
});

fromNothing("a bucket of somebody else's, and one in which other things lie, stay", async (t) => {
  const make = await send("/storage/v1/b?project=demo-proj", "POST", { name: bucket, location: region });
  assert.equal(make.status, 200);
  await stage("audio-model/");
  await ok(...deploy("audio", "audio-model"));
  const r = await ok(...down);
  assert.match(r.stdout, /gs:\/\/my-models stays: Ferry has not made it/);
  assert.deepEqual(await names(), []);
  assert.ok(await bucketThere());
  await t.test("other things", async () => {
    await send(`/storage/v1/b/${bucket}`, "DELETE");
    await makeBucket();
    await stage("audio-model-2/");
    await ok(...deploy("audio", "audio-model"));
    const two = await ok(...down);
    assert.match(two.stdout, /gs:\/\/my-models stays: 8 other objects lie in it/);
    const left = await names();
    assert.ok(left.length === files.length && left.every((n) => n.startsWith("audio-model-2/")), left.join());
  });
});

for (const step of ["removing the service", "removing the images", "removing what lies", "removing empty buckets"])
  fromNothing(`killed at "${step}", the same command converges`, async () => {
    await makeAll();
    const r = await ferry(down, { kill: step });
    assert.equal(r.status, "SIGKILL", r.stderr);
    assert.ok(await account("audio"), "what is left is found by it");
    await ok(...down);
    await nothingIsLeft();
  });

fromNothing("refused at any step, the same command converges", async () => {
  let last = false;
  for (let n = 1; !last; n++) {
    await makeAll();
    await emulator.clearLog();
    await emulator.faults({ faults: [{ method: "DELETE", path: "*", from: n, times: 0, do: { status: 403, body: { error: { code: 403, message: "not now", status: "PERMISSION_DENIED" } } } }] });
    const r = await ferry(down);
    last = r.status === 0;
    if (!last) assert.match(r.stderr, /not now/);
    await emulator.faults();
    if (!last) await ok(...down);
    await nothingIsLeft();
  }
});

fromNothing("what a deploy that was killed has left goes, too", async () => {
  await makeBucket();
  const r = await ferry(deploy("audio", "audio-model"), { kill: "making the repository" });
  assert.equal(r.status, "SIGKILL", r.stderr);
  assert.equal(await service("audio"), null);
  await ok(...down);
  await nothingIsLeft();
});

fromNothing("after a down that was killed, --bucket still finds the folder", async () => {
  await makeAll();
  const r = await ferry(["down", "audio", "--yes"], { kill: "removing the images" });
  assert.equal(r.status, "SIGKILL", r.stderr);
  await ok(...down);
  await nothingIsLeft();
});

fromNothing("what cannot be is refused, and nothing is taken away", async (t) => {
  await makeAll();
  const there = async () => assert.ok((await service("audio")) && (await names()).includes("audio-model/config.json"));
  await t.test("a service on this machine", async () => {
    await ok("deploy", "here", join(root, "models/demo"), "--target", "local", "--port", "0");
    const r = await ferry(["down", "here", "--bucket", "--yes"]);
    await ok("down", "here");
    assert.equal(r.status, 2, r.stderr);
    assert.match(r.stderr, /--bucket: here runs on this machine/);
  });
  const forbidden = { status: 403, body: { error: { code: 403, message: "Permission denied on it", status: "PERMISSION_DENIED" } } };
  for (const [name, method, path, says] of [
    ["objects", "GET", "/storage/v1/b/my-models/o", /gs:\/\/my-models.*Permission denied/],
    ["buckets", "GET", "/storage/v1/b", /buckets of demo-proj.*Permission denied/],
    ["accounts", "GET", "*/serviceAccounts", /Permission denied/],
    ["the note", "POST", "/upload/*", /what is to go could not be noted, and nothing was taken away/],
  ])
    await t.test(name, async () => {
      await emulator.faults({ faults: [{ method, path, times: 0, do: forbidden }] });
      const r = await ferry(down);
      await emulator.faults();
      assert.equal(r.status, 1, r.stderr);
      assert.match(r.stderr, says);
      await there();
    });
  await emulator.clearLog();
  await t.test("an object that was replaced meanwhile stays, and is told of", async () => {
    await emulator.faults({ faults: [{ method: "DELETE", path: "*/services/audio", do: { operation_seconds: 3 } }] });
    const going = ferry(down);
    while (!(await emulator.log()).some((l) => l.method === "DELETE")) await new Promise((later) => setTimeout(later, 50));
    await ok("cp", join(root, "models/demo/config.json"), `gs://${bucket}/audio-model/vocab.json`);
    const r = await going;
    await emulator.faults();
    assert.equal(r.status, 1, r.stderr);
    assert.match(r.stderr, /vocab\.json/);
    assert.deepEqual((await names()).filter((n) => n.endsWith("vocab.json")), ["audio-model/vocab.json"]);
    await ok(...down);
    await nothingIsLeft();
  });
});

fromNothing("a model that lies in no folder is not taken for one", async () => {
  await ok("bucket", "create", bucket, "--region", region, "--project", "demo-proj");
  await stage("");
  await ok("deploy", "audio", `gs://${bucket}`, "--region", region, "--yes", "--no-question");
  const r = await ferry(down);
  assert.equal(r.status, 1, r.stderr);
  assert.match(r.stderr, /lies in no folder/);
});
