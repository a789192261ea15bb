// What the emulator says where gcloud does not go: each line here is from the services' descriptions.
import { createHash, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { Emulator, hfToken, token } from "../run_emulator.mjs";

const MiB = 1 << 20;
const unit = 256 << 10;
let m, scratch, publicKey, privateKey;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), "ferry-emulator-test-"));
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  privateKey = pair.privateKey;
  publicKey = join(scratch, "key.pem");
  writeFileSync(publicKey, pair.publicKey.export({ type: "spki", format: "pem" }));
  m = await Emulator.start({ bucket: "bkt", hub: join(scratch, "hub"), publicKey, lfsBytes: 1000, tokenSeconds: 600 });
});

beforeEach(() => m.faults());

after(async () => {
  await m.stop();
  rmSync(scratch, { recursive: true });
});

/** One request on a connection of its own: {status, headers, body}; rejects when it breaks. */
function call(method, path, { headers = {}, body, json, bearer = token } = {}) {
  const url = new URL(path, m.url);
  if (json) {
    headers = { "content-type": "application/json", ...headers };
    body = JSON.stringify(json);
  }
  if (bearer) headers = { authorization: `Bearer ${bearer}`, ...headers };
  return new Promise((done, failed) => {
    const r = request(url, { method, headers, agent: false }, (answer) => {
      const chunks = [];
      answer.on("data", (c) => chunks.push(c));
      answer.on("error", failed);
      answer.on("end", () => {
        const bytes = Buffer.concat(chunks);
        done({ status: answer.statusCode, headers: answer.headers, bytes, text: bytes.toString(), get json() { return JSON.parse(this.text); } });
      });
    });
    r.on("error", failed);
    r.end(body);
  });
}

const o = (name) => `/storage/v1/b/bkt/o/${encodeURIComponent(name)}`;
const put = (name, body, query = "") =>
  call("POST", `/upload/storage/v1/b/bkt/o?uploadType=media&name=${encodeURIComponent(name)}${query}`, { body });
const media = (name, headers = {}) => call("GET", `${o(name)}?alt=media`, { headers });

/** CRC-32C bit by bit, big-endian in base64. */
function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const b of bytes) {
    crc ^= b;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  const out = Buffer.alloc(4);
  out.writeUInt32BE(~crc >>> 0);
  return out.toString("base64");
}

// --- what the description of the API does not know

test("what Google's description does not know is refused, whoever sends it, and remembered", async () => {
  const cases = [
    ["POST", "/storage/v1/b?project=p", { name: "abc", colour: "red" }, 'Unknown name "colour": Cannot find field.'],
    ["POST", "/storage/v1/b?project=p", { name: "abc", lifecycle: { rule: [{ condition: { age: "7" } }] } }, "Invalid value at 'lifecycle.rule[0].condition.age' (integer int32), \"7\""],
    ["POST", "/storage/v1/b?project=p&colour=red", { name: "abc" }, 'Unknown name "colour": Cannot bind query parameter'],
    ["POST", "/storage/v1/b", { name: "abc" }, "Required parameter: project"],
    ["GET", "/storage/v1/b/bkt/o?fields=items(name,colour)", undefined, 'no field "colour"'],
    ["GET", "/storage/v1/b/bkt/o?maxResults=many", undefined, "Invalid value at 'maxResults'"],
    ["POST", "/upload/storage/v1/b/bkt/o?uploadType=resumable", { name: "x", size: 7 }, "Invalid value at 'size' (string uint64), 7"],
    ["POST", "/upload/storage/v1/b/bkt/o", { name: "x" }, "uploadType"],
  ];
  await m.clearLog();
  for (const [method, path, json, says] of cases) {
    const answer = await call(method, path, { json });
    assert.equal(answer.status, 400, path);
    assert.ok(answer.json.error.message.includes(says), `${answer.json.error.message}, expected ${says}`);
  }
  const related = "--sep\r\ncontent-type: application/json\r\n\r\n{\"name\":\"x\",\"colour\":1}\r\n--sep\r\ncontent-type: a/b\r\n\r\nx\r\n--sep--";
  const upload = await call("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { headers: { "content-type": "multipart/related; boundary=sep" }, body: related });
  assert.equal(upload.status, 400);
  assert.match(upload.json.error.message, /Unknown name "colour"/);
  assert.equal((await call("POST", "/storage/v1/b/bkt/o/x/paint")).status, 404);
  assert.equal((await call("GET", `${o("x")}?alt=media`)).status, 404);
  const log = await m.log();
  assert.deepEqual(log.map((r) => r.invalid !== null), [...cases.map(() => true), true, true, false]);
  assert.equal(log[0].call, "storage.buckets.insert");
  assert.deepEqual(log[0].json, cases[0][2]);
  await m.forgetInvalid();
});

test("an emulator that was sent such, and not told that it was meant, ends badly", async () => {
  const other = await Emulator.start();
  await fetch(`${other.url}/storage/v1/b/bkt?colour=red`);
  await other.restart();
  await assert.rejects(other.stop(), /ended with 1/);
});

// --- who asks

test("no token, another's token and an ended one are 401", async () => {
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: null })).status, 401);
  const wrong = await call("GET", "/storage/v1/b/bkt", { bearer: "someone" });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.json.error.errors[0].reason, "authError");
  assert.equal((await call("GET", "/bkt/x", { bearer: "someone" })).status, 401);
  assert.equal((await call("POST", "/bkt/x?uploads", { bearer: null })).status, 401);
});

const form = (fields) => ({
  bearer: null,
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams(fields).toString(),
});
const refresh = (refresh_token, client_secret = "emulator-secret") =>
  call("POST", "/token", form({ grant_type: "refresh_token", client_id: "emulator-client", client_secret, refresh_token }));

test("a refresh token gives tokens that work, and refusals have their reasons", async () => {
  const good = await refresh("refresh-good");
  assert.equal(good.json.expires_in, 600);
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: good.json.access_token })).status, 200);
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: `${good.json.access_token}x` })).status, 401);
  assert.equal((await refresh("refresh-revoked")).json.error, "invalid_grant");
  assert.equal((await refresh("refresh-rapt")).json.error_subtype, "invalid_rapt");
  assert.equal((await refresh("refresh-good", "other")).json.error, "invalid_client");
  await m.faults({ faults: [{ path: "*", do: { clock_offset_seconds: 700 } }] });
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: good.json.access_token })).status, 401);
  await m.faults({ faults: [{ path: "*", do: { clock_offset_seconds: 0 } }] });
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: good.json.access_token })).status, 200);
});

function jwt(claims = {}, key = privateKey) {
  const now = Math.floor(Date.now() / 1000);
  const part = (x) => Buffer.from(JSON.stringify(x)).toString("base64url");
  const text = `${part({ alg: "RS256", typ: "JWT", kid: "1" })}.${part({
    iss: "a@b.iam.gserviceaccount.com", scope: "https://www.googleapis.com/auth/cloud-platform",
    aud: "https://oauth2.googleapis.com/token", iat: now, exp: now + 3600, ...claims,
  })}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key).toString("base64url")}`;
}
const assertion = (text) =>
  call("POST", "/token", form({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: text }));

test("an assertion is taken when its signature, audience and times are right", async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = await assertion(jwt());
  assert.equal(good.status, 200);
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: good.json.access_token })).status, 200);
  assert.equal((await assertion(jwt({ aud: `${m.url}/token` }))).status, 200);
  const refused = [
    jwt({}, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey), jwt({ aud: "https://elsewhere/token" }),
    jwt({ iat: now + 1000, exp: now + 2000 }), jwt({ iat: now - 8000, exp: now - 4400 }), jwt({ exp: now + 7200 }),
    jwt({ scope: "" }), "a.b.c", "",
  ];
  for (const text of refused) {
    const r = await assertion(text);
    assert.equal(r.status, 400);
    assert.equal(r.json.error, "invalid_grant");
  }
  await m.faults("clock-skew");
  const skewed = await assertion(jwt());
  assert.match(skewed.json.error_description, /short-lived/);
  assert.ok(new Date(skewed.headers.date) - Date.now() > 7000e3);
  await m.faults({ faults: [{ path: "*", do: { clock_offset_seconds: 0 } }] });
  assert.equal((await assertion(jwt())).status, 200);
});

test("the metadata server wants its header and says its own", async () => {
  const path = "/computeMetadata/v1/instance/service-accounts/default/token";
  const flavor = { "metadata-flavor": "Google" };
  assert.equal((await call("GET", path, { bearer: null })).status, 403);
  const r = await call("GET", path, { bearer: null, headers: flavor });
  assert.equal(r.headers["metadata-flavor"], "Google");
  assert.equal((await call("GET", "/storage/v1/b/bkt", { bearer: r.json.access_token })).status, 200);
  assert.equal((await call("GET", "/", { bearer: null })).headers["metadata-flavor"], "Google");
  assert.equal((await call("GET", "/computeMetadata/v1/project/project-id", { bearer: null, headers: flavor })).text, "demo-proj");
});

// --- buckets

test("buckets: taken names, merged patches, etags of policies", async () => {
  const insert = (body) => call("POST", "/storage/v1/b?project=p", { json: body });
  assert.equal((await insert({ name: "bkt" })).status, 409);
  assert.equal((await insert({ name: "Nein" })).status, 400);
  const made = await insert({ name: "abc", location: "us-central1" });
  assert.equal(made.json.location, "US-CENTRAL1");
  assert.equal(made.json.softDeletePolicy.retentionDurationSeconds, "604800");
  const patch = (query, body) => call("PATCH", `/storage/v1/b/abc${query}`, { json: body });
  assert.equal((await patch("?ifMetagenerationMatch=9", {})).status, 412);
  assert.equal((await patch("", { location: "EU" })).status, 400);
  const changed = await patch("?ifMetagenerationMatch=1", { iamConfiguration: { publicAccessPrevention: "enforced" } });
  assert.equal(changed.json.iamConfiguration.publicAccessPrevention, "enforced");
  assert.equal(changed.json.iamConfiguration.uniformBucketLevelAccess.enabled, false);
  assert.equal(changed.json.metageneration, "2");
  const policy = (await call("GET", "/storage/v1/b/abc/iam")).json;
  const set = (body) => call("PUT", "/storage/v1/b/abc/iam", { json: body });
  assert.equal((await set({ ...policy, bindings: [{ role: "r", members: ["m"] }] })).status, 200);
  assert.equal((await set(policy)).status, 412);
  assert.deepEqual((await call("GET", "/storage/v1/b/abc/iam/testPermissions?permissions=a&permissions=b")).json.permissions, ["a", "b"]);
  assert.equal((await call("DELETE", "/storage/v1/b/abc")).status, 204);
  assert.equal((await call("GET", "/storage/v1/b/abc")).status, 404);
});

// --- objects

test("names, sizes and ranges", async () => {
  for (const name of ["a b", "#", "100%", "日本語/モデル.bin", "a+b", "x/../y"]) {
    assert.equal((await put(name, name)).json.name, name);
    assert.equal((await media(name)).text, name);
    assert.equal((await call("DELETE", o(name))).status, 204);
    assert.equal((await media(name)).status, 404);
  }
  const bytes = randomBytes(3000);
  const made = (await put("r", bytes)).json;
  assert.equal(made.crc32c, crc32c(bytes));
  assert.equal(made.md5Hash, createHash("md5").update(bytes).digest("base64"));
  for (const [range, from, to] of [["0-0", 0, 1], ["10-", 10, 3000], ["-5", 2995, 3000], ["2990-9999", 2990, 3000]])
    for (const path of [`${o("r")}?alt=media`, `/download${o("r")}?alt=media`, "/bkt/r"]) {
      const r = await call("GET", path, { headers: { range: `bytes=${range}` } });
      assert.equal(r.status, 206);
      assert.equal(r.headers["content-range"], `bytes ${from}-${to - 1}/3000`);
      assert.ok(r.bytes.equals(bytes.subarray(from, to)));
    }
  assert.equal((await media("r", { range: "bytes=3000-" })).status, 416);
  assert.equal((await put("empty", "")).json.size, "0");
  assert.equal((await media("empty")).status, 200);
  const head = await call("HEAD", "/bkt/r");
  assert.equal(head.headers["content-length"], "3000");
  assert.match(head.headers["x-goog-hash"], /crc32c=.*md5=/);
  assert.equal((await call("GET", `${o("r")}?alt=media&generation=1`)).status, 404);
});

test("preconditions: 412 and 304", async () => {
  const g = (await put("p", "one", "&ifGenerationMatch=0")).json.generation;
  assert.equal((await put("p", "two", "&ifGenerationMatch=0")).status, 412);
  assert.equal((await call("GET", `${o("p")}?ifGenerationNotMatch=${g}`)).status, 304);
  assert.equal((await call("GET", `${o("p")}?ifMetagenerationMatch=2`)).status, 412);
  const again = await put("p", "two", `&ifGenerationMatch=${g}`);
  assert.equal(again.status, 200);
  assert.ok(BigInt(again.json.generation) > BigInt(g));
  assert.equal((await call("DELETE", `${o("p")}?ifGenerationMatch=${g}`)).status, 412);
  assert.equal((await call("DELETE", `${o("p")}?ifGenerationMatch=${again.json.generation}`)).status, 204);
});

test("a listing comes in pages, with prefixes once each", async () => {
  const names = ["l/a/1", "l/a/2", "l/b", "l/c/1", "l/d", "l/é"];
  for (const n of names) await put(n, n);
  const all = async (query) => {
    const seen = [];
    for (let page = ""; page !== undefined; ) {
      const r = (await call("GET", `/storage/v1/b/bkt/o?prefix=l/&${query}${page && `&pageToken=${encodeURIComponent(page)}`}`)).json;
      seen.push([...(r.items ?? []).map((i) => i.name), ...(r.prefixes ?? [])]);
      page = r.nextPageToken;
    }
    return seen;
  };
  assert.deepEqual((await all("maxResults=4")).flat(), names);
  assert.equal((await all("maxResults=4")).length, 2);
  assert.deepEqual((await all("delimiter=/&maxResults=1")).flat(), ["l/a/", "l/b", "l/c/", "l/d", "l/é"]);
  assert.deepEqual((await all("delimiter=/")).flat().sort(), ["l/a/", "l/b", "l/c/", "l/d", "l/é"].sort());
});

test("compose joins up to 32, and the sum is the sum of the whole", async () => {
  const parts = [randomBytes(70001), randomBytes(1), randomBytes(300)];
  for (const [i, p] of parts.entries()) await put(`c${i}`, p);
  const compose = (sourceObjects, query = "") =>
    call("POST", `${o("composed")}/compose${query}`, { json: { sourceObjects, destination: { contentType: "x/y" } } });
  const made = (await compose(parts.map((_, i) => ({ name: `c${i}` })))).json;
  const whole = Buffer.concat(parts);
  assert.equal(made.crc32c, crc32c(whole));
  assert.equal(made.md5Hash, undefined);
  assert.equal(made.componentCount, 3);
  for (let i = 0; i < 3; i++) await call("DELETE", o(`c${i}`));
  const r = await media("composed", { range: "bytes=70000-70001" }); // over the seam
  assert.ok(r.bytes.equals(whole.subarray(70000, 70002)));
  assert.equal((await compose([{ name: "c0" }])).status, 404);
  assert.equal((await compose([{ name: "composed", generation: "5" }])).status, 404);
  assert.equal((await compose(Array(33).fill({ name: "composed" }))).status, 400);
  assert.equal((await compose([{ name: "composed" }], "?ifGenerationMatch=0")).status, 412);
});

test("rewriteTo goes on by its token", async () => {
  const bytes = randomBytes(3 * MiB);
  const from = (await put("w", bytes)).json;
  const path = `${o("w")}/rewriteTo/b/bkt/o/w2?maxBytesRewrittenPerCall=${MiB}`;
  const first = (await call("POST", path)).json;
  assert.equal(first.done, false);
  const second = (await call("POST", `${path}&rewriteToken=${first.rewriteToken}`)).json;
  const third = (await call("POST", `${path}&rewriteToken=${second.rewriteToken}`)).json;
  assert.equal(third.done, true);
  assert.equal(third.resource.crc32c, from.crc32c);
  assert.ok((await media("w2")).bytes.equals(bytes));
});

test("multipart/related: JSON, bytes, and a checksum that must be right", async () => {
  const bytes = Buffer.from("line\r\n--not\r\nend\n");
  const send = (fields, newline = "\r\n") =>
    call("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", {
      headers: { "content-type": "multipart/related; boundary=sep" },
      body: Buffer.concat([
        Buffer.from(`--sep${newline}Content-Type: application/json${newline}${newline}${JSON.stringify({ name: "mp", ...fields })}${newline}--sep${newline}Content-Type: a/b${newline}${newline}`),
        bytes,
        Buffer.from(`${newline}--sep--${newline}`),
      ]),
    });
  assert.equal((await send({ crc32c: crc32c(bytes) })).status, 200);
  assert.ok((await media("mp")).bytes.equals(bytes));
  assert.equal((await send({ crc32c: "AAAAAA==" })).status, 400);
  assert.equal((await send({ md5Hash: "AAAAAAAAAAAAAAAAAAAAAA==" })).status, 400);
  assert.equal((await call("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { body: "junk" })).status, 400);
});

// --- resumable

async function open(name, total, query = "") {
  const r = await call("POST", `/upload/storage/v1/b/bkt/o?uploadType=resumable${query}`, {
    json: { name },
    headers: total === undefined ? {} : { "x-upload-content-length": String(total) },
  });
  return r.status === 200 ? r.headers.location : r;
}
const send = (session, range, body = "", headers = {}) =>
  call("PUT", session, { bearer: null, body, headers: { "content-range": `bytes ${range}`, ...headers } });

test("a session takes chunks in order, tells how far it is, and verifies", async () => {
  const bytes = randomBytes(2 * unit + 10);
  const total = bytes.length;
  const s = await open("s", total, "&ifGenerationMatch=0");
  const asked = await send(s, `*/${total}`);
  assert.equal(asked.status, 308);
  assert.equal(asked.headers.range, undefined); // nothing yet
  assert.equal((await send(s, `0-${unit - 2}/${total}`, bytes.subarray(0, unit - 1))).status, 400); // not a multiple
  assert.equal((await send(s, `${unit}-${2 * unit - 1}/${total}`, bytes.subarray(unit, 2 * unit))).status, 400); // a gap
  const first = await send(s, `0-${unit - 1}/${total}`, bytes.subarray(0, unit));
  assert.equal(first.headers.range, `bytes=0-${unit - 1}`);
  const no308 = await send(s, "*/*", "", { "x-guploader-no-308": "yes" });
  assert.equal(no308.status, 200);
  assert.equal(no308.headers["x-http-status-code-override"], "308");
  // bytes it has already are ignored when they come again, whatever they are
  const overlap = Buffer.concat([randomBytes(unit), bytes.subarray(unit, 2 * unit)]);
  assert.equal((await send(s, `0-${2 * unit - 1}/*`, overlap)).headers.range, `bytes=0-${2 * unit - 1}`);
  const wrong = await send(s, `${2 * unit}-${total - 1}/${total}`, bytes.subarray(2 * unit), { "x-goog-hash": "crc32c=AAAAAA==" });
  assert.equal(wrong.status, 400);
  assert.equal((await media("s")).status, 404);
  const done = await send(s, `*/${total}`, "", { "x-goog-hash": `crc32c=${crc32c(bytes)}` });
  assert.equal(done.status, 200);
  assert.equal(done.json.crc32c, crc32c(bytes));
  assert.deepEqual((await send(s, `*/${total}`)).json, done.json); // asked again
  assert.ok((await media("s")).bytes.equals(bytes));
  assert.equal((await open("s", 1, "&ifGenerationMatch=0")).status, 412);
});

test("a session: empty, of another length than promised, cancelled, unknown", async () => {
  assert.equal((await send(await open("s0", 0), "*/0")).json.size, "0");
  assert.equal((await send(await open("s1", 5), "0-2/3", "abc")).status, 400);
  const s = await open("s2", 3);
  assert.equal((await call("DELETE", s, { bearer: null })).status, 499);
  assert.equal((await send(s, "0-2/3", "abc")).status, 499);
  assert.equal((await send(s.replace(/upload_id=.*/, "upload_id=none"), "*/*")).status, 404);
  assert.equal((await open("", 3)).status, 400);
});

test("a broken chunk keeps its whole units, over a restart too", async () => {
  const bytes = randomBytes(4 * unit);
  const total = bytes.length;
  const s = await open("k", total);
  await m.faults({ faults: [{ method: "PUT", path: "*", do: { after_bytes: unit + 5000, then: "reset" } }] });
  await assert.rejects(send(s, `0-${total - 1}/${total}`, bytes));
  assert.equal((await send(s, "*/*")).headers.range, `bytes=0-${unit - 1}`);
  await m.restart();
  assert.equal((await send(s, "*/*")).headers.range, `bytes=0-${unit - 1}`);
  assert.equal((await send(s, `${unit}-${total - 1}/${total}`, bytes.subarray(unit))).status, 200);
  assert.ok((await media("k")).bytes.equals(bytes));
});

// --- XML multipart

const tag = (r) => r.headers.etag;
async function begin(name) {
  const r = await call("POST", `/bkt/${name}?uploads`, { headers: { "content-type": "model/bin" } });
  return r.text.match(/<UploadId>(.*)<\/UploadId>/)[1];
}
const part = (name, id, n, body, headers) => call("PUT", `/bkt/${name}?partNumber=${n}&uploadId=${id}`, { body, headers });
const complete = (name, id, list) =>
  call("POST", `/bkt/${name}?uploadId=${id}`, {
    body: `<CompleteMultipartUpload>${list.map(([n, e]) => `<Part><PartNumber>${n}</PartNumber><ETag>${e.replaceAll('"', "&quot;")}</ETag></Part>`).join("")}</CompleteMultipartUpload>`,
  });

test("parts in any order, replaced, listed in pages, sealed; over a restart", async () => {
  const bytes = randomBytes(10 * MiB + 7);
  const cut = [bytes.subarray(0, 5 * MiB), bytes.subarray(5 * MiB, 10 * MiB), bytes.subarray(10 * MiB)];
  const id = await begin("x%20y");
  const third = tag(await part("x%20y", id, 3, cut[2], { "x-goog-hash": `crc32c=${crc32c(cut[2])}` }));
  await part("x%20y", id, 1, "old");
  const first = tag(await part("x%20y", id, 1, cut[0]));
  await m.restart();
  const second = tag(await part("x%20y", id, 2, cut[1]));
  const page = await call("GET", `/bkt/x%20y?uploadId=${id}&max-parts=2`);
  assert.match(page.text, /<IsTruncated>true<\/IsTruncated>/);
  assert.match(page.text, /<NextPartNumberMarker>2</);
  const rest = await call("GET", `/bkt/x%20y?uploadId=${id}&part-number-marker=2`);
  assert.match(rest.text, new RegExp(`<PartNumber>3</PartNumber>.*<Size>7</Size>`));
  assert.equal((await media("x y")).status, 404);
  assert.equal((await complete("x%20y", id, [[1, first], [2, second], [3, third]])).status, 200);
  const made = (await call("GET", o("x y"))).json;
  assert.equal(made.crc32c, crc32c(bytes));
  assert.equal(made.md5Hash, undefined);
  assert.equal(made.contentType, "model/bin");
  assert.ok((await media("x y")).bytes.equals(bytes));
  assert.equal((await complete("x%20y", id, [[1, first]])).status, 404); // the upload is gone
  assert.equal((await part("x%20y", id, 4, "x")).status, 404);
});

test("sealing is refused: order, tags, small parts, strange bodies; abort", async () => {
  const id = await begin("z");
  const a = tag(await part("z", id, 1, "small"));
  const b = tag(await part("z", id, 2, "last"));
  const code = async (...list) => (await complete("z", id, list)).text.match(/<Code>(.*)<\/Code>/)[1];
  assert.equal(await code([2, b], [1, a]), "InvalidPartOrder");
  assert.equal(await code([1, b]), "InvalidPart");
  assert.equal(await code([1, a], [3, b]), "InvalidPart");
  assert.equal(await code([1, a], [2, b]), "EntityTooSmall");
  assert.equal(await code(), "MalformedXML");
  assert.match((await call("POST", `/bkt/z?uploadId=${id}`, { body: "<a>" })).text, /MalformedXML/);
  assert.equal((await part("z", id, 0, "x")).status, 400);
  assert.equal((await part("z", id, 10001, "x")).status, 400);
  assert.equal((await part("z", id, 5, "x", { "x-goog-hash": "crc32c=AAAAAA==" })).status, 400);
  assert.match((await call("GET", "/bkt?uploads")).text, new RegExp(id));
  assert.equal((await call("DELETE", `/bkt/z?uploadId=${id}`)).status, 204);
  assert.equal((await call("GET", `/bkt/z?uploadId=${id}`)).status, 404);
  assert.equal((await call("POST", "/none/z?uploads")).status, 404);
});

// --- the hub

function repo(name, files, settings) {
  const folder = join(scratch, "hub", name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  if (settings) writeFileSync(join(folder, ".emulator.json"), JSON.stringify(settings));
}
const hub = (method, path, bearer = hfToken, headers = {}) => call(method, path, { bearer, headers });

test("a repository is listed with its hashes, and its bytes come by a signed URL", async () => {
  const big = randomBytes(5000);
  repo("own/model", { "config.json": "{}\n", "model.bin": big, "sub/dir/é #%.txt": "x" });
  const info = (await hub("GET", "/api/models/own/model/revision/main?blobs=True")).json;
  const of = (path) => info.siblings.find((s) => s.rfilename === path);
  assert.equal(info.siblings.length, 3);
  assert.equal(of("model.bin").lfs.sha256, createHash("sha256").update(big).digest("hex"));
  assert.equal(of("config.json").blobId, createHash("sha1").update("blob 3\0{}\n").digest("hex"));
  assert.equal(of("config.json").lfs, undefined);
  const found = await hub("HEAD", `/own/model/resolve/${info.sha}/model.bin`);
  assert.equal(found.status, 302);
  assert.equal(found.headers["x-linked-size"], "5000");
  assert.equal(found.headers["x-linked-etag"], `"${of("model.bin").lfs.sha256}"`);
  assert.equal(found.headers["x-repo-commit"], info.sha);
  const url = found.headers.location;
  assert.notEqual(new URL(url).port, String(m.port));
  const r = await call("GET", url, { bearer: null, headers: { range: "bytes=10-19" } });
  assert.equal(r.status, 206);
  assert.ok(r.bytes.equals(big.subarray(10, 20)));
  assert.equal((await call("GET", url, { bearer: hfToken })).status, 400); // a leaked token
  assert.equal((await call("GET", url.replace("Signature=", "Signature=0"), { bearer: null })).status, 403);
  const gzip = await call("GET", url, { bearer: null, headers: { range: "bytes=0-9", "accept-encoding": "gzip" } });
  assert.equal(gzip.status, 200); // as CloudFront does
  await m.faults("signed-url-expires");
  assert.equal((await call("GET", url, { bearer: null })).status, 200);
  assert.equal((await call("GET", url, { bearer: null })).status, 403);
  const again = (await hub("HEAD", `/own/model/resolve/${info.sha}/model.bin`)).headers.location;
  assert.equal((await call("GET", again, { bearer: null })).status, 200);
  const small = await hub("GET", `/own/model/resolve/main/sub/dir/${encodeURIComponent("é #%.txt")}`);
  assert.equal(small.text, "x");
  assert.match(small.headers.ratelimit, /"resolvers";r=\d+;t=\d+/);
  repo("own/model", { "config.json": "{ }\n" });
  assert.notEqual((await hub("GET", "/api/models/own/model")).json.sha, info.sha);
  assert.equal((await hub("HEAD", `/own/model/resolve/${info.sha}/model.bin`)).headers["x-error-code"], "RevisionNotFound");
});

test("a tree comes in pages by Link", async () => {
  repo("own/tree", { "a/b/1": "1", "a/2": "2", "c": "3" });
  const seen = [];
  for (let path = "/api/models/own/tree/tree/main?recursive=true&limit=2"; path; ) {
    const r = await hub("GET", path);
    seen.push(...r.json.map((e) => `${e.type[0]} ${e.path}`));
    path = r.headers.link?.match(/<(.*)>; rel="next"/)[1];
  }
  assert.deepEqual(seen.sort(), ["d a", "d a/b", "f a/2", "f a/b/1", "f c"]);
  assert.deepEqual((await hub("GET", "/api/models/own/tree/tree/main")).json.map((e) => e.path).sort(), ["a", "c"]);
});

test("gated, private, missing, disabled, renamed, unknown revision, bad token: each as the hub says it", async () => {
  repo("own/gated", { f: "x" }, { gated: "manual" });
  repo("own/private", { f: "x" }, { private: true });
  repo("own/disabled", { f: "x" }, { disabled: true });
  repo("own/renamed", { f: "y" }, { renamed_to: "own/gated" });
  repo("own/cached", { f: "z" }, { resolve_cache: true });
  const cases = [
    ["/api/models/own/gated/revision/main", null, 200, undefined],
    ["/own/gated/resolve/main/f", null, 401, "GatedRepo"],
    ["/own/gated/resolve/main/f", "hf_nolicence", 403, "GatedRepo"],
    ["/own/gated/resolve/main/f", hfToken, 200, undefined],
    ["/api/models/own/private/revision/main", null, 401, "RepoNotFound"],
    ["/api/models/own/private/revision/main", "hf_nolicence", 404, "RepoNotFound"],
    ["/api/models/own/private/revision/main", hfToken, 200, undefined],
    ["/api/models/own/nothing/revision/main", null, 401, "RepoNotFound"],
    ["/api/models/own/nothing/revision/main", hfToken, 404, "RepoNotFound"],
    ["/api/models/own/gated/revision/v9%2Fx", hfToken, 404, "RevisionNotFound"],
    ["/own/gated/resolve/main/none", hfToken, 404, "EntryNotFound"],
    ["/api/models/own/gated/revision/main", "hf_wrong", 401, undefined],
    ["/own/gated/resolve/main/f", "hf_noright", 403, undefined],
  ];
  for (const [path, bearer, status, code] of cases) {
    const r = await hub("GET", path, bearer);
    assert.equal(`${path} ${r.status} ${r.headers["x-error-code"]}`, `${path} ${status} ${code}`);
  }
  assert.match((await hub("GET", "/own/disabled/resolve/main/f")).headers["x-error-message"], /disabled/);
  assert.match((await hub("GET", "/own/gated/resolve/main/f", "hf_wrong")).headers["x-error-message"], /Invalid credentials/);
  assert.equal((await hub("HEAD", "/own/renamed/resolve/main/f")).headers.location, "/own/gated/resolve/main/f");
  const cached = (await hub("GET", "/own/cached/resolve/main/f")).headers.location;
  assert.equal((await hub("GET", cached)).text, "z");
});

// --- faults

const faultsFolder = join(dirname(fileURLToPath(import.meta.url)), "../faults");

test("every fault file is one that the emulator takes, and a misspelt word is not", async () => {
  for (const file of readdirSync(faultsFolder, { recursive: true }).filter((f) => f.endsWith(".json")))
    await m.faults(join(faultsFolder, file));
  await assert.rejects(m.faults("no-such-fault"), /no-such-fault/);
  await assert.rejects(m.faults({ faults: [{ path: "*", do: { statsu: 503 } }] }), /statsu/);
  await assert.rejects(m.faults({ faults: [{ paht: "*", do: {} }] }), /paht/);
  await assert.rejects(m.faults({ faults: [] }), /faults/);
});

test("what faults do to a read", async () => {
  const bytes = randomBytes(200000);
  await put("f", bytes);
  const range = { range: "bytes=0-199999" };
  const outcome = async (name) => {
    await m.faults(name);
    const all = [];
    for (let i = 0; i < 3; i++)
      all.push(await media("f", range).then((r) => (r.status >= 300 ? r.status : r.bytes.equals(bytes) ? "good" : "bad"), () => "broken"));
    return all.join(" ");
  };
  assert.equal(await outcome("unavailable-answer"), "503 503 good");
  assert.equal(await outcome("reset-while-reading"), "broken broken good");
  assert.equal(await outcome("short-body"), "broken broken good");
  assert.equal(await outcome("short-range"), "bad good good");
  assert.equal(await outcome("corrupt-byte-while-reading"), "bad good good");
  assert.equal(await outcome("token-dies-midway"), "good good 401");
  await m.restart(); // a killed token stays dead otherwise
  await m.faults("range-ignored");
  assert.equal((await media("f", { range: "bytes=5-9" })).status, 200);
  assert.equal((await media("f", { range: "bytes=5-9" })).status, 206);
  await m.faults("object-changes");
  const g = (await call("GET", o("f"))).json.generation;
  assert.ok((await media("f")).bytes.equals(bytes));
  assert.ok((await media("f")).bytes.equals(Buffer.from(bytes.map((b) => ~b))));
  assert.equal((await call("GET", `${o("f")}?alt=media&generation=${g}`)).status, 404);
  await m.faults("rate-limit-retry-after");
  const limited = await media("f");
  assert.equal(limited.status, 429);
  assert.equal(limited.headers["retry-after"], "1");
  await m.faults({ faults: [{ path: "*", do: { after_bytes: 1000, then: "stall", stall_seconds: 0.2 } }] });
  const before = Date.now();
  assert.ok((await media("f", range)).status === 206 && Date.now() - before >= 190);
});

test("what faults do to an upload", async () => {
  const bytes = randomBytes(2 * unit);
  const total = bytes.length;
  await m.faults("unavailable-after-bytes");
  const s = await open("u", total);
  assert.equal((await send(s, `0-${total - 1}/${total}`, bytes)).status, 503);
  assert.equal((await send(s, "*/*")).headers.range, `bytes=0-${unit - 1}`);
  await m.faults("resume-without-range");
  const t = await open("u2", total);
  await assert.rejects(send(t, `0-${total - 1}/${total}`, bytes));
  const lost = await send(t, "*/*");
  assert.equal(`${lost.status} ${lost.headers.range}`, "308 undefined");
  await m.faults("session-expired");
  await send(t, `0-${unit - 1}/${total}`, bytes.subarray(0, unit));
  assert.equal((await send(t, "*/*")).status, 410);
  await m.faults();
  assert.equal((await send(t, "*/*")).status, 410);
  await m.faults("lost-answer-of-seal");
  const v = await open("u3", 3);
  assert.equal((await send(v, "0-2/3", "abc")).status, 503);
  assert.equal((await send(v, "*/3")).status, 200);
  await m.faults("no-multipart");
  assert.equal((await call("POST", "/bkt/q?uploads")).status, 501);
});

test("the log tells what moved, and no token", async () => {
  await put("g", "12345");
  await m.clearLog();
  await media("g");
  await put("g", "1234567");
  const log = await m.log();
  assert.deepEqual(log.map((l) => [l.method, l.status, l.body]), [["GET", 200, 0], ["POST", 200, 7]]);
  assert.equal(log[0].sent, 5);
  assert.ok(!JSON.stringify(log).includes(token));
});

test("objects survive a restart", async () => {
  const bytes = randomBytes(100000);
  const g = (await put("stay", bytes)).json.generation;
  await put("go", "x");
  await call("DELETE", o("go"));
  await m.restart();
  assert.equal((await call("GET", o("stay"))).json.generation, g);
  assert.ok((await media("stay")).bytes.equals(bytes));
  assert.equal((await media("go")).status, 404);
  assert.equal((await put("stay", "y", `&ifGenerationMatch=${g}`)).status, 200);
});
