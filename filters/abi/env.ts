// A host call that the SDK's declarations lack. The file's name is the import's module name.

export declare function proxy_set_buffer_bytes(
  buffer: u32,
  start: usize,
  length: usize,
  bytes: usize,
  size: usize,
): u32;
