// The thread in which files are read, so that a hostile one holds up nobody but itself.
import { MessageChannel, parentPort } from "node:worker_threads";
import { cut } from "./pieces.js";
import { type ReadingRequest, readObjects } from "./reading.js";

/** Answers with a port on which all pieces of the outcome lie, to be taken one by one. */
parentPort?.on("message", (request: ReadingRequest) => {
  const { port1, port2 } = new MessageChannel();
  for (const piece of cut(readObjects(request))) port1.postMessage(piece);
  parentPort?.postMessage(port2, [port2]);
});
