// Finds one file in a tar archive: what it takes to get a module out of an image's layer.

const BLOCK = 512;

/** The content of the regular file of that path, with or without a leading "./"; undefined where there is none. */
export function findInTar(archive: Uint8Array, path: string): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const size = Number.parseInt(textAt(archive, at + 124, 12).trim() || "0", 8);
    if (!(size >= 0)) return found;
    const isFile = ["0", ""].includes(textAt(archive, at + 156, 1));
    const name = nameAt(archive, at).replace(/^(?:\.?\/)+/, "");
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    // As tar itself: the last of several of one name is the one that counts.
    if (isFile && name === path && content.length === size) found = content;
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return found;
}

/** POSIX archives have the first directories of a long name apart. */
function nameAt(archive: Uint8Array, at: number): string {
  const name = textAt(archive, at, 100);
  const isPosix = archive[at + 262] === 0 && textAt(archive, at + 257, 5) === "ustar";
  const prefix = isPosix ? textAt(archive, at + 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Up to the first NUL. */
function textAt(archive: Uint8Array, at: number, length: number): string {
  const text = Buffer.from(archive.buffer, archive.byteOffset + at, length).toString("latin1");
  return text.split("\0", 1)[0] ?? "";
}
