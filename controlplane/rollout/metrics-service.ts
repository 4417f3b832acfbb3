// The gRPC service to which Envoys send their statistics, over the connection that they have for ADS anyway.
import { type ServerReadableStream, type ServiceDefinition, status } from "@grpc/grpc-js";
import { type MetricsMessage, readMetrics } from "./metrics-stream.js";
import { isObserved } from "./observations.js";

export type MetricsCall = ServerReadableStream<Buffer, Buffer>;

export interface MetricsService {
  readonly definition: ServiceDefinition;
  readonly implementation: { readonly streamMetrics: (call: MetricsCall, done: (error: Refusal) => void) => void };
  /** Ends all streams; Envoys come back by themselves. */
  close(): void;
}

export interface Refusal {
  readonly code: status;
  readonly details: string;
}

export interface MetricsTaker {
  /** Undefined when the client of the call may speak for the node. */
  readonly admit: (nodeId: string, call: MetricsCall) => Promise<Refusal | undefined>;
  readonly onMetrics: (nodeId: string, message: MetricsMessage) => void;
}

/** The taker gets what the node that a stream names tells of itself; without one, Envoys are let talk. */
export function createMetricsService(taker?: MetricsTaker): MetricsService {
  const open = new Set<(error: Refusal) => void>();
  return {
    definition: {
      streamMetrics: {
        path: "/envoy.service.metrics.v3.MetricsService/StreamMetrics",
        requestStream: true,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    implementation: {
      streamMetrics(call, done) {
        let node: string | undefined;
        open.add(done);
        const end = (code: status, details: string) => {
          if (open.delete(done)) done({ code, details });
        };
        const begin = async (nodeId: string, first: MetricsMessage, { admit, onMetrics }: MetricsTaker) => {
          call.pause();
          const refusal = await admit(nodeId, call);
          if (refusal) return end(refusal.code, refusal.details);
          node = nodeId;
          onMetrics(nodeId, first);
          call.resume();
        };
        call.on("data", (bytes: Buffer) => {
          if (!taker) return;
          try {
            const message = readMetrics(bytes, isObserved);
            if (node !== undefined) taker.onMetrics(node, message);
            else if (message.nodeId === undefined) end(status.INVALID_ARGUMENT, "the first message must name the node");
            else void begin(message.nodeId, message, taker);
          } catch {
            end(status.INVALID_ARGUMENT, "that is no StreamMetricsMessage");
          }
        });
        call.on("end", () => end(status.OK, ""));
        call.on("error", () => open.delete(done));
        call.on("cancelled", () => open.delete(done));
      },
    },
    close() {
      for (const done of open) done({ code: status.UNAVAILABLE, details: "the control plane is going away" });
      open.clear();
    },
  };
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
