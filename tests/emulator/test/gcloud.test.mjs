// The real gcloud against the emulator: what it takes for Cloud Storage, Ferry may take for it too.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { Emulator, token } from "../run_emulator.mjs";

const missing = spawnSync("gcloud", ["--version"]).error ? "gcloud is not installed" : false;
if (missing) console.log(`SKIPPED: ${missing}`);

const MiB = 1 << 20;
let m, folder, env;
const bytes = { "small.bin": randomBytes(1000), "middle.bin": randomBytes(9 * MiB), "big.bin": randomBytes(40 * MiB) };

before(async () => {
  if (missing) return;
  m = await Emulator.start();
  folder = join(m.data, "files");
  mkdirSync(folder);
  for (const [name, content] of Object.entries(bytes)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, "token"), token);
  writeFileSync(
    join(folder, "lifecycle.json"),
    JSON.stringify({ rule: [{ action: { type: "AbortIncompleteMultipartUpload" }, condition: { age: 7 } }] }),
  );
  env = {
    ...process.env,
    CLOUDSDK_CONFIG: join(m.data, "gcloud"),
    CLOUDSDK_CORE_PROJECT: "demo-proj",
    CLOUDSDK_CORE_DISABLE_PROMPTS: "1",
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: "1",
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: "1",
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, "token"),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${m.url}/storage/v1/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${m.url}/compute/v1/`,
    CLOUDSDK_STORAGE_PARALLEL_COMPOSITE_UPLOAD_ENABLED: "True",
    CLOUDSDK_STORAGE_PARALLEL_COMPOSITE_UPLOAD_THRESHOLD: "20M",
    CLOUDSDK_STORAGE_PARALLEL_COMPOSITE_UPLOAD_COMPONENT_SIZE: "10M",
    CLOUDSDK_STORAGE_SLICED_OBJECT_DOWNLOAD_THRESHOLD: "20M",
    CLOUDSDK_STORAGE_SLICED_OBJECT_DOWNLOAD_COMPONENT_SIZE: "10M",
    CLOUDSDK_STORAGE_PROCESS_COUNT: "1",
    HOME: m.data,
  };
  for (const name of ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]) delete env[name];
});

after(async () => {
  if (m) await m.stop();
});

function run(...args) {
  const r = spawnSync("gcloud", args, { env, cwd: folder, maxBuffer: 100 * MiB });
  assert.equal(r.status, 0, `gcloud ${args.join(" ")}: ${r.stderr}`);
  return r.stdout;
}
const gcloud = (...args) => run("storage", ...args);

const real = { skip: missing, timeout: 300000 };
const count = async (f) => (await m.log()).filter(f).length;

test("a bucket is created, updated and described", real, () => {
  gcloud("buckets", "create", "gs://model-bkt", "--location=asia-northeast1", "--default-storage-class=STANDARD",
    "--uniform-bucket-level-access", "--public-access-prevention", "--soft-delete-duration=0");
  gcloud("buckets", "update", "gs://model-bkt", "--lifecycle-file=lifecycle.json");
  const b = JSON.parse(gcloud("buckets", "describe", "gs://model-bkt", "--format=json", "--raw"));
  assert.equal(b.location, "ASIA-NORTHEAST1");
  assert.equal(b.iamConfiguration.publicAccessPrevention, "enforced");
  assert.equal(b.softDeletePolicy.retentionDurationSeconds, "0");
  assert.equal(b.lifecycle.rule[0].condition.age, 7);
  assert.equal(b.metageneration, "2");
});

test("a small, a resumable and a composite upload arrive whole", real, async () => {
  await m.faults("unavailable-after-bytes"); // the first PUT of the resumable one breaks: gcloud asks and goes on
  gcloud("cp", "small.bin", "middle.bin", "gs://model-bkt/models/");
  await m.faults();
  assert.ok(await count((r) => r.method === "PUT" && r.status === 308), "it did not ask how far the session is");
  gcloud("cp", "big.bin", "gs://model-bkt/models/big.bin");
  assert.equal(await count((r) => r.path.includes("/compose")), 1);
  for (const [name, content] of Object.entries(bytes)) {
    const r = await fetch(`${m.url}/storage/v1/b/model-bkt/o/models%2F${name}?alt=media`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.ok(content.equals(Buffer.from(await r.arrayBuffer())), name);
  }
});

test("ls -l tells sizes, and no part of a composite upload is left", real, () => {
  const lines = gcloud("ls", "-l", "gs://model-bkt/**").toString();
  assert.match(lines, /\b1000 .* gs:\/\/model-bkt\/models\/small\.bin/);
  assert.match(lines, /\b41943040 .* gs:\/\/model-bkt\/models\/big\.bin/);
  assert.match(lines, /TOTAL: 3 objects/);
});

test("a sliced download and a range are the bytes that were sent", real, async () => {
  gcloud("cp", "gs://model-bkt/models/big.bin", "back.bin");
  assert.ok(bytes["big.bin"].equals(readFileSync(join(folder, "back.bin"))));
  assert.ok((await count((r) => r.method === "GET" && r.status === 206)) >= 4, "it was not sliced");
  assert.deepEqual(gcloud("cat", "-r", "100-199", "gs://model-bkt/models/big.bin"), bytes["big.bin"].subarray(100, 200));
});

test("a copy inside the service, and rm", real, async () => {
  gcloud("cp", "gs://model-bkt/models/middle.bin", "gs://model-bkt/copy/middle.bin");
  gcloud("rm", "gs://model-bkt/**");
  assert.equal(await count((r) => r.path.includes("/rewriteTo/") && r.status === 200), 1);
  const r = await fetch(`${m.url}/storage/v1/b/model-bkt/o`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await r.json()).items, undefined);
});

test("an instance runs its startup script, tells what it says, and is deleted", real, async () => {
  const vm = (verb, ...args) => run("compute", "instances", verb, "copy", "--zone=asia-northeast1-b", ...args).toString();
  writeFileSync(join(folder, "startup.sh"), `echo hello >>"$1"
curl -sf -X PUT -H 'Metadata-Flavor: Google' -d 7 http://metadata.google.internal/computeMetadata/v1/instance/guest-attributes/hf/progress
`);
  vm("create", "--machine-type=n2-standard-8", "--image-family=debian-12", "--image-project=debian-cloud", "--max-run-duration=2h",
    "--instance-termination-action=DELETE", "--metadata=enable-guest-attributes=TRUE", "--metadata-from-file=startup-script=startup.sh",
    "--no-restart-on-failure", "--labels=app=copy", "--no-service-account", "--no-scopes", "--subnet=default");
  let value = "";
  for (let i = 0; i < 50 && value !== "7"; i++) {
    const r = await fetch(`${m.url}/compute/v1/projects/demo-proj/zones/asia-northeast1-b/instances/copy/getGuestAttributes?queryPath=hf/progress`,
      { headers: { authorization: `Bearer ${token}` } });
    if (r.ok) value = (await r.json()).queryValue.items[0].value;
    else await new Promise((wait) => setTimeout(wait, 100));
  }
  assert.equal(JSON.parse(vm("get-guest-attributes", "--query-path=hf/progress", "--format=json"))[0].value, "7");
  assert.match(vm("get-serial-port-output"), /Container-Optimized OS\nhello\n/);
  assert.equal(JSON.parse(vm("describe", "--format=json")).scheduling.maxRunDuration.seconds, "7200");
  const listed = JSON.parse(run("compute", "instances", "list", "--filter=labels.app=copy", "--format=json"));
  assert.deepEqual(listed.map((i) => i.name), ["copy"]);
  vm("delete");
  assert.deepEqual(JSON.parse(run("compute", "instances", "list", "--format=json")), []);
});
