// Deploying to Cloud Run: the real ferry against the emulator.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createServer, request } from "node:http";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", model = "gs://model-bkt/demo";
let emulator, front;

const { env, ferry, ok, api, changes } = ferryBeside(() => emulator, () => ({ FERRY_IDENTITY_TOKEN: "id.of.me" }));
const faults = join(root, "tests/emulator/faults/cloud-run");
const up = ["deploy", "qwen", model, "--region", region, "--yes", "--no-question"];
const down = ["down", "qwen", "--yes"];

const service = () => api(`/v2/projects/demo-proj/locations/${region}/services/qwen`);
const account = () => api("/v1/projects/demo-proj/serviceAccounts/ferry-qwen@demo-proj.iam.gserviceaccount.com");
const repository = () => api(`/v1/projects/demo-proj/locations/${region}/repositories/ferry`);
const readers = async () => (await api("/storage/v1/b/model-bkt/iam")).bindings.filter((b) => b.role === "roles/storage.objectViewer").flatMap((b) => b.members);

/** What Cloud Run has in front of a container: nobody comes past it without an ID token, which it takes away. */
async function startFront() {
  const f = { seen: [] };
  f.server = createServer((q, answer) => {
    const { "x-serverless-authorization": identity, ...headers } = q.headers;
    f.seen.push({ url: q.url, identity });
    if (identity !== "Bearer id.of.me") return answer.writeHead(403).end("Your client does not have permission to get this URL.");
    q.pipe(request({ host: "127.0.0.1", port: f.port, path: q.url, method: q.method, headers }, (r) => {
      answer.writeHead(r.statusCode, r.headers);
      r.pipe(answer);
    }));
  });
  await new Promise((ready) => f.server.listen(0, "127.0.0.1", ready));
  f.url = `http://127.0.0.1:${f.server.address().port}`;
  return f;
}

before(async () => {
  front = await startFront();
  emulator = await Emulator.start({ bucket: "model-bkt", serviceUrl: front.url });
  await ok("cp", "-r", join(root, "models/demo"), "gs://model-bkt/");
});
after(async () => {
  front.server.close();
  await emulator.stop();
});
beforeEach(async () => {
  await emulator.faults();
  if (await account()) await ok(...down);
  await emulator.clearLog();
});

async function nothingIsLeft() {
  assert.equal(await service(), null);
  assert.equal(await account(), null);
  assert.equal(await repository(), null);
  assert.deepEqual(await readers(), []);
}

test("where billing is closed no API is enabled, and one line says so", async () => {
  const file = join(faults, "billing-closed.json");
  await emulator.faults(file);
  const r = await ferry([...up]);
  assert.equal(r.status, 1, r.stderr);
  for (const word of JSON.parse(readFileSync(file)).says) assert.ok(r.stderr.trimEnd().split("\n").at(-1).includes(word), r.stderr);
  assert.deepEqual((await changes()).map((l) => l.call), ["serviceusage.services.batchEnable"]);
});

const told = (r) => r.stdout.split("\n").filter((l) => /^(POST|PUT|PATCH|DELETE) /.test(l)).map((l) => l.replace(emulator.url, "").split(" ").slice(0, 2).join(" "));

test("a dry run in a project where nothing is enabled yet tells all the same", async () => {
  const r = await ok(...up, "--dry-run", "--public");
  assert.match(told(r)[0], /services:batchEnable$/);
  assert.match(told(r).at(-1), /services\/qwen:setIamPolicy$/);
  assert.deepEqual((await changes()).map((l) => l.path), []);
});

test("a service is made with all that it needs, and taken away with all of it", async () => {
  const r = await ok(...up, "--max-instances", "2");
  assert.match(r.stdout, /qwen: gs:\/\/model-bkt\/demo on Cloud Run in Tokyo/);
  assert.match(r.stdout, /a month at 100 requests a day, nothing while nobody asks/);
  const s = await service();
  const container = s.template.containers[0];
  assert.equal(s.labels["managed-by"], "ferry");
  assert.equal(s.template.executionEnvironment, "EXECUTION_ENVIRONMENT_GEN2");
  assert.equal(s.template.serviceAccount, "ferry-qwen@demo-proj.iam.gserviceaccount.com");
  assert.equal(s.template.scaling.maxInstanceCount, 2);
  assert.equal(s.template.maxInstanceRequestConcurrency, 4);
  assert.equal(container.resources.cpuIdle, true);
  assert.equal(container.resources.startupCpuBoost, true);
  assert.match(container.image, new RegExp(`^${region}-docker\\.pkg\\.dev/demo-proj/ferry/ferry@sha256:[0-9a-f]{64}$`));
  const p = container.startupProbe;
  assert.ok(p.periodSeconds * p.failureThreshold <= 240 && p.initialDelaySeconds <= 240 && p.timeoutSeconds <= p.periodSeconds);
  assert.deepEqual(container.env.find((v) => v.name === "FERRY_MODEL"), { name: "FERRY_MODEL", value: model });
  assert.equal(s.terminalCondition.state, "CONDITION_SUCCEEDED");
  assert.deepEqual(await readers(), ["serviceAccount:ferry-qwen@demo-proj.iam.gserviceaccount.com"]);
  assert.equal((await api(`/v2/projects/demo-proj/locations/${region}/services/qwen:getIamPolicy`)).bindings, undefined);

  const status = JSON.parse((await ok("status", "--json")).stdout).services;
  assert.equal(status.length, 1);
  assert.equal(status[0].state, "ready");
  assert.equal(status[0].target, "cloud-run");
  await ok(...down);
  await nothingIsLeft();
});

test("the same again changes nothing, and another value only its part", async () => {
  await ok(...up);
  await emulator.clearLog();
  const again = await ok(...up);
  assert.match(again.stderr, /qwen is like that already/);
  assert.deepEqual((await changes()).map((l) => `${l.method} ${l.path}`), []);
  await ok(...up, "--public", "--no-key");
  assert.deepEqual((await changes()).map((l) => l.call), ["run.projects.locations.services.setIamPolicy"]);
  await emulator.clearLog();
  await ok(...up, "--min-instances", "1", "--public", "--no-key");
  const [patch, ...rest] = await changes();
  assert.equal(rest.length, 0);
  assert.match(patch.path, /updateMask=template$/);
  assert.ok(patch.json.etag, "a precondition");
  const s = await service();
  assert.equal(s.template.containers[0].startupProbe.httpGet.path, "/readyz");
  assert.ok(s.template.containers[0].env.some((v) => v.name === "FERRY_START" && v.value === "gate"));
});

test("a dry run tells the requests and sends none", async () => {
  const r = await ok(...up, "--dry-run");
  assert.deepEqual((await changes()).map((l) => `${l.method} ${l.path}`), []);
  const lines = told(r);
  for (const one of [/^POST .*\/serviceAccounts$/, /^PUT \/storage\/v1\/b\/model-bkt\/iam$/, /^POST .*repositoryId=ferry$/, /^POST .*services\?serviceId=qwen$/])
    assert.ok(lines.some((t) => one.test(t)), `${one} in ${lines.join("\n")}`);
  assert.match(r.stdout, /nothing was sent/);
  await nothingIsLeft();
});

/** What a service is, whichever API says it: Knative v1, as gcloud sends it, or v2. */
function meaningOfKnative({ metadata, spec }) {
  const notes = spec.template.metadata.annotations, t = spec.template.spec, c = t.containers[0];
  return {
    ingress: metadata.annotations["run.googleapis.com/ingress"], most: Number(notes["autoscaling.knative.dev/maxScale"]),
    idle: notes["run.googleapis.com/cpu-throttling"] !== "False", boost: notes["run.googleapis.com/startup-cpu-boost"] === "True",
    generation: notes["run.googleapis.com/execution-environment"], account: t.serviceAccountName, timeout: t.timeoutSeconds,
    concurrency: t.containerConcurrency, port: c.ports[0].containerPort, limits: c.resources.limits, probe: c.startupProbe,
    env: c.env.map((v) => v.name), registry: c.image.split("/")[0],
  };
}
function meaningOfV2({ ingress, template: t }) {
  const c = t.containers[0];
  return {
    ingress: { INGRESS_TRAFFIC_ALL: "all" }[ingress], most: t.scaling.maxInstanceCount,
    idle: c.resources.cpuIdle, boost: c.resources.startupCpuBoost,
    generation: { EXECUTION_ENVIRONMENT_GEN2: "gen2" }[t.executionEnvironment], account: t.serviceAccount, timeout: Number(t.timeout.replace(/s$/, "")),
    concurrency: t.maxInstanceRequestConcurrency, port: c.ports[0].containerPort, limits: c.resources.limits, probe: c.startupProbe,
    env: c.env.map((v) => v.name), registry: c.image.split("/")[0],
  };
}

test("what is sent means what gcloud means with the same flags", async () => {
  const capture = JSON.parse(readFileSync(join(root, "tests/data/captures/run-deploy-create.json")));
  await ok(...up, "--cpus", "8", "--memory", "32Gi", "--max-instances", "3", "--parallel", "1");
  const sent = (await changes()).find((l) => l.call === "run.projects.locations.services.create").json;
  const theirs = meaningOfKnative(capture.body), ours = meaningOfV2(sent);
  assert.deepEqual(Object.keys(ours.probe).sort(), Object.keys(theirs.probe).sort());
  // On purpose: request-based billing, the plan's timeout and probe, another account, Ferry's variables.
  for (const own of ["idle", "timeout", "probe", "account", "env"]) delete theirs[own], delete ours[own];
  assert.deepEqual(ours, theirs);
});

test("each refusal ends in one line that names its cause, and the same command then goes on", async (t) => {
  for (const file of readdirSync(faults).filter((f) => f !== "billing-closed.json"))
    await t.test(file, async () => {
      const { says } = JSON.parse(readFileSync(join(faults, file)));
      await emulator.faults(join(faults, file));
      const r = await ferry([...up]);
      assert.equal(r.status, 1, r.stderr);
      const last = r.stderr.trimEnd().split("\n").at(-1);
      for (const word of says) assert.ok(last.includes(word), `"${word}" in: ${last}`);
      assert.match(last, /^ferry: /);
      await emulator.faults();
      await ok(...up);
      assert.equal((await service()).terminalCondition.state, "CONDITION_SUCCEEDED");
      await ok(...down);
      await nothingIsLeft();
    });
});

test("a revision that fails leaves requests with the old one, and its own lines are shown", async () => {
  await ok(...up);
  const good = (await service()).latestReadyRevision;
  await emulator.faults({ faults: [{ method: "PATCH", path: "*/services/qwen", do: { operation_seconds: 2, operation_error: { code: 9, message: "Revision is not ready: memory limit exceeded" } } }] });
  const going = ferry([...up, "--cpus", "8"]);
  for (let s = await service(); !s.reconciling; s = await service()) await new Promise((later) => setTimeout(later, 20));
  const revision = (await service()).latestCreatedRevision.split("/").at(-1);
  await emulator.entry({ severity: "ERROR", resource: { type: "cloud_run_revision", labels: { service_name: "qwen", location: region, revision_name: revision } }, jsonPayload: { message: "tensor lm_head.weight: no room" } });
  const r = await going;
  assert.equal(r.status, 1);
  assert.match(r.stderr, /ERROR tensor lm_head\.weight: no room/);
  assert.match(r.stderr, /requests go to the old one: .*memory limit exceeded/);
  const s = await service();
  assert.equal(s.trafficStatuses[0].revision, good);
  assert.match((await ok("status", "qwen")).stdout, /failed[\s\S]*memory limit exceeded/);
  const logs = (await ok("logs", "qwen")).stdout.trim().split("\n").map((l) => JSON.parse(l));
  assert.equal(logs.at(-1).message, "tensor lm_head.weight: no room");
  await emulator.faults();
  await ok(...up);
  assert.equal((await service()).terminalCondition.state, "CONDITION_SUCCEEDED");
});

test("a revision without traffic, all of it then, and back", async () => {
  const first = await ferry([...up, "--no-traffic"]);
  assert.equal(first.status, 2, first.stderr);
  await ok(...up);
  const one = (await service()).latestReadyRevision.split("/").at(-1);
  await ok(...up, "--cpus", "8", "--no-traffic");
  let s = await service();
  assert.equal(s.traffic[0].revision, one);
  assert.notEqual(s.latestReadyRevision.split("/").at(-1), one);
  await ok(...up, "--cpus", "8");
  s = await service();
  assert.equal(s.traffic[0].type, "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST");
  await ok("deploy", "qwen", "--rollback", "--region", region);
  s = await service();
  assert.equal(s.traffic[0].revision, one);
  const none = await ferry(["deploy", "qwen", "--rollback", "--region", region]);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /no good revision before/);
});

test("killed at any step, a deploy and a down go on", async (t) => {
  for (const word of ["making the service account", "it may read", "making the repository", "the image is there", "making the service qwen"])
    await t.test(`deploy killed at "${word}"`, async () => {
      const r = await ferry([...up], { kill: word });
      assert.equal(r.status, "SIGKILL", r.stderr);
      const left = JSON.parse((await ok("status", "--json")).stdout).services;
      if (await account()) assert.equal(left[0]?.name, "qwen", "what is left is listed");
      await ok(...up);
      assert.equal((await service()).terminalCondition.state, "CONDITION_SUCCEEDED");
      const d = await ferry([...down], { kill: "removing the" });
      assert.equal(d.status, "SIGKILL", d.stderr);
      await ok(...down);
      await nothingIsLeft();
    });
});

test("two at once: one waits, or says that it was not the only one", async () => {
  const [a, b] = await Promise.all([ferry([...up]), ferry([...up])]);
  for (const r of [a, b]) assert.ok(r.status === 0 || /already exists|changed|Conflict|current version differs/.test(r.stderr), r.stderr);
  assert.ok(a.status === 0 || b.status === 0);
  await ok(...up);
});

test("what cannot be is refused before anything is made", async (t) => {
  const cases = [
    [["deploy", "qwen", "models/demo", "--target", "cloud-run", "--region", region, "--yes"], 2, /from a bucket, gs:/],
    [["deploy", "qwen", model, "--yes"], 2, /--region/],
    [["deploy", "qwen", model, "--region", "tokyo", "--yes"], 2, /not a region/],
    [["deploy", "qwen", model, "--region", region], 4, /--yes/],
    [[...up, "--cpus", "3"], 2, /1, 2, 4, 6 or 8/],
    [[...up, "--memory", "64Gi"], 2, /at most 32 GiB/],
    [[...up, "--config", "prompt.json"], 2, /from a bucket/],
    [["deploy", "Qwen", model, "--region", region, "--yes"], 2, /service's name/],
    [["deploy", "qwen", "gs://model-bkt/nowhere", "--region", region, "--yes"], 1, /nowhere/],
  ];
  for (const [args, status, says] of cases)
    await t.test(args.slice(1).join(" "), async () => {
      const r = await ferry(args);
      assert.equal(r.status, status, r.stderr);
      assert.match(r.stderr, says);
      assert.deepEqual((await changes()).map((l) => l.path), []);
    });
});

test("a private service is asked by its name, with the caller's identity", async () => {
  await ok(...up);
  const server = spawn(process.env.FERRY, ["serve", model, "--host", "127.0.0.1", "--port", "0"], { env: env(), stdio: ["ignore", "ignore", "pipe"] });
  try {
    front.port = await new Promise((ready) => server.stderr.on("data", (d) => {
      const at = /"port":\s*(\d+)/.exec(d);
      if (at) ready(Number(at[1]));
    }));
    const r = await ok("ask", "qwen", "--audio", join(root, "samples/digits-en.wav"), "What is said here?");
    assert.equal(r.stdout, "3 1 4\n");
    assert.ok(front.seen.length > 0 && front.seen.every((s) => s.identity === "Bearer id.of.me"));
  } finally {
    server.kill("SIGKILL");
  }
});
