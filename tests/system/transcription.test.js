import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { after, before, test } from "node:test";
import OpenAI, { toFile } from "openai";
import { all, audioPart, greedy, model, recording, recordingPath, Service } from "./service.js";

let service, client;
before(async () => {
  service = await Service.start();
  client = service.client();
});
after(() => service.stop());

const file = (name) => createReadStream(recordingPath(name));
const transcribe = (body) => client.audio.transcriptions.create({ model, file: file("short_1p3s.wav"), ...body });

/** What a chat with this instruction answers, cut as a transcription is. */
async function chatText(instruction, name, tokens) {
  const content = [audioPart(name), { type: "text", text: instruction }];
  const answer = await client.chat.completions.create({
    ...greedy,
    messages: [{ role: "user", content }],
    max_tokens: tokens,
  });
  return answer.choices[0].message.content;
}
const instruction = "Write down exactly what is said in the audio, and nothing else.";

test("json has the text and the tokens used", async () => {
  const t = await transcribe({});
  assert.equal(t.text, await chatText(instruction, "short_1p3s.wav", 32 + 64));
  assert.equal(t.usage.type, "tokens");
  assert.equal(t.usage.input_token_details.audio_tokens, 32);
  assert.equal(t.usage.input_tokens, t.usage.input_token_details.text_tokens + 32);
  assert.equal(t.usage.total_tokens, t.usage.input_tokens + t.usage.output_tokens);
});

test("text is the text alone", async () => {
  assert.equal(await transcribe({ response_format: "text" }), `${(await transcribe({})).text}\n`);
});

test("prompt replaces the instruction, language is added to it", async () => {
  const prompt = "Say it back.";
  assert.equal((await transcribe({ prompt })).text, await chatText(prompt, "short_1p3s.wav", 96));
  const language = await chatText(`${instruction} The language is ja.`, "short_1p3s.wav", 96);
  assert.equal((await transcribe({ language: "ja" })).text, language);
});

test("verbose_json has a segment for each window", async () => {
  const t = await transcribe({
    file: file("long_34s.wav"),
    response_format: "verbose_json",
    timestamp_granularities: ["segment"],
    language: "en",
  });
  assert.equal(t.task, "transcribe");
  assert.equal(t.language, "en");
  assert.equal(t.duration, 34.2);
  assert.deepEqual(
    t.segments.map((s) => [s.id, s.seek, s.start, s.end]),
    [
      [0, 0, 0, 30],
      [1, 3000, 30, 34.2],
    ],
  );
  assert.equal(t.text, t.segments.map((s) => s.text).join(" "));
  for (const s of t.segments) {
    assert.ok(s.avg_logprob < 0 && s.tokens.length > 0);
    assert.equal(s.temperature, 0);
  }
  assert.deepEqual(t.usage, { type: "duration", seconds: 34.2 });
});

test("a transcript without end is cut and says so", async () => {
  const t = await transcribe({});
  assert.equal(t.usage.output_tokens, 96, "this tiny model never comes to an end here");
  assert.deepEqual(t.warnings, ["segment 0: the model did not come to an end and was cut"]);
});

test("a stream's deltas add up to its done event", async () => {
  for (const name of ["short_1p3s.wav", "long_34s.wav"]) {
    const events = await all(await transcribe({ file: file(name), stream: true }));
    const done = events.at(-1);
    assert.equal(done.type, "transcript.text.done");
    const deltas = events.slice(0, -1);
    assert.ok(deltas.every((e) => e.type === "transcript.text.delta"));
    assert.equal(deltas.map((e) => e.delta).join(""), done.text);
    assert.equal(done.text, (await transcribe({ file: file(name) })).text);
    assert.ok(done.usage.output_tokens > 0);
  }
});

test("logprobs come when included", async () => {
  const t = await transcribe({ include: ["logprobs"] });
  assert.equal(t.logprobs.length, t.usage.output_tokens);
  const bytes = t.logprobs.flatMap((l) => l.bytes);
  assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), t.text);
});

test("audio in memory and any file name do as well", async () => {
  const t = await transcribe({ file: await toFile(recording("short_1p3s.wav"), "spoken.bin") });
  assert.equal(t.text, (await transcribe({})).text);
});

test("what cannot be honoured is refused by name", async () => {
  for (const [body, param, message] of [
    [{ response_format: "srt" }, "response_format", /'srt' is not written here/],
    [{ response_format: "vtt" }, "response_format", /'vtt' is not written here/],
    [{ timestamp_granularities: ["word"] }, "timestamp_granularities[]", /no word times/],
    [{ temperature: 2 }, "temperature", /expected 0 to 1/],
    [{ chunking_strategy: { type: "server_vad" } }, "chunking_strategy[type]", /does not know such a field/],
    [{ nonsense: "1" }, "nonsense", /does not know such a field/],
    [{ file: await toFile(Buffer.from("not audio"), "a.wav") }, "file", /^400 file: /],
    [{ file: await toFile(Buffer.alloc(0), "a.wav") }, "file", /empty/],
  ]) {
    await assert.rejects(transcribe(body), (e) => {
      assert.ok(e instanceof OpenAI.BadRequestError, String(e));
      assert.equal(e.param, param);
      assert.match(e.message, message);
      return true;
    });
  }
});

test("another model is not found", async () => {
  await assert.rejects(transcribe({ model: "whisper-1" }), OpenAI.NotFoundError);
});
