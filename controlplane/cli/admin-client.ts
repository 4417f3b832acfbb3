// Reads the control plane's admin.

/** The JSON of an admin path, or why it cannot be had, in the admin's own words where it has any. */
export async function readAdmin(
  address: string,
  path: string,
): Promise<{ readonly value: unknown } | { readonly error: string }> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(`http://${address}${path}`);
    body = await response.text();
  } catch {
    return { error: `no control plane answers at ${address}: start one with headgate serve, or name it with --admin` };
  }
  try {
    const value: unknown = JSON.parse(body);
    if (response.ok) return { value };
    if (typeof value === "object" && value !== null && "error" in value) return { error: String(value.error) };
  } catch {
    // What is no JSON is no answer of the admin's.
  }
  return { error: `${address}${path} answers ${response.status}: is that the control plane's admin?` };
}
