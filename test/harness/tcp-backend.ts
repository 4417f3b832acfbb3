// A TCP or TLS backend that greets with its name and echoes what it gets.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { KeyedCertificate } from "./certificates.js";
import type { Scope } from "./scope.js";

export interface TcpBackend {
  readonly host: string;
  readonly port: number;
  readonly connections: { open: number; total: number };
  /** The server names that TLS clients asked for, oldest first. */
  readonly serverNames: string[];
  close(): Promise<void>;
}

export interface TcpBackendOptions {
  readonly host?: string;
  readonly port?: number;
  readonly tls?: KeyedCertificate;
  /** PEM of the authority that a client's certificate must come from; none is asked for by default. */
  readonly clientAuthority?: string;
}

/** Sends "NAME\n" to each client that connects (after the handshake, with TLS), then everything back that comes. */
export async function startTcpBackend(
  scope: Scope,
  name: string,
  options: TcpBackendOptions = {},
): Promise<TcpBackend> {
  const sockets = new Set<Socket>();
  const connections = { open: 0, total: 0 };
  const serverNames: string[] = [];
  const greet = (socket: Socket) => {
    sockets.add(socket);
    connections.open += 1;
    connections.total += 1;
    const { servername } = socket as TLSSocket;
    if (typeof servername === "string") serverNames.push(servername);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      connections.open -= 1;
    });
    socket.write(`${name}\n`);
    socket.pipe(socket);
  };
  const { tls, clientAuthority } = options;
  const server = tls
    ? createTlsServer(
        {
          cert: tls.certificate,
          key: tls.privateKey,
          ...(clientAuthority ? { ca: clientAuthority, requestCert: true, rejectUnauthorized: true } : {}),
        },
        greet,
      )
    : createServer(greet);
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  const { address: host, port } = server.address() as AddressInfo;
  return scope.use({
    host,
    port,
    connections,
    serverNames,
    async close() {
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  });
}
