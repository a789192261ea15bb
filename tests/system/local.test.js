// Services on this machine: asleep until somebody asks, and again when nobody does.
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import OpenAI from "openai";
import { alive, clientOf, Local, pause, until } from "./local.js";
import { all, endless, greedy, hear, model, recording, say, Service, textOf, tiny } from "./service.js";

const local = new Local();
after(() => local.close());

const short = { ...greedy, messages: say("Hello"), max_tokens: 5 };
const long = { ...endless, messages: say("Hello"), max_tokens: 3000, stream: true };

/** What the same server answers without anything in front of it. */
let direct;
async function expected() {
  if (!direct) {
    const service = await Service.start();
    direct = (await service.client().chat.completions.create(short)).choices[0].message.content;
    await service.stop();
  }
  return direct;
}
const answer = async (client, body = short) => (await client.chat.completions.create(body)).choices[0].message.content;

test("asleep, woken by a request, asleep again when nobody asks", async () => {
  const s = local.deploy("sleeper", { idle: 0.7 });
  const client = clientOf(s);
  assert.equal(s.state, "asleep");
  assert.equal(s.requests, 0);
  for (let round = 1; round <= 3; round++) {
    assert.equal(await answer(client), await expected());
    const awake = await local.becomes("sleeper", "awake");
    assert.equal(awake.requests, round);
    assert.ok(awake.memory_bytes > 1e6);
    const pid = local.serverPid("sleeper");
    assert.ok(alive(pid));
    await local.becomes("sleeper", "asleep");
    assert.ok(!alive(pid));
  }
  assert.equal(local.log("sleeper").filter((l) => l.message === "server started").length, 3);
});

test("whoever comes while the server starts is held, whatever is asked", async () => {
  const s = local.deploy("early", { idle: 30 });
  const [models, one, two, stream] = await Promise.all([
    clientOf(s).models.list(),
    answer(clientOf(s)),
    answer(clientOf(s)),
    clientOf(s)
      .chat.completions.create({ ...short, stream: true })
      .then(all),
  ]);
  assert.equal(models.data[0].id, "tiny-qwen2-audio");
  assert.equal(one, await expected());
  assert.equal(two, await expected());
  assert.equal(textOf(stream), await expected());
  assert.equal(local.log("early").filter((l) => l.message === "server started").length, 1);
  local.run("down", "early");
});

test("probes are answered and neither wake it nor keep it awake", async () => {
  const s = local.deploy("probed", { idle: 1 });
  const probe = async (path, method = "GET") => {
    const r = await fetch(s.url + path, { method });
    return [r.status, await r.text()];
  };
  assert.deepEqual(await probe("/healthz"), [200, '{"status":"ok"}']);
  assert.deepEqual(await probe("/readyz"), [200, '{"status":"asleep"}']);
  assert.deepEqual(await probe("/metrics"), [200, "# the server is asleep\n"]);
  assert.deepEqual(await probe("/", "HEAD"), [200, ""]);
  assert.equal(local.status("probed").state, "asleep");
  assert.equal(local.status("probed").requests, 0);

  await answer(clientOf(s));
  await local.becomes("probed", "awake");
  assert.deepEqual(await probe("/readyz"), [200, '{"status":"ready"}']);
  assert.match((await probe("/metrics"))[1], /ferry_requests_total/);
  const until = Date.now() + 15000;
  while (local.status("probed").state !== "asleep") {
    await Promise.all(["/healthz", "/readyz", "/metrics"].map((p) => probe(p)));
    assert.ok(Date.now() < until, "probes keep it awake");
  }
  assert.equal(local.status("probed").requests, 1);
});

test("a stream comes as it is made, and its client going away ends it", async () => {
  const s = local.deploy("streams");
  const client = clientOf(s);
  const stream = await client.chat.completions.create({ ...long, max_tokens: 2000 });
  const times = [];
  for await (const _ of stream) times.push(Date.now());
  const whole = times.at(-1) - times[0];
  const half = times[Math.floor(times.length / 2)] - times[0];
  assert.ok(half > whole / 10 && half < whole * 0.9, `half after ${half} of ${whole} ms`);

  const stop = new AbortController();
  const body = { ...endless, messages: say("Hello"), max_tokens: 8000, n: 100 };
  const running = client.chat.completions.create(body, { signal: stop.signal }).catch((e) => e);
  await until(() => local.status("streams").in_flight === 1, "in flight");
  stop.abort();
  await running;
  await until(() => local.status("streams").in_flight === 0, "over", 5);
  const metrics = await (await fetch(`${s.url}/metrics`)).text();
  assert.match(metrics, /ferry_requests_running 0/);
  local.run("down", "streams");
});

test("uploads, pipelined requests, and refusals in mid-upload come through as they are", async () => {
  const s = local.deploy("bytes");
  const client = clientOf(s);
  const file = new File([recording("short_1p3s.wav")], "a.wav");
  assert.ok((await client.audio.transcriptions.create({ model, file })).text !== undefined);
  assert.ok(await answer(client, { ...greedy, messages: hear("short_1p3s.wav", "What?"), max_tokens: 3 }));

  const big = Buffer.alloc(70 << 20);
  const refused = await fetch(`${s.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: big,
  });
  assert.equal(refused.status, 413);
  assert.match((await refused.json()).error.message, /larger than/);

  const port = new URL(s.url).port;
  const socket = connect(port, "127.0.0.1");
  const one = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${JSON.stringify(short).length}\r\n\r\n${JSON.stringify(short)}`;
  socket.write(one + "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + one + "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  let text = "";
  socket.on("data", (d) => (text += d));
  await once(socket, "close");
  const statuses = [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map((m) => m[1]);
  assert.deepEqual(statuses, ["200", "200", "200", "200"]);
  assert.ok(text.indexOf('{"status":"ok"}') < text.lastIndexOf("chat.completion"));
  assert.ok(text.endsWith('{"status":"ready"}'));

  const smuggled = connect(port, "127.0.0.1");
  smuggled.write("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  const [reply] = await once(smuggled, "data");
  assert.match(String(reply), /^HTTP\/1.1 400 .*Content-Length and Transfer-Encoding are both there/s);
  smuggled.destroy();
  local.run("down", "bytes");
});

test("a client's connection outlives the server behind it", async () => {
  const s = local.deploy("kept", { idle: 0.5 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () =>
    new Promise((done, failed) => {
      const body = JSON.stringify(short);
      const r = request(
        `${s.url}/v1/chat/completions`,
        { method: "POST", agent, headers: { "Content-Type": "application/json", "Content-Length": body.length } },
        (reply) => {
          let text = "";
          reply.on("data", (d) => (text += d));
          reply.on("end", () => done([JSON.parse(text).choices[0].message.content, r.reusedSocket]));
        },
      );
      r.on("error", failed);
      r.end(body);
    });
  assert.deepEqual(await ask(), [await expected(), false]);
  await local.becomes("kept", "asleep");
  assert.deepEqual(await ask(), [await expected(), true]);
  agent.destroy();
});

test("a thousand connections and many answers at once", async () => {
  const s = local.deploy("many", { args: ["--parallel", "8"] });
  const port = new URL(s.url).port;
  const sockets = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      if (i % 2) socket.write("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n");
      return socket;
    }),
  );
  const answers = await Promise.all(Array.from({ length: 50 }, () => answer(clientOf(s))));
  for (const a of answers) assert.equal(a, await expected());
  assert.equal(local.status("many").requests, 50);
  sockets.forEach((x) => x.destroy());
  local.run("down", "many");
});

test("a crash in mid-answer is an error for its client, and the next request works", async () => {
  const s = local.deploy("crashes");
  const client = clientOf(s);
  const stream = await client.chat.completions.create({ ...long, max_tokens: 8000, n: 50 });
  await local.becomes("crashes", "awake");
  let chunks = 0;
  await assert.rejects(async () => {
    for await (const _ of stream) if (++chunks === 5) process.kill(local.serverPid("crashes"), "SIGKILL");
  });
  // whoever asks while it is ending may be told that it is gone
  await until(() => local.log("crashes").some((l) => /signal 9/.test(l.message)), "its end is noticed");
  assert.equal(await answer(client), await expected());

  // one that has not begun to answer is told why
  const waiting = client.chat.completions.create({ ...long, max_tokens: 8000, n: 100, stream: false });
  await until(() => local.status("crashes").in_flight === 1, "in flight");
  await local.becomes("crashes", "awake");
  process.kill(local.serverPid("crashes"), "SIGKILL");
  await assert.rejects(waiting, (e) => {
    assert.ok(e instanceof OpenAI.InternalServerError, String(e));
    assert.equal(e.status, 503);
    assert.equal(e.code, "server_failed");
    assert.match(e.message, /the server of crashes is gone: it was killed \(signal 9\)/);
    return true;
  });
  // twice in a minute: after a second, without anybody asking
  await local.becomes("crashes", "awake");
  assert.equal(await answer(client), await expected());
  assert.equal(local.log("crashes").filter((l) => l.severity === "ERROR" && /signal 9/.test(l.message)).length, 2);
  local.run("down", "crashes");
});

test("a model that does not load: 503 with the reason, in the status, and again when it is repaired", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ferry-model-"));
  cpSync(tiny, folder, { recursive: true });
  const config = readFileSync(join(folder, "config.json"));
  writeFileSync(join(folder, "config.json"), "{");
  const s = local.deploy("broken", { model: folder });
  const client = clientOf(s);
  const why = /the server of broken could not start: it ended with code 1: .*config\.json/;
  const rejected = (e) => {
    assert.equal(e.status, 503);
    assert.match(e.message, why);
    assert.ok(Number(e.headers.get("retry-after")) >= 1);
    return true;
  };
  // the first one by the server itself, before it ends
  await assert.rejects(answer(client), (e) => e.status === 503 && /the model did not load: .*config\.json/.test(e.message));
  const state = await local.becomes("broken", "failed");
  await assert.rejects(answer(client), rejected); // refused at once, no second start
  assert.match(state.problem, why);
  assert.ok(state.retry_seconds >= 1);
  const ready = await fetch(`${s.url}/readyz`);
  assert.equal(ready.status, 503);
  assert.match((await ready.json()).error.message, why);
  assert.equal((await fetch(`${s.url}/healthz`)).status, 200);
  const told = local.run("status", "broken");
  assert.match(told.out, /broken +local +failed, next try in \d s/);
  assert.match(told.out, why);
  assert.equal(local.log("broken").filter((l) => l.message === "server started").length, 1);

  writeFileSync(join(folder, "config.json"), config);
  await until(() => local.status("broken").retry_seconds <= 1, "time for another try");
  await pause(1100);
  assert.equal(await answer(client, { ...short, model: basename(folder) }), await expected());
  assert.equal((await local.becomes("broken", "awake")).problem, null);
  local.run("down", "broken");
  rmSync(folder, { recursive: true });
});

test("an update under load fails no request, and changes what answers", async () => {
  const s = local.deploy("updated", { args: ["--parallel", "4"] });
  const first = await answer(clientOf(s));
  let stop = false;
  let count = 0;
  const agents = Array.from({ length: 4 }, async (_, i) => {
    const client = clientOf(s);
    while (!stop) {
      if (i % 2) assert.equal(await answer(client), first);
      else {
        const chunks = await all(await client.chat.completions.create({ ...long, max_tokens: 200, seed: i }));
        assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
      }
      count++;
    }
  });
  const pids = new Set();
  for (let round = 0; round < 5; round++) {
    const before = count;
    await until(() => count > before + 4, "answers");
    const update = local.start("deploy", "updated", tiny, "--target", "local", "--parallel", String(5 + round));
    const { code, err } = await update.exited;
    assert.equal(code, 0, err);
    assert.match(err, /the old one answers until it is loaded/);
    pids.add(local.serverPid("updated"));
  }
  const before = count;
  await until(() => count > before + 4, "answers");
  stop = true;
  await Promise.all(agents);
  assert.equal(pids.size, 5);
  const ready = local.log("updated").filter((l) => l.message === "ready");
  assert.deepEqual(ready.map((l) => l.parallel), [4, 5, 6, 7, 8, 9]);
  assert.equal(local.status("updated").url, s.url);
  await until(() => local.stateOf("updated").servers.length === 1, "the old ones are gone");

  // another port: both work until the change, then the new one does
  const moved = local.deploy("updated");
  assert.notEqual(moved.url, s.url);
  assert.equal(await answer(clientOf(moved)), first);
  const [refused] = await once(connect(new URL(s.url).port, "127.0.0.1"), "error");
  assert.equal(refused.code, "ECONNREFUSED");
  local.run("down", "updated");
});

test("an update that does not load changes nothing", async () => {
  const s = local.deploy("stays");
  assert.equal(await answer(clientOf(s)), await expected());
  await local.becomes("stays", "awake");
  const pid = local.serverPid("stays");
  const r = local.run("deploy", "stays", tiny, "--target", "local", "--context", "16000000");
  assert.equal(r.code, 1);
  assert.match(r.err, /^ferry: deploy: the server of stays could not start: it ended with code 2: context 16000000: /m);
  assert.equal(await answer(clientOf(s)), await expected());
  assert.equal(local.serverPid("stays"), pid);
  assert.equal(local.status("stays").state, "awake");
  local.run("down", "stays");
});

test("deploy --wait sees that it loads; a first one that does not leaves nothing", async () => {
  const s = local.deploy("waited", { args: ["--wait"] });
  assert.equal(s.state, "awake");
  local.run("down", "waited");
  const r = local.run("deploy", "waited", tiny, "--target", "local", "--port", "0", "--wait", "--context", "16000000");
  assert.equal(r.code, 1);
  assert.match(r.err, /could not start/);
  assert.ok(!local.left().includes("waited"));
});

test("an activator that was killed takes its server along, and a new deploy takes over", async () => {
  const s = local.deploy("killed", { idle: 30 });
  await answer(clientOf(s));
  const server = local.serverPid("killed");
  process.kill(s.pid, "SIGKILL");
  await until(() => !alive(server), "the server ends, too");
  const gone = local.status("killed");
  assert.equal(gone.state, "gone");
  assert.match(gone.problem, /was killed; deploy it again/);
  const r = local.run("deploy", "killed", tiny, "--target", "local", "--json");
  assert.equal(r.code, 0, r.err);
  const again = JSON.parse(r.out);
  assert.equal(again.url, s.url, "the port it had");
  assert.equal(await answer(clientOf(again)), await expected());
  assert.equal(local.run("down", "killed").code, 0);

  // and down alone cleans up, too
  const other = local.deploy("killed");
  await answer(clientOf(other));
  process.kill(other.pid, "SIGKILL");
  assert.equal(local.run("down", "killed").code, 0);
  assert.ok(!local.left().includes("killed"));
});

test("what is kept of a service is its owner's alone, and down removes it all", async () => {
  const key = join(local.folder, "key");
  writeFileSync(key, "s3cret\n");
  chmodSync(key, 0o600);
  const s = local.deploy("private", { args: ["--api-key-file", key] });
  const folder = join(local.folder, "ferry/local/private");
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const file of ["service.json", "state.json", "log", "lock", "deploy.lock", "control"])
    assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
  await assert.rejects(answer(clientOf(s)), OpenAI.AuthenticationError);
  assert.equal(await answer(clientOf(s, { apiKey: "s3cret" })), await expected());
  const asked = local.run("ask", "private", "Hello", "--max-tokens", "5", "--temperature", "0");
  assert.equal(asked.code, 0, asked.err); // with the key of its file
  for (const file of ["service.json", "state.json", "log"])
    assert.ok(!readFileSync(join(folder, file), "utf8").includes("s3cret"), file);
  assert.ok(!readFileSync(`/proc/${s.pid}/cmdline`, "utf8").includes("s3cret"));
  const server = local.serverPid("private");
  assert.deepEqual(local.run("down", "private"), { code: 0, out: "private is down\n", err: "" });
  assert.ok(!alive(s.pid) && !alive(server));
  assert.ok(!local.left().includes("private"));
  await assert.rejects(fetch(`${s.url}/healthz`));
  assert.equal(local.run("down", "private").code, 1);
});

test("a server over its memory limit is killed, and that is said; where there can be no limit, that is", async () => {
  const s = local.deploy("small", { args: ["--memory", "2Mi"] });
  assert.equal(s.memory_limit_bytes, 2 << 20);
  const result = await answer(clientOf(s)).catch((e) => e);
  const state = local.status("small");
  if (state.memory_note) {
    assert.equal(result, await expected());
    assert.match(state.memory_note, /^no memory limit is enforced: .*control group/);
  } else {
    assert.match(result.message, /could not start: it was killed \(signal 9, over its memory limit\)/);
    assert.equal(state.state, "failed");
  }
  local.run("down", "small");
  const roomy = local.deploy("roomy", { args: ["--memory", "2Gi"] });
  assert.equal(await answer(clientOf(roomy)), await expected());
  local.run("down", "roomy");
});

test("a server gets the variables of a container, and those of who deployed", async () => {
  process.env.FROM_OUTSIDE = "yes";
  const own = new Local({ env: { FROM_OUTSIDE: "yes", FERRY_KV: "q8" } });
  const s = own.deploy("contract", { args: ["--parallel", "3", "--context", "2048"] });
  await answer(clientOf(s));
  const variables = readFileSync(`/proc/${own.serverPid("contract")}/environ`, "utf8").split("\0");
  for (const v of ["FERRY_PARALLEL=3", "FERRY_CONTEXT=2048", "FERRY_KV=q8", "FERRY_MATH=exact", `FERRY_MODEL=${tiny}`,
    `PORT=${new URL(s.url).port}`, "K_SERVICE=contract", "FROM_OUTSIDE=yes"])
    assert.ok(variables.includes(v), v);
  own.env.FROM_OUTSIDE = "changed";
  const r = own.run("deploy", "contract", tiny, "--target", "local");
  assert.equal(r.code, 0, r.err);
  const later = readFileSync(`/proc/${own.serverPid("contract")}/environ`, "utf8").split("\0");
  assert.ok(later.includes("FROM_OUTSIDE=changed"));
  assert.ok(later.includes("FERRY_PARALLEL=4"), "back to its default");
  own.close();
});

test("a port that is taken is named; without one asked for another is found", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address();
  const r = local.run("deploy", "taken", tiny, "--target", "local", "--port", String(port));
  assert.equal(r.code, 1);
  assert.equal(r.err, `ferry: deploy: --port takes another: listen on 127.0.0.1 port ${port}: Address already in use\n`);
  assert.ok(!local.left().includes("taken"));
  // an update to a port that is taken changes nothing
  const s = local.deploy("taken");
  await answer(clientOf(s));
  assert.equal(local.run("deploy", "taken", tiny, "--target", "local", "--port", String(port)).code, 1);
  assert.equal(await answer(clientOf(s)), await expected());
  holder.close();
  const usual = createServer();
  await new Promise((taken) => usual.once("listening", taken).once("error", taken).listen(8080, "127.0.0.1")); // by whomever
  const r2 = local.run("deploy", "other", tiny, "--target", "local", "--json");
  assert.equal(r2.code, 0, r2.err);
  assert.notEqual(new URL(JSON.parse(r2.out).url).port, "8080");
  usual.close();
  local.run("down", "taken");
  local.run("down", "other");
});

test("of two deploys of one name at once one waits, and both succeed", async () => {
  const both = [1, 2].map((n) => local.start("deploy", "twice", tiny, "--target", "local", "--port", "0", "--parallel", String(n), "--wait"));
  const results = await Promise.all(both.map((p) => p.exited));
  for (const r of results) assert.equal(r.code, 0, r.err);
  assert.equal(local.status().filter((s) => s.name === "twice").length, 1);
  const pids = local.run("status", "twice", "--json");
  assert.equal(JSON.parse(pids.out).services[0].state, "awake");
  assert.equal(await answer(clientOf(local.status("twice"))), await expected());
  local.run("down", "twice");
});

test("in the foreground it logs to the terminal; SIGTERM lets a short answer finish", async () => {
  const p = local.start("deploy", "front", tiny, "--target", "local", "--port", "0", "--foreground");
  await until(() => p.text.err.includes("asleep until the first request"), "it listens");
  const s = local.status("front");
  assert.equal(s.pid, p.pid);
  const refused = local.run("deploy", "front", tiny, "--target", "local", "--foreground");
  assert.match(refused.err, /it runs already; `ferry down front` first/);
  const stream = await clientOf(s).chat.completions.create({ ...long, max_tokens: 1000, seed: 1 });
  const chunks = [];
  for await (const chunk of stream) if (chunks.push(chunk) === 5) p.kill("SIGTERM");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
  const { code, err } = await p.exited;
  assert.equal(code, 0, err);
  assert.match(err, /"message":"ready"/);
  assert.match(err, /"message":"stopped"/);
  assert.equal(local.status("front").state, "stopped");
  await assert.rejects(answer(clientOf(s)), OpenAI.APIConnectionError);
  assert.equal(local.run("down", "front").code, 0);
});

test("SIGTERM ends a long stream with an error the client understands", async () => {
  const s = local.deploy("ending", { args: ["--parallel", "8"] });
  const body = { ...endless, messages: say("Hello"), max_tokens: 8000, n: 128, stream: true };
  const stream = await clientOf(s).chat.completions.create(body);
  let chunks = 0;
  await assert.rejects(
    async () => {
      for await (const _ of stream) if (++chunks === 5) process.kill(s.pid, "SIGTERM");
    },
    (e) => {
      assert.ok(e instanceof OpenAI.APIError, String(e));
      assert.equal(e.code, "shutting_down");
      return true;
    },
  );
  await until(() => !alive(s.pid), "it ends", 5);
  assert.equal(local.run("down", "ending").code, 0);
});

test("logs follow what is said, across the server's ends", async () => {
  const s = local.deploy("talks", { idle: 0.3 });
  const follower = local.start("logs", "talks", "-f", "-n", "1");
  await until(() => follower.text.out.includes("asleep until the first request"), "the last line");
  await answer(clientOf(s));
  await until(() => follower.text.out.includes('"server ended"'), "what came later");
  await answer(clientOf(s));
  await until(() => follower.text.out.split('"server ended"').length === 3, "and later");
  assert.equal(local.run("down", "talks").code, 0);
  assert.equal((await follower.exited).code, 0, "it ends when the service is taken down");
});

test("ask and config take its name, and a change counts with the next request", async () => {
  const config = join(local.folder, "live.json");
  const s = local.deploy("named", { args: ["--config", config, "--config-seconds", "0.1"] });
  assert.equal(local.run("config", "set", "named", "max_tokens=2").code, 0);
  assert.equal(local.status("named").state, "asleep", "it was not woken for that");
  const ask = () => clientOf(s).chat.completions.create({ ...short, max_tokens: undefined });
  assert.equal((await ask()).usage.completion_tokens, 2);
  assert.equal(local.run("config", "set", "named", "max_tokens=3").code, 0);
  await pause(300);
  assert.equal((await ask()).usage.completion_tokens, 3);
  assert.match(local.run("config", "get", "named").out, /"max_tokens": 3/);
  const asked = local.run("ask", "named", "Hello", "--json", "--temperature", "0");
  assert.equal(asked.code, 0, asked.err);
  local.run("down", "named");
  const plain = local.deploy("plain");
  assert.ok(plain.url);
  assert.match(local.run("config", "get", "plain").err, /plain has no live configuration; `ferry deploy plain/);
  local.run("down", "plain");
});

test("a deploy that is interrupted while the new server starts changes nothing", async () => {
  const s = local.deploy("interrupted");
  assert.equal(await answer(clientOf(s)), await expected());
  const before = local.serverPid("interrupted");
  // a server that never gets ready: the folder's weights are a fifo nobody writes to
  const stuck = mkdtempSync(join(tmpdir(), "ferry-stuck-"));
  const program = join(stuck, "ferry");
  writeFileSync(program, "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
  const control = connect(join(local.folder, "ferry/local/interrupted/control"));
  await once(control, "connect");
  const spec = JSON.parse(readFileSync(join(local.folder, "ferry/local/interrupted/service.json"), "utf8"));
  control.write(JSON.stringify({ do: "apply", wait: true, environment_bytes: 0, spec: { ...spec, program } }) + "\n");
  const [said] = await once(control, "data");
  assert.match(String(said), /the old one answers until it is loaded/);
  const starting = await until(() => local.stateOf("interrupted").servers[1], "the new server");
  assert.ok(alive(starting.pid));
  const busy = connect(join(local.folder, "ferry/local/interrupted/control"));
  busy.write(JSON.stringify({ do: "apply", wait: true, environment_bytes: 0, spec }) + "\n");
  assert.match(String((await once(busy, "data"))[0]), /another update is under way/);
  busy.destroy();
  control.destroy();
  await until(() => !alive(starting.pid), "the new server is ended");
  assert.equal(await answer(clientOf(s)), await expected());
  assert.equal(local.serverPid("interrupted"), before);
  local.run("down", "interrupted");
  rmSync(stuck, { recursive: true });
});
