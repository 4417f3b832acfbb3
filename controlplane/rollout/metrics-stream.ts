// Envoy's statistics as it sends them to envoy.service.metrics.v3.MetricsService: read off the wire, as far as asked for.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export interface MetricsMessage {
  /** The node's id, in a stream's first message. */
  readonly nodeId?: string;
  /** Counters and gauges, as they stand. */
  readonly values: ReadonlyMap<string, number>;
  /** Of the time since the message before: how many values were at most so large. The last bound is infinite. */
  readonly histograms: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

/** The field numbers of the messages that are read; those of io.prometheus.client below MetricFamily. */
const MESSAGE = { identifier: 1, metrics: 2 } as const;
const IDENTIFIER = { node: 1 } as const;
const NODE = { id: 1 } as const;
const FAMILY = { name: 1, metric: 4 } as const;
const METRIC = { gauge: 2, counter: 3, histogram: 7 } as const;
const VALUE = { value: 1 } as const;
const HISTOGRAM = { sampleCount: 1, bucket: 3 } as const;
const BUCKET = { cumulativeCount: 1, upperBound: 2 } as const;

/** Reads a StreamMetricsMessage; families whose name is not wanted are passed over. Throws on bytes that are none. */
export function readMetrics(bytes: Uint8Array, isWanted: (name: string) => boolean): MetricsMessage {
  const values = new Map<string, number>();
  const histograms = new Map<string, ReadonlyMap<number, number>>();
  let nodeId: string | undefined;
  eachField(new BinaryReader(bytes), undefined, (field, reader) => {
    if (field === MESSAGE.identifier) nodeId = readNodeId(reader.bytes());
    else if (field === MESSAGE.metrics) readFamily(reader.bytes(), isWanted, values, histograms);
    else return false;
    return true;
  });
  return { values, histograms, ...(nodeId === undefined ? {} : { nodeId }) };
}

function readNodeId(identifier: Uint8Array): string | undefined {
  let id: string | undefined;
  eachField(new BinaryReader(identifier), undefined, (field, reader) => {
    if (field !== IDENTIFIER.node) return false;
    eachField(new BinaryReader(reader.bytes()), undefined, (inner, node) => {
      if (inner !== NODE.id) return false;
      id = node.string();
      return true;
    });
    return true;
  });
  return id;
}

function readFamily(
  family: Uint8Array,
  isWanted: (name: string) => boolean,
  values: Map<string, number>,
  histograms: Map<string, ReadonlyMap<number, number>>,
): void {
  let name = "";
  eachField(
    new BinaryReader(family),
    () => name === "" || isWanted(name),
    (field, reader) => {
      if (field === FAMILY.name) name = reader.string();
      else if (field === FAMILY.metric) readMetric(reader.bytes(), name, values, histograms);
      else return false;
      return true;
    },
  );
}

function readMetric(
  metric: Uint8Array,
  name: string,
  values: Map<string, number>,
  histograms: Map<string, ReadonlyMap<number, number>>,
): void {
  eachField(new BinaryReader(metric), undefined, (field, reader) => {
    if (field === METRIC.gauge || field === METRIC.counter) {
      // Zero is left out on the wire.
      values.set(name, 0);
      eachField(new BinaryReader(reader.bytes()), undefined, (inner, value) => {
        if (inner !== VALUE.value) return false;
        values.set(name, value.double());
        return true;
      });
    } else if (field === METRIC.histogram) histograms.set(name, readHistogram(reader.bytes()));
    else return false;
    return true;
  });
}

function readHistogram(histogram: Uint8Array): ReadonlyMap<number, number> {
  const buckets = new Map<number, number>();
  let total = 0;
  eachField(new BinaryReader(histogram), undefined, (field, reader) => {
    if (field === HISTOGRAM.sampleCount) total = Number(reader.uint64());
    else if (field === HISTOGRAM.bucket) {
      let [count, bound] = [0, 0];
      eachField(new BinaryReader(reader.bytes()), undefined, (inner, bucket) => {
        if (inner === BUCKET.cumulativeCount) count = Number(bucket.uint64());
        else if (inner === BUCKET.upperBound) bound = bucket.double();
        else return false;
        return true;
      });
      buckets.set(bound, count);
    } else return false;
    return true;
  });
  return buckets.set(Number.POSITIVE_INFINITY, total);
}

/** Hands out field by field; read says whether it took the field's value. Ends early when goOn says so. */
function eachField(
  reader: BinaryReader,
  goOn: (() => boolean) | undefined,
  read: (field: number, reader: BinaryReader) => boolean,
): void {
  while (reader.pos < reader.len) {
    if (goOn && !goOn()) return;
    const [field, wireType] = reader.tag();
    if (
      !(wireType === WireType.LengthDelimited || wireType === WireType.Varint || wireType === WireType.Bit64) ||
      !read(field, reader)
    )
      reader.skip(wireType);
  }
}
