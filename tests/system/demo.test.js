// The trained demo model: what is said matters, not only that something comes back.
import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { toFile } from "openai";
import { Service, textOf, all } from "./service.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const sample = (name) => join(root, "samples", name);
const spoken = (name) => join(root, "tests/data/spoken", name);

let service, client;
before(async () => {
  service = await Service.start({ folder: join(root, "models/demo"), env: { FERRY_MATH: "fast" } });
  client = service.client();
});
after(() => service.stop());

const audio = (bytes, format = "wav") => ({
  type: "input_audio",
  input_audio: { data: bytes.toString("base64"), format },
});
const about = (path, question, format) => {
  const content = [audio(readFileSync(path), format)];
  if (question) content.push({ type: "text", text: question });
  return [{ role: "user", content }];
};
const reply = async (messages, options = {}) =>
  (await client.chat.completions.create({ model: "demo", messages, ...options })).choices[0].message.content;

test("writes down what is said, in both languages", async () => {
  assert.equal(await reply(about(sample("digits-en.wav"))), "3 1 4");
  assert.equal(await reply(about(sample("digits-ja.wav"))), "3 1 4 1 5");
  assert.equal(await reply(about(sample("command-en.wav"))), "turn on the light");
  assert.equal(await reply(about(sample("command-ja.wav"))), "電気をつけて");
});

test("the question decides what is answered", async () => {
  const ask = (question) => reply(about(sample("digits-en.wav"), question));
  assert.equal(await ask("What is said here?"), "3 1 4");
  assert.equal(await ask("How many digits?"), "3");
  assert.equal(await ask("最後の数字は？"), "4");
  assert.equal(await ask("What is the first digit?"), "3");
  assert.equal(await ask("Which language is it?"), "English");
  assert.equal(await reply(about(sample("digits-ja.wav"), "何語ですか？")), "日本語");
});

test("without a recording it asks for one", async () => {
  assert.equal(await reply([{ role: "user", content: "How many digits?" }]), "Please send a recording.");
});

test("a second question is about the same recording", async () => {
  const messages = [
    ...about(sample("digits-en.wav"), "What is said here?"),
    { role: "assistant", content: "3 1 4" },
    { role: "user", content: "How many digits?" },
  ];
  assert.equal(await reply(messages), "3");
});

test("two users at once get their own answers", async () => {
  const english = () => reply(about(sample("digits-en.wav")));
  const japanese = async () =>
    textOf(
      await all(
        await client.chat.completions.create({ model: "demo", messages: about(sample("digits-ja.wav")), stream: true }),
      ),
    );
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([english(), japanese(), japanese(), english()]);
    assert.deepEqual(answers, ["3 1 4", "3 1 4 1 5", "3 1 4 1 5", "3 1 4"]);
  }
});

test("the same recording as mp3, ogg, and 8 kHz stereo is answered alike", async () => {
  assert.equal(await reply(about(spoken("digits-en.mp3"), "", "mp3")), "3 1 4");
  assert.equal(await reply(about(spoken("digits-en.ogg"), "", "ogg")), "3 1 4");
  assert.equal(await reply(about(spoken("digits-en-8khz-stereo.wav"))), "3 1 4");
});

/** 16 kHz mono wav files one after another, each beginning at its second. */
function mixed(seconds, parts) {
  const header = readFileSync(sample("digits-en.wav")).subarray(0, 44);
  const out = Buffer.alloc(44 + seconds * 32000);
  header.copy(out);
  out.writeUInt32LE(out.length - 8, 4);
  out.writeUInt32LE(out.length - 44, 40);
  for (const [name, at] of parts) readFileSync(sample(name)).subarray(44).copy(out, 44 + at * 32000);
  return out;
}

test("a recording cut in two windows is heard to its end", async () => {
  const wav = mixed(34, [["digits-en.wav", 2], ["digits-en.wav", 31]]);
  // in long silence the model may say the last digit twice; what counts is that both windows are heard
  assert.match(await reply([{ role: "user", content: [audio(wav)] }]), /^3 1 4.* 3 1 4/);
  const t = await client.audio.transcriptions.create({ model: "demo", file: await toFile(wav, "long.wav") });
  assert.match(t.text, /^3 1 4.* 3 1 4/);
});

test("transcription takes a language", async () => {
  const file = createReadStream(sample("command-ja.wav"));
  assert.equal((await client.audio.transcriptions.create({ model: "demo", file, language: "ja" })).text, "電気をつけて");
});
