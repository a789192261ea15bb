// A collected snapshot of prices as data/prices.json has it: what nobody has verified is left out, and so are
// sources that nothing refers to any more.
//
//   node tools/trim-prices.mjs SNAPSHOT.json > data/prices.json
import { readFileSync } from "node:fs";

const verified = new Set(["exact", "secondary", "estimate"]);
const all = JSON.parse(readFileSync(process.argv[2], "utf8"));

const keep = (list) => list.filter((item) => verified.has(item.confidence));
const trimmed = { ...all, items: keep(all.items), aws_limits: keep(all.aws_limits) };
delete trimmed.sources;

const named = JSON.stringify(trimmed);
trimmed.sources = Object.fromEntries(
  Object.entries(all.sources).filter(([id]) => named.includes(`"source":${JSON.stringify(id)}`)));

process.stdout.write(JSON.stringify(trimmed, null, 1) + "\n");
