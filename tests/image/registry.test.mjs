// ferry image against a real registry (docker-registry), what it leaves there read by skopeo and umoci.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Breaker, Registry, environment, ferry, folder, missing, ok, remove, run, runBeside } from "./parts.mjs";

const skip = missing("docker-registry", "skopeo", "umoci");
const real = { skip, timeout: 240000 };
const old = { SOURCE_DATE_EPOCH: "1764089000" };
let data, registry, built;

before(async () => {
  if (skip) return;
  data = folder();
  registry = await Registry.start(data);
  built = JSON.parse(ferry("image", "build", "--json", "-o", join(data, "layout")));
});

after(async () => {
  if (registry) await registry.stop();
  if (data) remove(data);
});

const push = (...args) => runBeside(environment.FERRY, ["image", "push", ...args], { ...old });
const digestIn = async (host, name) => JSON.parse(await said("skopeo", "inspect", "--tls-verify=false", `docker://${host}/${name}`)).Digest;
async function said(program, ...args) {
  const r = await runBeside(program, args);
  assert.equal(r.status, 0, `${program} ${args.join(" ")}: ${r.stderr}`);
  return r.stdout;
}

test("an image is pushed, and pushing it again sends nothing", real, async () => {
  await registry.requests();
  const first = await push(`${registry.host}/team/ferry:1`, "--json");
  assert.equal(first.status, 0, first.stderr);
  const { reference, digest, blobs } = JSON.parse(first.stdout);
  assert.equal(reference, `${registry.host}/team/ferry@${digest}`);
  assert.deepEqual(blobs.map((b) => `${b.name} ${b.state}`), ["libraries sent", "ferry sent", "config sent", "manifest sent"]);
  assert.equal(await digestIn(registry.host, "team/ferry:1"), digest);

  await registry.requests();
  const again = await push(`${registry.host}/team/ferry:1`);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, new RegExp(`manifest +\\d+ B  was there\n${reference}\n$`));
  const requests = await registry.requests();
  assert.equal(requests.length, 4);
  for (const r of requests) assert.match(r, /^HEAD \S+ 200$/);
});

test("what a person sees of the image in a registry is what it is", real, async () => {
  const seen = JSON.parse(await said("skopeo", "inspect", "--tls-verify=false", `docker://${registry.host}/team/ferry:1`));
  assert.equal(seen.Os, "linux");
  assert.equal(seen.Architecture, "amd64");
  assert.equal(seen.Created, "2025-11-25T16:43:20Z");
  assert.equal(seen.Labels["org.opencontainers.image.version"], built.version);
  assert.equal(seen.Layers.length, 2);
  assert.ok(seen.Env.includes("SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"));
});

test("a new program sends one layer; another repository's layers are mounted", real, async () => {
  await registry.requests();
  const other = JSON.parse((await push(`${registry.host}/team/ferry:2`, "--symbols", "--json")).stdout);
  assert.deepEqual(other.blobs.map((b) => b.state), ["was there", "sent", "sent", "sent"]);
  assert.equal((await registry.requests()).filter((r) => r.startsWith("PUT")).length, 3);
  const mounted = JSON.parse((await push(`${registry.host}/other/ferry:1`, "--mount", "team/ferry", "--json")).stdout);
  assert.deepEqual(mounted.blobs.map((b) => b.state), ["mounted", "mounted", "mounted", "sent"]);
});

test("layers go in pieces, to the same image", real, async () => {
  await registry.requests();
  const pieces = JSON.parse((await push(`${registry.host}/pieces/ferry:1`, "--chunk", "1", "--json")).stdout);
  assert.equal(pieces.digest, await digestIn(registry.host, "team/ferry:1"));
  const patches = (await registry.requests()).filter((r) => r.startsWith("PATCH"));
  const expected = [...pieces.layers.map((l) => l.size), 1].reduce((n, size) => n + Math.ceil(size / 2 ** 20), 0);
  assert.equal(patches.length, expected);
});

test("a push over a link that breaks goes on, in pieces or whole", real, async (t) => {
  const breaker = await Breaker.start(registry.port);
  t.after(() => breaker.stop());
  for (const [name, args] of [["whole", []], ["chunked", ["--chunk", "2"]]]) {
    let breaks = 3;
    breaker.broken = 0;
    breaker.limit = (head) => (/^(PUT|PATCH) \S+uploads/.test(head) && breaks-- > 0 ? 1.5e6 : Infinity);
    const r = await push(`${breaker.host}/${name}/ferry:1`, "--json", ...args);
    assert.equal(r.status, 0, r.stderr);
    assert.ok(breaker.broken >= 2, `${name}: ${breaker.broken} breaks`);
    assert.equal(JSON.parse(r.stdout).digest, await digestIn(registry.host, `${name}/ferry:1`));
  }
});

test("an upload is gone on with where the registry still has it", real, async (t) => {
  const breaker = await Breaker.start(registry.port);
  t.after(() => breaker.stop());
  let patches = 0, breaks = 3;
  breaker.limit = (head) => (head.startsWith("PATCH") && ++patches > 3 && breaks-- > 0 ? 0 : Infinity);
  await registry.requests();
  const r = await push(`${breaker.host}/resumed/ferry:1`, "--chunk", "1", "--json");
  assert.equal(r.status, 0, r.stderr);
  assert.equal(breaker.broken, 3);
  assert.equal(JSON.parse(r.stdout).digest, await digestIn(registry.host, "resumed/ferry:1"));
  const requests = await registry.requests();
  assert.equal(requests.filter((q) => q.startsWith("POST")).length, 3, "each blob was begun once");
  assert.ok(requests.some((q) => /^GET \S+uploads\S+ 204$/.test(q)));
});

test("an answer that is lost costs time, nothing else", real, async (t) => {
  const breaker = await Breaker.start(registry.port);
  t.after(() => breaker.stop());
  for (const method of ["POST", "PATCH", "PUT"]) {
    let losses = 1;
    breaker.loses = (head) => head.startsWith(method) && losses-- > 0;
    const r = await push(`${breaker.host}/lost-${method.toLowerCase()}/ferry:1`, "--chunk", "4", "--json");
    assert.equal(r.status, 0, `${method}: ${r.stderr}`);
    assert.equal(JSON.parse(r.stdout).digest, await digestIn(registry.host, `lost-${method.toLowerCase()}/ferry:1`));
  }
  assert.equal(breaker.broken, 3);
});

test("a registry with a login is told it, from the environment or from docker's file", real, async (t) => {
  const place = join(data, "closed");
  mkdirSync(place);
  const closed = await Registry.start(place, {
    relative: true,
    htpasswd: "someone:$2b$04$BoOUdOsnK/5SAUv/kpSeJet8/qZVj1M3WOVVMoyEhqQjFPNC1fi02\n", // pass:word
  });
  t.after(() => closed.stop());
  const login = { FERRY_REGISTRY_USER: "someone", FERRY_REGISTRY_PASSWORD: "pass:word" };
  const name = `${closed.host}/team/ferry`;
  const refused = await runBeside(environment.FERRY, ["image", "push", name]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^ferry: image: \S+\/team\/ferry: libraries \(sha256:\w+…\): HTTP 401: UNAUTHORIZED: .*; set FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD, or `docker login [^`]+`\n$/);
  const pushed = await runBeside(environment.FERRY, ["image", "push", name], login);
  assert.equal(pushed.status, 0, pushed.stderr);
  const docker = join(place, "docker");
  mkdirSync(docker);
  writeFileSync(join(docker, "config.json"), JSON.stringify({ auths: { [closed.host]: { auth: Buffer.from("someone:pass:word").toString("base64") } } }));
  const again = await runBeside(environment.FERRY, ["image", "push", `${name}:2`], { DOCKER_CONFIG: docker });
  assert.equal(again.status, 0, again.stderr);
});

test("skopeo copies it from the registry and from the folder, every digest checked", real, async () => {
  const back = `dir:${join(data, "back")}`, from = `oci:${join(data, "layout")}:latest`;
  await said("skopeo", "copy", "--src-tls-verify=false", `docker://${registry.host}/team/ferry:1`, back);
  await said("skopeo", "copy", "--dest-tls-verify=false", from, `docker://${registry.host}/copied/ferry:1`);
  const manifest = JSON.parse(readFileSync(join(data, "back", "manifest.json")));
  for (const { digest } of [manifest.config, ...manifest.layers]) {
    const bytes = readFileSync(join(data, "back", digest.slice(7)));
    assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, digest);
  }
  assert.equal(await digestIn(registry.host, "copied/ferry:1"), built.digest);
});

test("unpacked it has exactly the files that are listed, and nothing else of this machine", { skip: skip || (process.getuid() !== 0 && "umoci unpacks owners as root"), timeout: 240000 }, () => {
  const bundle = join(data, "bundle");
  ok("umoci", ["unpack", "--image", `${join(data, "layout")}:latest`, bundle]);
  const found = {};
  const walk = (at, name) => {
    for (const e of readdirSync(at, { withFileTypes: true })) {
      const st = lstatSync(join(at, e.name));
      assert.ok(e.isDirectory() || e.isFile(), `${name}${e.name} is neither file nor folder`);
      assert.deepEqual([st.uid, st.gid, st.mtimeMs], [0, 0, 0], `${name}${e.name}`);
      const path = `${name}${e.name}${e.isDirectory() ? "/" : ""}`;
      found[path] = { mode: (st.mode & 0o7777).toString(8).padStart(4, "0"), size: e.isDirectory() ? 0 : st.size };
      if (e.isDirectory()) walk(join(at, e.name), path);
    }
  };
  walk(join(bundle, "rootfs"), "/");
  assert.deepEqual(found, Object.fromEntries(built.files.map((f) => [f.path, { mode: f.mode, size: f.size }])));
  for (const f of built.files.filter((f) => f.source))
    assert.ok(readFileSync(f.source).equals(readFileSync(join(bundle, "rootfs", f.path))), f.path);
});

test("what is printed can be read, by people and programs", real, () => {
  const plan = JSON.parse(ferry("image", "push", "localhost:1/a/b", "--dry-run", "--json"));
  assert.equal(plan.digest, built.digest);
  assert.deepEqual([...new Set(plan.requests.map((r) => r.method))], ["HEAD", "POST", "PUT"]);
  assert.match(ferry("image", "build", "--dry-run"), /^ferry \S+.* linux\/amd64, [\d.]+ MB\n {2}libraries [^]*\/ferry\n.*nothing was written\n$/s);
  assert.match(ferry("image", "push", "us-docker.pkg.dev/p/r/f", "--dry-run"), /\nPUT {2}https:\/\/us-docker\.pkg\.dev\/v2\/p\/r\/f\/manifests\/latest\n/);
});

test("what cannot be is said in one line", real, () => {
  const cases = [
    [[], 2, /^ferry: image: build or push\? usage: ferry image build -o FOLDER \| push /],
    [["mend"], 2, /^ferry: image: build or push\?/],
    [["build"], 2, /^ferry: image: where to\? -o FOLDER, or --dry-run/],
    [["build", "-o", join(data, "x"), "-t", "a b"], 2, /^ferry: image: --tag: "a b", expected letters, digits/],
    [["build", "-o", data], 2, /: holds something else than images; name a new folder\n$/],
    [["build", "-n", "--binary", "/bin/sh"], 1, /^ferry: image: \/bin\/sh: not a ferry program, or one from before images\n$/],
    [["push"], 2, /^ferry: image: where to\? ferry image push REGISTRY\/REPOSITORY\[:TAG\]\n$/],
    [["push", "Ferry"], 2, /^ferry: image: Ferry: an image's name is written in lower case\n$/],
    [["push", "a/b", "--mount", "A"], 2, /^ferry: image: --mount: "A", expected a repository's name/],
    [["push", "a/b", "--chunk", "-1"], 2, /^ferry: image: --chunk/],
  ];
  for (const [args, status, says] of cases) {
    const r = run(environment.FERRY, ["image", ...args]);
    assert.match(r.stderr, says);
    assert.equal(r.status, status, args.join(" "));
  }
  const r = run(environment.FERRY, ["image", "build", "-n"], { SOURCE_DATE_EPOCH: "yesterday" });
  assert.match(r.stderr, /^ferry: image: SOURCE_DATE_EPOCH: "yesterday", expected seconds since 1970\n$/);
});
