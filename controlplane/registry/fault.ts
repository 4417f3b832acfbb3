// Why the registry refuses something: a stable code, and a text for people.

export type FilterFaultCode =
  | "filter-bad-name"
  | "filter-too-large"
  | "filter-not-wasm"
  | "filter-truncated"
  | "filter-does-not-compile"
  | "filter-unknown-abi"
  | "filter-unknown-import"
  | "filter-lacks-export"
  | "filter-memory-limit"
  | "filter-bad-schema"
  | "filter-bad-configuration"
  | "filter-does-not-start"
  | "filter-does-not-end"
  | "filter-traps"
  | "filter-version-exists"
  | "filter-not-found"
  | "filter-damaged"
  | "filter-in-use";

export interface FilterFault {
  readonly code: FilterFaultCode;
  readonly message: string;
}

export type Outcome<T> = { readonly value: T } | { readonly fault: FilterFault };

export function refuse(code: FilterFaultCode, message: string): { readonly fault: FilterFault } {
  return { fault: { code, message } };
}
