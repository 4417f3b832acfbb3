// The thread in which files are read, so that a hostile one holds up nobody but itself.
import { parentPort } from "node:worker_threads";
import { type ReadingRequest, readObjects } from "./reading.js";

parentPort?.on("message", (request: ReadingRequest) => parentPort?.postMessage(readObjects(request)));
