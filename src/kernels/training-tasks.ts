/** Sizes of the f32 products and of attention in training. */
/** In a memory's control area (tasks.ts): whether the engine joins neighbouring 128-bit operations to 256 bits. */
export const CONTROL_WIDE = 1984;

/** Rows and columns of the GEMM's register tile, and of the blocks that a thread takes at a time. */
export const TILE_ROWS = 6;
export const TILE_COLUMNS = 16;
export const BLOCK_ROWS = 96;
export const BLOCK_COLUMNS = 128;
/** Panels that a thread packs at a time. */
export const PANEL_GROUP = 8;
/** Bytes of scratch that a thread needs for the edges of a GEMM. */
export const EDGE_BYTES = 384;

/** Queries and keys that attention takes at a time: whole tiles either way. */
export const QUERY_BLOCK = 48;
export const KEY_BLOCK = 96;
