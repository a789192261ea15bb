// ferry as a node test runs it beside the emulator. FERRY names the program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { token } from "./run_emulator.mjs";

/** What this test was run with, but for all that would change what ferry does. */
const notOurs = /^(FERRY_|GOOGLE_|CLOUDSDK_|GCLOUD_|(https?|all|no)_proxy|SOURCE_DATE_EPOCH|REGISTRY_AUTH_FILE|DOCKER_CONFIG)/i;
export const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !notOurs.test(name)));

/** What a test does with ferry in the project demo-proj. emulator(): the one that it has now; settings(): what ferry's
 * environment has besides, or has not (undefined). */
export function ferryBeside(emulator, settings = () => ({})) {
  const env = () => ({
    ...clean, ...emulator().env, CLOUDSDK_CORE_PROJECT: "demo-proj", NO_COLOR: "1", LC_ALL: "C.UTF-8",
    XDG_STATE_HOME: emulator().data, ...settings(),
  });

  /** {child, stdout, stderr, done} of one that runs; done gives the same with {status, last}, the last line of stderr, once
   * it has ended. kill, interrupt: words of stdout or stderr behind which it gets SIGKILL, SIGINT. more: environment. */
  function start(args, { kill, interrupt, more = {} } = {}) {
    const child = spawn(process.env.FERRY, args, { env: { ...env(), ...more }, stdio: ["ignore", "pipe", "pipe"] });
    const r = { child, stdout: "", stderr: "" };
    const words = kill ?? interrupt, signal = kill ? "SIGKILL" : "SIGINT";
    for (const name of ["stdout", "stderr"])
      child[name].on("data", (d) => {
        r[name] += d;
        if (words && !child.killed && r[name].includes(words)) child.kill(signal);
      });
    r.done = new Promise((ended) => child.on("close", (code, by) => {
      ended(Object.assign(r, { status: code ?? by, last: r.stderr.trimEnd().split("\n").at(-1) }));
    }));
    return r;
  }

  /** The same once it has ended; ok: well. */
  const ferry = (args, options) => start(args, options).done;
  async function ok(...args) {
    const r = await ferry(args);
    assert.equal(r.status, 0, `${args.join(" ")}: ${r.stderr}`);
    return r;
  }

  /** The emulator's answer to a user who may do everything. body: sent as JSON. */
  const send = (path, method = "GET", body = undefined) => fetch(`${emulator().url}${path}`, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
  });
  /** What it says, or null where it refuses. */
  async function api(path, method, body) {
    const r = await send(path, method, body);
    return r.status === 200 ? r.json() : null;
  }

  /** The requests in its log that were to change something. */
  const changes = async () => (await emulator().log())
    .filter((l) => !["GET", "HEAD"].includes(l.method) && !l.path.includes("entries:list"));

  return { env, start, ferry, ok, send, api, changes };
}
