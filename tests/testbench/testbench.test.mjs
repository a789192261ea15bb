// Ferry against Google's own test bench of Cloud Storage: each command that touches a bucket, with each fault
// that the test bench can play on the API methods it uses. What is left behind is compared byte for byte, with
// the test bench itself and not with ferry's help, and every fault must have been met.
//
// What the test bench cannot do is tested against tests/emulator alone: XML multipart uploads (here the fallback
// to resumable sessions is what is exercised), listings of more than one page, tokens, `--soft-delete off`.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { MiB, Place, World, empty, large, middling, model, other, part, small } from "./place.mjs";

let world;
before(async () => {
  world = await World.open();
});
after(() => world.close());

// --- which requests meet a fault

const range = (r) => r.headers["content-range"] ?? "";
const isMedia = (r) => r.path.includes("alt=media");
/** Not the look at one byte that tells whether it may be read: the test bench breaks off after four. */
const readsMuch = (r) => isMedia(r) && r.headers.range.match(/(\d+)-(\d+)/).slice(1).reduce((a, b) => b - a) >= MiB;
const isMetadata = (r) => r.method === "GET" && !isMedia(r);
const beginsMultipart = (r) => r.method === "POST" && r.path.endsWith("?uploads");
const beginsSession = (r) => r.method === "POST" && r.path.includes("uploadType=resumable");
const isSmallUpload = (r) => r.method === "POST" && r.path.includes("uploadType=multipart");
const sends = (r) => r.method === "PUT" && !range(r).startsWith("bytes *");
const asks = (r) => r.method === "PUT" && range(r).startsWith("bytes *");
const sendsFrom = (first) => (r) => sends(r) && parseInt(range(r).slice("bytes ".length)) >= first;
const sendsOrAsks = (first) => (r) => asks(r) || sendsFrom(first)(r);

// --- faults

/** What may happen to any request: a status worth another try, a reset. */
const refusals = [
  ...[408, 429, 500, 502, 503, 504].map((s) => [`return-${s}`]),
  ["return-reset-connection"],
  ["return-503", "return-reset-connection", "return-429"],
];
/** To one that was carried out, too: its answer breaks off. The test bench does it to answers with a body. */
const lost = [["return-broken-stream"], ["return-500", "return-broken-stream"]];
const any = [...refusals, ...lost];
const whileReading = [["return-broken-stream-after-256K"], ["return-broken-stream-after-300K", "return-503"]];
/** In the middle of chunks, at their ends, and one byte short of the unit of 256 KiB that is kept. */
const whileSending = [1, 255, 256, 5000, 8192, 9000, 12288, 16384, 20000, 20480].map((k) => [`return-503-after-${k}K`]);

const uploads = "storage.objects.insert", reads = "storage.objects.get", lists = "storage.objects.list";
const deletes = "storage.objects.delete", rewrites = "storage.objects.rewrite";

/** A case for each of these; which: the requests of that method that carry it; where: that in words. */
const on = (method, faults, which, where) => faults.map((instructions) => ({ method, instructions, which, where }));

// --- what is done: run(p, strike) calls strike when the fault may come

const scenarios = {
  "cp of a small file to the bucket": {
    faults: [...on(lists, any), ...on(uploads, [...any, ["return-503-after-0K"], ["stall-for-1s-after-0K"]])],
    async run(p, strike) {
      p.write("from", small);
      await strike();
      await p.ok("cp", "from", p.uri("a/to #1 100%"));
      await p.holds({ "a/to #1 100%": small });
    },
  },

  "cp -n of a small file": {
    faults: [...on(reads, refusals), ...on(uploads, any)],
    async run(p, strike) {
      p.write("from", small);
      await strike();
      const r = await p.ok("cp", "-n", "from", p.uri("to"));
      assert.match(r.out.toString(), /1 file copied/);
      await p.holds({ to: small });
    },
  },

  "cp of an empty file to the bucket and back": {
    faults: [...on(uploads, any), ...on(reads, any)],
    async run(p, strike) {
      p.write("from", empty);
      await strike();
      await p.ok("cp", "from", p.uri("to"));
      await p.holds({ to: empty });
      await p.ok("cp", p.uri("to"), "back/");
      p.has("back", { to: empty });
    },
  },

  "cp of a large file to the bucket": {
    faults: [
      ...on(lists, any),
      ...on(reads, any),
      ...on(uploads, refusals, beginsMultipart, "asking for a multipart upload"),
      ...on(uploads, refusals, beginsSession, "beginning a session"),
      ...on(uploads, refusals, sends, "the first chunk"),
      ...on(uploads, refusals, sendsFrom(part), "the second chunk"),
      ...on(uploads, any, sendsFrom(2 * part), "the last chunk"),
      ...on(uploads, [["return-503", "return-503", "return-reset-connection"]], sendsOrAsks(part), "a chunk, then the question"),
      ...on(uploads, whileSending),
      ...on(uploads, [["return-429-after-8193K", "return-500-after-16385K", "return-504-after-20479K"]]),
      ...on(uploads, [["stall-for-2s-after-256K"], ["stall-for-2s-after-10240K"]]),
      ...on(uploads, [["return-broken-stream-final-chunk-after-4B"], ["return-broken-stream-final-chunk-after-200B"]]),
    ],
    async run(p, strike, fault) {
      p.write("from", large);
      await strike();
      await p.ok("cp", "from", p.uri("models/to"));
      await p.holds({ "models/to": large });
      if (fault) assert.ok(p.sent("PUT") <= large.length + fault.instructions.length * part, `it began anew:${p.story()}`);
    },
  },

  "cp of a large file whose session is gone": {
    faults: [
      ...on(uploads, [["return-410"], ["return-404"]], sendsFrom(part), "the second chunk"),
      ...on(uploads, [["return-410"]], sendsFrom(2 * part), "the last chunk"),
      ...on(uploads, [["return-503", "return-410"]], sendsOrAsks(part), "a chunk, then the question"),
      ...on(uploads, [["return-410-after-12288K"]]),
    ],
    async run(p, strike, fault) {
      p.write("from", large);
      await strike();
      await p.ok("cp", "from", p.uri("to"));
      await p.holds({ to: large });
      if (fault) assert.equal(p.proxy.log.filter(beginsSession).length, 2, p.story());
    },
  },

  "cp from a pipe": {
    faults: [
      ...on(uploads, refusals, sendsFrom(part), "the second chunk"),
      ...on(uploads, [["return-503-after-12288K"], ["return-reset-connection", "return-503"]], sends, "chunks"),
    ],
    async run(p, strike) {
      await strike();
      const r = await p.run(["cp", "-", p.uri("to")], large);
      assert.equal(r.code, 0, r.err);
      await p.holds({ to: large });
    },
  },

  "cp of a large file from the bucket": {
    faults: [
      ...on(reads, any, isMetadata, "its metadata"),
      ...on(reads, [...any, ...whileReading], isMedia, "its bytes"),
    ],
    async run(p, strike) {
      await p.put("models/from", large);
      await strike();
      await p.ok("cp", p.uri("models/from"), "here/");
      p.has("here", { from: large });
    },
  },

  "cp of a middling file from the bucket": {
    /* what lies behind a stall is sent four bytes at a time: too slow for a large one */
    faults: on(reads, [["stall-for-2s-after-0K"], ["stall-for-2s-after-128K", "return-broken-stream-after-200K"]], isMedia),
    async run(p, strike) {
      await p.put("from", middling);
      await strike();
      await p.ok("cp", p.uri("from"), "here/");
      p.has("here", { from: middling });
    },
  },

  "cp -r of a folder from the bucket": {
    faults: [...on(lists, any), ...on(reads, any, isMedia, "bytes")],
    async run(p, strike) {
      const tree = { "a/b/one": small, "a/two": other, "a/large": large, "a/empty": empty };
      for (const [name, bytes] of Object.entries(tree)) await p.put(name, bytes);
      await p.put("ab", other);
      await strike();
      await p.ok("cp", "-r", p.uri("a"), "here/");
      p.has("here", tree);
    },
  },

  "cp from bucket to bucket": { // Cloud Storage makes the copy
    faults: [...on(rewrites, refusals)],
    async run(p, strike) {
      await p.put("from", large);
      await strike();
      await p.ok("cp", p.uri("from"), p.uri("to"));
      await p.holds({ from: large, to: large });
    },
  },

  stage: {
    faults: [
      ...on(lists, any),
      ...on(reads, refusals),
      ...on(uploads, any, isSmallUpload, "a small file, the journal or the manifest"),
      ...on(uploads, refusals, sendsFrom(part), "the second chunk"),
      ...on(uploads, [["return-503-after-12288K"], ["return-reset-connection", "return-503-after-256K"]], sends, "chunks"),
    ],
    async run(p, strike) {
      await strike();
      await p.ok("stage", "owner/name", p.uri("models/it"));
      const staged = Object.fromEntries(Object.entries(model).map(([name, bytes]) => [`models/it/${name}`, bytes]));
      const manifest = "models/it/ferry-manifest.json";
      await p.holds({ ...staged, [manifest]: await p.bench.get(p.bucket, manifest) });
      await p.ok("stage", "--check", "--deep", p.uri("models/it"));
    },
  },

  exec: {
    faults: [
      ...on(lists, any),
      ...on(reads, refusals, isMedia, "bytes"),
      ...on(reads, [...lost, ...whileReading], readsMuch, "many bytes"),
    ],
    async run(p, strike) {
      for (const [name, bytes] of Object.entries(model)) await p.put(`it/${name}`, bytes);
      await strike();
      const r = await p.ok("exec", p.uri("it"), "--to", "here", "--", "cat", "{model}/model-00002-of-00002.safetensors");
      assert.ok(r.out.equals(model["model-00002-of-00002.safetensors"]));
      p.has("here", { ...model, "ferry-manifest.json": readFileSync(join(p.folder, "here/ferry-manifest.json")) });
    },
  },

  "config set and rollback": {
    faults: [...on(reads, any, isMedia, "bytes"), ...on(reads, refusals, isMetadata, "metadata"), ...on(uploads, any)],
    async run(p, strike) {
      await p.ok("config", "set", p.uri("c.json"), "temperature=0.25");
      await strike();
      await p.ok("config", "set", p.uri("c.json"), "temperature=0.5");
      await p.ok("config", "rollback", p.uri("c.json"));
      assert.deepEqual(JSON.parse(await p.bench.get(p.bucket, "c.json")), { temperature: 0.25 });
      const kept = (await p.bench.names(p.bucket)).filter((n) => n !== "c.json");
      assert.equal(kept.length, 2);
      for (const name of kept) assert.ok(name.startsWith("c.json.history/"), name);
    },
  },

  ls: {
    faults: on(lists, any),
    async run(p, strike) {
      const deep = ["a/1", "a/2", "b", "b/1", "c/d/e", "音 #%"], level = ["a/", "b", "b/", "c/", "empty", "音 #%"];
      for (const name of deep) await p.put(name, small);
      await p.put("empty", empty);
      await strike();
      assert.equal((await p.ok("ls", p.uri())).out.toString(), level.map((n) => `${p.uri(n)}\n`).join(""));
      const said = JSON.parse((await p.ok("ls", "-r", "--json", p.uri())).out);
      const wanted = [...deep.map((n) => [p.uri(n), small.length]), [p.uri("empty"), 0]].sort();
      assert.deepEqual(said.map((f) => [f.uri, f.size]), wanted);
    },
  },

  "cat --range": {
    faults: [
      ...on(reads, any, isMetadata, "its metadata"),
      ...on(reads, [...any, ...whileReading], isMedia, "its bytes"),
    ],
    async run(p, strike) {
      await p.put("from", large);
      await strike();
      const r = await p.ok("cat", "--range", `7-${12 * MiB}`, p.uri("from"));
      assert.ok(r.out.equals(large.subarray(7, 12 * MiB + 1)));
    },
  },

  rm: {
    faults: [...on(deletes, refusals), ...on(reads, any)],
    async run(p, strike) {
      await p.put("keep", small);
      await p.put("gone", other);
      await strike();
      await p.ok("rm", "--yes", p.uri("gone"));
      await p.holds({ keep: small });
    },
  },

  "rm -r": {
    faults: [...on(deletes, refusals), ...on(lists, any)],
    async run(p, strike) {
      for (const name of ["a/1", "a/2", "a/b/3", "ab"]) await p.put(name, small);
      await strike();
      await p.ok("rm", "-r", "--yes", p.uri("a"));
      await p.holds({ ab: small });
    },
  },

  "bucket create": {
    bucket: false,
    faults: on("storage.buckets.insert", any),
    async run(p, strike) {
      await strike();
      await p.ok("bucket", "create", p.bucket, "--region", "asia-northeast1", "--project", "test", "--soft-delete", "7");
      const b = await p.bucketResource();
      assert.equal(b.location, "asia-northeast1");
      assert.equal(b.storageClass, "STANDARD");
      assert.equal(b.iamConfiguration.publicAccessPrevention, "enforced");
      assert.equal(b.iamConfiguration.uniformBucketLevelAccess.enabled, true);
      assert.equal(b.softDeletePolicy.retentionDurationSeconds, "604800");
      assert.deepEqual(b.labels, { "managed-by": "ferry" });
      assert.deepEqual(b.lifecycle.rule, [{ action: { type: "AbortIncompleteMultipartUpload" }, condition: { age: 7 } }]);
    },
  },

  "bucket show": {
    bucket: false,
    faults: on("storage.buckets.get", any),
    async run(p, strike) {
      await p.ok("bucket", "create", p.bucket, "--region", "us-central1", "--project", "test");
      await strike();
      const r = await p.ok("bucket", "show", p.bucket);
      assert.match(r.out.toString(), /^gs:\/\/test-.*\n +location +us-central1 \(region\)\n[^!]*removed after 7 days\n[^!]*$/);
    },
  },

  "bucket fix": {
    faults: [...on("storage.buckets.get", any), ...on("storage.buckets.patch", any)],
    async run(p, strike) {
      await strike();
      await p.ok("bucket", "fix", p.bucket, "--yes", "--expire-days", "30");
      const b = await p.bucketResource();
      assert.equal(b.iamConfiguration.publicAccessPrevention, "enforced");
      assert.equal(b.iamConfiguration.uniformBucketLevelAccess.enabled, true);
      const rules = b.lifecycle.rule.map((r) => [r.action.type, r.condition.age]);
      assert.deepEqual(rules, [["AbortIncompleteMultipartUpload", 7], ["Delete", 30]]);
    },
  },
};

async function at(place, run) {
  const p = await Place.make(world, place);
  try {
    await run(p);
  } finally {
    await p.close();
  }
}

const play = (scenario, fault) =>
  at(scenario, async (p) => {
    await scenario.run(p, () => fault && p.strike(fault.method, fault.instructions, fault.which), fault);
    if (fault) await p.allWasMet();
  });

/* most of the time is spent waiting before the next try */
const together = { concurrency: 8 };

for (const [name, scenario] of Object.entries(scenarios))
  describe(name, together, () => {
    test("nothing goes wrong", () => play(scenario));
    for (const f of scenario.faults)
      test(`${f.method}${f.where ? `, ${f.where}` : ""}: ${f.instructions.join(", ")}`, () => play(scenario, f));
  });

// --- faults of the bytes themselves, which the test bench plays by its older header

describe("bytes that go wrong", together, () => {
  for (const bytes of [small, large])
    test(`${bytes.length} bytes that arrive changed are fetched again`, () =>
      at({}, async (p) => {
        await p.put("from", bytes);
        p.strikeOnce("return-corrupted-data", isMedia);
        await p.ok("cp", p.uri("from"), "here/");
        p.has("here", { from: bytes });
        assert.ok(p.proxy.log.some((r) => r.fault));
      }));

  for (const fault of ["return-broken-stream", "return-503-after-256K", "stall-at-256KiB"])
    test(`${fault}: what came of a range is kept, the rest asked for`, () =>
      at({}, async (p) => {
        await p.put("from", large);
        p.strikeOnce(fault, isMedia);
        await p.ok("cp", p.uri("from"), "here/");
        p.has("here", { from: large });
        const starts = p.proxy.log.filter(isMedia).map((r) => parseInt(r.headers.range.slice("bytes=".length)));
        assert.ok(p.proxy.log.some((r) => r.fault));
        if (fault !== "stall-at-256KiB") assert.ok(starts.some((at) => at > 0 && at % part), p.story());
      }));

  for (const [bytes, which] of [[small, isSmallUpload], [large, beginsSession]])
    test(`${bytes.length} bytes that change on the way to the bucket are refused and not seen`, () =>
      at({}, async (p) => {
        p.write("from", bytes);
        p.strikeOnce("inject-upload-data-error", which);
        await p.fails(1, /HTTP 412/, "cp", "from", p.uri("to"));
        assert.ok(p.proxy.log.some((r) => r.fault));
        await p.holds({});
      }));
});

// --- what must not be tried again: it fails at once, with one line, and nothing half done is left

const final = [
  { status: 400, code: 2 }, // what was asked for makes no sense
  { status: 403, code: 1 },
  { status: 412, code: 1 },
];

describe("a status that is final ends it at once", together, () => {
  for (const { status, code } of final) {
    const ends = (name, method, which, prepare, ...args) =>
      test(`${name}: ${status}`, () =>
        at({}, async (p) => {
          const before = await prepare(p);
          await p.strike(method, [`return-${status}`], which);
          await p.fails(code, RegExp(`HTTP ${status}`), ...args.map((a) => (a.startsWith(":") ? p.uri(a.slice(1)) : a)));
          await p.allWasMet();
          assert.equal(p.proxy.log.filter((r) => r.status === status).length, 1, p.story());
          await p.holds(before);
          assert.ok(!existsSync(join(p.folder, "here/from")));
        }));
    const local = (bytes) => (p) => (p.write("from", bytes), {});
    const there = async (p) => (await p.put("from", large), { from: large });
    ends("a small upload", uploads, isSmallUpload, local(small), "cp", "from", ":to");
    ends("a session", uploads, beginsSession, local(large), "cp", "from", ":to");
    ends("a chunk", uploads, sendsFrom(part), local(large), "cp", "from", ":to");
    ends("reading", reads, isMedia, there, "cp", ":from", "here/");
    ends("listing", lists, () => true, there, "ls", ":");
    ends("deleting", deletes, () => true, there, "rm", "--yes", ":from");
  }
});
