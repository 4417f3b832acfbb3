// The thread in which a module is tried, so that one that never returns holds up nobody but itself.
import { parentPort } from "node:worker_threads";
import { type TrialRequest, tryModule } from "./trial.js";

parentPort?.once("message", (request: TrialRequest) => parentPort?.postMessage(tryModule(request)));
