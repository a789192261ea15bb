// API keys of services on Cloud Run, and accounts that are the user's: the real ferry against the emulator.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer, request } from "node:http";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", model = "gs://model-bkt/demo", own = "ferry-qwen-key";
const account = "ferry-qwen@demo-proj.iam.gserviceaccount.com", mine = "mine-1@demo-proj.iam.gserviceaccount.com";
const accessor = "roles/secretmanager.secretAccessor";
const up = ["deploy", "qwen", model, "--region", region, "--yes", "--no-question"];
const down = ["down", "qwen", "--yes"];
let emulator, front;

const { env, ferry, ok, api, changes } = ferryBeside(() => emulator);
const service = () => api(`/v2/projects/demo-proj/locations/${region}/services/qwen`);
const secret = (name = own) => api(`/v1/projects/demo-proj/secrets/${name}`);
const stored = async (name = own) => Buffer.from((await api(`/v1/projects/demo-proj/secrets/${name}/versions/latest:access`)).payload.data, "base64").toString();
const readersOf = async (name) => (await api(`/v1/projects/demo-proj/secrets/${name}:getIamPolicy`)).bindings?.filter((b) => b.role === accessor).flatMap((b) => b.members) ?? [];
const keyVariable = async () => (await service()).template.containers[0].env.find((v) => v.name === "FERRY_API_KEY");
const shownKey = (r) => /API key, shown this once: ([0-9a-f]{32})\n/.exec(r.stdout)?.[1];

async function makeSecret(name, text) {
  await api("/v1/projects/demo-proj/services:batchEnable", "POST", { serviceIds: ["secretmanager.googleapis.com"] });
  assert.ok(await api(`/v1/projects/demo-proj/secrets?secretId=${name}`, "POST", { replication: { automatic: {} } }));
  if (text) assert.ok(await api(`/v1/projects/demo-proj/secrets/${name}:addVersion`, "POST", { payload: { data: Buffer.from(text).toString("base64") } }));
}

async function nothingIsLeft() {
  assert.equal(await service(), null);
  assert.equal(await secret(), null);
  assert.equal(await api(`/v1/projects/demo-proj/serviceAccounts/${account}`), null);
  assert.equal(await api(`/v1/projects/demo-proj/locations/${region}/repositories/ferry`), null);
}

before(async () => {
  front = { seen: [] };
  front.server = createServer((q, answer) => {
    front.seen.push(q.headers.authorization);
    q.pipe(request({ host: "127.0.0.1", port: front.port, path: q.url, method: q.method, headers: q.headers }, (r) => {
      answer.writeHead(r.statusCode, r.headers);
      r.pipe(answer);
    }));
  });
  await new Promise((ready) => front.server.listen(0, "127.0.0.1", ready));
  emulator = await Emulator.start({ bucket: "model-bkt", serviceUrl: `http://127.0.0.1:${front.server.address().port}` });
  await ok("cp", "-r", join(root, "models/demo"), "gs://model-bkt/");
});
after(async () => {
  front.server.close();
  await emulator.stop();
});
beforeEach(async () => {
  await emulator.faults();
  await ferry(down);
  for (const name of ["mine", "empty", own]) await api(`/v1/projects/demo-proj/secrets/${name}`, "DELETE");
  await emulator.clearLog();
});

test("a dry run where Secret Manager is not enabled yet tells all, and no key", async () => {
  const r = await ok(...up, "--public", "--dry-run");
  assert.match(r.stdout, /"secretmanager\.googleapis\.com"/);
  assert.match(r.stdout, /secrets\?secretId=ferry-qwen-key/);
  assert.match(r.stdout, /ferry-qwen-key:addVersion\n\{\n {2}"payload": \{\n {4}"data": "\(not shown\)"/);
  assert.match(r.stdout, /ferry-qwen-key:setIamPolicy/);
  assert.doesNotMatch(r.stdout + r.stderr, /API key, shown/);
  assert.deepEqual((await changes()).map((l) => l.path), []);
});

test("a public service gets a key, which is shown once, kept, and gone with it", async () => {
  const first = await ok(...up, "--public");
  const key = shownKey(first);
  assert.ok(key, first.stdout);
  assert.match(first.stdout, /callers: who has the API key/);
  assert.match(first.stdout, new RegExp(`curl ${emulator.options.serviceUrl}/v1/models -H`));
  assert.equal(await stored(), key);
  assert.deepEqual((await secret()).labels, { "managed-by": "ferry", service: "qwen", region });
  assert.deepEqual(await readersOf(own), [`serviceAccount:${account}`]);
  assert.deepEqual(await keyVariable(), { name: "FERRY_API_KEY", valueSource: { secretKeyRef: { secret: own, version: "latest" } } });
  assert.equal((await service()).terminalCondition.state, "CONDITION_SUCCEEDED");
  assert.ok(!JSON.stringify(await service()).includes(key));

  await emulator.clearLog();
  const again = await ok(...up, "--public");
  assert.match(again.stderr, /like that already/);
  assert.deepEqual((await changes()).map((l) => l.path), []);
  assert.equal(shownKey(again), undefined);
  for (const said of [first.stderr, again.stdout, again.stderr, (await ok("status", "--json")).stdout]) assert.ok(!said.includes(key), "told once only");

  await ok(...up);
  assert.equal(await keyVariable(), undefined, "private again: no key is asked for");
  assert.equal(await stored(), key, "and it is kept for a revision that may come back");
  await ok(...down);
  await nothingIsLeft();
});

test("without a key only when it is said", async () => {
  const r = await ok(...up, "--public", "--no-key");
  assert.match(r.stdout, /callers: anyone\n/);
  assert.equal(await keyVariable(), undefined);
  assert.equal(await secret(), null);
});

test("with --json the key is beside the object, not in it", async () => {
  const r = await ok(...up, "--public", "--json");
  assert.equal(JSON.parse(r.stdout).name, "qwen");
  assert.ok(r.stderr.includes(await stored()));
});

test("a secret of the user's is used as it is, and stays", async () => {
  await makeSecret("mine", "open sesame");
  await ok(...up, "--key-secret", "mine");
  assert.deepEqual((await keyVariable()).valueSource.secretKeyRef, { secret: "mine", version: "latest" });
  assert.deepEqual(await readersOf("mine"), [`serviceAccount:${account}`]);
  assert.equal(await secret(), null, "none is made");
  await ok(...up, "--key-secret", "mine:1", "--public");
  assert.deepEqual((await keyVariable()).valueSource.secretKeyRef, { secret: "mine", version: "1" });
  await ok(...down);
  assert.deepEqual(await readersOf("mine"), [], "what the service might do with it is taken back");
  assert.equal(await stored("mine"), "open sesame");
  await nothingIsLeft();
});

test("a secret that only has the name is not ours: refused, and never removed", async () => {
  await makeSecret(own, "somebody's");
  const r = await ferry([...up, "--public"]);
  assert.equal(r.status, 1);
  assert.match(r.last, /^ferry: deploy: there is a secret ferry-qwen-key that Ferry has not made .*--key-secret ferry-qwen-key/);
  await ok(...up, "--public", "--key-secret", own);
  await ok(...down);
  assert.equal(await stored(), "somebody's");
});

test("what cannot be is refused before anything is made", async (t) => {
  await makeSecret("empty");
  await makeSecret("mine", "x");
  await emulator.clearLog();
  const cases = [
    [[...up, "--public", "--key-secret", "absent"], 1, /--key-secret absent: project demo-proj has no such secret.*gcloud secrets create absent/],
    [[...up, "--key-secret", "empty"], 1, /empty: .*no version latest/],
    [[...up, "--key-secret", "mine:7"], 1, /no version 7/],
    [[...up, "--key-secret", "mine:"], 2, /NAME:VERSION/],
    [[...up, "--key-secret", "mine:v1"], 2, /NAME:VERSION/],
    [[...up, "--key-secret", "projects/a/secrets/b"], 2, /of this project/],
    [[...up, "--key-secret", "mine", "--no-key"], 2, /one of them/],
    [[...up, "--no-key"], 2, /--no-key goes with --public/],
    [[...up, "--service-account", "mine-1"], 2, /--service-account "mine-1": expected its address, such as name@PROJECT/],
    [[...up, "--service-account", "gone-1@demo-proj.iam.gserviceaccount.com"], 1, /there is no gone-1@.*service-accounts create/],
    [[...up, "--gpu", "nvidia-t4"], 2, /--gpu "nvidia-t4": Cloud Run has nvidia-l4 and nvidia-rtx-pro-6000/],
    [[...up, "--gpu", "nvidia-l4"], 1, /asia-northeast1 \(Tokyo\) has none, the nearest that has is asia-southeast1 \(Singapore\), 5\d\d\d km away; .*computes on CPUs.*\$\d+\.\d\d an hour with 8 vCPU and 32 GiB in us-central1.*ferry exec/],
    [[...up, "--gpu", "nvidia-rtx-pro-6000", "--region", "asia-southeast1"], 1, /asia-southeast1 \(Singapore\) has it on Google's invitation, the nearest that has is /],
    [[...up, "--gpu", "nvidia-l4", "--region", "us-central1"], 1, /--gpu nvidia-l4: Ferry's engine computes on CPUs.* in us-central1\)/],
    [[...up, "--image", "europe-docker.pkg.dev/p/r/i"], 2, /--image is for --target knative.*gcloud run deploy --image/],
    [[...up, "--api-key-file", "x"], 2, /lies in Secret Manager: --public makes one/],
  ];
  for (const [args, status, says] of cases)
    await t.test(args.slice(6).join(" "), async () => {
      const r = await ferry(args);
      assert.equal(r.status, status, r.stderr);
      assert.match(r.last, says);
      assert.match(r.last, /^ferry: /);
      assert.deepEqual((await changes()).map((l) => l.path), []);
    });
});

test("Google's refusals are told without the key, and the same command then goes on", async (t) => {
  const no = { status: 403, body: { error: { code: 403, message: "Permission 'secretmanager.secrets.create' denied on resource.", status: "PERMISSION_DENIED" } } };
  const cases = {
    "no right to make a secret": [{ method: "POST", path: "*/secrets", do: no }, /secret ferry-qwen-key: .*secretmanager\.secrets\.create/],
    "no right to put a key into it": [{ method: "POST", path: "*:addVersion", do: no }, /secret ferry-qwen-key: /],
    "no right to let the account read it": [{ method: "POST", path: "*/ferry-qwen-key:setIamPolicy", do: no }, /policy of secret ferry-qwen-key: /],
  };
  for (const [name, [fault, says]] of Object.entries(cases))
    await t.test(name, async () => {
      await emulator.faults({ faults: [fault] });
      const r = await ferry([...up, "--public"]);
      assert.equal(r.status, 1, r.stderr);
      assert.match(r.last, says);
      await emulator.faults();
      await ok(...up, "--public");
      assert.equal((await service()).terminalCondition.state, "CONDITION_SUCCEEDED");
      assert.ok(!r.stderr.includes(await stored()));
      await ok(...down);
      await nothingIsLeft();
    });
});

test("killed at any step, a deploy and a down go on", async (t) => {
  for (const word of ["making an API key", "it may read the secret", "making the repository"])
    await t.test(`deploy killed at "${word}"`, async () => {
      const r = await ferry([...up, "--public"], { kill: word });
      assert.equal(r.status, "SIGKILL", r.stderr);
      assert.equal(JSON.parse((await ok("status", "--json")).stdout).services[0].state, "half made");
      await ok(...up, "--public");
      assert.match(await stored(), /^[0-9a-f]{32}$/);
      await emulator.faults({ faults: [{ method: "DELETE", path: "*/secrets/ferry-qwen-key", do: { stall_seconds: 2 } }] });
      const d = await ferry([...down], { kill: "removing the secret" });
      assert.equal(d.status, "SIGKILL", d.stderr);
      await emulator.faults();
      await ok(...down);
      await nothingIsLeft();
    });
});

test("two at once make one key, and one of them shows it", async () => {
  const both = await Promise.all([ferry([...up, "--public"]), ferry([...up, "--public"])]);
  assert.ok(both.some((r) => r.status === 0), both.map((r) => r.stderr).join());
  assert.deepEqual(both.map(shownKey).filter((k) => k), [await stored()]);
  assert.equal(await api(`/v1/projects/demo-proj/secrets/${own}/versions/2`), null);
});

test("what a kill leaves beside an account of the user's is listed and taken away", async () => {
  await api("/v1/projects/demo-proj/serviceAccounts", "POST", { accountId: "mine-1", serviceAccount: {} });
  const r = await ferry([...up, "--public", "--service-account", mine], { kill: "making the repository" });
  assert.equal(r.status, "SIGKILL", r.stderr);
  const left = JSON.parse((await ok("status", "--json")).stdout).services;
  assert.deepEqual(left.map((s) => [s.name, s.state]), [["qwen", "half made"]]);
  await ok(...down);
  await nothingIsLeft();
});

test("an account of the user's is used as it is, told what it may lack, and never removed", async () => {
  await api("/v1/projects/demo-proj/serviceAccounts", "POST", { accountId: "mine-1", serviceAccount: {} });
  await makeSecret("mine", "x");
  const r = await ferry([...up, "--service-account", mine, "--key-secret", "mine"]);
  assert.match(r.stderr, /policy of gs:\/\/model-bkt does not name mine-1@.*add-iam-policy-binding gs:\/\/model-bkt --member=serviceAccount:mine-1@/);
  assert.match(r.stderr, /policy of secret mine does not name mine-1@.*gcloud secrets add-iam-policy-binding mine /);
  assert.equal(r.status, 1);
  assert.match(r.last, /Permission denied on secret/, "Google's own refusal");
  assert.deepEqual((await changes()).filter((l) => /IamPolicy|\/iam$/.test(l.path)).map((l) => l.path), [], "no right is changed");

  await ok(...up, "--service-account", mine, "--public");
  assert.equal((await service()).template.serviceAccount, mine);
  assert.deepEqual(await readersOf(own), [`serviceAccount:${mine}`]);
  assert.equal(await api(`/v1/projects/demo-proj/serviceAccounts/${account}`), null);
  await ok(...down);
  await nothingIsLeft();
  assert.ok(await api(`/v1/projects/demo-proj/serviceAccounts/${mine}`));
});

test("an account that only has the name is not removed", async () => {
  await api("/v1/projects/demo-proj/serviceAccounts", "POST", { accountId: "ferry-qwen", serviceAccount: { description: "somebody's" } });
  await ok(...up, "--service-account", account);
  await ok(...down);
  assert.ok(await api(`/v1/projects/demo-proj/serviceAccounts/${account}`));
  await api(`/v1/projects/demo-proj/serviceAccounts/${account}`, "DELETE");
});

test("who may not see secrets takes a service down all the same, and is told", async () => {
  await ok(...up, "--public", "--no-key");
  await api("/v1/projects/demo-proj/services:batchEnable", "POST", { serviceIds: ["secretmanager.googleapis.com"] });
  const no = { status: 403, body: { error: { code: 403, message: "Permission denied.", status: "PERMISSION_DENIED" } } };
  await emulator.faults({ faults: ["*/secrets", "*/secrets/ferry-qwen-key"].map((path) => ({ method: "GET", path, do: no })) });
  const r = await ok(...down);
  assert.match(r.stderr, /whether there is a secret ferry-qwen-key .* cannot be seen: /);
  await emulator.faults();
  await nothingIsLeft();
});

test("ask finds the key by itself, and says when it may not", async () => {
  const key = shownKey(await ok(...up, "--public"));
  // As Cloud Run hands over a secret that was stored with the end of its line.
  const server = spawn(process.env.FERRY, ["serve", model, "--host", "127.0.0.1", "--port", "0"], { env: { ...env(), FERRY_API_KEY: `${key}\n` }, stdio: ["ignore", "ignore", "pipe"] });
  try {
    front.port = await new Promise((ready) => server.stderr.on("data", (d) => {
      const at = /"port":\s*(\d+)/.exec(d);
      if (at) ready(Number(at[1]));
    }));
    const r = await ok("ask", "qwen", "--audio", join(root, "samples/digits-en.wav"), "What is said here?");
    assert.equal(r.stdout, "3 1 4\n");
    assert.ok(front.seen.length > 0 && front.seen.every((s) => s === `Bearer ${key}`));

    await emulator.faults({ faults: [{ method: "GET", path: "*/versions/latest:access", do: { status: 403, body: { error: { code: 403, message: "Permission 'secretmanager.versions.access' denied.", status: "PERMISSION_DENIED" } } } }] });
    const refused = await ferry(["ask", "qwen", "hello"]);
    assert.equal(refused.status, 1);
    assert.match(refused.last, /^ferry: ask: qwen asks for an API key that you may not read: set FERRY_API_KEY, or let it be read: secret ferry-qwen-key: .*grant roles\/secretmanager\.secretAccessor on the secret/);
    assert.ok(!refused.stderr.includes(key));
    const given = await ferry(["ask", "qwen", "hello"], { more: { FERRY_API_KEY: key } });
    assert.equal(given.status, 0, given.stderr);
  } finally {
    server.kill("SIGKILL");
  }
});
