#!/usr/bin/env node
// Makes of recordings of what the real gcloud sent the part that tests compare with:
//
//   captures.mjs FOLDER PREFIX… > tests/data/captures/gcloud-VERSION.json
//
// FOLDER holds one JSON file per command: {command, requests: [{method, path, headers, body_json |
// multipart_head_text, …}]}. Kept are the files whose names begin so, and of each request method, path, body and
// the headers that say what is sent; nothing of the answers, which were made up.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [folder, ...prefixes] = process.argv.slice(2);
if (!prefixes.length) {
  console.error("usage: captures.mjs FOLDER PREFIX...");
  process.exit(2);
}
const telling = /^(content-type|content-range|range|x-upload-content-.*|x-goog-.*)$/;

/** The first part of multipart/related is the object's resource. */
function bodyOf(r) {
  if (r.body_json) return { json: r.body_json };
  const related = r.multipart_head_text?.match(/\r?\n\r?\n(\{.*?\})\r?\n--/s);
  return related ? { json: JSON.parse(related[1]) } : {};
}

function headersOf(r) {
  const kept = Object.entries(r.headers).map(([k, v]) => [k.toLowerCase(), v]).filter(([k]) => telling.test(k));
  return Object.fromEntries(kept.map(([k, v]) => [k, v.replace(/; boundary=.*/, "")]));
}

const out = {};
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith(".json") || !prefixes.some((p) => file.startsWith(p))) continue;
  const { command, requests } = JSON.parse(readFileSync(join(folder, file), "utf8"));
  out[file.slice(0, -".json".length)] = {
    command,
    requests: requests.map((r) => ({ method: r.method, path: r.path, headers: headersOf(r), ...bodyOf(r) })),
  };
}
console.log(JSON.stringify(out, null, 1));
