import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import OpenAI from "openai";
import { all, endless, greedy, say, Service, textOf } from "./service.js";

async function socket(service) {
  const s = connect(service.port, "127.0.0.1");
  s.on("error", () => {});
  await once(s, "connect");
  return s;
}

const short = { ...greedy, messages: say("Hello"), max_tokens: 5 };

test("a client that goes away frees its slot at once", async () => {
  const service = await Service.start({ args: ["--parallel", "1"] });
  const client = service.client();
  const text = (await client.chat.completions.create(short)).choices[0].message.content;
  for (const stream of [true, false]) {
    const stop = new AbortController();
    const body = { ...endless, messages: say("Hello"), max_tokens: 8000, n: 100, stream };
    const running = client.chat.completions.create(body, { signal: stop.signal }).then(
      (answer) => (stream ? all(answer) : answer),
    );
    const settled = running.catch((e) => e);
    await service.metricBecomes("ferry_requests_running", 1);
    const next = client.chat.completions.create(short);
    await service.metricBecomes("ferry_requests_waiting", 1);
    const begin = Date.now();
    stop.abort();
    assert.equal((await next).choices[0].message.content, text);
    assert.ok(Date.now() - begin < 2000, `took ${Date.now() - begin} ms`);
    await settled;
  }
  await service.metricBecomes('ferry_requests_total{route="chat",status="499"}', 2);
  await service.stop();
});

test("a thousand idle and half connections hurt nobody", async () => {
  const service = await Service.start();
  const client = service.client();
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => socket(service)));
  sockets.forEach((s, i) => {
    if (i % 3 === 1) s.write("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n");
    if (i % 3 === 2)
      s.write("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{");
  });
  await service.metricBecomes("ferry_connections", 1001, 20).catch(() => {});
  assert.ok((await service.metric("ferry_connections")) >= 1000);
  const begin = Date.now();
  const answers = await Promise.all(Array.from({ length: 8 }, () => client.chat.completions.create(short)));
  assert.ok(Date.now() - begin < 5000, `took ${Date.now() - begin} ms`);
  for (const a of answers) assert.equal(a.choices[0].message.content, answers[0].choices[0].message.content);
  sockets.forEach((s) => s.destroy());
  await service.stop();
});

test("a request that trickles in byte by byte is answered, and others meanwhile", async () => {
  const service = await Service.start();
  const client = service.client();
  const body = JSON.stringify(short);
  const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const slow = await socket(service);
  let answer = "";
  slow.on("data", (d) => (answer += d));
  for (const byte of request) {
    slow.write(byte);
    await new Promise((r) => setTimeout(r, 2));
  }
  const other = await client.chat.completions.create(short);
  while (!answer.includes("\r\n\r\n{")) await once(slow, "data");
  const own = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
  assert.equal(own.choices[0].message.content, other.choices[0].message.content);
  slow.destroy();
  await service.stop();
});

test("a stream that its client reads slowly does not slow the others", async () => {
  const service = await Service.start();
  const client = service.client();
  const lazy = await socket(service);
  lazy.pause();
  const body = JSON.stringify({ ...endless, messages: say("Hello"), max_tokens: 8000, stream: true });
  lazy.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await service.metricBecomes("ferry_requests_running", 1);
  const begin = Date.now();
  await client.chat.completions.create(short);
  assert.ok(Date.now() - begin < 3000);
  lazy.destroy();
  await service.metricBecomes("ferry_requests_running", 0);
  await service.stop();
});

test("the first words of a stream come while the rest is still being made", async () => {
  const service = await Service.start();
  const stream = await service
    .client()
    .chat.completions.create({ ...endless, messages: say("Hello"), max_tokens: 2000, stream: true });
  const times = [];
  for await (const _ of stream) times.push(Date.now());
  const whole = times.at(-1) - times[0];
  const half = times[Math.floor(times.length / 2)] - times[0];
  assert.ok(half > whole / 10 && half < whole * 0.9, `half after ${half} of ${whole} ms`);
  await service.stop();
});

test("SIGTERM lets a short answer finish and takes no new connection", async () => {
  const service = await Service.start();
  const stream = await service
    .client()
    .chat.completions.create({ ...endless, messages: say("Hello"), max_tokens: 1000, stream: true, seed: 1 });
  const chunks = [];
  let ended;
  for await (const chunk of stream) {
    if (chunks.push(chunk) === 5) ended = service.stop();
  }
  await ended;
  assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
  assert.ok(textOf(chunks).length > 500);
  await assert.rejects(service.client().models.list(), OpenAI.APIConnectionError);
});

test("SIGTERM ends a long stream with an error the client understands", async () => {
  // a million tokens do not come within the 8 seconds of grace
  const service = await Service.start({ args: ["--parallel", "8"] });
  const body = { ...endless, messages: say("Hello"), max_tokens: 8000, n: 128, stream: true };
  const stream = await service.client().chat.completions.create(body);
  let chunks = 0;
  let stopped;
  await assert.rejects(
    async () => {
      for await (const _ of stream) if (++chunks === 5) stopped = service.stop();
    },
    (e) => {
      assert.ok(e instanceof OpenAI.APIError, String(e));
      assert.equal(e.code, "shutting_down");
      return true;
    },
  );
  await stopped;
  assert.ok(chunks > 5);
});
