// One bidirectional gRPC call over its own HTTP/2 connection, in raw messages: what the gRPC library would add is not
// what is measured.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";

export const ADS_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/** Envoy's own windows are as large, so that flow control holds nobody up who reads. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const PREFIX_BYTES = 5;

export interface CallHandlers {
  readonly onMessage: (message: Buffer) => void;
  /** The call or its connection ended, with the gRPC status if the server gave one. Called once. */
  readonly onEnd: (status: string | undefined) => void;
}

export class GrpcCall {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #handlers: CallHandlers;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = PREFIX_BYTES;
  readonly #unsent: (() => Uint8Array)[] = [];
  #isReady = false;
  #isWriting = false;
  #isEnded = false;
  #status: string | undefined;

  /** `address` is host:port. */
  constructor(address: string, path: string, handlers: CallHandlers) {
    this.#handlers = handlers;
    this.#session = connect(`http://${address}`, { settings: { initialWindowSize: WINDOW_BYTES } });
    this.#session.on("connect", () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    this.#session.on("remoteSettings", () => {
      this.#isReady = true;
      this.#write();
    });
    this.#session.on("error", () => this.#end());
    this.#session.on("close", () => this.#end());
    this.#stream = this.#session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
    });
    const readStatus = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) this.#status = String(headers["grpc-status"]);
    };
    this.#stream.on("response", readStatus);
    this.#stream.on("trailers", readStatus);
    this.#stream.on("data", (chunk: Buffer) => this.#read(chunk));
    // A stream that the server alone has ended is not closed yet.
    this.#stream.on("end", () => this.#end());
    this.#stream.on("error", () => this.#end());
    this.#stream.on("close", () => this.#end());
  }

  /** Messages are made one by one, when they can be written: thousands of calls may wait for one server. */
  send(make: () => Uint8Array): void {
    this.#unsent.push(make);
    this.#write();
  }

  /** Drops the connection without a word, as a process that is killed does. */
  destroy(): void {
    this.#session.destroy();
    this.#end();
  }

  #write(): void {
    if (!this.#isReady || this.#isWriting || this.#isEnded) return;
    const message = this.#unsent.shift()?.();
    if (message === undefined) return;
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    this.#isWriting = true;
    this.#stream.write(prefix);
    this.#stream.write(message, () => {
      this.#isWriting = false;
      this.#write();
    });
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    while (this.#buffered >= this.#wanted) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      const size = PREFIX_BYTES + all.readUInt32BE(1);
      if (all.length >= size) this.#handlers.onMessage(all.subarray(PREFIX_BYTES, size));
      const rest = all.length >= size ? all.subarray(size) : all;
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#buffered = rest.length;
      this.#wanted = all.length >= size ? PREFIX_BYTES : size;
    }
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#session.destroy();
    this.#handlers.onEnd(this.#status);
  }
}
