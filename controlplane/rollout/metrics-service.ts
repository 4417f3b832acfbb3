// The gRPC service to which Envoys send their statistics, over the connection that they have for ADS anyway.
import { type ServerReadableStream, type ServiceDefinition, status } from "@grpc/grpc-js";
import { type MetricsMessage, readMetrics } from "./metrics-stream.js";
import { isObserved } from "./observations.js";

type Stream = ServerReadableStream<Buffer, Buffer>;

export interface MetricsService {
  readonly definition: ServiceDefinition;
  readonly implementation: { readonly streamMetrics: (call: Stream, done: (error: Refusal) => void) => void };
  /** Ends all streams; Envoys come back by themselves. */
  close(): void;
}

interface Refusal {
  readonly code: status;
  readonly details: string;
}

/** onMetrics gets what the node that a stream names tells of itself; without it, Envoys are let talk. */
export function createMetricsService(onMetrics?: (nodeId: string, message: MetricsMessage) => void): MetricsService {
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
        call.on("data", (bytes: Buffer) => {
          if (!onMetrics) return;
          try {
            const message = readMetrics(bytes, isObserved);
            node ??= message.nodeId;
            if (node === undefined) end(status.INVALID_ARGUMENT, "the first message must name the node");
            else onMetrics(node, message);
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
