// A tiny DNS server for the demo: answers its own names, and passes any other on to the system's resolver.
import { createSocket, type RemoteInfo } from "node:dgram";
import { promises as system } from "node:dns";
import { once } from "node:events";
import type { HostPort } from "../../agent/bootstrap.js";

const TYPE_A = 1;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const NO_SUCH_NAME = 3;
const TTL_SECONDS = 5;

export interface DnsServer {
  readonly address: HostPort;
  close(): void;
}

/** Serves A records over UDP, on a port from the kernel: name -> IPv4 address. */
export async function startDns(host: string, names: Readonly<Record<string, string>>): Promise<DnsServer> {
  const socket = createSocket("udp4");
  socket.on("message", async (query: Buffer, from: RemoteInfo) => {
    const question = parseQuestion(query);
    if (!question) return;
    const addresses = question.type === TYPE_A ? await lookUp(question.name, names) : [];
    const known = addresses.length > 0 || question.type !== TYPE_A || question.name in names;
    socket.send(answer(query, question.end, known ? 0 : NO_SUCH_NAME, addresses), from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, "listening");
  socket.unref();
  return { address: { host, port: socket.address().port }, close: () => socket.close() };
}

async function lookUp(name: string, names: Readonly<Record<string, string>>): Promise<string[]> {
  const own = names[name];
  return own ? [own] : await system.resolve4(name).catch(() => []);
}

/** The first question (RFC 1035, 4.1.2) and where it ends; undefined for anything but a plain query. */
function parseQuestion(query: Buffer): { name: string; type: number; end: number } | undefined {
  const isResponse = ((query[2] ?? 0x80) & 0x80) !== 0;
  if (query.length < HEADER_BYTES || isResponse || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    if (length > 63 || at + length + 1 >= query.length) return undefined;
    labels.push(query.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += length + 1;
  }
  if (at + 5 > query.length) return undefined;
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answer(query: Buffer, questionEnd: number, code: number, addresses: readonly string[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // A response, recursion desired and available.
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const record = Buffer.alloc(16);
    // The name is the question's: a pointer to it.
    record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(CLASS_IN, 4);
    record.writeUInt32BE(TTL_SECONDS, 6);
    record.writeUInt16BE(4, 10);
    Buffer.from(address.split(".").map(Number)).copy(record, 12);
    return record;
  });
  return Buffer.concat([header, query.subarray(HEADER_BYTES, questionEnd), ...records]);
}
