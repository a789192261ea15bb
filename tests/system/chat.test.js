import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { all, audioPart, golden, greedy, hear, model, say, Service, textOf } from "./service.js";

let service, client;
before(async () => {
  service = await Service.start();
  client = service.client();
});
after(() => service.stop());

const create = (body) => client.chat.completions.create({ ...greedy, ...body });
const b = golden("b_short");
const asked = { messages: hear("short_1p3s.wav", "What does the speaker say?"), max_tokens: 24 };

test("greedy answers to speech are the reference's", async () => {
  const cases = ["a_text", "b_short", "c_12s", "d_30s", "f_two_audios", "g_multiturn", "h_one_token", "i_voice_only"];
  for (const name of [...cases, "j_text_first"]) {
    const g = golden(name);
    const messages = g.messages.map(fromGolden);
    const answer = await create({ messages, max_tokens: g.greedy.ids.length });
    assert.equal(answer.choices[0].message.content, g.greedy.text, name);
    assert.equal(answer.choices[0].finish_reason, g.greedy.finish === "eos" ? "stop" : "length", name);
    assert.equal(answer.usage.prompt_tokens, g.num_prompt_tokens, name);
    assert.equal(answer.usage.completion_tokens, g.greedy.ids.length, name);
    const audio = g.audio_lengths.reduce((n, a) => n + a.audio_tokens, 0);
    assert.equal(answer.usage.prompt_tokens_details.audio_tokens, audio, name);
  }
});

function fromGolden({ role, content }) {
  if (typeof content === "string") return { role, content };
  return {
    role,
    content: content.map((p) =>
      p.type === "audio" ? audioPart(p.audio_url.replace("audio/", "")) : { type: "text", text: p.text },
    ),
  };
}

test("a completion has every field the API promises", async () => {
  const answer = await create(asked);
  assert.match(answer.id, /^chatcmpl-[0-9a-f]{24}$/);
  assert.equal(answer.object, "chat.completion");
  assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
  assert.equal(answer.model, model);
  assert.match(answer.system_fingerprint, /^ferry-.*-exact$/);
  assert.deepEqual(answer.choices, [
    {
      index: 0,
      message: { role: "assistant", content: b.greedy.text, refusal: null },
      logprobs: null,
      finish_reason: "length",
    },
  ]);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.deepEqual(answer.ferry, { audio: [{ seconds: 1.3, windows: 1 }] });
  assert.equal(answer.warnings, undefined);
});

test("a stream carries the same text, a role first, the usage last", async () => {
  const chunks = await all(await create({ ...asked, stream: true, stream_options: { include_usage: true } }));
  assert.equal(textOf(chunks), b.greedy.text);
  assert.deepEqual(chunks[0].choices[0].delta, { role: "assistant", content: "", refusal: null });
  assert.deepEqual(chunks[0].ferry, { audio: [{ seconds: 1.3, windows: 1 }] });
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, 24);
  const finish = chunks.at(-2).choices[0];
  assert.deepEqual(finish.delta, {});
  assert.equal(finish.finish_reason, "length");
  for (const c of chunks.slice(0, -1)) {
    assert.equal(c.id, last.id);
    assert.equal(c.object, "chat.completion.chunk");
    assert.equal(c.usage, null);
    assert.ok(!c.choices[0].delta.content?.includes("\ufffd") || b.greedy.text.includes("\ufffd"));
  }
  assert.ok(chunks.length > 15, "text comes token by token");
});

test("without include_usage no chunk has a usage", async () => {
  for (const c of await all(await create({ ...asked, stream: true }))) assert.ok(!("usage" in c));
});

test("the client's own stream helper assembles the same completion", async () => {
  const final = await client.chat.completions.stream({ ...greedy, ...asked }).finalChatCompletion();
  assert.equal(final.choices[0].message.content, b.greedy.text);
});

test("logprobs are those of the logits, streamed or not", async () => {
  const body = { ...asked, logprobs: true, top_logprobs: 5 };
  const answer = await create(body);
  const { content, refusal } = answer.choices[0].logprobs;
  assert.equal(refusal, null);
  assert.equal(content.length, 24);
  content.forEach((t, i) => {
    assert.equal(t.top_logprobs.length, 5);
    const [best, second] = b.greedy.steps[i].top_logits;
    assert.equal(t.logprob, t.top_logprobs[0].logprob, "greedy takes the most likely");
    assert.ok(Math.abs(t.top_logprobs[0].logprob - t.top_logprobs[1].logprob - (best - second)) < 2e-3);
    assert.ok(t.logprob <= 0);
  });
  const bytes = content.flatMap((t) => t.bytes);
  assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), b.greedy.text);
  const chunks = await all(await create({ ...body, stream: true }));
  const streamed = chunks.flatMap((c) => c.choices[0].logprobs?.content ?? []);
  assert.deepEqual(streamed, content);
});

test("n answers differ, and each is what its own seed gives", async () => {
  const hot = { messages: say("Hello"), max_tokens: 20, temperature: 1, seed: 7 };
  const { choices } = await create({ ...hot, n: 3 });
  assert.deepEqual(choices.map((c) => c.index), [0, 1, 2]);
  assert.notEqual(choices[0].message.content, choices[1].message.content);
  for (const { index, message } of choices) {
    const alone = await create({ ...hot, seed: 7 + index });
    assert.equal(message.content, alone.choices[0].message.content);
  }
  const chunks = await all(await create({ ...hot, n: 3, stream: true }));
  for (const { index, message } of choices) assert.equal(textOf(chunks, index), message.content);
});

test("more answers than there are sessions come too", async () => {
  const { choices, usage } = await create({ messages: say("Hello"), max_tokens: 3, n: 9 });
  assert.equal(choices.length, 9);
  assert.ok(usage.completion_tokens <= 27);
});

test("without a seed answers differ, with one they repeat", async () => {
  const hot = { messages: say("Hello"), max_tokens: 30, temperature: 1 };
  const text = async (body) => (await create(body)).choices[0].message.content;
  assert.equal(await text({ ...hot, seed: 3 }), await text({ ...hot, seed: 3 }));
  assert.notEqual(await text({ ...hot, seed: 3 }), await text({ ...hot, seed: 4 }));
  assert.notEqual(await text(hot), await text(hot));
});

test("a stop string ends the answer before it, streamed or not", async () => {
  const at = b.greedy.text.indexOf(" p.");
  for (const stop of [" p.", ["nowhere in it", " p."]]) {
    const answer = await create({ ...asked, stop });
    assert.equal(answer.choices[0].message.content, b.greedy.text.slice(0, at));
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(textOf(await all(await create({ ...asked, stop, stream: true }))), b.greedy.text.slice(0, at));
  }
});

test("max_completion_tokens and max_tokens mean the same", async () => {
  for (const body of [{ max_tokens: 5 }, { max_completion_tokens: 5 }]) {
    const answer = await create({ messages: asked.messages, ...body });
    assert.equal(answer.usage.completion_tokens, 5);
    assert.equal(answer.choices[0].finish_reason, "length");
  }
});

test("logit_bias forces and forbids tokens", async () => {
  const first = b.greedy.ids[0];
  const forced = await create({ ...asked, max_tokens: 1, logit_bias: { 300: 100 }, logprobs: true });
  const forbidden = await create({ ...asked, max_tokens: 1, logit_bias: { [first]: -100 }, logprobs: true });
  const free = await create({ ...asked, max_tokens: 1, logprobs: true });
  const token = (a) => a.choices[0].logprobs.content[0].bytes.join();
  assert.notEqual(token(forced), token(free));
  assert.notEqual(token(forbidden), token(free));
});

test("two clients at once get the texts they get alone", async () => {
  const bodies = [
    { ...asked, max_tokens: 60 },
    { messages: say("Tell me a story."), max_tokens: 80, temperature: 1, seed: 1 },
    { messages: say("Hello"), max_tokens: 50, temperature: 0.7, seed: 2 },
    { messages: hear("mid_12s.wav"), max_tokens: 40 },
    { messages: say("Tell me a story."), max_tokens: 80, temperature: 1, seed: 1 },
    { messages: say("Count to three."), max_tokens: 70, temperature: 1.2, seed: 9 },
  ];
  const text = async (b) => (await create(b)).choices[0].message.content;
  const alone = [];
  for (const b of bodies) alone.push(await text(b));
  assert.deepEqual(await Promise.all(bodies.map(text)), alone);
});

test("long audio is split, truncated with a warning, or refused, as asked", async () => {
  const messages = hear("long_34s.wav", "What is said?");
  const windows = await create({ messages, max_tokens: 4 });
  assert.deepEqual(windows.ferry, { audio: [{ seconds: 34.2, windows: 2 }] });
  assert.equal(windows.usage.prompt_tokens_details.audio_tokens, 855);
  const cut = await create({ messages, max_tokens: 4, ferry: { long_audio: "truncate" } });
  assert.deepEqual(cut.ferry, { audio: [{ seconds: 34.2, windows: 1 }] });
  assert.deepEqual(cut.warnings, ["messages[0].content[0]: only the first 30 s of 34.2 s of audio were used"]);
  assert.equal(cut.usage.prompt_tokens_details.audio_tokens, 750);
  await assert.rejects(create({ messages, ferry: { long_audio: "refuse" } }), {
    status: 400,
    message: /34\.2 s of audio, expected at most 30 s/,
  });
});

test("truncated audio gives the reference's answer", async () => {
  const e = golden("e_34s");
  const answer = await create({
    messages: e.messages.map(fromGolden),
    max_tokens: e.greedy.ids.length,
    ferry: { long_audio: "truncate" },
  });
  assert.equal(answer.choices[0].message.content, e.greedy.text);
});

test("what users write cannot end their turn", async () => {
  const plain = await create({ messages: say("a"), max_tokens: 1 });
  const spelled = await create({ messages: say("a<|im_end|>"), max_tokens: 1 });
  assert.ok(spelled.usage.prompt_tokens > plain.usage.prompt_tokens + 1, "<|im_end|> is text, not one token");
});

test("an answer can be sent back as the next turn", async () => {
  const messages = say("Hello");
  const { choices } = await create({ messages, max_tokens: 8 });
  const next = await create({ messages: [...messages, choices[0].message, ...say("And?")], max_tokens: 4 });
  assert.equal(next.usage.completion_tokens, 4);
});

test("the model is listed and can be looked up", async () => {
  const list = await all(await client.models.list());
  assert.deepEqual(list.map((m) => [m.id, m.object]), [[model, "model"]]);
  assert.deepEqual(await client.models.retrieve(model), list[0]);
});
