// The page of `ferry plan --html` in a real browser: it loads nothing, its pictures keep their texts apart and inside,
// in light and dark, wide and narrow.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
// FERRY_SCREENSHOTS=FOLDER keeps pictures of what is tested.
const pictures = process.env.FERRY_SCREENSHOTS;

let browser, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ferry-plan-"));
  const configs = JSON.parse(readFileSync(join(root, "tests/data/models/qwen2-audio-7b-instruct.reconstructed.json")));
  for (const [name, config] of Object.entries(configs))
    if (name.endsWith(".json")) writeFileSync(join(folder, name), JSON.stringify(config));
  cpSync(join(root, "models/demo"), join(folder, "demo"), { recursive: true });
  cpSync(join(root, "models/demo"), join(folder, "foreign"), { recursive: true });
  writeFileSync(join(folder, "foreign/config.json"), '{"model_type":"<script>alert(1)</script>","num_hidden_layers":2}');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--no-first-run",
    ],
  });
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The page of a plan with these words, as a URL. */
function plan(...words) {
  const file = join(folder, "plan.html");
  execFileSync(process.env.FERRY, ["plan", ...words, "--html", file],
    { cwd: folder, env: { ...process.env, XDG_STATE_HOME: join(folder, "state"), LC_ALL: "C", FERRY_PRICES: "snapshot" } });
  return pathToFileURL(file).href;
}

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.loaded = [];
  page.on("console", (m) => page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(e.message));
  page.on("request", (r) => page.loaded.push(r.url()));
  await page.goto(url);
  return page;
}

/** Texts of pictures that reach out of them, or over one another. */
const misplaced = (page) =>
  page.evaluate(() => {
    const wrong = [];
    for (const svg of document.querySelectorAll("svg")) {
      const frame = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
      for (const [text, box] of texts)
        if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
          wrong.push(`"${text}" reaches out of its picture`);
      for (let i = 0; i < texts.length; i++)
        for (let k = 0; k < i; k++) {
          const [a, x] = texts[i], [b, y] = texts[k];
          const across = Math.min(x.right, y.right) - Math.max(x.left, y.left);
          const down = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
          if (across > 1 && down > 3) wrong.push(`"${a}" stands on "${b}"`);
        }
    }
    return wrong;
  });

const cases = {
  reference: ["config.json", "--compare"],
  q4: ["config.json", "--encode", "q4_0", "--requests", "5000", "--min-instances", "2"],
  yen: ["config.json", "--rate", "150", "--region", "asia-northeast3"],
  tooLarge: ["config.json", "--parallel", "16"],
  longContext: ["config.json", "--parallel", "3", "--encode", "q8_0", "--audio", "600", "--tokens", "2000"],
  small: ["demo", "--requests", "3"],
  nobody: ["config.json", "--requests", "0"],
};

for (const [name, words] of Object.entries(cases)) {
  test(`texts of pictures stand apart and inside: ${name}`, async () => {
    const page = await open(plan(...words));
    assert.deepEqual(await misplaced(page), []);
    assert.deepEqual(page.complaints, []);
    assert.equal(page.loaded.length, 1);
    assert.ok(!/\bnan\b|undefined|null/i.test(await page.locator("main").innerText()));
    if (pictures) await page.screenshot({ path: join(pictures, `plan-${name}.png`), fullPage: true });
    await page.context().close();
  });
}

test("a narrow screen scrolls tables, not the page", async () => {
  const page = await open(plan("config.json", "--compare"), { viewport: { width: 380, height: 700 } });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  await page.context().close();
});

test("light and dark have enough contrast", async () => {
  const url = plan("config.json");
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(url, { colorScheme });
    const ratios = await page.evaluate(() => {
      const luminance = (color) => {
        const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map((v) => {
          const c = v / 255;
          return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const card = luminance(getComputedStyle(document.querySelector("section")).backgroundColor);
      const of = (selector, property) => {
        const l = luminance(getComputedStyle(document.querySelector(selector))[property]);
        return (Math.max(l, card) + 0.05) / (Math.min(l, card) + 0.05);
      };
      return {
        text: of("h2", "color"), note: of(".note", "color"), bad: of("tr.bad td", "color"), tick: of("svg .tick", "fill"),
        ...Object.fromEntries(["c1", "c2", "c3", "c4", "c5"].map((c) => [c, of(`svg text.${c}`, "fill")])),
      };
    });
    for (const [what, ratio] of Object.entries(ratios)) assert.ok(ratio >= 4.5, `${colorScheme}: ${what} ${ratio.toFixed(2)}`);
    if (pictures) await page.screenshot({ path: join(pictures, `plan-${colorScheme}.png`), fullPage: true });
    await page.context().close();
  }
});

test("what a model's files say is text, never markup", async () => {
  const page = await open(plan("foreign"));
  assert.equal(await page.locator("script").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
