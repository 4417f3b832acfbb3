// The `headgate` command: runs its command line with what its process has.
import { type CommandIo, exitCode } from "./command.js";
import { runCommand } from "./run-command.js";

function processIo(): CommandIo {
  const stopped = new AbortController();
  const hurried = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => (stopped.signal.aborted ? hurried : stopped).abort());
  const { stdout, stderr, env } = process;
  return { stdout, stderr, env, cwd: process.cwd(), signal: stopped.signal, hurry: hurried.signal };
}

try {
  process.exitCode = await runCommand(process.argv.slice(2), processIo());
} catch (error) {
  process.stderr.write(`headgate: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = exitCode.internal;
}
