/** Numbers of the tasks that only training performs; read by training.assembly.ts and by the wasm device. Continues tasks.ts. */
export const TASK_GEMM_PACK = 64;
export const TASK_ATTENTION_FORWARD = 66;
export const TASK_ATTENTION_BACKWARD = 67;
export const TASK_CROSS_ENTROPY_ROWS = 68;
export const TASK_RMS_NORM_BACKWARD = 69;
export const TASK_COLUMN_SUMS = 70;
export const TASK_SWIGLU_BACKWARD = 71;
export const TASK_ROPE_BACKWARD = 72;
export const TASK_ACCUMULATE = 73;
export const TASK_ADAMW = 74;
export const TASK_SUM_SQUARES = 75;
export const TASK_EMBED_BACKWARD = 76;
export const TASK_GEMM_BLAS = 78;
export const TASK_GATHER_ROWS = 80;
export const TASK_BLEND = 81;
export const TASK_ACTIVATION = 82;
export const TASK_ACTIVATION_BACKWARD = 83;
export const TASK_LAYER_NORM = 84;
export const TASK_LAYER_NORM_BACKWARD = 85;
export const TASK_COLUMN_MOMENTS = 86;
export const TASK_COLUMN_AFFINE = 87;
export const TASK_ADD_BIAS = 88;
export const TASK_SOFTCAP = 89;
export const TASK_SOFTCAP_BACKWARD = 90;
export const TASK_DROPOUT = 91;
/** All training tasks lie in [first, last]. */
export const FIRST_TRAINING_TASK = 64;

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

/** Elements per unit of elementwise tasks, rows per unit of RMSNorm's: fixed, so that sums do not depend on the thread count. */
export const CHUNK = 4096;
export const SUM_CHUNK = 16384;
export const NORM_ROWS = 32;

/** Which function TASK_ACTIVATION computes. */
export const ACTIVATION_RELU = 0;
export const ACTIVATION_GELU = 1;
export const ACTIVATION_GELU_TANH = 2;
