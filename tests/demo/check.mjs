// Asks the demo model, through `ferry ask`, about recordings that espeak-ng makes anew: voices and speeds that
// it was not trained on (recordings.json says which).
//
//   FERRY=build/release/ferry node tests/demo/check.mjs [--every N] [--show]
//
// Prints the exact matches of each kind; fails when one is under its floor.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const model = join(here, "../../models/demo");
// What it is to reach on all of them (models/demo/README.md), and on a part, where chance counts for more.
const aims = { digits: 0.95, "digits in noise": 0.85, commands: 0.95, questions: 0.93 };
const leastOfSome = { digits: 0.9, "digits in noise": 0.75, commands: 0.9, questions: 0.9 };

const { values: options } = parseArgs({
  options: { every: { type: "string", default: "1" }, show: { type: "boolean", default: false } },
});
const floors = options.every === "1" ? aims : leastOfSome;
const all = JSON.parse(await readFile(join(here, "recordings.json"), "utf8"));
const entries = all.map((e, i) => ({ ...e, seed: i + 1 })).filter((_, i) => i % Number(options.every) === 0);

/** The samples of espeak-ng's wav file, and a file again. */
const header = 44;
const samplesOf = (wav) => new Int16Array(wav.buffer.slice(wav.byteOffset + header, wav.byteOffset + (wav.length & ~1)));
function wavOf(samples, rate) {
  const wav = Buffer.alloc(header + samples.length * 2);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write("WAVEfmt ", 8);
  [16, 0x00010001, rate, rate * 2, 0x00100002].forEach((v, i) => wav.writeUInt32LE(v, 16 + 4 * i));
  wav.write("data", 36);
  wav.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((s, i) => wav.writeInt16LE(s, header + 2 * i));
  return wav;
}

/** Standard normal numbers, the same ones for the same seed. */
function* normal(seed) {
  let state = seed * 2654435761;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  for (;;) yield Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

// White noise so much below the speech, pauses at both ends not counted. At 22,050 Hz a part of it lies above
// the 8 kHz that the model hears: that much is put on top.
const rate = 22050;
function noisy(samples, db, seed) {
  const floor = samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0) / 100;
  const loud = samples.slice(
    samples.findIndex((s) => Math.abs(s) > floor),
    samples.findLastIndex((s) => Math.abs(s) > floor) + 1,
  );
  const power = loud.reduce((sum, s) => sum + s * s, 0) / loud.length;
  const level = Math.sqrt((power * 10 ** (-db / 10) * rate) / 16000);
  const noise = normal(seed);
  return samples.map((s) => Math.max(-32768, Math.min(32767, Math.round(s + level * noise.next().value))));
}

async function answer(entry, folder) {
  const voice = ["-v", entry.voice, "-s", entry.speed, "-p", entry.pitch, "-g", entry.gap].map(String);
  const spoken = await run("espeak-ng", [...voice, "--stdout", entry.spoken], { encoding: "buffer" });
  let samples = samplesOf(spoken.stdout);
  if (entry.noise_db !== null) samples = noisy(samples, entry.noise_db, entry.seed);
  const file = join(folder, `${entry.seed}.wav`);
  await writeFile(file, wavOf(samples, rate));
  const question = entry.question ? [entry.question] : [];
  const args = ["ask", model, "--audio", file, "--threads", "1", "--max-tokens", "40", ...question];
  const asked = await run(process.env.FERRY, args);
  await rm(file);
  return asked.stdout.trimEnd();
}

const folder = await mkdtemp(join(tmpdir(), "ferry-demo-"));
const tally = new Map();
try {
  let next = 0;
  const worker = async () => {
    while (next < entries.length) {
      const entry = entries[next++];
      const text = await answer(entry, folder);
      const count = tally.get(entry.kind) ?? { asked: 0, right: 0 };
      tally.set(entry.kind, count);
      count.asked++;
      if (text === entry.answer) count.right++;
      else if (options.show)
        console.log(`${entry.voice}, ${entry.speed} words/min: "${text}", not "${entry.answer}" ${entry.question}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
} finally {
  await rm(folder, { recursive: true });
}

let low = false;
for (const [kind, { asked, right }] of tally) {
  const share = right / asked;
  low ||= share < floors[kind];
  console.log(
    `${kind.padEnd(16)} ${String(right).padStart(4)} of ${String(asked).padStart(4)}  ` +
      `${(100 * share).toFixed(1)} %  (expected at least ${100 * floors[kind]} %)`,
  );
}
process.exit(low ? 1 : 0);
