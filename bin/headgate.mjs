#!/usr/bin/env node
// The `headgate` command: runs what `npm run build` compiled.
import { existsSync } from "node:fs";

const main = new URL("../dist/controlplane/cli/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error("headgate is not built yet: run `npm run setup` in its folder first.");
  process.exitCode = 69;
}
