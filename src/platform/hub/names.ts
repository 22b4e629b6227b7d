/** What people call a model on the hub, and which of its files that means. */
import { ArgumentError, CriaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';

export interface HubName {
  /** owner/repo */
  readonly repo: string;
  /** 'Q4_K_M' …; null: the usual one. */
  readonly quant: string | null;
  readonly revision: string;
}

export interface HubFile {
  readonly path: string;
  readonly bytes: number;
}

/** What to fetch, and which of it a program opens: a file, or null for the folder. */
export interface Choice {
  readonly files: readonly string[];
  readonly open: string | null;
}

const NAME = /^(?:hf:)?([\w.-]{1,96}\/[\w.-]{1,96})(?::([\w.-]+))?(?:@([\w./-]+))?$/;

export function isHubName(name: string | undefined): name is string {
  return name?.startsWith('hf:') ?? false;
}

/** owner/repo[:quant][@revision], with or without `hf:`. Throws ArgumentError `hub.name`. */
export function parseHubName(name: string): HubName {
  const [, repo, quant = null, revision = 'main'] = NAME.exec(name) ?? [];
  if (repo !== undefined && !repo.split('/').includes('..') && !revision.split('/').includes('..')) {
    return { repo, quant, revision };
  }
  throw new ArgumentError(
    'hub.name',
    `${name}: expected owner/repo, owner/repo:quant or owner/repo:quant@revision, as in hf:ggml-org/models:Q4_K_M.`,
  );
}

/** Best first, where nobody said which. */
const usual = ['Q4_K_M', 'Q4_K_S', 'Q4_0', 'Q5_K_M', 'Q6_K', 'Q8_0', 'F16', 'BF16', 'F32'];
const QUANT = /(?:^|[-._])((?:IQ|Q|TQ)\d\w*|BF16|F16|F32|FP16|FP32)(?=[-.]|$)/gi;
const PART = /-(\d{5})-of-(\d{5})\.gguf$/;

/**
 * A repository with GGUF files gives the one of the quantization asked for, with all its parts; any other its weights
 * (safetensors before PyTorch), configuration and tokenizer. Throws CriaError `hub.no-quant`, `hub.no-model`.
 */
export function chooseFiles(name: HubName, files: readonly HubFile[]): Choice {
  const paths = files.map(({ path }) => path).sort();
  const gguf = paths.filter((path) => path.endsWith('.gguf') && !/mmproj|imatrix/i.test(path));
  if (gguf.length > 0) return chooseGguf(name, gguf);
  if (name.quant !== null) {
    throw new CriaError(
      'hub.no-quant',
      `${name.repo}: has no GGUF files, expected one of ${name.quant}. Leave :${name.quant} out.`,
    );
  }
  const top = paths.filter((path) => !path.includes('/'));
  const weights = [/^[\w-]*model[\w.-]*\.safetensors$/, /^pytorch_model[\w.-]*\.bin$/]
    .map((pattern) => top.filter((path) => pattern.test(path)))
    .find((found) => found.length > 0);
  if (!weights || !top.includes('config.json')) {
    throw new CriaError(
      'hub.no-model',
      `${name.repo}: expected GGUF files, or config.json with safetensors, found ${top.slice(0, 8).join(', ') || 'nothing'}. Is it a LLaMA model?`,
    );
  }
  const beside = top.filter((path) => /\.(json|jinja)$/.test(path) || /^tokenizer\.model$/.test(path));
  const index = weights[0]!.endsWith('.bin') ? /safetensors\.index\.json$/ : /bin\.index\.json$/;
  return { files: [...beside.filter((path) => !index.test(path)), ...weights], open: null };
}

function chooseGguf({ repo, quant }: HubName, gguf: readonly string[]): Choice {
  const wanted = quant === null ? usual : [quant];
  const found = wanted.map((each) => gguf.filter((path) => quantsOf(path).includes(each.toUpperCase()))).find(some);
  const chosen = found ?? (quant === null && groups(gguf).length === 1 ? [...gguf] : undefined);
  if (!chosen) {
    const available = [...new Set(gguf.flatMap((path) => quantsOf(path).at(-1) ?? path))];
    const near = quant === null ? [] : nearest(quant.toUpperCase(), available);
    throw new CriaError(
      'hub.no-quant',
      `${repo}: expected ${quant === null ? 'a usual quantization' : quant}${near.length > 0 ? ` (did you mean ${near[0]}?)` : ''}, ` +
        `found ${available.join(', ')}. Name one: ${repo}:${available[0]}.`,
    );
  }
  const [first] = groups(chosen);
  return { files: first!, open: first![0]! };
}

function nearest(quant: string, available: readonly string[]): readonly string[] {
  const longer = available.filter((each) => each.startsWith(quant));
  return longer.length > 0 ? longer : nearestNames(quant, available, 1);
}

/** The GGUF files of a repository as models: the parts of a split one together, each with the name that chooses it. */
export function ggufModels(
  files: readonly HubFile[],
): { readonly quant: string | null; readonly files: readonly HubFile[] }[] {
  const paths = files.map(({ path }) => path).sort();
  return groups(paths.filter((path) => path.endsWith('.gguf'))).map((group) => ({
    quant: quantsOf(group[0]!).at(-1) ?? null,
    files: group.map((path) => files.find((file) => file.path === path)!),
  }));
}

const some = (list: readonly string[]) => list.length > 0;

/** The parts of one split file belong together. */
function groups(paths: readonly string[]): string[][] {
  const byStem = new Map<string, string[]>();
  for (const path of paths) {
    const stem = path.replace(PART, '');
    byStem.set(stem, [...(byStem.get(stem) ?? []), path]);
  }
  return [...byStem.values()];
}

function quantsOf(path: string): string[] {
  const stem = path
    .slice(path.lastIndexOf('/') + 1)
    .replace(PART, '')
    .replace(/\.gguf$/, '');
  return [...stem.matchAll(QUANT)].map(([, quant]) => quant!.toUpperCase());
}
