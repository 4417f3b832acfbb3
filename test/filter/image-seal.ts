// What makes the filter look into an image at all: magic, version, size, checksum and identity.
import { murmur3 } from "../../controlplane/policy/murmur3.js";
import * as tags from "../../filters/policy/tags.js";

/** Gives an image an identity, of 16 bytes, and makes the other fields fit its bytes; one without a header stays. */
export function seal(image: Uint8Array, identity: Uint8Array): void {
  if (image.length < tags.HEADER_SIZE) return;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  image.set(identity, tags.HEADER_IDENTITY);
  view.setUint32(tags.HEADER_MAGIC, tags.MAGIC, true);
  view.setUint32(tags.HEADER_VERSION, tags.VERSION, true);
  view.setUint32(tags.HEADER_SIZE_OF_IMAGE, image.length, true);
  view.setUint32(tags.HEADER_CHECKSUM, murmur3(image.subarray(tags.HEADER_IDENTITY)), true);
}

export function isSealed(image: Uint8Array): boolean {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  return view.getUint32(tags.HEADER_CHECKSUM, true) === murmur3(image.subarray(tags.HEADER_IDENTITY));
}

/** In hexadecimal; of an image without a header, as far as it goes. */
export function identityOf(image: Uint8Array): string {
  const identity = Buffer.alloc(tags.IDENTITY_LENGTH);
  identity.set(image.subarray(tags.HEADER_IDENTITY, tags.HEADER_IDENTITY + tags.IDENTITY_LENGTH));
  return identity.toString("hex");
}
