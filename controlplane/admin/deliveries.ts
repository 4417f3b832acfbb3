// How long proxies take to answer what is new to them: kept for each proxy while something is on its way to it.

export const DELIVERY_CAUSES = ["change", "connect"] as const;

export interface Delivery {
  readonly cause: (typeof DELIVERY_CAUSES)[number];
  readonly millis: number;
}

export class Deliveries {
  readonly #begun = new Map<string, { readonly cause: Delivery["cause"]; readonly at: number }>();

  /** What is on its way already goes on counting: a proxy that never catches up must not look as if it did. */
  begin(proxy: string, cause: Delivery["cause"], at: number): void {
    if (!this.#begun.has(proxy)) this.#begun.set(proxy, { cause, at });
  }

  /** All was answered; undefined where nothing new was on its way. */
  end(proxy: string, at: number): Delivery | undefined {
    const begun = this.#begun.get(proxy);
    this.#begun.delete(proxy);
    return begun && { cause: begun.cause, millis: at - begun.at };
  }

  drop(proxy: string): void {
    this.#begun.delete(proxy);
  }
}
