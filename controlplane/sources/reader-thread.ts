// The thread in which files are read, so that a hostile one holds up nobody but itself.
import { parentPort } from "node:worker_threads";
import { type ReadingRequest, readText } from "./reading.js";

parentPort?.on("message", (request: ReadingRequest) => parentPort?.postMessage(readText(request)));
