// The stream of a watch: its lines as events, many at a time where they come so.
import type { IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { KubeFault, type WatchEvent } from "./object.js";
import { noAnswer, parseJson, statusFault } from "./request.js";

/** Characters of one event; an object of etcd's largest size stays far below. */
const MOST_CHARACTERS = 8 * 1_048_576;

/**
 * Gives the events of a watch's answer, those that came together at once. Ends when the server ends the watch; throws a
 * KubeFault when the connection breaks, and on an ERROR event the fault that it tells of.
 */
export async function* watchEvents(response: IncomingMessage): AsyncGenerator<readonly WatchEvent[], void> {
  const decoder = new StringDecoder("utf8");
  let pieces: string[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const text = decoder.write(chunk);
      const end = text.lastIndexOf("\n");
      size += text.length;
      if (end === -1) pieces.push(text);
      if (size > MOST_CHARACTERS) throw new KubeFault("An event of the watch is too large.", 200, "TooLarge");
      if (end === -1) continue;
      const lines = [...pieces, text.slice(0, end)].join("").split("\n");
      pieces = [text.slice(end + 1)];
      size = text.length - end - 1;
      const events = lines.filter((line) => line !== "").map(parseEvent);
      const fault = events.find((event) => event instanceof KubeFault);
      const good = events.slice(0, fault === undefined ? undefined : events.indexOf(fault)) as WatchEvent[];
      if (good.length > 0) yield good;
      if (fault !== undefined) throw fault;
    }
  } catch (error) {
    throw noAnswer(error as NodeJS.ErrnoException);
  } finally {
    response.destroy();
  }
}

function parseEvent(line: string): WatchEvent | KubeFault {
  const { type, object } = parseJson(line) as { type: string; object: unknown };
  if (type === "ERROR") return statusFault(object, 0);
  return { type, object } as WatchEvent;
}
