// Reads the control plane's admin.
import { exitCode } from "./command.js";
import { readHostPort } from "./flag-values.js";

/** What --admin's address does not give, and the exit code for it. */
export interface AdminError {
  readonly error: string;
  readonly code: number;
}

/** The JSON of an admin path, or why it cannot be had, in the admin's own words where it has any. */
export async function readAdmin(address: string, path: string): Promise<{ readonly value: unknown } | AdminError> {
  const written = readHostPort("--admin", address);
  if ("error" in written) return { error: written.error, code: exitCode.usage };
  const unavailable = (error: string): AdminError => ({ error, code: exitCode.unavailable });
  let response: Response;
  let body: string;
  try {
    response = await fetch(`http://${address}${path}`);
    body = await response.text();
  } catch {
    return unavailable(
      `no control plane answers at ${address}: start one with headgate serve, or name it with --admin`,
    );
  }
  try {
    const value: unknown = JSON.parse(body);
    if (response.ok) return { value };
    if (typeof value === "object" && value !== null && "error" in value) return unavailable(String(value.error));
  } catch {
    // What is no JSON is no answer of the admin's.
  }
  return unavailable(`${address}${path} answers ${response.status}: is that the control plane's admin?`);
}
