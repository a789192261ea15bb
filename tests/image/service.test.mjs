// From a model on the hub to answers of the very image that was pushed: `ferry up`, and where Cloud Run would start an instance of
// the service, runc does: image, environment, port and memory are those that the emulator was told.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { createServer as listen } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ferryBeside } from "../emulator/ferry.mjs";
import { Emulator, token } from "../emulator/run_emulator.mjs";
import { folder, missing, ok, remove, runBeside } from "./parts.mjs";
import { Container, MiB, cannotRun, tmpfs } from "./runc.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const region = "asia-northeast1", name = "listener", bucket = "demo-proj-models", config = `gs://${bucket}/${name}.json`;
const identity = "Bearer id.of.me";
const data = folder();
const skip = missing("runc", "umoci", "skopeo") || cannotRun(data);
const later = (ms) => new Promise((done) => setTimeout(done, ms));
let emulator, run;
const beside = ferryBeside(() => emulator, () => ({ FERRY_IDENTITY_TOKEN: "id.of.me", XDG_STATE_HOME: join(data, "state") }));
const ferry = async (...args) => (await beside.ok(...args)).stdout;

async function isFree(port) {
  const s = listen();
  const free = await new Promise((done) => s.on("error", () => done(false)).listen(port, () => done(true)));
  await new Promise((done) => s.close(done));
  return free;
}

const bytes = (amount) => Number(/^(\d+)Gi$/.exec(amount)?.[1] ?? assert.fail(amount)) * 1024 * MiB;

/** Cloud Run's part: takes requests for the service and starts an instance for the first one. */
class CloudRun {
  async open() {
    this.instances = [];
    this.refused = 0;
    this.server = createServer((q, answer) => this.take(q, answer).catch((e) => answer.writeHead(500).end(String(e.stack))));
    await new Promise((ready) => this.server.listen(0, "127.0.0.1", ready));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async take(q, answer) {
    const { "x-serverless-authorization": given, ...headers } = q.headers;
    if (given !== identity) return this.refused++, answer.writeHead(403, { "content-type": "text/html" }).end("<html>403 Forbidden</html>");
    const s = await this.service();
    if (!s) return answer.writeHead(404, { "content-type": "text/html" }).end("<html>404 Not Found</html>");
    const port = await (this.starting ??= this.start(s));
    q.pipe(request({ host: "127.0.0.1", port, path: q.url, method: q.method, headers }, (r) => {
      answer.writeHead(r.statusCode, r.headers);
      r.pipe(answer);
    }));
  }

  async service() {
    return await beside.api(`/v2/projects/demo-proj/locations/${region}/services/${name}`);
  }

  /** The image by its digest, out of the registry it was pushed to; once. */
  async bundle(image) {
    if (this.image === image) return this.path;
    const [, path, digest] = /^[^/]+-docker\.pkg\.dev\/(.+)@(sha256:[0-9a-f]{64})$/.exec(image);
    const layout = join(data, "layout");
    const pulled = await runBeside("skopeo", ["copy", "--src-tls-verify=false", "--src-creds", `oauth2accesstoken:${token}`,
      `docker://127.0.0.1:${emulator.port}/${path}@${digest}`, `oci:${layout}:latest`]);
    assert.equal(pulled.status, 0, pulled.stderr);
    this.path = join(data, "bundle");
    ok("umoci", ["unpack", "--image", `${layout}:latest`, this.path]);
    this.image = image;
    return this.path;
  }

  /** The port of a new instance, once its startup probe has passed. */
  async start({ template }) {
    const [c] = template.containers, probe = c.startupProbe;
    assert.equal(c.ports[0].containerPort, 8080);
    const port = (await isFree(8080)) ? 8080 : 0; // another test may have it
    const env = {
      ...Object.fromEntries(c.env.map((v) => [v.name, v.value])), PORT: String(port),
      FERRY_ENDPOINT_STORAGE: emulator.url, GCE_METADATA_HOST: `127.0.0.1:${emulator.port}`, GCE_METADATA_IP: `127.0.0.1:${emulator.port}`,
    };
    const one = new Container(await this.bundle(c.image), `instance-${this.instances.length}`, {
      env, mounts: [tmpfs], memory: bytes(c.resources.limits.memory),
    });
    this.instances.push(one);
    const at = (await one.until("listening")).port, until = Date.now() + probe.periodSeconds * probe.failureThreshold * 1000;
    assert.ok(port === 0 || at === port);
    for (const url = `http://127.0.0.1:${at}${probe.httpGet.path}`; ; await later(20)) {
      const r = await fetch(url).catch(() => null);
      if (r?.status === 200) return at;
      assert.ok(Date.now() < until, `no 200 of ${probe.httpGet.path}`);
    }
  }

  /** What happens to the last instance when nobody asks for long. */
  async toZero() {
    this.starting = null;
    return await this.instances.at(-1).stop();
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    if (this.starting) await this.toZero();
  }
}

const ask = () => ferry("ask", name, "--audio", join(root, "samples/digits-en.wav"), "What is said here?");
/** Once the service has looked at its configuration, which it does every two seconds. */
async function answers(text) {
  for (const until = Date.now() + 15000; (await ask()) !== text; await later(100)) assert.ok(Date.now() < until, `never ${text}`);
}

before(async () => {
  if (skip) return;
  mkdirSync(join(data, "hub/tiny"), { recursive: true });
  cpSync(join(root, "models/demo"), join(data, "hub/tiny/Demo-Listener"), { recursive: true });
  run = new CloudRun();
  await run.open();
  emulator = await Emulator.start({ hub: join(data, "hub"), serviceUrl: run.url });
});
after(async () => {
  await run?.close();
  await emulator?.stop();
  remove(data);
});

test("up, ask, another configuration, asleep, ask, down: by the image that was pushed", { skip, timeout: 300000 }, async (t) => {
  await ferry("up", "tiny/Demo-Listener", "--name", name, "--region", region, "--config", config, "--no-question", "--yes");
  assert.equal(run.instances.length, 0, "nothing runs while nobody asks");

  assert.equal(await ask(), "3 1 4\n");
  const [first] = run.instances, { template } = await run.service();
  const listening = await first.until("listening"), ready = await first.until("ready");
  t.diagnostic(`listening ${listening.at.toFixed(0)} ms after runc was started, ready after ${ready.at.toFixed(0)} ms`);
  assert.match(readFileSync(`/proc/${first.pid}/status`, "utf8"), /^Uid:\t65532\t/m);
  const stats = JSON.parse(ok("runc", ["events", "--stats", first.id])).data.memory;
  assert.equal(stats.usage.limit, bytes(template.containers[0].resources.limits.memory));

  await ferry("config", "set", name, "max_tokens=1");
  await answers("3\n");
  assert.equal(run.instances.length, 1);

  assert.equal(await run.toZero(), 0);
  assert.ok(first.log.some((l) => l.message === "stopped" && l.requests === "all answered"));
  assert.equal(await ask(), "3\n", "the next instance begins with it");
  assert.equal(run.instances.length, 2);
  await ferry("config", "set", name, "--unset", "max_tokens");
  await answers("3 1 4\n");
  assert.equal(run.refused, 0, "nobody asked without an identity");

  await ferry("down", name, "--yes");
  assert.equal(await run.service(), null);
  const gone = await fetch(run.url, { headers: { "x-serverless-authorization": identity } });
  assert.equal(gone.status, 404);
  assert.match(await ferry("ls", `gs://${bucket}/demo-listener/`), /model\.safetensors/);
});
