// A gRPC call whose responses go to the HTTP/2 stream in their parts, for thousands of streams are sent the same megabytes: the
// library would copy them for each one, and leave each copy to be collected.
import type { ServerHttp2Stream } from "node:http2";
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import { Message } from "./message.js";

/** Of a message that is not compressed; its length follows. */
const PREFIX_BYTES = 5;

/** Has messages of Message's kind written uncopied; their bytes must never change. All else goes the library's way. */
export const uncopied: ServerInterceptor = (_method, call) => {
  const stream = http2StreamOf(call);
  return stream === undefined ? new ServerInterceptingCall(call) : new UncopiedCall(call, stream);
};

/**
 * The stream that the call is served on. The library keeps it to itself, so it may be found no more in another version of
 * it: undefined then.
 */
function http2StreamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  const { stream } = call as { readonly stream?: Partial<ServerHttp2Stream> };
  return typeof stream?.write === "function" && typeof stream.cork === "function"
    ? (stream as ServerHttp2Stream)
    : undefined;
}

class UncopiedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #stream: ServerHttp2Stream;

  constructor(call: ServerInterceptingCallInterface, stream: ServerHttp2Stream) {
    super(call);
    this.#call = call;
    this.#stream = stream;
  }

  /** As the library's own, it does not call back once the call was cancelled. */
  override sendMessage(message: unknown, callback: () => void): void {
    if (!(message instanceof Message)) {
      super.sendMessage(message, callback);
      return;
    }
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#call.sendMetadata(new Metadata());
    const written = (error?: Error | null) => {
      if (error) this.sendStatus({ code: status.INTERNAL, details: "the response could not be written" });
      else callback();
    };
    stream.cork();
    stream.write(prefixed(message), message.body.length === 0 ? written : undefined);
    if (message.body.length > 0) stream.write(message.body, written);
    stream.uncork();
  }
}

function prefixed({ head, byteLength }: Message): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + head.length);
  bytes.writeUInt8(0, 0);
  bytes.writeUInt32BE(byteLength, 1);
  bytes.set(head, PREFIX_BYTES);
  return bytes;
}
