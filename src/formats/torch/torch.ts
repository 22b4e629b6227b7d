/**
 * Tensors that torch.save wrote: a zip of a pickle and one entry per storage, or (before PyTorch 1.6) pickles with the storages'
 * bytes behind them. The pickle is read by pickle.ts, which executes nothing.
 *
 * Source  pytorch torch/serialization.py (save, _legacy_save), torch/_utils.py (_rebuild_*).
 */
import { FormatError } from '../../base/errors.ts';
import type { DType } from '../../tensor/dtype.ts';
import { dtypes } from '../../tensor/dtype.ts';
import type { ByteSource, TensorSource } from '../../tensor/source.ts';
import { Cursor, readText } from '../cursor.ts';
import { show } from '../json.ts';
import { MemorySource } from '../memory-source.ts';
import {
  type Fail,
  PickleDict,
  PickleGlobal,
  type PickleHost,
  PickleList,
  PickleTuple,
  type PickleValue,
  readPickle,
} from './pickle.ts';
import { StridedTensor, type TorchStorage } from './strided-tensor.ts';
import { readZip, ZIP_MAGIC } from './zip.ts';

const LIMITS = { pickleBytes: 1 << 26, tensors: 1 << 17, depth: 16, rank: 64 } as const;

// biome-ignore format: a table
const storageTypes: Readonly<Record<string, DType>> = {
  FloatStorage: 'f32', HalfStorage: 'f16', BFloat16Storage: 'bf16', DoubleStorage: 'f64', LongStorage: 'i64',
  IntStorage: 'i32', ShortStorage: 'i16', CharStorage: 'i8', ByteStorage: 'u8', BoolStorage: 'bool',
};
const functions = [
  'torch._utils _rebuild_tensor_v2',
  'torch._utils _rebuild_tensor',
  'torch._utils _rebuild_parameter',
  'collections OrderedDict',
  'torch Size',
] as const;
const globals = new Set<string>([...functions, ...Object.keys(storageTypes).map((name) => `torch ${name}`)]);

/** A value of the checkpoint that is no tensor. */
export type TorchFact = null | boolean | number | bigint | string;

export interface TorchFile {
  /** By name; in nested containers the path is joined by dots: model.0.weight. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
  readonly facts: ReadonlyMap<string, TorchFact>;
}

/** Whether a file starts as torch.save's do. */
export function isTorch(source: ByteSource): boolean {
  if (source.byteLength < 16) return false;
  const cursor = new Cursor(source);
  return cursor.u32() === ZIP_MAGIC || isLegacy(source);
}

function isLegacy(source: ByteSource): boolean {
  const start = new Uint8Array(4);
  source.readInto(start, 0);
  return start[0] === 0x80 && start[1]! <= 5 && start[2] === 0x8a && start[3] === 10; // PROTO, LONG1 of 10 bytes: the magic number
}

/** Reads the pickle; the tensors stay in the file. Throws FormatError torch.*, pickle.*, zip.* */
export function readTorch(source: ByteSource): TorchFile {
  const root = isLegacy(source) ? readLegacy(source) : readZipped(source);
  return collect(source, root);
}

function readZipped(source: ByteSource): PickleValue {
  const entries = readZip(source);
  const pickleName = [...entries.keys()].filter((name) => /^([^/]*\/)?data\.pkl$/.test(name));
  if (pickleName.length !== 1) {
    throw bad(
      source,
      'no-pickle',
      'its directory',
      `expected one entry NAME/data.pkl, as torch.save makes it, found ${pickleName.length}`,
      'A zip archive of another kind: unpack it, and give the file inside.',
    );
  }
  const prefix = pickleName[0]!.slice(0, -'data.pkl'.length);
  const pickle = entries.get(pickleName[0]!)!;
  if (!(pickle.byteLength <= LIMITS.pickleBytes)) {
    throw bad(
      source,
      'pickle-length',
      pickle.name,
      `expected at most ${LIMITS.pickleBytes} bytes, found ${pickle.byteLength}`,
      damaged,
    );
  }
  const order = entries.get(`${prefix}byteorder`);
  if (order !== undefined && order.byteLength <= 16) {
    const bytes = new Uint8Array(order.byteLength);
    source.readInto(bytes, order.byteOffset);
    const text = readText(new MemorySource(source.name, bytes), 16).trim();
    if (text !== 'little')
      throw bad(
        source,
        'byte-order',
        order.name,
        `expected "little", found ${show(text)}`,
        'Save it on a little-endian machine.',
      );
  }
  const storages = new Map<string, TorchStorage>();
  const host = createHost((type, key, count, _view, fail) => {
    const known = storages.get(key);
    if (known) return agreeing(known, type, count, fail);
    const entry = entries.get(`${prefix}data/${key}`);
    if (entry === undefined) throw fail('storage', `expected entry ${prefix}data/${key}, found none`);
    const byteLength = count * dtypes[type].blockBytes;
    if (entry.byteLength !== byteLength) {
      throw fail(
        'storage',
        `expected ${byteLength} bytes in ${entry.name} for ${count} × ${type}, found ${entry.byteLength}`,
      );
    }
    const storage: TorchStorage = {
      pickled: 'storage',
      dtype: type,
      count,
      place: { source, byteOffset: entry.byteOffset },
    };
    storages.set(key, storage);
    return storage;
  });
  return readPickle(new Cursor(source, pickle.byteOffset, pickle.byteOffset + pickle.byteLength), host);
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_VERSION = 1001;

/** magic · version · facts of the machine · the object · the keys of the storages: five pickles; then count and bytes per storage. */
function readLegacy(source: ByteSource): PickleValue {
  const cursor = new Cursor(source);
  const storages = new Map<string, TorchStorage>();
  const host = createHost((type, key, count, view, fail) => {
    if (view !== null)
      throw fail(
        'storage',
        'expected whole storages, found a view of one (PyTorch 0.3 or older)',
        'Save it again with a newer PyTorch.',
      );
    const known = storages.get(key);
    if (known) return agreeing(known, type, count, fail);
    const storage: TorchStorage = { pickled: 'storage', dtype: type, count, place: null };
    storages.set(key, storage);
    return storage;
  });
  const plain: PickleHost = { ...host, globals: new Set() };
  if (readPickle(cursor, plain) !== LEGACY_MAGIC)
    throw bad(source, 'magic', 'byte 0', "expected torch.save's magic number, found another", damaged);
  const version = readPickle(cursor, plain);
  if (version !== LEGACY_VERSION)
    throw bad(source, 'version', 'byte 15', `expected version ${LEGACY_VERSION}, found ${describe(version)}`, damaged);
  const machine = readPickle(cursor, plain);
  if (!(machine instanceof PickleDict && machine.entries.get('little_endian') === true)) {
    throw bad(
      source,
      'byte-order',
      'its third pickle',
      'expected a little-endian machine, found another',
      'Save it on a little-endian machine.',
    );
  }
  const root = readPickle(cursor, host);
  const keys = readPickle(cursor, plain);
  if (!(keys instanceof PickleList))
    throw bad(source, 'keys', `byte ${cursor.offset}`, 'expected the list of storages, found another value', damaged);
  for (const key of keys.items) placeLegacyStorage(cursor, key, storages);
  for (const [key, { place }] of storages) {
    if (place === null)
      throw bad(source, 'storage', `storage ${show(key)}`, 'expected its bytes in the file, found none', damaged);
  }
  return root;
}

function placeLegacyStorage(cursor: Cursor, key: PickleValue, storages: ReadonlyMap<string, TorchStorage>): void {
  const { source } = cursor;
  const storage = storages.get(String(key));
  const where = `byte ${cursor.offset}`;
  if (storage === undefined || storage.place !== null) {
    throw bad(source, 'keys', where, `expected the key of a storage, each once, found ${describe(key)}`, damaged);
  }
  const count = cursor.u64();
  if (count !== storage.count)
    throw bad(
      source,
      'storage',
      where,
      `expected ${storage.count} numbers in storage ${describe(key)}, found ${count}`,
      damaged,
    );
  storage.place = { source, byteOffset: cursor.offset };
  cursor.skip(count * dtypes[storage.dtype].blockBytes);
}

type FindStorage = (type: DType, key: string, count: number, view: PickleValue, fail: Fail) => TorchStorage;

function agreeing(storage: TorchStorage, type: DType, count: number, fail: Fail): TorchStorage {
  if (storage.dtype === type && storage.count === count) return storage;
  throw fail(
    'storage',
    `expected one type and length for a shared storage, found ${storage.count} × ${storage.dtype} and ${count} × ${type}`,
  );
}

function createHost(findStorage: FindStorage): PickleHost {
  return {
    globals,
    call: (name, args, fail) => callFunction(name as (typeof functions)[number], args, fail),
    persistent: (id, fail) => {
      const [kind, type, key, , count, view] = id instanceof PickleTuple ? id.items : [];
      const dtype = type instanceof PickleGlobal ? storageTypes[type.name.slice('torch '.length)] : undefined;
      const sound =
        kind === 'storage' &&
        typeof key === 'string' &&
        typeof count === 'number' &&
        Number.isSafeInteger(count) &&
        count >= 0;
      if (!sound || dtype === undefined) {
        throw fail('storage', "expected ('storage', type, key, location, count), found another persistent id");
      }
      return findStorage(dtype, key, count, view ?? null, fail);
    },
  };
}

function callFunction(name: (typeof functions)[number], args: readonly PickleValue[], fail: Fail): PickleValue {
  switch (name) {
    case 'torch._utils _rebuild_tensor':
    case 'torch._utils _rebuild_tensor_v2':
      return rebuildTensor(args, fail);
    case 'torch._utils _rebuild_parameter':
      if (!(args[0] instanceof StridedTensor))
        throw fail('call', 'expected a tensor for _rebuild_parameter, found another value');
      return args[0];
    case 'collections OrderedDict':
      return orderedDict(args, fail);
    case 'torch Size':
      return args[0] instanceof PickleTuple ? args[0] : new PickleTuple([]);
    default:
      throw fail('call', `expected a function to call, found ${show(String(name))}`);
  }
}

function orderedDict(args: readonly PickleValue[], fail: Fail): PickleDict {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList))
    throw fail('call', 'expected a list of pairs for OrderedDict, found another value');
  for (const pair of pairs.items) {
    const items = pair instanceof PickleTuple || pair instanceof PickleList ? pair.items : [];
    if (items.length !== 2) throw fail('call', 'expected a list of pairs for OrderedDict, found something else in it');
    dict.entries.set(items[0]!, items[1]!);
  }
  return dict;
}

function rebuildTensor([storage, offset, size, stride]: readonly PickleValue[], fail: Fail): StridedTensor {
  if (!isStorage(storage))
    throw fail('tensor', 'expected a storage as first argument of _rebuild_tensor_v2, found another value');
  const shape = countsOf(size);
  const strides = countsOf(stride);
  if (
    !(
      typeof offset === 'number' &&
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      shape &&
      strides &&
      shape.length === strides.length
    )
  ) {
    throw fail('tensor', 'expected offset, size and stride in whole numbers, found others');
  }
  const empty = shape.includes(0);
  let last = offset;
  let elements = 1;
  for (let i = 0; i < shape.length; i++) {
    last += (shape[i]! - 1) * strides[i]!;
    elements *= shape[i]!;
  }
  if (!(elements <= Number.MAX_SAFE_INTEGER / 16))
    throw fail('tensor', `expected a size that can be counted, found [${shape}]`);
  if (!empty && !(last < storage.count)) {
    throw fail(
      'tensor',
      `expected a tensor inside its storage of ${storage.count} numbers, found one that reaches number ${last}`,
    );
  }
  return new StridedTensor(storage, offset, shape, strides);
}

function isStorage(value: PickleValue | undefined): value is TorchStorage {
  return typeof value === 'object' && value !== null && 'pickled' in value && value.pickled === 'storage';
}

function countsOf(value: PickleValue | undefined): number[] | null {
  if (!(value instanceof PickleTuple && value.items.length <= LIMITS.rank)) return null;
  return value.items.every((n) => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0)
    ? (value.items as number[])
    : null;
}

/** Walks the containers. Cycles and shared containers end at the depth and count limits. */
function collect(source: ByteSource, root: PickleValue): TorchFile {
  const tensors = new Map<string, TensorSource>();
  const facts = new Map<string, TorchFact>();
  let visited = 0;
  const visit = (value: PickleValue, path: string, depth: number): void => {
    if (++visited > LIMITS.tensors || depth > LIMITS.depth) {
      const what = depth > LIMITS.depth ? `nested at most ${LIMITS.depth} deep` : `of at most ${LIMITS.tensors} values`;
      throw bad(
        source,
        'nesting',
        show(path),
        `expected containers ${what}, found more`,
        'Save the weights alone: torch.save(model.state_dict(), …).',
      );
    }
    const child = (key: PickleValue, inner: PickleValue) =>
      visit(inner, path === '' ? describe(key) : `${path}.${describe(key)}`, depth + 1);
    if (value instanceof StridedTensor) {
      const name = path === '' ? 'tensor' : path;
      if (tensors.has(name))
        throw bad(source, 'duplicate', show(name), 'expected one tensor of this name, found two', damaged);
      tensors.set(name, value.named(name));
    } else if (value instanceof PickleDict) {
      for (const [key, inner] of value.entries) child(key, inner);
    } else if (value instanceof PickleList || value instanceof PickleTuple) {
      for (const [i, inner] of value.items.entries()) child(i, inner);
    } else if (value === null || typeof value !== 'object') facts.set(path, value);
  };
  visit(root, '', 0);
  return { tensors, facts };
}

function describe(value: PickleValue): string {
  if (value === null || typeof value !== 'object') return String(value).slice(0, 200);
  return value instanceof PickleTuple ? '(…)' : 'an object';
}

const damaged = 'The file is damaged; download or save it again.';

function bad(source: ByteSource, what: string, where: string, problem: string, advice: string): FormatError {
  return new FormatError({ code: `torch.${what}`, file: source.name, where }, problem, advice);
}
