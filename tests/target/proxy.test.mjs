// A private service on a port of this machine: the real ferry, a real OpenAI client, and in front of the service what Cloud
// Run has there: nobody comes past it without an ID token that is good now.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { createRequire } from "node:module";
import { connect, createServer as listen } from "node:net";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator, token } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const OpenAI = createRequire(join(root, "tests/system/"))("openai");
const region = "asia-northeast1", model = "gs://model-bkt/demo", recording = join(root, "samples/digits-en.wav");
const MiB = 1 << 20;
const later = (ms) => new Promise((done) => setTimeout(done, ms));
let emulator, front, metadata, server, proxy;

const { start, ferry, ok } = ferryBeside(() => emulator, () => ({
  FERRY_ACCESS_TOKEN: "", GCE_METADATA_HOST: metadata.host, CLOUDSDK_CORE_PROJECT: undefined, GOOGLE_CLOUD_PROJECT: "demo-proj",
}));

/** A metadata server, whose ID tokens are id.1, id.2, … */
async function startMetadata() {
  const m = { given: 0 };
  m.server = createServer((q, answer) => {
    answer.setHeader("Metadata-Flavor", "Google");
    if (q.url.includes("/default/token")) return answer.end(JSON.stringify({ access_token: token, expires_in: 3600, token_type: "Bearer" }));
    if (q.url.includes("/default/identity?") && m.gone) return answer.writeHead(404).end();
    if (q.url.includes("/default/identity?")) return answer.end(`id.${++m.given}`);
    answer.end();
  });
  await new Promise((ready) => m.server.listen(0, "127.0.0.1", ready));
  m.host = `127.0.0.1:${m.server.address().port}`;
  return m;
}

const page = (title) => `<html><head><title>${title}</title></head><body><h1>Error: ${title}</h1></body></html>`;
const html = { "content-type": "text/html; charset=UTF-8" };

/** Cloud Run's front: tokens not in `good` get its page and 401. handle(q, answer), where given, is the service. */
async function startFront() {
  const f = { seen: [], connections: new Set() };
  f.server = createServer((q, answer) => {
    const identity = q.headers["x-serverless-authorization"];
    f.seen.push({ method: q.method, url: q.url, headers: q.headers, identity, raw: q.rawHeaders });
    delete q.headers["x-serverless-authorization"];
    if (!f.good(identity)) return answer.writeHead(401, html).end(page("Unauthorized"));
    if (f.handle) return f.handle(q, answer);
    q.pipe(request({ host: "127.0.0.1", port: server.port, path: q.url, method: q.method, headers: q.headers }, (r) => {
      answer.writeHead(r.statusCode, r.headers);
      r.pipe(answer);
    }));
  });
  f.server.on("connection", (s) => (f.connections.add(s), s.on("close", () => f.connections.delete(s))));
  f.listen = (port) => new Promise((ready) => f.server.listen(port, "127.0.0.1", ready));
  await f.listen(0);
  f.port = f.server.address().port;
  f.url = `http://127.0.0.1:${f.port}`;
  return f;
}

/** A proxy, once it has said where it is. */
async function startProxy(name, args = [], more = {}) {
  const p = start(["proxy", name, "--port", "0", ...args], { more });
  for (let url; !(url = /http:\/\/127\.0\.0\.1:\d+/.exec(p.stdout)?.[0]) || !((p.url = url), p.stdout.includes("OpenAI"));) {
    assert.equal(p.child.exitCode, null, p.stderr);
    await later(10);
  }
  p.stop = async () => {
    p.child.kill("SIGINT");
    await p.done;
    return p.status;
  };
  p.client = (options = {}) => new OpenAI({ baseURL: `${p.url}/v1`, apiKey: "none", maxRetries: 0, ...options });
  return p;
}

/** What was said on stderr since the last call, once as many lines are there; the answer may be faster. */
async function lines(count = 0) {
  const all = () => proxy.stderr.slice(proxy.read ?? 0).split("\n").filter((l) => l);
  for (const until = Date.now() + 5000; all().length < count && Date.now() < until; ) await later(5);
  const said = all();
  proxy.read = proxy.stderr.length;
  assert.equal(said.length, count, said.join("\n"));
  return said;
}

/** A request without a client's own manners. */
function raw(path, { method = "GET", headers = {}, body, to = proxy.url } = {}) {
  return new Promise((done, failed) => {
    const q = request(to, { method, headers, path }, async (r) => {
      let text = "";
      try {
        for await (const d of r) text += d;
        done({ status: r.statusCode, headers: r.headers, text });
      } catch (e) {
        failed(e);
      }
    });
    q.on("error", failed);
    q.end(body);
  });
}

before(async () => {
  metadata = await startMetadata();
  front = await startFront();
  front.good = () => true;
  emulator = await Emulator.start({ bucket: "model-bkt", serviceUrl: front.url });
  await ok("cp", "-r", join(root, "models/demo"), "gs://model-bkt/");
  await ok("deploy", "qwen", model, "--region", region, "--yes", "--no-question");
  const s = start(["serve", model, "--host", "127.0.0.1", "--port", "0"]);
  while (!s.stderr.includes('"message":"ready"')) await later(10);
  server = { child: s.child, port: Number(/"port":\s*(\d+)/.exec(s.stderr)[1]) };
  proxy = await startProxy("qwen");
});
after(async () => {
  assert.equal(await proxy?.stop(), 0, proxy?.stderr);
  server?.child.kill("SIGKILL");
  for (const s of [front.server, metadata.server]) s.closeAllConnections(), s.close();
  await emulator?.stop();
});
beforeEach(() => {
  front.seen = [];
  front.handle = null;
  front.good = (identity) => /^Bearer id\.\d+$/.test(identity);
});

test("it says once where it is and how to ask", async () => {
  assert.equal(proxy.stdout, `qwen is at ${proxy.url} until Ctrl-C\n\n  curl ${proxy.url}/v1/models\n` +
    `  new OpenAI({ baseURL: "${proxy.url}/v1", apiKey: "none" })\n`);
});

test("the OpenAI client works unchanged: models, chat, a stream, a transcription", async () => {
  const client = proxy.client(), data = readFileSync(recording).toString("base64");
  const models = (await client.models.list()).data;
  const q = {
    model: models[0].id, temperature: 0,
    messages: [{ role: "user", content: [{ type: "input_audio", input_audio: { data, format: "wav" } }, { type: "text", text: "What is said here?" }] }],
  };
  assert.equal((await client.chat.completions.create(q)).choices[0].message.content, "3 1 4");
  let text = "";
  for await (const c of await client.chat.completions.create({ ...q, stream: true })) text += c.choices[0]?.delta?.content ?? "";
  assert.equal(text, "3 1 4");
  const heard = await client.audio.transcriptions.create({ model: models[0].id, file: createReadStream(recording), prompt: "What is said here?" });
  assert.equal(heard.text, "3 1 4");
  assert.ok(front.seen.every((s) => s.identity === front.seen[0].identity), "one token does for all");
  assert.ok(front.seen.every((s) => s.headers.authorization === "Bearer none"), "the caller's own is passed on");
  const refused = await client.chat.completions.create({ model: "other", messages: [] }).catch((e) => e);
  assert.ok(refused instanceof OpenAI.APIError && refused.status === 404, String(refused));
  await lines(0); // what the service itself says is no news
});

test("a request is passed on as it came, but for what is of one connection", async () => {
  front.handle = (q, answer) => answer.writeHead(202, { "x-of-service": "1", "set-cookie": ["a=1", "b=2"] }).end("done");
  const headers = {
    host: "localhost:1234", connection: "keep-alive, X-Of-This-Hop", te: "trailers", "x-of-this-hop": "1", "x-mine": "a b", authorization: "Bearer my-key",
    "x-serverless-authorization": "Bearer stolen", "accept-encoding": "gzip", cookie: "c=3",
  };
  const r = await raw("/v1/a%2Fb/..%20c?x=%31&y=", { method: "PATCH", headers, body: "{}" });
  assert.deepEqual([r.status, r.text, r.headers["x-of-service"], r.headers["set-cookie"]], [202, "done", "1", ["a=1", "b=2"]]);
  const [s] = front.seen;
  assert.deepEqual([s.method, s.url], ["PATCH", "/v1/a%2Fb/..%20c?x=%31&y="]);
  for (const [name, value] of Object.entries({ "x-mine": "a b", authorization: "Bearer my-key", "accept-encoding": "gzip", cookie: "c=3", "content-length": "2" }))
    assert.equal(s.headers[name], value, name);
  for (const name of ["te", "x-of-this-hop", "connection"]) assert.equal(s.headers[name], undefined, name);
  assert.equal(s.headers.host, `127.0.0.1:${front.port}`);
  assert.match(s.identity, /^Bearer id\.\d+$/);
  assert.equal(s.raw.filter((n) => n.toLowerCase() === "x-serverless-authorization").length, 1);
});

test("answers of each kind keep status, length and body", async (t) => {
  const cases = [
    ["a HEAD", { method: "HEAD" }, 200, { "content-length": "5000" }, ""],
    ["no content", {}, 204, {}, ""],
    ["a redirect", {}, 302, { location: "https://elsewhere.example/" }, ""],
    ["an error of the service's own", { method: "POST", body: "x" }, 400, { "content-type": "application/json" }, '{"error":{"message":"no"}}'],
    ["a page", {}, 404, { "content-type": "text/html" }, "<p>no</p>", "/page"],
    ["a large one", {}, 200, {}, "abc".repeat(300000)],
  ];
  for (const [name, q, status, headers, body, path = "/v1/x"] of cases)
    await t.test(name, async () => {
      front.handle = (_, answer) => answer.writeHead(status, headers).end(body);
      const r = await raw(path, q);
      assert.equal(r.status, status);
      assert.equal(r.text, body);
      for (const [k, v] of Object.entries(headers)) assert.equal(r.headers[k], v);
      await lines(0);
    });
});

test("events arrive one by one: none waits for the next", async () => {
  let next;
  front.handle = (q, answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    next = (text) => (text ? answer.write(`data: ${text}\n\n`) : answer.end());
  };
  const r = await fetch(`${proxy.url}/v1/stream`); // its headers are there before any event
  assert.equal(r.headers.get("content-type"), "text/event-stream");
  const reader = r.body.getReader();
  for (let i = 0; i < 20; i++) {
    next(`piece ${i}`);
    assert.equal(Buffer.from((await reader.read()).value).toString(), `data: piece ${i}\n\n`);
  }
  next();
  assert.equal((await reader.read()).done, true);
});

test("four bodies of 30 MB at once arrive whole and take no memory", async (t) => {
  front.handle = (q, answer) => {
    const hash = createHash("sha256");
    q.on("data", (d) => hash.update(d)).on("end", () => answer.end(hash.digest("hex")));
  };
  const memory = () => Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${proxy.child.pid}/status`))[1]) / 1024;
  const before = memory(), body = randomBytes(30e6), want = createHash("sha256").update(body).digest("hex");
  const got = await Promise.all([0, 1, 2, 3].map(() => raw("/v1/audio", { method: "POST", body })));
  for (const r of got) assert.equal(r.text, want);
  assert.ok(memory() - before < 24, `${(memory() - before).toFixed(1)} MiB more, where one of them has 28.6`);
  t.diagnostic(`${(memory() - before).toFixed(1)} MiB more than before`);
  const asked = new Promise((done, failed) => { // as curl does with a large body
    const q = request(`${proxy.url}/v1/audio`, { method: "POST", headers: { expect: "100-continue", "content-length": body.length } });
    q.on("continue", () => q.end(body)).on("response", async (r) => done((await r.toArray()).join(""))).on("error", failed);
  });
  assert.equal(await asked, want);
  const chunked = await fetch(`${proxy.url}/v1/audio`, { method: "POST", body: createReadStream(recording), duplex: "half" });
  assert.equal(await chunked.text(), createHash("sha256").update(readFileSync(recording)).digest("hex"));
});

test("forty requests are under way at the same time", async () => {
  const waiting = [];
  front.handle = (q, answer) => {
    waiting.push(answer);
    if (waiting.length === 40) waiting.forEach((a, i) => a.end(String(i)));
  };
  const got = await Promise.all(Array.from({ length: 40 }, () => raw("/v1/x")));
  assert.equal(new Set(got.map((r) => r.text)).size, 40);
});

test("a token that is refused is renewed once, and the request sent again whole", async () => {
  const old = metadata.given;
  front.good = (identity) => identity === `Bearer id.${old + 1}`;
  front.handle = (q, answer) => {
    let n = 0;
    q.on("data", (d) => (n += d.length)).on("end", () => answer.end(String(n)));
  };
  const r = await raw("/v1/audio", { method: "POST", body: Buffer.alloc(3 * MiB) });
  assert.deepEqual([r.status, r.text], [200, String(3 * MiB)]);
  assert.deepEqual(front.seen.map((s) => s.identity), [`Bearer id.${old}`, `Bearer id.${old + 1}`]);
  assert.equal(metadata.given, old + 1);
  await lines(0);
});

/** An error of OpenAI's form, of that status, and one line on stderr with the same words. */
async function fails(status, says, path = "/v1/chat/completions") {
  const e = await proxy.client().post(path.replace("/v1", ""), { body: {} }).catch((problem) => problem);
  assert.ok(e instanceof OpenAI.APIError, String(e));
  assert.equal(e.status, status, String(e));
  assert.deepEqual(Object.keys(e.error).sort(), ["code", "message", "param", "type"]);
  assert.match(e.error.message, says);
  assert.equal((await lines(1))[0], `POST ${path}: ${e.error.message}`);
  return e;
}

test("who is refused with a fresh token too is told, after two tries", async () => {
  front.good = () => false;
  await fails(401, /^qwen: your identity is refused.*gcloud auth login/);
  assert.equal(front.seen.length, 2);
});

test("whose credentials are gone meanwhile is told so", async () => {
  front.good = () => false;
  metadata.gone = true;
  try {
    await fails(401, /^qwen: metadata server: this machine has no service account/);
  } finally {
    metadata.gone = false;
  }
});

test("what Cloud Run itself answers becomes an error that clients read", async (t) => {
  const cases = [[403, /no right.*roles\/run\.invoker/], [404, /no such address.*ferry status/], [429, /no instance is free/],
    [500, /^qwen: HTTP 500$/], [503, /not available/]];
  for (const [status, says] of cases)
    await t.test(String(status), async () => {
      front.handle = (q, answer) => answer.writeHead(status, { ...html, "retry-after": "7" }).end(page("no"));
      const e = await fails(status, says);
      assert.equal(e.headers.get?.("retry-after") ?? e.headers["retry-after"], "7");
      assert.equal(front.seen.length, 1);
    });
});

test("what a service says in plain text is quoted, without what a terminal would act upon", async () => {
  front.handle = (q, answer) => answer.writeHead(500, { "content-type": "text/plain" }).end("out of \x1b[31mluck");
  await fails(500, /^qwen: HTTP 500: out of  \[31mluck$/);
});

test("a 401 of the service's own, about its key, is the caller's to read", async () => {
  front.handle = (q, answer) => answer.writeHead(401, { "content-type": "application/json" }).end('{"error":{"message":"an API key is needed"}}');
  const r = await raw("/v1/models");
  assert.deepEqual([r.status, r.text, front.seen.length], [401, '{"error":{"message":"an API key is needed"}}', 1]);
});

test("an answer that breaks off ends as one", async (t) => {
  const half = (headers, text) => (q, answer) => {
    answer.writeHead(200, headers);
    answer.write(text);
    setTimeout(() => answer.destroy(), 100);
  };
  await t.test("between two events: one more says so", async () => {
    front.handle = half({ "content-type": "text/event-stream" }, 'data: {"choices":[]}\n\n');
    const stream = await proxy.client().chat.completions.create({ model: "m", messages: [], stream: true });
    await assert.rejects(async () => { for await (const _ of stream); }, /qwen: the answer broke off/);
    assert.match((await lines(1))[0], /^POST \/v1\/chat\/completions: qwen: the answer broke off: [^\n]*$/);
  });
  for (const [name, headers, text] of [["within an event", { "content-type": "text/event-stream" }, 'data: {"cho'], ["of a known length", { "content-length": "100" }, "abc"], ["chunked", {}, "abc"]])
    await t.test(name, async () => {
      front.handle = half(headers, text);
      await assert.rejects(raw("/v1/x"), /aborted|ECONNRESET|socket hang up/);
      await lines(1);
    });
});

test("a caller who goes away ends his request at the service", async (t) => {
  const gone = () => new Promise((done) => {
    front.handle = (q, answer) => {
      answer.on("close", () => done(Date.now()));
      answer.writeHead(200, { "content-type": "text/event-stream" });
      if (q.url === "/v1/endless") setInterval(() => answer.write("data: x\n\n"), 20).unref();
      else if (q.url === "/v1/flood") for (let i = 0; i < 100; i++) answer.write("x".repeat(MiB));
      else answer.flushHeaders();
    };
  });
  for (const path of ["/v1/silent", "/v1/endless", "/v1/flood"])
    await t.test(path, async () => {
      const ended = gone();
      const s = connect(Number(new URL(proxy.url).port), "127.0.0.1");
      s.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await once(s, "data");
      s.pause();
      await later(200);
      const left = Date.now();
      s.destroy();
      assert.ok((await ended) - left < 3000);
      await lines(0);
    });
  front.handle = null;
  assert.equal((await raw("/v1/models")).status, 200);
});

test("pages of other sites, and names that point here, are refused", async (t) => {
  const port = new URL(proxy.url).port;
  const cases = [
    [{ origin: "https://evil.example" }, 403], [{ origin: "null" }, 403], [{ origin: `http://localhost:${port}` }, 403],
    [{ host: `evil.example:${port}` }, 403], [{ host: `evil.example:${port}`, origin: `http://evil.example:${port}` }, 403],
    [{ host: "127.0.0.1:80@evil.example" }, 403],
    [{ origin: `http://127.0.0.1:${port}` }, 200], [{ host: `localhost:${port}`, origin: `http://localhost:${port}` }, 200],
    [{ host: `[::1]:${port}` }, 200],
  ];
  for (const [headers, status] of cases)
    await t.test(JSON.stringify(headers), async () => {
      const r = await raw("/v1/models", { headers });
      assert.equal(r.status, status, r.text);
      assert.equal(front.seen.length, status === 200 ? 1 : 0);
      await lines(status === 200 ? 0 : 1);
      if (status !== 200) assert.ok(JSON.parse(r.text).error.message);
    });
  const other = await raw("*", { method: "OPTIONS" });
  assert.equal(other.status, 400);
  assert.match((await lines(1))[0], /^OPTIONS \*: expected a path/);
});

test("a service that is gone is told, and the port goes on once it is back", async () => {
  await raw("/v1/models");
  front.server.closeAllConnections();
  await new Promise((done) => front.server.close(done));
  try {
    await fails(502, /^qwen: no answer from http:\/\/127\.0\.0\.1:\d+: /);
  } finally {
    await front.listen(front.port);
  }
  assert.equal((await raw("/v1/models")).status, 200);
});

test("the key of a local service is added for callers who bring none", async (t) => {
  const file = join(emulator.data, "key"), name = `proxied-${process.pid}`;
  writeFileSync(file, "secret-of-service\n");
  await ok("deploy", name, join(root, "models/demo"), "--target", "local", "--api-key-file", file);
  const p = await startProxy(name);
  try {
    for (const [headers, status] of [[{}, 200], [{ authorization: "Bearer none" }, 200], [{ authorization: "Bearer" }, 200],
      [{ authorization: "Bearer wrong" }, 401], [{ authorization: "Bearer secret-of-service" }, 200]])
      await t.test(JSON.stringify(headers), async () => assert.equal((await raw("/v1/models", { headers, to: p.url })).status, status));
    assert.ok(!`${p.stdout}${p.stderr}`.includes("secret"));
  } finally {
    assert.equal(await p.stop(), 0, p.stderr);
    await ok("down", name, "--yes");
  }
});

test("Ctrl-C ends requests under way, here and at the service, and then the proxy", async () => {
  const p = await startProxy("qwen");
  const ended = new Promise((done) => {
    front.handle = (q, answer) => {
      answer.on("close", done);
      answer.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    };
  });
  const s = connect(Number(new URL(p.url).port), "127.0.0.1");
  s.write("GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(s, "data");
  const idle = connect(Number(new URL(p.url).port), "127.0.0.1");
  await once(idle, "connect");
  for (const one of [s, idle]) one.on("error", () => {});
  const asked = Date.now();
  assert.equal(await p.stop(), 0, p.stderr);
  await ended;
  assert.ok(Date.now() - asked < 4000, `${Date.now() - asked} ms`);
  assert.equal(p.stderr, "");
});

test("what cannot be is told before the port is there", async (t) => {
  const taken = listen().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const nobody = { GCE_METADATA_HOST: "127.0.0.1:1", GCE_METADATA_IP: "127.0.0.1:1", FERRY_ACCESS_TOKEN: token, PATH: "/nowhere" };
  const cases = [
    [["qwen", "--port", String(taken.address().port)], 1, /--port.*Address already in use/],
    [["other"], 1, /there is no service "other"/],
    [["Qwen"], 2, /service's name/],
    [["qwen", "--host", "no.such.host.invalid"], 2, /no\.such\.host\.invalid/],
    [["qwen", "--target", "moon"], 2, /--target/],
    [[], 2, /to which service\?/],
    [["qwen"], 1, /qwen is for callers that Google knows/, nobody],
  ];
  for (const [args, status, says, more] of cases)
    await t.test(args.join(" ") || "nothing", async () => {
      const r = await ferry(["proxy", ...args], { more });
      assert.equal(r.status, status, r.stderr);
      assert.match(r.stderr, says);
      assert.equal(r.stderr.trimEnd().split("\n").length, 1, r.stderr);
      assert.equal(r.stdout, "");
    });
  taken.close();
});
