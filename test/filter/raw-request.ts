// Sends a request just as it is written, which no client library would do.
import { once } from "node:events";
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Of the first header of that name. */
  field(name: string): string | undefined;
}

/** Resolves when the answer's head is there; its body is not waited for. */
export async function sendRaw(
  url: string,
  method: string,
  path: string,
  headers: readonly (readonly [name: string, value: string])[],
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  const lines = [`${method} ${path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""];
  socket.write(lines.join("\r\n"));
  let answer = "";
  for await (const chunk of socket) {
    answer += chunk;
    if (answer.includes("\r\n\r\n")) break;
  }
  socket.destroy();
  return {
    status: Number(answer.split(" ")[1]),
    field: (name) => new RegExp(`^${name}: (.*)\r$`, "m").exec(answer)?.[1],
  };
}
