// Google's storage test bench, a proxy in front of it that says which requests are to meet a fault, and ferry
// run against both. FERRY_TESTBENCH: its checkout; FERRY: the program; PYTHON: what serve.py runs with.
//
// The test bench takes its faults from a script, one list of instructions per API method, which a request
// names in a header. Ferry knows nothing of that: the header is put in on the way.
import { spawn } from "node:child_process";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export class Bench {
  static async start() {
    const b = new Bench();
    b.lines = [];
    b.process = spawn(process.env.PYTHON ?? "python3", [join(here, "serve.py"), process.env.FERRY_TESTBENCH], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    b.exited = new Promise((done) => b.process.on("exit", done));
    b.port = await new Promise((ready, failed) => {
      createInterface({ input: b.process.stderr }).on("line", (line) => {
        b.lines.push(line);
        const at = line.match(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/);
        if (at) ready(Number(at[1]));
      });
      b.exited.then(() => failed(new Error(`the test bench ended:\n${b.lines.join("\n")}`)));
    });
    return b;
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.exited;
  }

  /** Straight to it, past every fault, on a connection of its own. */
  call(method, path, body, headers = {}) {
    return new Promise((done, failed) => {
      const r = request({ host: "127.0.0.1", port: this.port, method, path, headers, agent: false }, (answer) => {
        const chunks = [];
        answer.on("data", (c) => chunks.push(c));
        answer.on("error", failed);
        answer.on("end", () => {
          const bytes = Buffer.concat(chunks);
          if (answer.statusCode === 200) done(bytes);
          else failed(new Error(`${method} ${path}: ${answer.statusCode} ${bytes.toString().slice(0, 300)}`));
        });
      });
      r.on("error", failed);
      r.end(body);
    });
  }

  async json(method, path, body) {
    const bytes = await this.call(method, path, body && JSON.stringify(body), { "content-type": "application/json" });
    return JSON.parse(bytes.toString());
  }

  /** A script of faults: {"storage.objects.get": ["return-503", …]}. Its id. */
  async script(instructions) {
    return (await this.json("POST", "/retry_test", { instructions })).id;
  }

  /** The instructions that nothing has met yet. */
  async left(id) {
    return Object.values((await this.json("GET", `/retry_test/${id}`)).instructions).flat();
  }

  makeBucket(name) {
    return this.json("POST", "/storage/v1/b?project=test", { name });
  }

  put(bucket, name, bytes) {
    const query = `uploadType=media&name=${encodeURIComponent(name)}`;
    return this.call("POST", `/upload/storage/v1/b/${bucket}/o?${query}`, bytes);
  }

  get(bucket, name) {
    return this.call("GET", `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`);
  }

  async names(bucket) {
    return (await this.json("GET", `/storage/v1/b/${bucket}/o`)).items.map((o) => o.name);
  }
}

/** The requests of one connection as they pass: heads are looked at, bodies counted. */
class Requests {
  constructor(onHead) {
    this.onHead = onHead;
    this.pending = Buffer.alloc(0);
    this.missing = 0; // bytes of the body under way
  }

  /** What is to be passed on for these bytes. */
  feed(bytes) {
    const out = [];
    this.pending = Buffer.concat([this.pending, bytes]);
    while (this.pending.length) {
      if (!this.missing) {
        const end = this.pending.indexOf("\r\n\r\n");
        if (end < 0) break;
        out.push(this.head(this.pending.subarray(0, end).toString("latin1")));
        this.pending = this.pending.subarray(end + 4);
      }
      const body = this.pending.subarray(0, this.missing);
      this.request.body += body.length;
      this.missing -= body.length;
      this.pending = this.pending.subarray(body.length);
      out.push(body);
    }
    return Buffer.concat(out);
  }

  head(text) {
    const [line, ...headers] = text.split("\r\n");
    const [method, path] = line.split(" ");
    const given = Object.fromEntries(headers.map((h) => [h.slice(0, h.indexOf(":")).toLowerCase(), h.slice(h.indexOf(":") + 1).trim()]));
    if (given["transfer-encoding"]) throw new Error(`${line}: a body of unknown length`);
    this.missing = Number(given["content-length"] ?? 0);
    this.request = { method, path, headers: given, body: 0, status: 0, fault: false };
    const added = Object.entries(this.onHead(this.request)).map(([k, v]) => `${k}: ${v}`);
    return Buffer.from([line, ...headers, ...added, "", ""].join("\r\n"), "latin1");
  }
}

/** Bytes as they come, ends and resets included, in both directions. */
export class Proxy {
  static async start(port) {
    const p = new Proxy();
    p.log = []; // {method, path, headers, body: bytes of it, status, fault: whether it was marked}
    p.mark = () => ({});
    p.sockets = new Set();
    p.server = createServer({ allowHalfOpen: true }, (client) => p.join(client, connect({ port, host: "127.0.0.1", allowHalfOpen: true })));
    await new Promise((ready) => p.server.listen(0, "127.0.0.1", ready));
    p.host = `127.0.0.1:${p.server.address().port}`;
    return p;
  }

  stop() {
    for (const s of this.sockets) s.destroy();
    return new Promise((done) => this.server.close(done));
  }

  /** From now on: headers for the requests that `which` takes, by what it is told of them. */
  strike(headers, which = () => true) {
    this.mark = (request) => ((request.fault = which(request)) ? headers : {});
  }

  join(client, bench) {
    const requests = new Requests((request) => {
      const added = this.mark(request);
      this.log.push(request);
      return added;
    });
    const pass = (from, to, through) => {
      this.sockets.add(from);
      from.on("data", (bytes) => {
        if (!to.writable) return;
        if (!to.write(through(bytes))) from.pause();
      });
      to.on("drain", () => from.resume());
      from.on("end", () => to.end());
      from.on("error", () => to.resetAndDestroy());
      from.on("close", () => {
        this.sockets.delete(from);
        if (!from.readableEnded) to.destroy();
      });
    };
    pass(client, bench, (bytes) => requests.feed(bytes));
    pass(bench, client, (bytes) => {
      const status = bytes.toString("latin1", 0, 12).match(/^HTTP\/1\.1 (\d+)/);
      if (status) requests.request.status = Number(status[1]);
      return bytes;
    });
  }
}

/** Ferry, to its end: {code, out, err}. input: what a pipe brings it. */
export function ferry(args, { env = {}, cwd, input } = {}) {
  const p = spawn(process.env.FERRY, args, { cwd, env: { ...process.env, ...env } });
  p.stdin.on("error", () => {}); // it may end without reading all of it
  p.stdin.end(input);
  const out = [], err = [];
  p.stdout.on("data", (c) => out.push(c));
  p.stderr.on("data", (c) => err.push(c));
  return new Promise((done) =>
    p.on("close", (code, signal) =>
      done({ code: code ?? signal, out: Buffer.concat(out), err: Buffer.concat(err).toString() })));
}
