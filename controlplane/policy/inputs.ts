// The inputs of a request that rules look at (slots), and what is asked of them (keys): the policy image's vocabulary.
import * as tags from "../../filters/policy/tags.js";

/** One value, one prefix, or presence, on one slot. Two conditions that ask the same share one key. */
export interface Key {
  readonly slot: Slot;
  readonly type: "exact" | "prefix" | "present";
  /** Empty for presence. */
  readonly value: Uint8Array;
}

export interface Slot {
  readonly index: number;
  readonly type: "fixed" | "header" | "query";
  /** A header's name in lower case, a query parameter's as written; empty for a fixed slot. */
  readonly name: string;
  readonly exacts: Map<string, Key>;
  readonly prefixes: Map<string, Key>;
  present?: Key;
  /** Whether any rule looks at it. */
  used: boolean;
}

/** Collects slots and keys while the rules are read; numbers them once all are known. */
export class Inputs {
  readonly slots: Slot[] = [];
  private readonly named = new Map<string, Slot>();

  constructor() {
    for (let i = 0; i < tags.FIXED_SLOTS; i++) this.addSlot("fixed", "");
  }

  /** The slot of one of tags.SLOT_*. */
  fixed(index: number): Slot {
    const slot = this.slots[index] as Slot;
    slot.used = true;
    return slot;
  }

  header(name: string): Slot {
    return this.find("header", name);
  }

  queryParameter(name: string): Slot {
    return this.find("query", name);
  }

  exact(slot: Slot, value: Uint8Array): Key {
    return intern(slot.exacts, slot, "exact", value);
  }

  prefix(slot: Slot, value: Uint8Array): Key {
    return intern(slot.prefixes, slot, "prefix", value);
  }

  present(slot: Slot): Key {
    slot.present ??= { slot, type: "present", value: new Uint8Array() };
    return slot.present;
  }

  /** Every key's number, from 1 (0 is the key that always holds). A prefix comes after the shorter ones on its slot. */
  number(): Map<Key, number> {
    const numbers = new Map<Key, number>();
    for (const slot of this.slots) {
      const prefixes = [...slot.prefixes.values()].sort((a, b) => a.value.length - b.value.length);
      const keys = [...slot.exacts.values(), ...prefixes, ...(slot.present ? [slot.present] : [])];
      for (const key of keys) numbers.set(key, numbers.size + 1);
    }
    return numbers;
  }

  private find(type: "header" | "query", name: string): Slot {
    const identity = `${type} ${name}`;
    const known = this.named.get(identity);
    if (known) return known;
    const slot = this.addSlot(type, name);
    slot.used = true;
    this.named.set(identity, slot);
    return slot;
  }

  private addSlot(type: Slot["type"], name: string): Slot {
    const slot: Slot = { index: this.slots.length, type, name, exacts: new Map(), prefixes: new Map(), used: false };
    this.slots.push(slot);
    return slot;
  }
}

function intern(keys: Map<string, Key>, slot: Slot, type: "exact" | "prefix", value: Uint8Array): Key {
  const identity = Buffer.from(value).toString("latin1");
  let key = keys.get(identity);
  if (!key) {
    key = { slot, type, value };
    keys.set(identity, key);
  }
  return key;
}
