// The one WASI call the filter makes. The file's name is the import's module name.

export declare function random_get(buffer: usize, length: usize): u32;
