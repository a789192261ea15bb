// Manifests that `ferry deploy --target knative` prints, beside what the real gcloud sends: recorded for the same
// intent, and, where it is installed, when it reads the manifest itself.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import assert from "node:assert/strict";

const here = dirname(fileURLToPath(import.meta.url));
const captures = JSON.parse(readFileSync(join(here, "../data/captures/gcloud-528-knative.json"), "utf8"));
const missing = spawnSync("gcloud", ["--version"]).error ? "gcloud is not installed" : false;
const folder = mkdtempSync(join(tmpdir(), "ferry-knative-"));
after(() => rmSync(folder, { recursive: true }));

// What run-deploy-create.json's command says, in ferry's words.
const intent = ["deploy", "qwen-audio", "gs://model-bkt/models/qwen", "--target", "knative",
  "--image", "asia-northeast1-docker.pkg.dev/demo-proj/app/server:v1", "--cpus", "8", "--memory", "32Gi",
  "--max-instances", "3", "--parallel", "1", "--timeout", "3600", "--start", "gate",
  "--service-account", "run-sa@demo-proj.iam.gserviceaccount.com"];

function ferry(...words) {
  const r = spawnSync(process.env.FERRY, words, { encoding: "utf8", env: { PATH: process.env.PATH } });
  assert.equal(r.status, 0, r.stderr);
  return r.stdout;
}

/** { "spec.template.spec.timeoutSeconds": 3600, … }; what is empty says nothing; annotations say True and true alike. */
function flat(value, path = "", out = {}) {
  if (value && typeof value === "object")
    for (const [k, v] of Object.entries(value)) flat(v, path ? `${path}|${k}` : k, out);
  else if (value !== "") out[path] = path.includes("annotations|") ? String(value).toLowerCase() : value;
  return out;
}

test("a manifest says what gcloud sends for the same intent, but where it is on purpose", () => {
  const ours = flat(JSON.parse(ferry(...intent, "--json")));
  const theirs = flat(captures["run-deploy-create"].requests.at(-1).json);
  const T = "spec|template|", C = `${T}spec|containers|0|`;
  const onPurpose = [
    // gcloud tells of itself, sets the project, makes each deploy a new revision
    /run\.googleapis\.com\/client-/, /^metadata\|namespace$/, /client\.knative\.dev\/nonce$/,
    // labels and variables are each one's own
    /\|labels\|/, new RegExp(`^${C.replaceAll("|", "\\|")}env\\|`),
    // 0 is what gcloud does not write; ferry does, since a cluster may have another default
    `${T}metadata|annotations|autoscaling.knative.dev/minScale`,
    // recorded with CPU always there; ferry's default is billing by requests
    `${T}metadata|annotations|run.googleapis.com/cpu-throttling`,
    // the memory volume is what ferry does without
    /volume/,
    // recorded: /healthz, 24 tries of 10 s; ferry: /readyz, as long as Cloud Run documents
    `${C}startupProbe|httpGet|path`, `${C}startupProbe|initialDelaySeconds`, `${C}startupProbe|timeoutSeconds`,
  ];
  const isOnPurpose = (path) => onPurpose.filter((p) => (typeof p === "string" ? p === path : p.test(path)));
  const met = new Set();
  const wrong = [];
  for (const path of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    if (ours[path] === theirs[path]) continue;
    const reasons = isOnPurpose(path);
    reasons.forEach((r) => met.add(r));
    if (!reasons.length) wrong.push(`${path}: ferry ${ours[path]}, gcloud ${theirs[path]}`);
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(onPurpose.filter((p) => !met.has(p)).map(String), [], "is no longer there");
});

/** Answers as run does when there is no such service, then keeps what it is sent. */
async function recorder() {
  const sent = [];
  const server = createServer((q, a) => {
    let text = "";
    q.on("data", (d) => (text += d));
    q.on("end", () => {
      const path = q.url.replace(/^http:\/\/[^/]+/, "").replace(/\?.*/, "");
      const isService = /\/services(\/|$)/.test(path);
      if (q.method === "POST" && isService) sent.push(JSON.parse(text));
      const made = sent.at(-1);
      const answer =
        isService && made
          ? { ...made, status: { url: "https://x.run.app", observedGeneration: 1, latestCreatedRevisionName: "r", latestReadyRevisionName: "r",
              conditions: ["Ready", "RoutesReady", "ConfigurationsReady"].map((type) => ({ type, status: "True" })) },
            metadata: { ...made.metadata, generation: 1, resourceVersion: "A", selfLink: "/x", uid: "u", creationTimestamp: "2026-01-01T00:00:00Z",
              labels: { ...made.metadata.labels, "cloud.googleapis.com/location": "asia-northeast1" } } }
          : isService
            ? { error: { code: 404, message: "not there", status: "NOT_FOUND" } }
            : { projectId: "demo-proj", projectNumber: "1", lifecycleState: "ACTIVE", state: "ENABLED" };
      a.writeHead(answer.error ? 404 : 200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    });
  }).listen(0, "127.0.0.1");
  await new Promise((done) => server.on("listening", done));
  return { sent, server, url: `http://127.0.0.1:${server.address().port}` };
}

test("the real gcloud reads the manifest and sends all that is in it", { skip: missing, timeout: 120000 }, async () => {
  const { sent, server, url } = await recorder();
  const file = join(folder, "service.yaml");
  const words = [...intent, "--key-secret", "ferry-key", "--min-instances", "1", "--config", "gs://model-bkt/live: #config.json"];
  writeFileSync(file, ferry(...words));
  writeFileSync(join(folder, "token"), "some-token");
  const env = { PATH: process.env.PATH, HOME: folder, CLOUDSDK_CONFIG: join(folder, "gcloud"), CLOUDSDK_CORE_PROJECT: "demo-proj",
    CLOUDSDK_CORE_DISABLE_PROMPTS: "1", CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: "1", CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: "1",
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, "token"), CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: "http://run.test/", http_proxy: url,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE: `${url}/`, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER: `${url}/`,
    no_proxy: "127.0.0.1" };
  const p = spawn("gcloud", ["run", "services", "replace", file, "--region=asia-northeast1"], { env });
  let err = "";
  p.stderr.on("data", (d) => (err += d));
  const code = await new Promise((done) => p.on("close", done));
  server.close();
  assert.equal(code, 0, err);
  assert.equal(sent.length, 1, err);
  const { namespace, ...metadata } = sent[0].metadata;
  assert.equal(namespace, "demo-proj");
  const { status, ...rest } = sent[0];
  assert.deepEqual({ ...rest, metadata }, JSON.parse(ferry(...words, "--json")));
});
