// Why an extension has no module, or not the one that it asks for.

export interface ModuleFault {
  readonly code: "unknown-module" | "refused-module";
  /** A sentence's rest, after what is the matter; never holds a credential. */
  readonly message: string;
}

export type Outcome<T> = { readonly value: T } | { readonly fault: ModuleFault };

/** It cannot be had, or it is not what it should be. */
export function missing(message: string): { readonly fault: ModuleFault } {
  return { fault: { code: "unknown-module", message } };
}
