// An encoded response in two parts, of which thousands of streams share the second: the gRPC library copies it once, where
// joining the parts before would copy it twice and leave megabytes for each stream to be collected.

const NOTHING = new Uint8Array();

/** As far as the library looks at a serialized message, a Buffer. Never changed. */
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
