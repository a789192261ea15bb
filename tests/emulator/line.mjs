// A line of limited speed in front of a server on this machine: what comes back over all its connections together.
import { connect, createServer } from "node:net";

export class Line {
  /** bytesPerSecond: of what the server at that port sends. */
  static async start(port, bytesPerSecond) {
    const line = new Line();
    line.free = 0; // when it is next idle
    line.late = 0; // how long it has been held, in all
    line.held = null; // what waits while it is held
    line.sockets = new Set();
    line.server = createServer((client) => {
      const server = connect(port, "127.0.0.1");
      for (const s of [client, server]) {
        line.sockets.add(s.on("close", () => line.sockets.delete(s)).on("error", () => {}));
        s.on("close", () => (s === client ? server : client).destroySoon());
      }
      client.pipe(server);
      server.on("data", (bytes) => {
        server.pause();
        line.free = Math.max(performance.now(), line.free) + (bytes.length / bytesPerSecond) * 1000;
        const due = line.free - line.late;
        const pass = () => {
          const early = due + line.late - performance.now();
          if (line.held) return line.held.push(pass);
          if (early > 0) return setTimeout(pass, early);
          client.write(bytes);
          server.resume();
        };
        setTimeout(pass, line.free - performance.now());
      });
    });
    await new Promise((ready) => line.server.listen(0, "127.0.0.1", ready));
    line.port = line.server.address().port;
    return line;
  }

  /** Without the server: its environment with this line in the place of that port, for the bytes of buckets. */
  through(env) {
    return { ...env, FERRY_ENDPOINT_STORAGE: `http://127.0.0.1:${this.port}` };
  }

  /** Nothing comes until release(); what was on its way then takes the time it had left. */
  hold() {
    this.held = [];
    this.heldAt = performance.now();
  }

  release() {
    const waiting = this.held ?? [], ms = this.held ? performance.now() - this.heldAt : 0;
    this.held = null;
    this.late += ms;
    this.free += ms;
    for (const pass of waiting) pass();
  }

  stop() {
    for (const s of this.sockets) s.destroy();
    return new Promise((done) => this.server.close(done));
  }
}
