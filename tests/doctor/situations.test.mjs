// Each situation through the real program: a server answers on loopback as the folder says, and knows no other
// request. What depends on this machine (the situation changes "local", or the clock) is left to test_situations.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";

const folder = join(dirname(fileURLToPath(import.meta.url)), "situations");
const read = (name, leaf) => JSON.parse(readFileSync(join(folder, name, leaf), "utf8"));
const names = readdirSync(folder).filter((n) => !n.includes("."));

/** RFC 7386. */
function merge(into, patch) {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const out = into !== null && typeof into === "object" && !Array.isArray(into) ? { ...into } : {};
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) delete out[k];
    else out[k] = merge(out[k], v);
  }
  return out;
}

/** "healthy", with what the situation changes; README.md there says how. */
function recordOf(name) {
  const record = read("healthy", "answers.json"), patch = read(name, "answers.json");
  for (const [question, answer] of Object.entries(patch.answers ?? {}))
    if (answer?.status || answer?.error) record.answers[question] = { request: record.answers[question].request };
  return merge(record, patch);
}

const isOfMachine = (name, patch) => name !== "healthy" && (patch.local || patch.answers?.clock);

let home, server, answers, unknown, change;

/** "GET run /v2/…": the path is enough, since no two APIs share one. */
function find(method, url) {
  return Object.values(answers).find((a) => {
    const [m, , path] = a.request.split(" ");
    return m === method && path === url;
  });
}

function serve(request, response) {
  let body = "";
  request.on("data", (d) => (body += d)).on("end", () => {
    const changed = change?.(request.method, request.url, body);
    const a = find(request.method, request.url);
    if (changed) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(changed));
    } else if (!a) {
      unknown.push(`${request.method} ${request.url}`);
      response.writeHead(418).end();
    } else if (a.error) {
      request.socket.destroy();
    } else {
      const headers = { "content-type": "application/json" };
      if (a.code) headers["x-error-code"] = a.code;
      if (a.message) headers["x-error-message"] = a.message;
      response.writeHead(a.status, headers);
      response.end(a.text ?? (a.body === undefined ? "" : JSON.stringify(a.body)));
    }
  });
}

before(async () => {
  home = mkdtempSync(join(tmpdir(), "ferry-doctor-"));
  mkdirSync(join(home, "configurations"));
  writeFileSync(join(home, "configurations", "config_default"), "[core]\nproject = demo-proj\n[run]\nregion = asia-northeast1\n");
  server = createServer(serve);
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
});

after(() => {
  server.close();
  rmSync(home, { recursive: true });
});

const apis = ["STORAGE", "CLOUDRESOURCEMANAGER", "CLOUDBILLING", "SERVICEUSAGE", "RUN", "IAM", "LOGGING", "CLOUDQUOTAS",
  "COMPUTE", "ARTIFACTREGISTRY", "ORGPOLICY"];

function environment() {
  const url = `http://127.0.0.1:${server.address().port}`;
  const env = { PATH: process.env.PATH, HOME: home, CLOUDSDK_CONFIG: home, FERRY_ACCESS_TOKEN: "token-of-the-test",
    HF_ENDPOINT: url, HF_TOKEN: "hf_of_the_test", ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "" };
  for (const api of apis) env[`FERRY_ENDPOINT_${api}`] = url;
  return env;
}

function run(words) {
  const p = spawn(process.env.FERRY, words, { env: environment() });
  let out = "", err = "";
  p.stdout.on("data", (d) => (out += d));
  p.stderr.on("data", (d) => (err += d));
  return new Promise((done) => p.on("close", (code) => done({ code, out, err })));
}

/** Whether each wanted string stands in what was found. */
function matches(found, wanted) {
  for (const name of ["id", "severity", "certainty"]) assert.equal(found[name], wanted[name]);
  for (const name of ["what", "why", "next", "reason"])
    if (wanted[name]) assert.ok(found[name]?.includes(wanted[name]), `${name}: ${found[name]}`);
}

for (const name of names) {
  const patch = read(name, "answers.json");
  if (isOfMachine(name, patch)) continue;
  test(name, async () => {
    const record = recordOf(name), expected = read(name, "expected.json");
    answers = record.answers;
    unknown = [];
    const words = ["doctor", "--json", ...(expected.words ?? ["demo"])];
    const { code, out, err } = await run(words);
    assert.deepEqual(unknown, [], "asked, and not known to the situation");
    assert.ok(out, err);
    const said = JSON.parse(out);
    const bad = said.findings.filter((f) => f.severity !== "fine");
    assert.deepEqual(bad.map((f) => f.id), expected.findings.map((f) => f.id));
    bad.forEach((f, i) => matches(f, expected.findings[i]));
    assert.deepEqual(said.not_seen.map((s) => s.question), expected.not_seen ?? []);
    const wrong = expected.findings.some((f) => ["problem", "warning"].includes(f.severity));
    assert.equal(code, wrong ? 3 : 0, err);
    assert.ok(!(out + err).includes("of_the_test"), "a token is printed");
    assert.ok(!(out + err).includes("token-of-the-test"), "a token is printed");
  });
}

/** `ferry doctor --fix`: what changes something is kept, answered as Google does, and after it all is healthy. */
async function fix(name, words, reply) {
  const record = recordOf(name), changes = [], healthy = recordOf("healthy");
  answers = record.answers;
  unknown = [];
  change = (method, url, body) => {
    const r = reply(method, url);
    if (!r) return undefined;
    changes.push({ method, url, body: body && JSON.parse(body) });
    answers = healthy.answers;
    return r;
  };
  const result = await run(["doctor", ...(read(name, "expected.json").words ?? ["demo"]), ...words]);
  change = undefined;
  return { ...result, changes, unknown };
}

const done = { name: "operations/acat.p2-1", done: true, response: {} };
const fixes = [
  ["apis-two-are-off", "POST", "/v1/projects/demo-proj/services:batchEnable",
    { serviceIds: ["run.googleapis.com", "artifactregistry.googleapis.com"] }, done],
  ["bucket-of-class-coldline", "PATCH", "/storage/v1/b/model-bkt", { storageClass: "STANDARD" }, {}],
  ["bucket-that-can-be-made-public", "PATCH", "/storage/v1/b/model-bkt",
    { iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "enforced" } }, {}],
  ["runtime-account-cannot-read-the-bucket", "PUT", "/storage/v1/b/model-bkt/iam", undefined, {}],
];

for (const [name, method, path, body, reply] of fixes) {
  test(`fix ${name}`, async () => {
    const is = (m, url) => (m === method && url.startsWith(path) ? reply : undefined);
    const { code, err, changes, unknown: u } = await fix(name, ["--fix", "--yes"], is);
    assert.deepEqual(u, []);
    assert.equal(changes.length, 1, err);
    if (body) assert.deepEqual(changes[0].body, body);
    assert.match(err, /^done: /m);
    assert.equal(code, 0, err);
  });
}

test("fix grants the right to read and nothing else", async () => {
  const { changes } = await fix("runtime-account-cannot-read-the-bucket", ["--fix", "--yes"],
    (m) => (m === "PUT" ? {} : undefined));
  assert.deepEqual(changes[0].body.bindings, [{ role: "roles/storage.objectViewer",
    members: ["serviceAccount:ferry-demo@demo-proj.iam.gserviceaccount.com"] }]);
});

test("without anybody to ask nothing is fixed", async () => {
  const { code, err, changes } = await fix("apis-two-are-off", ["--fix"], () => undefined);
  assert.equal(code, 4);
  assert.match(err, /enable in project demo-proj: run\.googleapis\.com/);
  assert.deepEqual(changes, []);
});

test("a remedy that is refused is told, and what was wrong still is", async () => {
  const { code, err } = await fix("bucket-of-class-coldline", ["--fix", "--yes"], () => undefined);
  assert.match(err, /^failed: .*gs:\/\/model-bkt/m);
  assert.equal(code, 3);
});

test("without a name the only service is looked at", async () => {
  answers = recordOf("service-keeps-one-warm").answers;
  unknown = [];
  const { code, out } = await run(["doctor", "--json"]);
  const said = JSON.parse(out);
  assert.equal(said.subject.service, "demo");
  assert.deepEqual(said.findings.filter((f) => f.severity !== "fine").map((f) => f.id), ["service-min-instances"]);
  assert.equal(code, 3);
});

test("of two services neither is taken without a name", async () => {
  answers = recordOf("left-another-service-kept-warm").answers;
  unknown = [];
  const { out } = await run(["doctor", "--json"]);
  assert.equal(JSON.parse(out).subject.service, undefined);
});

test("in Japanese the same is found", async () => {
  const name = "billing-account-is-closed-or-suspended";
  answers = recordOf(name).answers;
  unknown = [];
  const { code, out } = await run(["doctor", "demo", "--lang", "ja", "--json"]);
  const bad = JSON.parse(out).findings.filter((f) => f.severity !== "fine");
  assert.equal(code, 3);
  assert.deepEqual(bad.map((f) => f.id), ["billing-closed"]);
  assert.match(bad[0].what, /プロジェクト demo-proj の請求先アカウント\(My Billing Account\)が有効ではありません。/);
  assert.ok(bad[0].candidates.some((c) => c.cause === "所有者が閉鎖した"));
});
