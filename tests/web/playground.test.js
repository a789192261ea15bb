// The playground in a real browser: a microphone that plays a recording, files, settings, a cold start, refusals.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Emulator } from "../emulator/run_emulator.mjs";
import { Service } from "../system/service.js";
import { stageFolder } from "../system/staged.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const sample = (name) => join(root, "samples", name);
const demo = join(root, "models/demo");
// FERRY_SCREENSHOTS=FOLDER keeps pictures of what is tested.
const pictures = process.env.FERRY_SCREENSHOTS;

let browser, service, profile;
before(async () => {
  profile = mkdtempSync(join(tmpdir(), "ferry-web-"));
  service = await Service.start({ folder: demo });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--no-first-run", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${sample("digits-en.wav")}%noloop`,
    ],
  });
});
after(async () => {
  await browser?.close();
  await service?.stop();
  rmSync(profile, { recursive: true, force: true });
});

let context, page, complaints;
async function open(options = {}, url = service.url) {
  context = await browser.newContext({ permissions: ["microphone", "clipboard-read", "clipboard-write"], ...options });
  page = await context.newPage();
  complaints = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(e.message));
  await page.goto(`${url}/`);
}
afterEach(async () => {
  await context?.close();
  context = null;
});

const picture = (name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`), fullPage: false });
const ready = () => page.waitForSelector("#state.ready", { timeout: 20000 });
/** The text of the n-th answer, when it is complete. */
async function answer(n = 0) {
  await page.waitForSelector("#send:not([hidden])", { timeout: 60000 });
  const turns = await page.locator(".turn.assistant").all();
  return (await turns[n].locator("p").allTextContents()).join("\n");
}
const attach = async (name) => {
  await page.setInputFiles("#file", sample(name));
  await page.waitForSelector("#attached canvas");
};

test("the page is one file, and nothing else may run in it", async () => {
  const response = await fetch(`${service.url}/`);
  const page = await response.text();
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(response.headers.get("content-security-policy"), /^default-src 'none'; script-src 'sha256-.{44}'; style-src 'sha256-.{44}'; connect-src 'self';/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.ok(page.length < 60 * 1024, `${page.length} bytes`);
  assert.doesNotMatch(page, /https?:\/\//);
});

test("a recording that is attached is answered, and a question about it too", async () => {
  await open();
  await ready();
  assert.equal(await page.textContent("#model"), "demo");
  await attach("digits-en.wav");
  await page.fill("#text", "What is said here?");
  await page.press("#text", "Enter");
  assert.equal(await answer(0), "3 1 4");
  assert.match(await page.locator(".turn.assistant small").textContent(), /first text after .*s · \d+ tokens/);
  await page.fill("#text", "How many digits?");
  await page.click("#send");
  assert.equal(await answer(1), "3");
  await picture("answered");
  assert.deepEqual(complaints, []);
});

test("what is said into the microphone is heard", async () => {
  await open();
  await ready();
  const button = await page.locator("#record").boundingBox();
  await page.mouse.move(button.x + 5, button.y + 5);
  await page.mouse.down();
  await page.waitForSelector("#record.on");
  await page.waitForTimeout(3000);
  await picture("recording");
  await page.mouse.up();
  await page.waitForSelector("#attached canvas");
  await page.click("#send");
  assert.equal(await answer(), "3 1 4");
  assert.deepEqual(complaints, []);
});

test("the button can be held with the keyboard, and a click is too short", async () => {
  await open();
  await ready();
  await page.focus("#record");
  // The key is let go inside the page: on a busy machine the way from here may take longer than a click.
  await page.evaluate(() => {
    const button = document.getElementById("record");
    new MutationObserver((_, observer) => {
      if (!button.classList.contains("on")) return;
      observer.disconnect();
      button.dispatchEvent(new KeyboardEvent("keyup", { key: " ", code: "Space", bubbles: true }));
    }).observe(button, { attributes: true });
  });
  await page.keyboard.down("Space");
  await page.waitForFunction(() => document.getElementById("note").textContent.startsWith("Too short"));
  await page.keyboard.up("Space");
  assert.equal(await page.locator("#attached canvas").count(), 0);
});

test("a file is dropped anywhere", async () => {
  await open();
  await ready();
  const { readFileSync } = await import("node:fs");
  const data = readFileSync(sample("command-en.wav")).toString("base64");
  await page.evaluate((text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), to = new DataTransfer();
    to.items.add(new File([bytes], "command.wav", { type: "audio/wav" }));
    dispatchEvent(new DragEvent("drop", { dataTransfer: to, bubbles: true, cancelable: true }));
  }, data);
  await page.waitForSelector("#attached canvas");
  await page.click("#send");
  assert.equal(await answer(), "turn on the light");
});

test("what is no recording is said so by name", async () => {
  await open();
  await ready();
  await page.setInputFiles("#file", { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("nothing to hear") });
  await page.waitForFunction(() => document.getElementById("note").textContent.includes("notes.txt"));
});

test("settings reach the service, and a refusal is shown", async () => {
  await open();
  await ready();
  await attach("digits-en.wav");
  await page.click("summary >> nth=0");
  await page.fill("#max_tokens", "1");
  await page.click("#send");
  assert.equal(await answer(0), "3");
  assert.match(await page.locator(".turn.assistant small").textContent(), /cut off at the most tokens/);
  await page.fill("#max_tokens", "");
  await page.fill("#temperature", "9");
  await page.fill("#text", "How many digits?");
  await page.click("#send");
  assert.match(await answer(1), /That did not work: .*temperature/);
  await picture("refused");
  await page.click("#anew");
  assert.equal(await page.locator(".turn").count(), 0);
});

test("what a model writes never becomes HTML", async () => {
  await open();
  await ready();
  const html = await page.evaluate(() => {
    const box = document.createElement("div");
    fill(box, "a <img src=x onerror=alert(1)> **b** `c` \n\n```js\n<script>d</script>\n```\n\n<b>e</b>");
    return box.innerHTML;
  });
  assert.equal(
    html,
    "<p>a &lt;img src=x onerror=alert(1)&gt; <strong>b</strong> <code>c</code></p>" +
      "<pre>&lt;script&gt;d&lt;/script&gt;</pre><p>&lt;b&gt;e&lt;/b&gt;</p>",
  );
});

test("the same request as code answers the same", async () => {
  await open();
  await ready();
  await page.fill("#text", "How many digits? It's $5 `x`");
  for (const kind of ["curl", "python", "javascript"]) {
    await page.evaluate(() => (document.getElementById("copies").open = true));
    await page.click(`[data-copy=${kind}]`);
    await page.waitForFunction(() => document.getElementById("copied").textContent === "copied");
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /chat\/completions|base_url|baseURL/);
    assert.match(text, /It's/);
    if (kind !== "curl") continue;
    const { execFileSync } = await import("node:child_process");
    const ran = execFileSync("bash", ["-c", text.replace("recording.wav", sample("digits-en.wav"))], { env: { ...process.env, API_KEY: "none" } });
    assert.equal(typeof JSON.parse(ran).choices[0].message.content, "string");
  }
});

test("Japanese, a phone's width and the dark", async () => {
  await open({ locale: "ja-JP", viewport: { width: 390, height: 780 }, colorScheme: "dark" });
  await ready();
  assert.equal(await page.textContent("#send"), "送信");
  assert.equal(await page.getAttribute("html", "lang"), "ja");
  await attach("digits-ja.wav");
  await page.fill("#text", "何と言っていますか？");
  await page.click("#send");
  assert.equal(await answer(), "3 1 4 1 5");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await picture("phone-dark-ja");
  await page.click("#language");
  assert.equal(await page.textContent("#send"), "Send");
});

test("with an API key nothing is told before it is given, and it stays in the tab", async () => {
  const guarded = await Service.start({ folder: demo, env: { FERRY_API_KEY: "secret" } });
  try {
    await open({}, guarded.url);
    await page.waitForFunction(() => document.getElementById("note").textContent.includes("asks for an API key"));
    await page.click("summary >> nth=0");
    await page.fill("#key", "secret");
    await page.press("#key", "Tab");
    await page.waitForFunction(() => document.getElementById("model").textContent === "demo");
    await attach("digits-en.wav");
    await page.click("#send");
    assert.equal(await answer(), "3 1 4");
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  } finally {
    await guarded.stop();
  }
});

test("a cold start is shown while the weights arrive, and what is asked meanwhile is answered", async () => {
  const emulator = await Emulator.start({ bucket: "model-bkt" });
  let cold;
  try {
    await stageFolder(emulator, "model-bkt", "demo", demo, 65536);
    await emulator.faults({ faults: [{ method: "GET", path: "*.safetensors", query: "*alt=media*", from: 1, times: 0, do: { bytes_per_second: 60000 } }] });
    cold = await Service.start({ folder: "gs://model-bkt/demo", env: emulator.env, until: "listening" });
    await open({}, cold.url);
    await page.waitForFunction(() => /^[3-6]\d % .* [\d.]+ of 3\.6 MB$/.test(document.getElementById("load-what").textContent));
    assert.equal(await page.getAttribute("#state", "class"), "loading");
    await attach("digits-en.wav");
    await page.click("#send");
    await page.waitForFunction(() => /loading \d+ %/.test(document.querySelector(".turn.assistant").textContent));
    assert.match(await page.textContent("#load-when"), /[kM]B\/s|first answer in about \d+ s/);
    const filled = await page.evaluate(() => [...document.getElementById("layers").children].map((i) => i.style.getPropertyValue("--part")));
    assert.ok(parseFloat(filled[0]) > parseFloat(filled.at(-1)), filled);
    await picture("cold-start");
    assert.equal(await answer(), "3 1 4");
    await ready();
    assert.equal(await page.isHidden("#load"), true);
    assert.deepEqual(complaints, []);
  } finally {
    await cold?.stop();
    await emulator.stop();
  }
});

test("a page that is open asks nothing of a service that is ready", async () => {
  await open();
  await ready();
  await page.waitForFunction(() => document.getElementById("model").textContent === "demo");
  const asked = [];
  page.on("request", (r) => asked.push(r.url()));
  await page.waitForTimeout(3000);
  assert.deepEqual(asked, []);
});
