// Decodes the header operations of a VirtualService's rules and destinations.
import { listOf, mapOf, maybe, present } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { HeaderOperations, Headers } from "./virtual-service.js";
import type { RawHeaders } from "./virtual-service.schema.js";

type RawOperations = NonNullable<RawHeaders["request"]>;

export function decodeHeaderOperations(raw: RawHeaders): Headers {
  return present({
    request: maybe(raw.request, decodeOperations),
    response: maybe(raw.response, decodeOperations),
  });
}

function decodeOperations(raw: RawOperations): HeaderOperations {
  return {
    set: mapOf(raw.set, (value) => value),
    add: mapOf(raw.add, (value) => value),
    remove: listOf(raw.remove),
  };
}

/** Reports that a request's authority is set in more than one place. `rewritten` is the rewrite's authority, if any. */
export function reportAuthorityTwice(
  rewritten: string | null | undefined,
  raw: RawHeaders | null | undefined,
  path: FieldPath,
  report: Report,
): void {
  let isSet = rewritten != null && rewritten !== "";
  for (const operation of ["set", "add"] as const) {
    for (const name of Object.keys(raw?.request?.[operation] ?? {})) {
      if (!/^(?::authority|host)$/i.test(name)) continue;
      const at = [...path, "headers", "request", operation, name];
      if (isSet) report.error("conflicting-fields", at, "The authority is set in more than one place; keep one.");
      isSet = true;
    }
  }
}
