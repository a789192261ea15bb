// Every command in every document is run: against the emulator and the local target, with models/demo in the place of the
// large model. What a document shows as printed is compared. What cannot be run here is listed with its reason; a command that
// neither runs nor is listed fails.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Emulator } from "../emulator/run_emulator.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ferry = process.env.FERRY;
const documents = ["README.md", ...readdirSync(root).filter((n) => /^README\..+\.md$/.test(n)),
  ...readdirSync(join(root, "docs")).filter((n) => n.endsWith(".md")).map((n) => `docs/${n}`)];

// Beginnings of commands that no test can run here.
const notRun = {
  "script/demo": "installs packages and builds this very tree; tests/demo asks the same questions",
  "script/test": "runs this test",
  "ferry doctor demo": "of a closed billing account: tests/doctor/situations/billing-account-is-closed-or-suspended",
  "ferry image push ghcr.io/me/ferry": "a registry of one's own; tests/image pushes to a real one",
  "ferry deploy audio gs://my-models/qwen2-audio-q8 --target knative --image ghcr.io/me/ferry --timeout 600 | kubectl":
    "a cluster; tests/cmd/test_manifest_command.c holds the manifest",
  "gcloud run services replace": "Google's servers; tests/target/knative.test.mjs runs it against a recorder",
  "gcloud auth application-default login": "opens a browser and needs a person",
};
// Blocks in languages that are no commands.
const notCommands = new Set(["js"]);

let emulator, folder, environment, port;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ferry-docs-"));
  const home = join(folder, "home"), work = join(folder, "work"), hub = join(folder, "hub");
  for (const path of [home, work, join(work, "build/release"), join(home, "models"), join(folder, "bin")])
    mkdirSync(path, { recursive: true });
  cpSync(join(root, "models/demo"), join(hub, "Qwen/Qwen2-Audio-7B-Instruct"), { recursive: true });
  symlinkSync(join(root, "models/demo"), join(home, "models/Qwen2-Audio-7B-Instruct"));
  for (const name of ["models", "samples", "script"]) symlinkSync(join(root, name), join(work, name));
  for (const name of ["question.wav", "recording.wav"]) cpSync(join(root, "samples/digits-en.wav"), join(work, name));
  symlinkSync(ferry, join(work, "build/release/ferry"));
  symlinkSync(ferry, join(folder, "bin/ferry"));
  emulator = await Emulator.start({ hub });
  port = await new Promise((done) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const free = s.address().port;
      s.close(() => done(free));
    });
  });
  environment = {
    ...emulator.env, GOOGLE_CLOUD_PROJECT: "demo-proj", HOME: home, PATH: `${join(folder, "bin")}:${process.env.PATH}`, PORT: String(port), LC_ALL: "C",
    XDG_STATE_HOME: join(home, "state"), XDG_CACHE_HOME: join(home, "cache"),
  };
});
after(async () => {
  spawnSync("bash", ["-c", "for s in $(ferry status --json | grep -oP '\"name\": \"\\K[^\"]+'); do ferry down $s; done"],
    { env: environment });
  await emulator?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Fenced blocks: {language, lines, at}. */
function blocksOf(text) {
  const blocks = [];
  let open = null;
  for (const [i, line] of text.split("\n").entries()) {
    const fence = /^```(\S*)$/.exec(line);
    if (fence && open) blocks.push(open), (open = null);
    else if (fence) open = { language: fence[1], lines: [], at: i + 1 };
    else if (open) open.lines.push(line);
  }
  assert.equal(open, null, "a block without an end");
  return blocks;
}

/** {command, printed} of a block. */
function commandsOf(block) {
  if (block.language === "sh")
    return block.lines.filter((l) => l.trim() && !l.startsWith("#")).map((command) => ({ command, printed: null }));
  const list = [];
  for (const line of block.lines)
    if (line.startsWith("$ ")) list.push({ command: line.slice(2), printed: [] });
    else list.at(-1)?.printed.push(line);
  return list;
}

const excuse = (command) => Object.keys(notRun).find((c) => command === c || command.startsWith(c + " "));

function run(command) {
  return new Promise((done) => {
    const child = spawn("bash", ["-c", command.replaceAll("localhost:8080", `localhost:${port}`)],
      { cwd: join(folder, "work"), env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let out = "", err = "";
    child.stdout.on("data", (b) => (out += b));
    child.stderr.on("data", (b) => (err += b));
    child.on("close", (code) => done({ code, out, err }));
  });
}

/** A service or a port of one in the foreground, once it is there; it goes on until stop(). */
async function serve(command) {
  const child = spawn("bash", ["-c", `exec ${command}`], { cwd: join(folder, "work"), env: environment });
  let log = "";
  const ended = new Promise((done) => child.on("close", done));
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (b) => (log += b));
  for (let i = 0; !/"message":"ready"|until Ctrl-C/.test(log); i++) {
    assert.ok(i < 300 && child.exitCode === null, `${command}: ${log}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return async () => {
    child.kill("SIGTERM");
    await ended;
  };
}

/** What differs from run to run is one thing. */
const calm = (line) => line.replace(/127\.0\.0\.1:\d+/g, "ADDRESS").replace(/\d+(\.\d+)? (ms|tokens\/s|s)\b/g, "N $2").trimEnd();

/** Shown lines are those printed, in their order; "…" stands for any number of lines. */
function compare(shown, printed) {
  let at = 0, free = false;
  const lines = printed.split("\n").map(calm);
  for (const line of shown) {
    if (line === "…") { free = true; continue; }
    const found = free ? lines.indexOf(calm(line), at) : at;
    assert.ok(found >= 0, `not printed: ${line}`);
    assert.equal(lines[found], calm(line));
    at = found + 1;
    free = false;
  }
}

for (const name of documents) {
  const blocks = blocksOf(readFileSync(join(root, name), "utf8"));
  test(`${name}: what is not marked as commands contains none`, () => {
    for (const block of blocks)
      if (!["sh", "console"].includes(block.language) && !notCommands.has(block.language))
        for (const line of block.lines)
          assert.ok(!/^\s*(\$ |ferry |build\/release\/ferry|script\/|cmake |apt|curl |gcloud )/.test(line), `line ${block.at}: ${line}`);
  });
  test(`${name}: its commands run and print what is shown`, async () => {
    let stop = null;
    try {
      for (const block of blocks.filter((b) => ["sh", "console"].includes(b.language)))
        for (const { command, printed } of commandsOf(block)) {
          if (excuse(command)) continue;
          if (/\bferry (serve|proxy)\b/.test(command)) {
            await stop?.();
            stop = await serve(command);
            continue;
          }
          if (printed && command === "ferry plan Qwen/Qwen2-Audio-7B-Instruct") { // of the large model, from where it is pinned
            compare(printed, readFileSync(join(root, "tests/data/plan/reference.txt"), "utf8"));
            continue;
          }
          const result = await run(command);
          assert.equal(result.code, 0, `${command}: ${result.err}`);
          if (printed) compare(printed, result.out + result.err);
        }
    } finally {
      await stop?.();
    }
  });
}

test("answers in the transcript of script/demo are those that the demo model gives", async () => {
  const block = blocksOf(readFileSync(join(root, "README.md"), "utf8")).find((b) => b.lines[0] === "$ script/demo");
  const asked = block.lines.map((l, i) => [/^== ferry ask \S+ (.*)$/.exec(l)?.[1], block.lines[i + 1]]).filter(([words]) => words);
  assert.equal(asked.length, 2);
  for (const [words, answer] of asked) {
    const { code, out } = await run(`ferry ask models/demo ${words}`);
    assert.deepEqual([code, out.trim()], [0, answer]);
  }
});

test("each excuse is needed", () => {
  const commands = documents.flatMap((name) => blocksOf(readFileSync(join(root, name), "utf8"))
    .filter((b) => ["sh", "console"].includes(b.language)).flatMap(commandsOf)).map((c) => c.command);
  for (const one of Object.keys(notRun)) assert.ok(commands.some((c) => excuse(c) === one), one);
});
