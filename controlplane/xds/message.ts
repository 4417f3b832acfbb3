// An encoded response in two parts, of which thousands of streams share the second. They are written as they are
// (uncopied-call.ts).

const NOTHING = new Uint8Array();

/** For the library, which would copy it, a Buffer as far as it looks at a serialized message. Never changed. */
export class Message {
  constructor(
    readonly head: Uint8Array,
    readonly body: Uint8Array = NOTHING,
  ) {}

  get byteLength(): number {
    return this.head.length + this.body.length;
  }

  copy(target: Uint8Array, at: number): void {
    target.set(this.head, at);
    target.set(this.body, at + this.head.length);
  }
}
