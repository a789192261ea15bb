// From a model on the hub to a service on Cloud Run: the real ferry against the emulator.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", bucket = "demo-proj-models", folder = "demo-listener";
const up = ["up", "tiny/Demo-Listener", "--region", region, "--no-question", "--yes"];
let hub, front, emulator;
const { start, ferry, ok, api, changes } = ferryBeside(() => emulator);

before(async () => {
  hub = mkdtempSync(join(tmpdir(), "ferry-up-"));
  mkdirSync(join(hub, "tiny"));
  for (const name of ["Demo-Listener", "7B_v1.5"]) cpSync(join(root, "models/demo"), join(hub, "tiny", name), { recursive: true });
  front = createServer((q, answer) => answer.end("ok"));
  await new Promise((ready) => front.listen(0, "127.0.0.1", ready));
});
after(() => {
  front.close();
  rmSync(hub, { recursive: true });
});
/** A test in a world of its own: no bucket, no service, nothing enabled. */
function fromNothing(name, fn, more = {}) {
  test(name, async (t) => {
    emulator = await Emulator.start({ hub, lfsBytes: 1 << 20, serviceUrl: `http://127.0.0.1:${front.address().port}`, ...more });
    try {
      await fn(t);
    } finally {
      await emulator.stop();
    }
  });
}

const service = (name = folder) => api(`/v2/projects/demo-proj/locations/${region}/services/${name}`);
const bucketThere = () => api(`/storage/v1/b/${bucket}`);
/** {name: generation} of what lies in the model's folder, without the journal's copy. */
async function objects(prefix = folder) {
  const list = await api(`/storage/v1/b/${bucket}/o?prefix=${prefix}/`);
  return Object.fromEntries((list?.items ?? []).map((o) => [o.name.slice(prefix.length + 1), o.generation])
    .filter(([name]) => !name.startsWith(".ferry/")));
}
const nothingChanged = async () => assert.deepEqual((await changes()).map((l) => `${l.method} ${l.path}`), []);

async function allIsThere() {
  const s = await service(), files = await objects(), b = await bucketThere();
  assert.equal(s.terminalCondition.state, "CONDITION_SUCCEEDED");
  assert.equal(s.template.containers[0].env.find((v) => v.name === "FERRY_MODEL").value, `gs://${bucket}/${folder}`);
  assert.ok(files["model.safetensors"] && files["ferry-manifest.json"], JSON.stringify(files));
  assert.equal(b.location, region.toUpperCase());
  assert.equal(b.iamConfiguration.uniformBucketLevelAccess.enabled, true);
  assert.equal(b.iamConfiguration.publicAccessPrevention, "enforced");
  assert.equal(b.softDeletePolicy.retentionDurationSeconds, "0");
  await ok("stage", "--check", `gs://${bucket}/${folder}`, "--deep");
  return files;
}

fromNothing("from nothing: bucket, model and service are there; again changes nothing; down leaves bucket and model", async () => {
  const first = await ok(...up);
  assert.match(first.stdout, /a month at 100 requests a day/);
  assert.match(first.stdout, /bucket {2}gs:\/\/demo-proj-models, to be made/);
  assert.match(first.stdout, /`ferry ask demo-listener /);
  const files = await allIsThere();

  await emulator.clearLog();
  const second = await ok(...up);
  assert.match(second.stdout, /which is there/);
  assert.match(second.stdout, /staged completely/);
  await nothingChanged();

  await ok("down", folder, "--yes");
  assert.equal(await service(), null);
  assert.deepEqual(await objects(), files);
});

fromNothing("what an encoding makes lies in a folder of its own, under the name that was given", async () => {
  const audio = ["up", "tiny/7B_v1.5", "--region", region, "--yes", "--encode", "q8_0", "--name", "audio", "--max-instances", "2"];
  await ok(...audio);
  const s = await service("audio");
  assert.equal(s.template.scaling.maxInstanceCount, 2);
  assert.equal(s.template.containers[0].env.find((v) => v.name === "FERRY_MODEL").value, `gs://${bucket}/7b-v1-5-q8_0`);
  assert.ok((await objects("7b-v1-5-q8_0"))["ferry-manifest.json"]);
  await emulator.clearLog();
  await ok(...audio);
  await nothingChanged();
});

fromNothing("with --json stdout is one object, and the words are on stderr", async () => {
  const dry = await ok(...up, "--json", "--dry-run"), planned = JSON.parse(dry.stdout);
  assert.equal(planned.service, null);
  assert.equal(planned.was_staged, false);
  assert.ok(planned.bytes_to_copy > 3e6, dry.stdout);
  assert.match(dry.stderr, /a month at[\s\S]*to be made[\s\S]*nothing was sent/);
  await nothingChanged();

  const first = await ok(...up, "--json"), made = JSON.parse(first.stdout);
  assert.deepEqual([made.name, made.bucket, made.bucket_was_there, made.encoding], [folder, bucket, false, null]);
  assert.match(made.source, /tiny\/Demo-Listener$/);
  assert.match(made.commit, /^[0-9a-f]{40}$/);
  assert.deepEqual([made.service.name, made.service.state, made.service.model], [folder, "ready", `gs://${bucket}/${folder}`]);
  assert.match(first.stderr, /a month at/);
  const again = JSON.parse((await ok(...up, "--json")).stdout);
  assert.deepEqual([again.bucket_was_there, again.was_staged, again.bytes_to_copy], [true, true, 0]);
  assert.deepEqual(again.service.url, made.service.url);

  const r = await ferry([...up.slice(0, -1), "--json", "--name", "other"]);
  assert.deepEqual([r.status, r.stdout], [4, ""]);
});

fromNothing("killed while it stages, the same command goes on and sends nothing twice", async () => {
  await emulator.faults({ about: "time for a kill", faults: [{ method: "GET", host: "cdn", path: "*", times: 0, do: { bytes_per_second: 200000 } }] });
  const run = start(up);
  while (!(await objects())["config.json"]) {
    assert.equal(run.child.exitCode, null, "it ended too early");
    await new Promise((later) => setTimeout(later, 50));
  }
  run.child.kill("SIGKILL");
  assert.equal((await run.done).status, "SIGKILL");
  const before = await objects();
  assert.ok(!before["ferry-manifest.json"] && !before["model.safetensors"]);
  assert.equal(await service(), null);

  await emulator.faults();
  await ok(...up);
  const files = await allIsThere();
  for (const [name, generation] of Object.entries(before)) assert.equal(files[name], generation, name);
});

for (const step of ["enabling", "making the service account", "it may read", "making the repository", "the image is there", "making the service demo"])
  fromNothing(`killed at "${step}", the same command converges`, async () => {
    assert.equal((await ferry(up, { kill: step })).status, "SIGKILL");
    await ok(...up);
    await allIsThere();
  });

const byJob = [...up, "--via", "job"], tasks = { program: process.env.FERRY };
const account = `ferry-${folder}@demo-proj.iam.gserviceaccount.com`;
const writers = async () => (await api(`/storage/v1/b/${bucket}/iam`)).bindings.filter((b) => b.role === "roles/storage.objectUser").flatMap((b) => b.members);
const jobs = async () => (await api(`/v2/projects/demo-proj/locations/${region}/jobs`))?.jobs ?? [];

fromNothing("tasks beside the bucket copy with the service's image, as its account, which may write only meanwhile", async () => {
  const r = await ok(...byJob);
  assert.match(r.stdout, /copied {2}by 1 task of Cloud Run in asia-northeast1: .* USD/);
  assert.match(r.stderr, /it may write to gs:\/\/demo-proj-models while the model is copied[\s\S]*it may no more write/);
  const job = (await changes()).find((l) => l.call === "run.projects.locations.jobs.create").json.template.template;
  assert.equal(job.serviceAccount, account);
  assert.equal(job.containers[0].image, (await service()).template.containers[0].image);
  await allIsThere();
  assert.deepEqual(await writers(), []);
  assert.deepEqual(await jobs(), []);
  await emulator.clearLog();
  await ok(...byJob);
  await nothingChanged();
}, tasks);

fromNothing("killed when the account may write, the same command converges, and it may no more, whoever copies then", async () => {
  for (const again of [byJob, [...up, "--via", "here"]]) {
    assert.equal((await ferry(byJob, { kill: "it may write" })).status, "SIGKILL");
    assert.deepEqual(await writers(), [`serviceAccount:${account}`]);
    await ok(...again);
    await allIsThere();
    assert.deepEqual(await writers(), []);
    await ok("down", folder, "--bucket", "--yes");
  }
}, tasks);

fromNothing("tasks that fail leave no right to write, and this machine can copy instead", async () => {
  const r = await ferry(byJob);
  assert.equal(r.status, 1, r.stderr);
  assert.deepEqual(await writers(), []);
  assert.deepEqual(await jobs(), []);
  assert.equal(await service(), null);
  await ok(...up);
  await allIsThere();
}, { program: "/bin/false" });

fromNothing("what is large goes beside the bucket, unless told otherwise, and a dry run says what each way takes", async () => {
  const large = join(hub, "tiny/Large");
  cpSync(join(root, "models/demo"), large, { recursive: true });
  writeFileSync(join(large, "notes.dat"), "");
  truncateSync(join(large, "notes.dat"), 1.5e9);
  const dry = [up[0], "tiny/Large", ...up.slice(2), "--dry-run"];
  assert.match((await ok(...dry)).stdout, /copied {2}by 1 task of Cloud Run in asia-northeast1: .* to .*, less than 0\.01 USD/);
  assert.match((await ok(...dry, "--via", "here")).stdout, /copied {2}from here: .* at 1 Gbit\/s up and down, .* at 100 Mbit\/s; --via job, beside the bucket: /);
  assert.match((await ok(...up, "--dry-run")).stdout, /copied {2}from here: [^;]*\n/);
});

fromNothing("a dry run says the same and sends nothing", async () => {
  const r = await ok(...up.slice(0, -1), "--dry-run");
  for (const part of [/on Cloud Run in Tokyo/, /a month at/, /to be made/, /for what lies in the bucket/, /to read from the hub/, /nothing was sent/]) assert.match(r.stdout, part);
  await nothingChanged();
  assert.equal(await bucketThere(), null);
});

fromNothing("what cannot be is refused before anything is made", async (t) => {
  const [command, model, ...rest] = up;
  const cases = [
    [up.slice(0, -1), 4, /make demo-listener\? .*--yes/],
    [[command, "tiny/none", ...rest], 1, /tiny\/none/],
    [[command, model, "--region", "tokyo", "--yes"], 2, /not a region/],
    [[command, model, "--yes"], 2, /--region/],
    [[...up, "--cpus", "3"], 2, /1, 2, 4, 6 or 8/],
    [[...up, "--memory", "64Gi"], 2, /at most 32 GiB/],
    [[...up, "--image", "me/ferry"], 2, /--image/],
    [[...up, "--via", "vm"], 2, /--via/],
  ];
  for (const [args, status, says] of cases)
    await t.test(args.slice(1).join(" "), async () => {
      const r = await ferry(args);
      assert.equal(r.status, status, r.stderr);
      assert.match(r.stderr, says);
      await nothingChanged();
    });
});

fromNothing("a bucket that lies elsewhere, or is another's, is refused before anything is made", async () => {
  await ok("bucket", "create", "far-bkt", "--project", "demo-proj", "--region", "us-central1");
  await emulator.clearLog();
  const r = await ferry([...up, "--bucket", "far-bkt"]);
  assert.equal(r.status, 1, r.stderr);
  assert.match(r.stderr, /far-bkt exists already, in US-CENTRAL1.*Take another name/i);
  await emulator.faults({ about: "another's", faults: [{ method: "GET", path: "/storage/v1/b/*", times: 0, do: { status: 403 } }] });
  const other = await ferry(up);
  assert.equal(other.status, 1, other.stderr);
  assert.match(other.stderr, /demo-proj-models/);
  await nothingChanged();
});
