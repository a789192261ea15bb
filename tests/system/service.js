// A `ferry serve` of its own for each test file, and clients for it.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";

const data = join(dirname(fileURLToPath(import.meta.url)), "../data");
export const model = "tiny-qwen2-audio";
export const tiny = join(data, "models", model);

export const recording = (name) => readFileSync(join(data, "goldens/audio", name));
export const recordingPath = (name) => join(data, "goldens/audio", name);
export const golden = (name) => JSON.parse(readFileSync(join(data, "goldens", name, "case.json"), "utf8"));

/** What the goldens were made with: greedy, no penalty. */
export const greedy = { model, temperature: 0, repetition_penalty: 1 };

/** Goes on to its max_tokens whatever it says: the two stop ids are out of the question. */
export const endless = { model, temperature: 1.5, top_p: 1, top_k: 0, logit_bias: { 1024: -100, 1026: -100 } };

export const audioPart = (name) => ({
  type: "input_audio",
  input_audio: { data: recording(name).toString("base64"), format: "wav" },
});
export const hear = (name, text) => [
  { role: "user", content: [audioPart(name), ...(text ? [{ type: "text", text }] : [])] },
];
export const say = (text) => [{ role: "user", content: text }];

export class Service {
  /** Resolves when the model is loaded; with `until` when the log has said that ("listening": at once). wrap: a
   * program and its arguments in front of ferry. */
  static async start({ folder = tiny, args = [], env = {}, until = "ready", wrap = [] } = {}) {
    const s = new Service();
    s.log = [];
    const [program, ...words] = [...wrap, process.env.FERRY, "serve", folder, "--host", "127.0.0.1", "--port", "0", ...args];
    s.process = spawn(program, words, {
      env: { ...process.env, FERRY_MATH: "exact", FERRY_THREADS: "2", FERRY_LOG: "info", ...env },
      stdio: ["ignore", "inherit", "pipe"],
    });
    s.exited = new Promise((done) => s.process.on("exit", (code, signal) => done({ code, signal })));
    await new Promise((ready, failed) => {
      s.exited.then((e) => failed(new Error(`ferry ended: ${JSON.stringify(e)}\n${s.log.map((l) => l.text).join("\n")}`)));
      createInterface({ input: s.process.stderr }).on("line", (text) => {
        let line = {};
        try {
          line = JSON.parse(text);
        } catch {
          /* not a log line: a sanitizer's report, say */
        }
        s.log.push({ text, ...line });
        if (line.message === "listening") s.port = line.port;
        if (line.message === until) ready();
      });
    });
    s.url = `http://127.0.0.1:${s.port}`;
    return s;
  }

  /** The log's line with that message, once it is there. */
  async logged(message, seconds = 30) {
    for (const until = Date.now() + seconds * 1000; Date.now() < until; ) {
      const line = this.log.find((l) => l.message === message);
      if (line) return line;
      await new Promise((r) => setTimeout(r, 10));
    }
    throw new Error(`no "${message}" in\n${this.log.map((l) => l.text).join("\n")}`);
  }

  /** SIGTERM, then the exit code; a sanitizer's report makes it other than 0. */
  async stop() {
    this.process.kill("SIGTERM");
    const { code, signal } = await this.exited;
    if (code !== 0) throw new Error(`ferry ended with ${code ?? signal}:\n${this.log.map((l) => l.text).join("\n")}`);
  }

  client(options = {}) {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey: "none", maxRetries: 0, ...options });
  }

  async metric(name) {
    const page = await (await fetch(`${this.url}/metrics`)).text();
    const line = page.split("\n").find((l) => l.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  async metricBecomes(name, value, seconds = 10) {
    const until = Date.now() + seconds * 1000;
    for (let now; (now = await this.metric(name)) !== value; ) {
      if (Date.now() > until) throw new Error(`${name} is ${now}, expected ${value}`);
      await new Promise((r) => setTimeout(r, 5));
    }
  }
}

/** The chunks of a stream. */
export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const textOf = (chunks, choice = 0) =>
  chunks
    .flatMap((c) => c.choices)
    .filter((c) => c.index === choice)
    .map((c) => c.delta.content ?? "")
    .join("");
