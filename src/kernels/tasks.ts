/** Sizes that kernels and the wasm device share, and where a memory's first bytes go. */

/** Panels (of 8 rows) that lie together in a packed matrix, so that reading them is one stream. */
export const QUANTIZED_GROUP_PANELS = 4;
export const FLOAT_GROUP_PANELS = 8;

/** Attention: query heads of a tile, at most, and blocks of the cache that one split goes through. */
export const TILE_HEADS = 8;
export const SPLIT_BLOCKS = 16;

/** Numbers between the columns that `linear` by BLAS unpacks, beside those of the tile: without them a tile's columns would share a few lines of the cache. */
export const BLAS_GAP = 16;

/** Columns that `linear` by BLAS unpacks at a time, of all panels of a group: a block, so that weights are read as they lie. */
export const BLAS_COLUMNS = 32;

/** Where a memory's first bytes go: the kernels read the running task here. All offsets in bytes. */
export const CONTROL_EPOCH = 1024;
export const CONTROL_GATE = 1088;
export const CONTROL_LEADER_WAITS = 1152;
export const CONTROL_PARKED = 1216;
export const CONTROL_SEGMENT = 1280;
/** Chunks that nobody has taken. */
export const CONTROL_LEFT = 1344;
export const CONTROL_TASK = 1408;
/** Arguments of the running task: 32 words, i32 or f32. */
export const CONTROL_ARGUMENTS = 1536;
/** The worker that failed, plus one. */
export const CONTROL_FAILED = 1792;
/** Counts the answers of workers that were given a memory. */
export const CONTROL_READY = 1856;
/** Holds zero for ever: a constant that engines cannot see through (lanes.ts). */
export const CONTROL_ZERO = 1920;
/** Of each task the kernel's module (devices/wasm/kernel-exports.ts): where its bytes lie, and how many; 0 while it has none. */
export const CONTROL_MODULES = 2048;
export const MAXIMUM_TASKS = 256;
/** Counters of the shares into which a task's units are cut, a cache line each, up to the end of the first page. */
export const CONTROL_SHARES = 4096;
export const MAXIMUM_SHARES = 960;
/** Numbers that written kernels load (writer/body.ts), each kernel its own, in the second page. */
export const CONTROL_CONSTANTS = 65536;
export const CONSTANT_BYTES = 256;
/** The first byte that is free. */
export const CONTROL_END = 131072;

/**
 * How a packed matrix stores its weights: the packing kernels write these, `linear` and `embed` read them. A type is kept in its own
 * kind, or, where its weights are levels of a table times a scale, in one of the PACK_TABLE kinds with the table beside them.
 */
export const PACK_F32 = 0;
export const PACK_F16 = 1;
export const PACK_BF16 = 2;
export const PACK_Q8_0 = 3;
export const PACK_Q4_0 = 4;
export const PACK_Q4_1 = 5;
export const PACK_Q5_0 = 6;
export const PACK_Q5_1 = 7;
export const PACK_TABLE_F16 = 8;
export const PACK_TABLE_BF16 = 9;
/** From here on, blocks belong to super-blocks of 256 columns. */
export const PACK_Q2_K = 10;
export const PACK_Q3_K = 11;
export const PACK_Q4_K = 12;
export const PACK_Q5_K = 13;
export const PACK_Q6_K = 14;
export const PACK_TABLE = 15;
export const PACK_TABLE_HALVES = 16;
export const PACK_KINDS = 17;
