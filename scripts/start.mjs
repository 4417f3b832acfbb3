// `npm start`: set-up, then the demo, in this very process, so that a signal reaches it.
import { setup } from "./setup.mjs";
import { main } from "./steps.mjs";

await main(setup);
process.argv.splice(1, 1, "headgate", "demo");
await import("../bin/headgate.mjs");
