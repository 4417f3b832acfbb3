// Texts for host calls, as bytes at a fixed address.

const ROOM: usize = memory.data(512);
let end: usize = ROOM;

/**
 * Where the bytes of an ASCII text lie, right behind the text before; their number is the text's length. Called while
 * the module starts, with literals: a string made at run time would lie where the policy images go.
 */
export function ascii(text: string): usize {
  const start = end;
  for (let i = 0, length = text.length; i < length; i++) store<u8>(end++, text.charCodeAt(i));
  return start;
}
