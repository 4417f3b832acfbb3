// The WASI calls the filter makes. The file's name is the import's module name.

/** clock: 1 for the monotonic one. */
export declare function clock_time_get(clock: u32, precision: u64, result: usize): u32;

export declare function random_get(buffer: usize, length: usize): u32;
