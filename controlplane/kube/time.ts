// Times as the Kubernetes API writes them, both in UTC.

/** With microseconds, as in Leases and Events. */
export function microTime(date = new Date()): string {
  return date.toISOString().replace("Z", "000Z");
}

/** In whole seconds, as in conditions. */
export function wholeTime(date = new Date()): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
