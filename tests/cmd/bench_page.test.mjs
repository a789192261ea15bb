// The page of `ferry bench --html` in a real browser: it loads nothing, its pictures keep their texts apart and inside.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "../web/node_modules/playwright-core/index.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
// FERRY_SCREENSHOTS=FOLDER keeps pictures of what is tested.
const pictures = process.env.FERRY_SCREENSHOTS;

let browser, folder, service, url;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ferry-bench-page-"));
  service = spawn(process.env.FERRY, ["serve", join(root, "models/demo"), "--port", "0", "--host", "127.0.0.1"]);
  url = await new Promise((resolve) => {
    let log = "";
    service.stderr.on("data", (bytes) => {
      log = (log + bytes).slice(-20000);
      const port = /"port":(\d+)/.exec(log);
      if (port && log.includes('"message":"ready"')) resolve(`http://127.0.0.1:${port[1]}`);
    });
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
});
after(async () => {
  await browser?.close();
  service?.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

// Not execFileSync: somebody must go on reading what the service logs.
async function bench(...words) {
  const file = join(folder, "bench.html");
  await promisify(execFile)(process.env.FERRY, ["bench", url, ...words, "-t", "0.3", "--html", file]);
  return pathToFileURL(file).href;
}

/** Texts of pictures that reach out of them, or over one another. */
const misplaced = (page) =>
  page.evaluate(() => {
    const wrong = [];
    for (const svg of document.querySelectorAll("svg")) {
      const frame = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
      for (const [i, [text, box]] of texts.entries()) {
        if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
          wrong.push(`"${text}" reaches out of its picture`);
        for (const [other, b] of texts.slice(0, i))
          if (Math.min(box.right, b.right) - Math.max(box.left, b.left) > 1 && Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top) > 3)
            wrong.push(`"${text}" stands on "${other}"`);
      }
    }
    return wrong;
  });

const cases = {
  everything: { words: ["-c", "1,2,4,8", "-r", "5,10", "-l", "1,5,10"], pictures: 9 },
  one: { words: ["-c", "1"], pictures: 3 },
  many: { words: ["-c", "1,2,3,4,5,6,7,8,12,16,24,32", "-n", "40"], pictures: 3 },
};

for (const [name, wanted] of Object.entries(cases))
  test(`page shows what was measured, apart and inside: ${name}`, async () => {
    const address = await bench(...wanted.words);
    for (const [colorScheme, width] of [["light", 1000], ["dark", 1000], ["light", 380]]) {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      const page = await context.newPage();
      const loaded = [], complaints = [];
      page.on("request", (r) => loaded.push(r.url()));
      page.on("console", (m) => complaints.push(m.text()));
      page.on("pageerror", (e) => complaints.push(e.message));
      await page.goto(address);
      assert.deepEqual(await misplaced(page), []);
      assert.deepEqual(complaints, []);
      assert.equal(loaded.length, 1);
      assert.equal(await page.locator("svg").count(), wanted.pictures);
      assert.ok(!/\bnan\b|null/i.test(await page.locator("main").innerText()));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
      if (pictures) await page.screenshot({ path: join(pictures, `bench-${name}-${colorScheme}-${width}.png`), fullPage: true });
      await context.close();
    }
  });
