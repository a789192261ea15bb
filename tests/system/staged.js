// A model as `ferry stage` leaves it in a bucket, but with ranges so short that a tiny one has hundreds of them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { token } from "../emulator/run_emulator.mjs";

const table = Array.from({ length: 256 }, (_, i) => {
  for (let k = 0; k < 8; k++) i = i & 1 ? (i >>> 1) ^ 0x82f63b78 : i >>> 1;
  return i;
});

/** As Cloud Storage writes it: big-endian, in base64. */
function crc32c(bytes) {
  let c = 0xffffffff;
  for (const b of bytes) c = table[(c ^ b) & 255] ^ (c >>> 8);
  const out = Buffer.alloc(4);
  out.writeUInt32BE((c ^ 0xffffffff) >>> 0);
  return out.toString("base64");
}

export async function put(emulator, bucket, name, bytes) {
  const url = `${emulator.url}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
  const r = await fetch(url, { method: "POST", body: bytes, headers: { authorization: `Bearer ${token}` } });
  if (r.status !== 200) throw new Error(`${name}: ${r.status} ${await r.text()}`);
}

/** Every file of the folder under prefix, the manifest last. */
export async function stageFolder(emulator, bucket, prefix, folder, rangeBytes) {
  const files = [];
  for (const name of readdirSync(folder).filter((n) => n !== "README.md").sort()) {
    const bytes = readFileSync(join(folder, name)), ranges = [];
    for (let at = 0; at < bytes.length; at += rangeBytes) ranges.push(crc32c(bytes.subarray(at, at + rangeBytes)));
    files.push({ name, size: bytes.length, sha256: "0".repeat(64), crc32c: crc32c(bytes), ranges });
    await put(emulator, bucket, `${prefix}/${name}`, bytes);
  }
  const manifest = { ferry: "0", source: "hf://owner/name", created: "2026-11-23T00:00:00Z", range_bytes: rangeBytes, files };
  await put(emulator, bucket, `${prefix}/ferry-manifest.json`, JSON.stringify(manifest));
}
