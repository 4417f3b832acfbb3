// Reads the control plane's admin.

/** The JSON of an admin path, or why it cannot be had. */
export async function readAdmin(
  address: string,
  path: string,
): Promise<{ readonly value: unknown } | { readonly error: string }> {
  try {
    const response = await fetch(`http://${address}${path}`);
    if (!response.ok)
      return { error: `${address}${path} answers ${response.status}: is that the control plane's admin?` };
    return { value: await response.json() };
  } catch {
    return { error: `no control plane answers at ${address}: start one with headgate serve, or name it with --admin` };
  }
}
