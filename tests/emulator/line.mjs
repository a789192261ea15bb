// A line of limited speed in front of a server on this machine: what comes back over all its connections together.
import { connect, createServer } from "node:net";

export class Line {
  /** bytesPerSecond: of what the server at that port sends. */
  static async start(port, bytesPerSecond) {
    const line = new Line();
    let free = 0; // when the line is next idle
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
        free = Math.max(performance.now(), free) + (bytes.length / bytesPerSecond) * 1000;
        setTimeout(() => {
          client.write(bytes);
          server.resume();
        }, free - performance.now());
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

  stop() {
    for (const s of this.sockets) s.destroy();
    return new Promise((done) => this.server.close(done));
  }
}
