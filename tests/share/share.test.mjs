// What is installed beside the program: units that systemd accepts, and a dashboard that asks for metrics that there are.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const dashboard = JSON.parse(readFileSync(join(root, "share/grafana/ferry.json")));
const queries = dashboard.panels.flatMap((p) => p.targets.map((t) => t.expr));

let folder, service, types, names;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ferry-share-"));
  writeFileSync(join(folder, "config.json"), "{}");
  service = spawn(process.env.FERRY, ["serve", join(root, "models/demo"), "--port", "0", "--host", "127.0.0.1",
    "--config", join(folder, "config.json")]);
  const port = await new Promise((resolve) => {
    let log = "";
    service.stderr.on("data", (bytes) => {
      log += bytes;
      const found = /"port":(\d+)/.exec(log);
      if (found && log.includes('"message":"ready"')) resolve(found[1]);
    });
  });
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "hi" }] });
  await (await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", body })).text();
  await new Promise((done) => setTimeout(done, 200));
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  types = Object.fromEntries([...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((m) => [m[1], m[2]]));
  names = new Set([...page.matchAll(/^([a-z_]+)[{ ]/gm)].map((m) => m[1]));
});
after(() => {
  service?.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

const metricsOf = (query) => query.match(/\b(?:ferry|process)_[a-z_]+/g) ?? [];

test("each metric of the dashboard is one that a service tells", () => {
  assert.ok(queries.length > 20);
  for (const query of queries) {
    assert.ok(metricsOf(query).length > 0, query);
    for (const name of metricsOf(query)) assert.ok(names.has(name), `${name} is not at /metrics`);
  }
  const variable = dashboard.templating.list.find((v) => v.name === "job");
  assert.ok(names.has(metricsOf(variable.query)[0]));
});

test("counters are asked for as rates, gauges are not", () => {
  for (const query of queries)
    for (const name of metricsOf(query)) {
      const counts = types[name] === "counter" || name.endsWith("_bucket");
      assert.equal(new RegExp(`(rate|increase)\\(${name}\\b`).test(query), counts, query);
    }
});

test("each metric that says something about a running service is drawn", () => {
  const drawn = new Set(queries.flatMap(metricsOf).map((n) => n.replace(/_bucket$/, "")));
  // build_info and generations are no curves; the rest of the load's are in the panels' ratios.
  const not = new Set(["ferry_build_info", "ferry_config_generation", "ferry_config_rejected_generation", "ferry_load_seconds",
    "ferry_load_first_token_seconds"]);
  for (const name of Object.keys(types)) assert.ok(drawn.has(name) || not.has(name), `${name} is in no panel`);
});

test("panels have names, units, their own places", () => {
  const taken = new Set(), ids = new Set();
  for (const p of dashboard.panels) {
    assert.ok(p.title && p.description && p.fieldConfig.defaults.unit);
    assert.ok(!ids.has(p.id) && ids.add(p.id));
    const { x, y, w, h } = p.gridPos;
    assert.ok(x + w <= 24);
    for (let i = x; i < x + w; i++)
      for (let k = y; k < y + h; k++) assert.ok(!taken.has(`${i},${k}`) && taken.add(`${i},${k}`), p.title);
  }
});

const analyze = spawnSync("systemd-analyze", ["--version"]).status === 0;
test("systemd accepts the units", { skip: analyze ? false : "systemd-analyze is not installed" }, () => {
  for (const name of ["ferry.service", "ferry.socket"]) {
    const text = readFileSync(join(root, "share/systemd", name), "utf8");
    writeFileSync(join(folder, name), text.replace("/usr/bin/ferry", process.env.FERRY));
  }
  const files = [join(folder, "ferry.service"), join(folder, "ferry.socket")];
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...files], { encoding: "utf8" });
  const ours = stderr.split("\n").filter((line) => line.includes("ferry"));
  assert.deepEqual([status, ours], [0, []]);
});

const activate = spawnSync("systemd-socket-activate", ["--help"]).status === 0;
test("a port that systemd holds is taken over", { skip: activate ? false : "systemd-socket-activate is not installed" }, async () => {
  const held = spawn("systemd-socket-activate", ["-l", "127.0.0.1:18743", "-E", `FERRY_MODEL=${join(root, "models/demo")}`,
    process.env.FERRY, "serve"]);
  held.stderr.resume();
  try {
    for (let i = 0; ; i++) {
      const reply = await fetch("http://127.0.0.1:18743/readyz").catch(() => null);
      if (reply?.status === 200) break;
      assert.ok(i < 100, "it does not answer");
      await new Promise((done) => setTimeout(done, 100));
    }
  } finally {
    held.kill("SIGTERM");
  }
});

test("cmake --install puts them under share/ferry", () => {
  const prefix = join(folder, "installed");
  execFileSync("cmake", ["--install", process.env.BUILD, "--prefix", prefix, "--component", "share"], { stdio: "ignore" });
  for (const name of ["systemd/ferry.service", "systemd/ferry.socket", "grafana/ferry.json"])
    assert.equal(readFileSync(join(prefix, "share/ferry", name), "utf8"), readFileSync(join(root, "share", name), "utf8"));
});
