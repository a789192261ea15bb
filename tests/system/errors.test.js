import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { endless, greedy, model, say, Service } from "./service.js";

let service, client;
before(async () => {
  service = await Service.start({ args: ["--parallel", "1"] });
  client = service.client();
});
after(() => service.stop());

const create = (body, options) => client.chat.completions.create({ ...greedy, messages: say("Hello"), ...body }, options);

async function rejects(promise, kind, fields) {
  await assert.rejects(promise, (e) => {
    assert.ok(e instanceof kind, `${e.constructor.name}: ${e.message}`);
    for (const [name, value] of Object.entries(fields)) assert.equal(e[name], value, name);
    return true;
  });
}

test("bad values are BadRequestError and name the field", async () => {
  const type = "invalid_request_error";
  await rejects(create({ temperature: 3 }), OpenAI.BadRequestError, { status: 400, type, param: "temperature" });
  await rejects(create({ tools: [{ type: "function", function: { name: "f" } }] }), OpenAI.BadRequestError, {
    param: "tools",
    code: "unsupported",
  });
  await rejects(create({ messages: [{ role: "tool", content: "x", tool_call_id: "1" }] }), OpenAI.BadRequestError, {
    param: "messages[0].role",
  });
  await rejects(create({ response_format: { type: "json_object" } }), OpenAI.BadRequestError, {
    param: "response_format",
  });
  await rejects(create({ modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } }), OpenAI.BadRequestError, {});
});

test("a prompt over the context is BadRequestError with its code", async () => {
  await rejects(create({ messages: say("1".repeat(20000)) }), OpenAI.BadRequestError, {
    code: "context_length_exceeded",
    param: "messages",
  });
});

test("another model and another path are NotFoundError", async () => {
  await rejects(create({ model: "gpt-4o-audio-preview" }), OpenAI.NotFoundError, { code: "model_not_found" });
  await rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError, { code: "model_not_found" });
  await rejects(client.embeddings.create({ model, input: "x" }), OpenAI.NotFoundError, { code: "unknown_url" });
});

test("a method that is not there is 405", async () => {
  await rejects(client.models.delete(model), OpenAI.APIError, { status: 405 });
});

test("an upload over the limit is 413, told while it is sent", async () => {
  const data = Buffer.alloc(66 << 20).toString("base64");
  const content = [{ type: "input_audio", input_audio: { data, format: "wav" } }];
  await rejects(create({ messages: [{ role: "user", content }] }), OpenAI.APIError, {
    status: 413,
    code: "request_too_large",
  });
});

test("an upload just under the limit is read", async () => {
  const data = Buffer.alloc(47 << 20, 1).toString("base64");
  const content = [{ type: "input_audio", input_audio: { data, format: "wav" } }];
  await rejects(create({ messages: [{ role: "user", content }] }), OpenAI.BadRequestError, {
    param: "messages[0].content[0]",
  });
  await service.metricBecomes("ferry_body_bytes", 0);
});

test("a full queue is RateLimitError with Retry-After, and the client's own retries get through it", async () => {
  const stop = new AbortController();
  const running = create({ ...endless, max_tokens: 8000, n: 100 }, { signal: stop.signal }).catch((e) => e);
  await service.metricBecomes("ferry_requests_running", 1);
  const waiting = Array.from({ length: 64 }, () => create({ max_tokens: 1 }));
  await service.metricBecomes("ferry_requests_waiting", 64);
  await assert.rejects(create({ max_tokens: 1 }), (e) => {
    assert.ok(e instanceof OpenAI.RateLimitError, String(e));
    assert.equal(e.code, "rate_limit_exceeded");
    assert.ok(Number(e.headers.get("retry-after")) > 0);
    return true;
  });
  const patient = create({ max_tokens: 1 }, { maxRetries: 3 });
  stop.abort();
  assert.ok((await running) instanceof OpenAI.APIUserAbortError);
  for (const answer of await Promise.all([...waiting, patient])) assert.equal(answer.usage.completion_tokens, 1);
});

test("the key is asked for when there is one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ferry-"));
  writeFileSync(join(folder, "key"), "s3cret\n");
  for (const env of [{ FERRY_API_KEY: "s3cret" }, { FERRY_API_KEY_FILE: join(folder, "key") }]) {
    const guarded = await Service.start({ env });
    const list = (apiKey, defaultHeaders = {}) => guarded.client({ apiKey, defaultHeaders }).models.list();
    await rejects(list("wrong"), OpenAI.AuthenticationError, { status: 401, code: "invalid_api_key" });
    await rejects(list("wrong", { "X-Serverless-Authorization": "Bearer s3cret" }), OpenAI.AuthenticationError, {});
    assert.equal((await list("s3cret", { "X-Serverless-Authorization": "Bearer other" })).data.length, 1);
    for (const [path, status] of [["healthz", 200], ["readyz", 200], ["metrics", 401]])
      assert.equal((await fetch(`${guarded.url}/${path}`)).status, status, path);
    assert.ok(!guarded.log.some((l) => l.text.includes("s3cret")));
    await guarded.stop();
  }
  rmSync(folder, { recursive: true });
});

test("a log line per request has its trace, times and tokens", async () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  await create({ max_tokens: 3 }, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
  await service.metricBecomes("ferry_requests_running", 0);
  const line = service.log.find((l) => l.trace === trace);
  assert.equal(line.severity, "INFO");
  assert.equal(line.route, "chat");
  assert.equal(line.status, 200);
  assert.equal(line.tokens_out, 3);
  assert.ok(line.tokens_in > 0 && line.ttft_ms > 0 && line.ms >= line.ttft_ms && line.queue_ms >= 0);
});

test("the metrics count what was served", async () => {
  const before = await service.metric("ferry_completion_tokens_total");
  await create({ max_tokens: 5 });
  await service.metricBecomes("ferry_completion_tokens_total", before + 5);
  assert.ok((await service.metric('ferry_requests_total{route="chat",status="429"}')) >= 1);
  assert.ok((await service.metric("process_resident_memory_bytes")) > 1e6);
  const age = Date.now() / 1000 - (await service.metric("process_start_time_seconds"));
  assert.ok(age >= 0 && age < 3600);
  assert.ok((await service.metric("ferry_slots")) >= 1);
  assert.equal(await service.metric("ferry_ready"), 1);
  const first = await service.metric("ferry_time_to_first_token_seconds_count");
  assert.equal(await service.metric('ferry_time_to_first_token_seconds_bucket{le="+Inf"}'), first);
});
