// What ferry asks of Cloud Storage beside what the real gcloud asked for the same: the recordings in
// tests/data/captures are sent to the emulator again, so that both are told of in the same words, and compared
// field by field. Where the two differ it is on purpose, and written down here; any other difference fails, and so
// does one that is no longer there.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { Emulator, token } from "../run_emulator.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const captures = JSON.parse(readFileSync(join(here, "../../data/captures/gcloud-528.json"), "utf8"));

let m, folder, hub;

before(async () => {
  hub = mkdtempSync(join(tmpdir(), "ferry-hub-"));
  mkdirSync(join(hub, "owner/tiny"), { recursive: true });
  writeFileSync(join(hub, "owner/tiny/config.json"), "{}");
  m = await Emulator.start({ hub, program: process.env.FERRY });
  folder = join(m.data, "files");
  mkdirSync(folder);
});

after(async () => {
  await m.stop();
  rmSync(hub, { recursive: true });
});

/** A recorded request again, its bytes left out. Resolves when it is answered, whatever the answer. */
function replay(r) {
  const headers = { ...r.headers, authorization: `Bearer ${token}` };
  let body = r.json && JSON.stringify(r.json);
  if (headers["content-type"] === "multipart/related") {
    headers["content-type"] += "; boundary=b";
    body = `--b\r\ncontent-type: application/json\r\n\r\n${body}\r\n--b\r\ncontent-type: a/b\r\n\r\nx\r\n--b--`;
  }
  return new Promise((done, failed) => {
    const q = request(new URL(r.path, m.url), { method: r.method, headers, agent: false }, (answer) => {
      answer.resume().on("end", done);
    });
    q.on("error", failed);
    q.end(body);
  });
}

const isOfSession = (r) => r.path.includes("upload_id=");

/** The emulator's words for a recorded command's requests. */
async function recorded(name) {
  await m.clearLog();
  for (const r of captures[name].requests) if (!isOfSession(r)) await replay(r);
  return m.log();
}

test("what gcloud and gsutil sent is what Google describes", async () => {
  const sent = Object.values(captures).flatMap((c) => c.requests).filter((r) => !isOfSession(r));
  await m.clearLog();
  for (const r of sent) await replay(r);
  const log = await m.log();
  assert.equal(log.length, sent.length);
  assert.deepEqual(log.filter((r) => r.invalid), []);
  assert.deepEqual(log.filter((r) => !r.call), []);
  assert.ok(log.filter((r) => r.json).length > 15);
});

// --- the same, said by ferry

const size = 20000000;

async function api(method, path, json) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const r = await fetch(new URL(path, m.url), { method, headers, body: json && JSON.stringify(json) });
  assert.ok(r.ok, `${method} ${path}: ${r.status}`);
}

const bucket = "/storage/v1/b/model-bkt";

/** A new model-bkt, set up as ferry wants it, with these rules, and these objects in it. */
async function makeBucket(rule, objects = {}) {
  await m.faults();
  await makeNone();
  await api("POST", "/storage/v1/b?project=demo-proj", {
    name: "model-bkt", location: "asia-northeast1", storageClass: "STANDARD", lifecycle: { rule },
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "enforced" },
  });
  for (const [name, bytes] of Object.entries(objects)) {
    const headers = { authorization: `Bearer ${token}` };
    const r = await fetch(`${m.url}/upload${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`, { method: "POST", headers, body: bytes });
    assert.equal(r.status, 200);
  }
}

async function makeNone() {
  const headers = { authorization: `Bearer ${token}` };
  const r = await fetch(`${m.url}${bucket}/o`, { headers });
  for (const o of r.ok ? ((await r.json()).items ?? []) : []) await api("DELETE", `${bucket}/o/${encodeURIComponent(o.name)}`);
  if (r.ok) await api("DELETE", bucket);
}

function ferry(...args) {
  const env = { ...process.env, ...m.env, HOME: folder };
  const r = spawnSync(process.env.FERRY, args, { cwd: folder, env });
  assert.equal(r.status, 0, `ferry ${args.join(" ")}: ${r.stderr}`);
}

/** {"lifecycle.rule[0].condition.age": 7, …}; what stands in an array in no order that means anything is sorted. */
function flatten(value, at = "", into = {}) {
  if (Array.isArray(value) && value.every((v) => v?.key)) return flatten(Object.fromEntries(value.map((v) => [v.key, v.value])), at, into);
  if (Array.isArray(value)) value.map((v) => JSON.stringify(v)).sort().forEach((v, i) => flatten(JSON.parse(v), `${at}[${i}]`, into));
  else if (value && typeof value === "object") for (const [k, v] of Object.entries(value)) flatten(v, at ? `${at}.${k}` : k, into);
  else if (at) into[at] = value;
  return into;
}

/** All that a request says: its place, query, body, and the headers that mean something to Cloud Storage. */
function said(r) {
  const url = new URL(r.path, m.url);
  const place = url.pathname.replace("/resumable/upload/", "/upload/"); // two ways to the same
  const query = Object.fromEntries([...url.searchParams].map(([k, v]) => [`?${k}`, v]));
  const headers = Object.fromEntries(Object.entries(r.headers).filter(([k]) => /^(range|x-upload-|x-goog-)/.test(k)));
  return { place, ...query, ...headers, ...flatten(r.json) };
}

function compare(gcloud, ferrys) {
  const g = said(gcloud), f = said(ferrys);
  const only = (a, b) => Object.keys(a).filter((k) => !(k in b)).sort();
  return { gcloud: only(g, f), ferry: only(f, g), other: Object.keys(g).filter((k) => k in f && g[k] !== f[k]).sort() };
}

const abort7 = { action: { type: "AbortIncompleteMultipartUpload" }, condition: { age: 7 } };
const delete30 = { action: { type: "Delete" }, condition: { age: 30, matchesPrefix: ["tmp/"] } };

/* gcloud: what it alone says; ferry: what ferry alone says; other: what both say differently */
const same = [
  {
    intent: "a bucket is created", capture: "storage-buckets-create", call: "storage.buckets.insert",
    prepare: makeNone,
    run: () => ferry("bucket", "create", "model-bkt", "--region", "asia-northeast1", "--project", "demo-proj", "--soft-delete", "off"),
    gcloud: ["?alt", "?enableObjectRetention"], // both Google's defaults
    ferry: [
      "labels.managed-by", // what ferry makes it can find again
      "lifecycle.rule[0].action.type", "lifecycle.rule[0].condition.age", // nobody pays for uploads that broke off
    ],
  },
  {
    intent: "a lifecycle is changed", capture: "storage-buckets-update-lifecycle", call: "storage.buckets.patch",
    prepare: () => makeBucket([delete30]),
    run: () => ferry("bucket", "fix", "model-bkt", "--yes"),
    gcloud: ["?alt", "name"], // it is in the path
    ferry: ["?ifMetagenerationMatch"], // nobody else's change is undone
  },
  {
    intent: "a resumable session begins", capture: "storage-cp-upload-resumable", call: "storage.objects.insert",
    prepare: async () => {
      await makeBucket([]);
      await m.faults("no-multipart");
      writeFileSync(join(folder, "mid.bin"), Buffer.alloc(size));
    },
    run: () => ferry("cp", "mid.bin", "gs://model-bkt/models/mid.bin"),
    gcloud: ["?alt"],
    ferry: [],
  },
  {
    intent: "a small object is uploaded", capture: "storage-cp-upload-small", call: "storage.objects.insert",
    prepare: async () => {
      await makeBucket([]);
      writeFileSync(join(folder, "small.bin"), Buffer.alloc(1000));
    },
    run: () => ferry("cp", "small.bin", "gs://model-bkt/models/small2.bin"),
    gcloud: ["?alt"],
    ferry: ["?projection", "crc32c"], // without ACLs in the answer; bytes that change on the way are refused
  },
  {
    intent: "an object is deleted", capture: "storage-rm", call: "storage.objects.delete",
    prepare: () => makeBucket([], { "models/small2.bin": "x" }),
    run: () => ferry("rm", "--yes", "gs://model-bkt/models/small2.bin"),
    gcloud: ["?alt"],
    ferry: ["?ifGenerationMatch"], // what was asked about is deleted, not what replaced it meanwhile
  },
  {
    intent: "a range is read", capture: "storage-cat-range", call: "storage.objects.get", which: (r) => r.path.includes("alt=media"),
    prepare: () => makeBucket([], { "models/mid.bin": Buffer.alloc(1000) }),
    run: () => ferry("cat", "--range", "100-199", "gs://model-bkt/models/mid.bin"),
    gcloud: [],
    ferry: [],
    other: ["?generation"], // each its own
  },
  {
    intent: "objects are listed", capture: "storage-ls-long", call: "storage.objects.list", which: (r) => !r.path.includes("delimiter="),
    prepare: () => makeBucket([], { "models/mid.bin": Buffer.alloc(1000) }),
    run: () => ferry("ls", "-l", "gs://model-bkt/models/**"),
    gcloud: ["?alt"],
    ferry: ["?fields"], // a tenth of the answer
  },
  {
    intent: "a VM that copies is made", capture: "compute-instances-create-maxrun", call: "compute.instances.insert",
    prepare: () => makeBucket([]),
    run: () => ferry("stage", "owner/tiny", "gs://model-bkt/m", "--via", "vm", "--image", "me/ferry:1", "--project", "demo-proj",
      "--service-account", "copy-sa@demo-proj.iam.gserviceaccount.com", "--yes"),
    gcloud: ["?alt", "canIpForward", "deletionProtection", "labels.app", "networkInterfaces[0].subnetwork"], // all but the label defaults
    ferry: [
      "?requestId", // made once, however often it is sent
      "labels.managed-by", "metadata.items.ferry-image", "metadata.items.ferry-words",
    ],
    other: [ // each its own; ferry leaves host and project out of addresses
      "disks[0].initializeParams.diskType", "disks[0].initializeParams.sourceImage", "machineType", "metadata.items.startup-script", "name",
      "networkInterfaces[0].network", "place", "scheduling.maxRunDuration.seconds",
    ],
  },
];

for (const { intent, capture, call, which = () => true, prepare, run, gcloud, ferry: ours, other = [] } of same)
  test(`${intent} as by ${captures[capture].command.split(" ").slice(0, 4).join(" ")}`, async () => {
    const wanted = (r) => r.call === call && which(r);
    const theirs = (await recorded(capture)).filter(wanted);
    await prepare();
    await m.clearLog();
    run();
    const mine = (await m.log()).filter(wanted);
    assert.deepEqual([theirs.length, mine.length], [1, 1]);
    assert.deepEqual(compare(theirs[0], mine[0]), { gcloud, ferry: ours, other });
  });
