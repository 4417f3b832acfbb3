// What happens on the ADS server, told one by one for logs and metrics.
import type { TypeUrl } from "./snapshot.js";

interface OfResponse {
  readonly key: string;
  readonly typeUrl: TypeUrl;
  readonly version: string;
  readonly nonce: string;
}

export type AdsEvent =
  | {
      readonly type: "connect";
      readonly key: string;
      readonly nodeId: string;
      readonly peer: string;
      readonly protocol: "delta" | "sotw";
    }
  | { readonly type: "disconnect"; readonly key: string }
  | {
      /** A defect of the server's, or an onConnect that threw: the stream ended with INTERNAL, the others go on. */
      readonly type: "fault";
      /** Empty before the stream was let in. */
      readonly key: string;
      readonly error: unknown;
    }
  | {
      /**
       * All that the newest snapshot adds and changes was sent and answered, be it by a rejection. Comes again when
       * what nothing refers to any more was removed, and after whatever else the client asked for.
       */
      readonly type: "delivered";
      readonly key: string;
    }
  | {
      /**
       * It is delivered, and the client has answered every response that it was sent, which one that lets answerMillis
       * pass has not. Comes again as the above does.
       */
      readonly type: "answered";
      readonly key: string;
    }
  | (OfResponse & {
      readonly type: "push";
      readonly heartbeat: boolean;
      /** How many it carries, and how many it removes. */
      readonly resources: number;
      readonly removed: number;
      /** Of the whole encoded response. */
      readonly bytes: number;
    })
  | (OfResponse & { readonly type: "ack" })
  | (OfResponse & {
      readonly type: "nack";
      /** The client's words. */
      readonly error: string;
      /** The resources at fault, as far as known. */
      readonly names: readonly string[];
    });

/** Must not throw and must not block. */
export type EventSink = (event: AdsEvent) => void;
