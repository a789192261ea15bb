// What `ferry status` finds in a project, and what it says that costs: the real ferry against the emulator. Compute Engine
// is a server of this test's, which answers as its description has it.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1";
let emulator, compute;

const { ferry, ok, send } = ferryBeside(() => emulator, () => ({ FERRY_ENDPOINT_COMPUTE: compute.url }));
const status = async (...args) => JSON.parse((await ok("status", "--json", ...args)).stdout);

async function call(method, path, body) {
  const r = await send(path, method, body);
  assert.ok(r.status < 300, `${path}: ${r.status} ${await r.text()}`);
}
const changes = async () => (await emulator.log()).filter((l) => l.method !== "GET").map((l) => `${l.method} ${l.path}`);
const near = (is, wanted) => assert.ok(Math.abs(is - wanted) < 1e-6 * Math.max(wanted, 1e-3), `${is}, expected ${wanted}`);
const one = (all, kind) => {
  const found = all.holdings.filter((h) => h.kind === kind);
  assert.equal(found.length, 1, `${kind}: ${JSON.stringify(all.holdings)}`);
  return found[0];
};

const vmAt = (name, more) => ({
  name, zone: `https://www.googleapis.com/compute/v1/projects/demo-proj/zones/${region}-b`, status: "RUNNING",
  machineType: `https://www.googleapis.com/compute/v1/projects/demo-proj/zones/${region}-b/machineTypes/e2-standard-4`,
  disks: [{ diskSizeGb: "10" }], networkInterfaces: [{ accessConfigs: [{ type: "ONE_TO_ONE_NAT" }] }], labels: { "managed-by": "ferry" }, ...more,
});

before(async () => {
  compute = { vms: [], status: 200, asked: [] };
  compute.server = createServer((q, answer) => {
    compute.asked.push(`${q.method} ${q.url}`);
    answer.writeHead(compute.status, { "content-type": "application/json" });
    answer.end(JSON.stringify(compute.status === 200
      ? { items: { [`zones/${region}-b`]: { instances: compute.vms }, "zones/us-east1-b": { warning: { code: "NO_RESULTS_ON_PAGE" } } } }
      : { error: { code: compute.status, message: "Required 'compute.instances.list' permission for 'projects/demo-proj'", status: "PERMISSION_DENIED" } }));
  });
  await new Promise((ready) => compute.server.listen(0, "127.0.0.1", ready));
  compute.url = `http://127.0.0.1:${compute.server.address().port}`;
  emulator = await Emulator.start({ serviceUrl: compute.url });
});
after(async () => {
  compute.server.close();
  await emulator.stop();
});
beforeEach(async () => {
  await emulator.faults();
  Object.assign(compute, { vms: [], status: 200, asked: [] });
});

test("where nothing was ever made, nothing is listed and each API that is off is one line", async () => {
  const r = await ok("status");
  assert.equal(r.stdout, "There are no services; `ferry deploy` makes one\n");
  assert.deepEqual(r.stderr.trim().split("\n"), [
    "not listed: jobs: run.googleapis.com is off in demo-proj", "not listed: VMs: compute.googleapis.com is off in demo-proj",
    "not listed: images: artifactregistry.googleapis.com is off in demo-proj"]);
  const all = await status();
  assert.deepEqual([all.services, all.holdings, all.usd_per_month, all.unknown_costs], [[], [], 0, 0]);
  assert.deepEqual(all.not_listed.map((n) => n.what), ["jobs", "VMs", "images"]);
  assert.deepEqual(compute.asked, []);
});

test("a bucket costs what lies in it, and somebody else's is not listed", async () => {
  await call("POST", "/storage/v1/b?project=demo-proj", { name: "theirs-bkt", location: region });
  await ok("bucket", "create", "ferry-bkt", "--region", region, "--project", "demo-proj");
  near(one(await status(), "bucket").usd_per_month, 0);
  await ok("cp", "-r", join(root, "models/demo"), "gs://ferry-bkt/");
  const b = one(await status(), "bucket");
  assert.deepEqual([b.name, b.where, b.storage_class], ["ferry-bkt", region, "standard"]);
  assert.ok(b.bytes > 3e6 && b.count > 5);
  near(b.usd_per_month, (b.bytes / 2 ** 30) * 0.023);
  near(b.usd_per_hour, b.usd_per_month / 730);
  const r = await ok("status");
  assert.match(r.stdout, /^ferry-bkt +bucket +asia-northeast1 +3\.\d+ MB/m);
  assert.match(r.stdout, /gs:\/\/ferry-bkt keeps what was deleted for 7 days, which costs, too/);
  assert.match(r.stdout, /prices of \d{4}-\d\d-\d\d, in US dollars/);
});

test("services, images, jobs and VMs are told with what they cost, and the sum; nothing is changed or woken", async () => {
  await ok("deploy", "qwen", "gs://ferry-bkt/demo", "--region", region, "--min-instances", "1", "--cpus", "8", "--memory", "32Gi", "--yes", "--no-question");
  await ok("deploy", "sleepy", "gs://ferry-bkt/demo", "--region", region, "--cpus", "8", "--memory", "32Gi", "--yes", "--no-question");
  await call("POST", "/v1/projects/demo-proj/services:batchEnable", { serviceIds: ["compute.googleapis.com"] });
  await call("POST", `/v2/projects/demo-proj/locations/${region}/jobs?jobId=ferry-stage-1`, {
    labels: { "managed-by": "ferry" }, template: { taskCount: 8, template: { containers: [{ image: "i", resources: { limits: { cpu: "2", memory: "2Gi" } } }] } },
  });
  await call("POST", `/v2/projects/demo-proj/locations/${region}/jobs?jobId=theirs`, { template: { template: { containers: [{ image: "i" }] } } });
  compute.vms = [vmAt("ferry-stage-vm"), vmAt("ferry-stopped", { status: "TERMINATED" })];
  await emulator.clearLog();
  const all = await status();
  assert.deepEqual(await changes(), []);
  assert.ok(compute.asked.every((l) => l.startsWith("GET /compute/v1/projects/demo-proj/aggregated/instances?filter=labels.managed-by%3Dferry")));
  assert.deepEqual(all.not_listed, []);
  const month = 730 * 3600;
  const [qwen, sleepy] = ["qwen", "sleepy"].map((name) => all.services.find((s) => s.name === name));
  near(qwen.usd_per_month, month * (8 + 32) * 2.5e-6);
  near(qwen.usd_per_hour_answering, 3600 * (8 * 24e-6 + 32 * 2.5e-6));
  assert.equal(sleepy.usd_per_month, 0);
  const images = one(all, "images");
  assert.deepEqual([images.name, images.where, images.count], ["ferry", region, 1]);
  assert.ok(images.bytes > 5e6 && images.usd_per_month === 0, "the first half GiB is free");
  const job = one(all, "job");
  assert.deepEqual([job.name, job.where, job.runs, job.usd_per_month], ["ferry-stage-1", region, false, 0]);
  const [vm, stopped] = all.holdings.filter((h) => h.kind === "VM");
  assert.deepEqual([vm.name, vm.where, vm.machine, vm.runs], ["ferry-stage-vm", `${region}-b`, "e2-standard-4", true]);
  near(vm.usd_per_month, 730 * (0.17193144 + 0.005) + 1.3);
  near(stopped.usd_per_month, 1.3);
  near(all.usd_per_month, [...all.services, ...all.holdings].reduce((sum, h) => sum + h.usd_per_month, 0));
  assert.equal(all.unknown_costs, 0);
});

test("tables stay within 100 columns, whatever names are", async () => {
  const long = `b${"-long".repeat(12)}`;
  await ok("bucket", "create", long, "--region", region, "--project", "demo-proj");
  compute.vms = [vmAt(`v${"-long".repeat(12)}`)];
  const r = await ok("status");
  for (const line of r.stdout.split("\n")) assert.ok([...line].length <= 100, line);
  assert.match(r.stdout, new RegExp(`^${long}$`, "m"));
  assert.match(r.stdout, /^all of it .* \$\d+$/m);
  assert.match(r.stdout, /^sleepy .*\$0 +\$0$/m);
  assert.match(r.stdout, /an instance costs \$0\.98 an hour while it answers/);
});

test("a job that runs is charged for each of its tasks", async () => {
  await emulator.faults({ faults: [{ method: "GET", path: "*/jobs/ferry-stage-1", times: 0, do: { status: 200, headers: { "content-type": "application/json" }, body: {
    name: `projects/demo-proj/locations/${region}/jobs/ferry-stage-1`, latestCreatedExecution: { name: "ferry-stage-1-x", createTime: "2026-11-26T00:00:00Z" },
    template: { taskCount: 8, parallelism: 4, template: { containers: [{ resources: { limits: { cpu: "2", memory: "2Gi" } } }] } },
  } } }] });
  const job = one(await status(), "job");
  assert.deepEqual([job.runs, job.count], [true, 4]);
  near(job.usd_per_hour, 4 * 3600 * (2 * 18e-6 + 2 * 2e-6));
  assert.match((await ok("status")).stdout, /^ferry-stage-1 +job +asia-northeast1 +running: 4 tasks/m);
});

test("what has no known price is unknown, in no sum, and said so", async () => {
  compute.vms = [vmAt("odd", { machineType: "zones/z/machineTypes/m9-huge" }), vmAt("spot", { scheduling: { provisioningModel: "SPOT" } })];
  const all = await status();
  assert.deepEqual(all.holdings.filter((h) => h.kind === "VM").map((h) => h.usd_per_month), [null, null]);
  assert.equal(all.unknown_costs, 2);
  const r = await ok("status");
  assert.match(r.stdout, /^odd +VM +asia-northeast1-b +m9-huge, 10 GB +unknown +unknown$/m);
  assert.match(r.stdout, /What is unknown is not in the sum/);
});

test("what may not be listed is one line and hides nothing else", async (t) => {
  const forbidden = { status: 403, headers: { "content-type": "application/json" }, body: { error: { code: 403, message: "Permission denied on it", status: "PERMISSION_DENIED" } } };
  const cases = [
    ["services", "*/locations/-/services", "services on Cloud Run", ["job", "images", "bucket"]],
    ["jobs", "*/namespaces/*/jobs", "jobs", ["images", "bucket"]],
    ["one job", "*/jobs/ferry-stage-1", "job ferry-stage-1", ["images", "bucket"]],
    ["regions", "/v1/projects/*/locations", "images", ["job", "bucket"]],
    ["repositories", "*/repositories", "images", ["job", "bucket"]],
    ["images", "*/dockerImages", "images in asia-northeast1", ["job", "images", "bucket"]],
    ["buckets", "/storage/v1/b", "buckets", ["job", "images"]],
    ["objects", "/storage/v1/b/ferry-bkt/o", "objects in gs://ferry-bkt", ["job", "images", "bucket"]],
  ];
  for (const [name, path, what, there] of cases)
    await t.test(name, async () => {
      await emulator.faults({ faults: [{ method: "GET", path, times: 0, do: forbidden }] });
      const r = await ok("status"), all = await status();
      assert.deepEqual(all.not_listed.map((n) => n.what), [what]);
      assert.match(all.not_listed[0].why, /Permission denied on it/);
      assert.equal(r.stderr.trim().split("\n").length, 1, r.stderr);
      assert.ok(r.stderr.startsWith(`not listed: ${what}: `), r.stderr);
      for (const kind of there) assert.ok(all.holdings.some((h) => h.kind === kind), kind);
      if (name === "objects") assert.equal(all.holdings.find((h) => h.name === "ferry-bkt").usd_per_month, null);
    });
  await t.test("one region", async () => {
    await emulator.faults({ faults: [{ method: "GET", path: "*/us-central1/repositories", times: 0, do: forbidden }] });
    const all = await status();
    assert.deepEqual(all.not_listed.map((n) => n.what), ["images in us-central1"]);
    assert.equal(one(all, "images").where, region);
  });
  await t.test("VMs", async () => {
    await emulator.faults();
    compute.status = 403;
    const all = await status();
    assert.deepEqual(all.not_listed.map((n) => n.what), ["VMs"]);
    assert.match(all.not_listed[0].why, /compute\.instances\.list/);
  });
  await t.test("which APIs are on", async () => {
    await emulator.faults({ faults: [{ method: "GET", path: "*services:batchGet", times: 0, do: forbidden }] });
    const all = await status();
    assert.deepEqual(all.not_listed, []);
    assert.deepEqual(all.services.map((s) => s.name).sort(), ["qwen", "sleepy"]);
    for (const kind of ["job", "images", "bucket"]) assert.ok(all.holdings.some((h) => h.kind === kind), kind);
  });
});

test("with a name, that service alone with its cost", async () => {
  const all = await status("qwen");
  assert.deepEqual([all.services.map((s) => s.name), all.holdings, all.not_listed], [["qwen"], [], []]);
  near(all.usd_per_month, 730 * 3600 * 40 * 2.5e-6);
  const r = await ok("status", "qwen");
  assert.match(r.stdout, /^qwen +cloud-run +ready.* \$0\.36 +\$263$/m);
  assert.ok(!/bucket|images/.test(r.stdout), r.stdout);
  assert.equal((await ferry(["status", "nobody"])).status, 1);
});
