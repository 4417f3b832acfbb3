// What a command is: data that main.ts registers, and a function that runs. Every `headgate` command has this shape.

/** Exit codes, as sysexits(3) numbers them; 0 means that all went well. */
export const exitCode = { ok: 0, failed: 1, usage: 64, violations: 65, unavailable: 69, internal: 70 } as const;

export interface CommandArgument {
  readonly name: string;
  readonly summary: string;
  readonly required?: boolean;
  /** Takes all that follow; only for the last argument. */
  readonly variadic?: boolean;
}

export interface CommandOption {
  /** As in "--ads <host:port>" or "--once"; an option with a <value> takes one, any other is a boolean. */
  readonly flags: string;
  readonly summary: string;
  readonly required?: boolean;
  /** May be given several times; its value is then a list. */
  readonly repeatable?: boolean;
  readonly choices?: readonly string[];
  readonly default?: string;
}

/** Option values by their camelCase name ("--log-level" is logLevel); an option that was not given is absent. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** What a command may touch of its surroundings. */
export interface CommandIo {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted on the first SIGINT, SIGTERM or SIGHUP: a running command then winds down and returns. */
  readonly signal: AbortSignal;
  /** Aborted on the second one: what winds down gently then ends at once. */
  readonly hurry?: AbortSignal;
}

export interface CommandDefinition {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** More for `headgate NAME --help`: what it does, with an example. */
  readonly description?: string;
  readonly arguments?: readonly CommandArgument[];
  readonly options: readonly CommandOption[];
  /**
   * Resolves with the exit code. Bad arguments and everything a user can mend are told on io.stderr and end in a code;
   * a rejection is a fault of ours and becomes exitCode.internal. args has one entry a word given.
   */
  run(args: readonly string[], options: OptionValues, io: CommandIo): Promise<number>;
}
