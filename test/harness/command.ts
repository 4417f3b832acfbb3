// Runs a command line in the test's own process: most of a short command's time goes into loading what it needs.
import { runCommand } from "../../controlplane/cli/run-command.js";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The words of a command line, without "headgate". That the process does the same, runHeadgate shows. */
export async function headgate(...words: readonly string[]): Promise<Outcome> {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const code = await runCommand(words, {
    stdout: { write: (text) => stdout.push(text) },
    stderr: { write: (text) => stderr.push(text) },
    env: process.env,
    cwd: process.cwd(),
    signal: new AbortController().signal,
  });
  return { code, stdout: stdout.join(""), stderr: stderr.join("") };
}
