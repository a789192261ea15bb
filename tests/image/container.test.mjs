// The image running in a real container (runc): as its own user, without rights, within a memory limit; a model from a
// folder, and one from a bucket behind TLS and DNS with nothing but what the image holds.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { createServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { Emulator } from "../emulator/run_emulator.mjs";
import { environment, ferry, folder, missing, ok, remove, runBeside } from "./parts.mjs";
import { Container, MiB, cannotRun, mount, tmpfs } from "./runc.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const recording = join(root, "samples/digits-en.wav");
const name = "storage.ferry.test", nameserver = "127.0.0.153";

const data = folder();
after(() => remove(data));
const skip = missing("runc", "umoci", "openssl") || cannotRun(data);
const real = { skip, timeout: 240000 };

let bundle, emulator, tls, dns, asked = [];

/** A certificate for `name` by an authority of our own, which the image is told to trust beside this system's. */
function certificates() {
  const at = (n) => join(data, n);
  const key = (n) => ["-newkey", "rsa:2048", "-nodes", "-keyout", at(`${n}.key`)];
  ok("openssl", ["req", "-x509", ...key("ca"), "-out", at("ca.pem"), "-subj", "/CN=ferry test", "-days", "2"]);
  ok("openssl", ["req", ...key("leaf"), "-out", at("leaf.csr"), "-subj", `/CN=${name}`]);
  writeFileSync(at("san"), `subjectAltName=DNS:${name}\n`);
  ok("openssl", ["x509", "-req", "-in", at("leaf.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
    "-days", "2", "-extfile", at("san"), "-out", at("leaf.pem")]);
  const system = readFileSync("/etc/ssl/certs/ca-certificates.crt", "utf8");
  writeFileSync(at("trusted.pem"), system + readFileSync(at("ca.pem"), "utf8"));
  return at("trusted.pem");
}

/** TLS in front of the emulator, which speaks plain HTTP. */
async function startTls() {
  tls = createServer({ key: readFileSync(join(data, "leaf.key")), cert: readFileSync(join(data, "leaf.pem")) }, (s) => {
    const to = connect(emulator.port, "127.0.0.1");
    s.pipe(to).pipe(s);
    for (const end of [s, to]) end.on("error", () => (s.destroy(), to.destroy()));
  });
  tls.on("tlsClientError", () => {});
  await new Promise((ready) => tls.listen(0, "127.0.0.1", ready));
}

/** A name server that knows one name (RFC 1035): an A record for it, an empty answer to other types. */
async function startDns() {
  dns = createSocket("udp4");
  dns.on("message", (q, from) => {
    let end = 12;
    const labels = [];
    for (; q[end]; end += q[end] + 1) labels.push(q.toString("latin1", end + 1, end + 1 + q[end]));
    const type = q.readUInt16BE(end + 1), known = labels.join(".") === name;
    asked.push(labels.join("."));
    const head = Buffer.from(q.subarray(0, 12));
    head.writeUInt16BE(known ? 0x8180 : 0x8183, 2); // an answer; or: no such name
    head.writeUInt16BE(known && type === 1 ? 1 : 0, 6);
    head.fill(0, 8);
    const address = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    const answer = [head, q.subarray(12, end + 5), ...(known && type === 1 ? [address] : [])];
    dns.send(Buffer.concat(answer), from.port, from.address);
  });
  await new Promise((ready) => dns.bind(53, nameserver, ready));
  writeFileSync(join(data, "resolv.conf"), `nameserver ${nameserver}\n`);
}

before(async () => {
  if (skip) return;
  ferry("image", "build", "-o", join(data, "layout"), "--certificates", certificates());
  bundle = join(data, "bundle");
  ok("umoci", ["unpack", "--image", `${join(data, "layout")}:latest`, bundle]);
  emulator = await Emulator.start({ bucket: "model-bkt" });
  await startTls();
  await startDns();
  const r = await runBeside(environment.FERRY, ["cp", "-r", join(root, "models/demo"), "gs://model-bkt/"], emulator.env);
  assert.equal(r.status, 0, r.stderr);
});

after(async () => {
  if (dns) dns.close();
  if (tls) tls.close();
  if (emulator) await emulator.stop();
});

const ask = async (port) =>
  runBeside(environment.FERRY, ["ask", `http://127.0.0.1:${port}`, "--audio", recording, "What is said here?"]);

test("a container serves a model from a folder and answers by voice", real, async (t) => {
  const memory = 96 * MiB;
  const c = new Container(bundle, "folder", {
    words: ["/model", "--host", "127.0.0.1"], env: { PORT: "0" }, mounts: [mount(join(root, "models/demo"), "/model")], memory,
  });
  const listening = await c.until("listening"), ready = await c.until("ready");
  t.diagnostic(`listening ${listening.at.toFixed(0)} ms after runc was started, ready after ${ready.at.toFixed(0)} ms; ` +
    `ferry's own share: ${listening.start_ms.toFixed(1)} and ${ready.ready_ms.toFixed(1)} ms`);
  const r = await ask(listening.port);
  assert.equal(r.stdout, "3 1 4\n", r.stderr);
  const chat = await fetch(`http://127.0.0.1:${listening.port}/v1/models`);
  assert.equal(chat.status, 200);

  const status = readFileSync(`/proc/${c.pid}/status`, "utf8");
  assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
  assert.match(status, /^CapEff:\t0+$/m);
  const stats = JSON.parse(ok("runc", ["events", "--stats", c.id])).data.memory;
  assert.equal(stats.usage.limit, memory);
  t.diagnostic(`memory: ${(stats.usage.max / MiB).toFixed(1)} MiB at most, of ${memory / MiB}`);
  mappedFilesAreOfTheImage(c.pid);
  assert.equal(await c.stop(), 0);
  assert.ok(c.log.some((l) => l.message === "stopped" && l.requests === "all answered"));
});

/** What the process has mapped lies in its own root, and is listed. */
function mappedFilesAreOfTheImage(pid) {
  const listed = new Set(JSON.parse(ferry("image", "build", "--dry-run", "--json")).files.map((f) => f.path));
  const mapped = new Set(readFileSync(`/proc/${pid}/maps`, "utf8").split("\n").map((l) => l.split(/ +/)[5]).filter((p) => p?.startsWith("/")));
  assert.ok(mapped.has("/ferry") && mapped.size > 10);
  for (const path of mapped) assert.ok(listed.has(path) || path.startsWith("/model/"), path);
  assert.equal(readlinkSync(`/proc/${pid}/exe`), "/ferry");
  const seen = readdirSync(`/proc/${pid}/root`).sort();
  assert.deepEqual(seen, ["dev", "etc", "ferry", "lib", "lib64", "model", "proc", "sys", "tmp"]);
}

const bucket = () => ({
  FERRY_ENDPOINT_STORAGE: `https://${name}:${tls.address().port}`, FERRY_ACCESS_TOKEN: emulator.env.FERRY_ACCESS_TOKEN,
});
const resolver = () => mount(join(data, "resolv.conf"), "/etc/resolv.conf");

test("a container serves a model from a bucket over TLS, its name asked of DNS", real, async () => {
  asked = [];
  const c = new Container(bundle, "bucket", {
    instead: ["/ferry", "exec", "gs://model-bkt/demo", "--", "/ferry", "serve", "{model}", "--host", "127.0.0.1"],
    env: { PORT: "0", ...bucket() }, mounts: [resolver(), tmpfs], memory: 128 * MiB,
  });
  const { port } = await c.until("listening");
  await c.until("ready");
  const r = await ask(port);
  assert.equal(r.stdout, "3 1 4\n", r.stderr);
  assert.ok(asked.includes(name), "the name server was not asked");
  assert.equal(await c.stop(), 0);
});

test("certificates that count are those of the image", real, async () => {
  const words = ["/ferry", "cat", "gs://model-bkt/demo/config.json"];
  const trusted = new Container(bundle, "trusted", { instead: words, env: bucket(), mounts: [resolver()], memory: 64 * MiB });
  let text = "";
  trusted.process.stdout.on("data", (d) => (text += d));
  assert.equal(await trusted.exited, 0, JSON.stringify(trusted.log));
  assert.equal(text, readFileSync(join(root, "models/demo/config.json"), "utf8"));
  const system = mount("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt");
  const wary = new Container(bundle, "wary", { instead: words, env: bucket(), mounts: [resolver(), system], memory: 64 * MiB });
  assert.equal(await wary.exited, 1);
  assert.match(JSON.stringify(wary.log), /certificate/);
});
