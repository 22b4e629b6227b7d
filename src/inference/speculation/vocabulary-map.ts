/**
 * Between the tokens of a model and those of its draft: tokens that stand for the same bytes, and control tokens of the same name or
 * office, are the same. A token that the draft does not have is spelled with several of its own; one that only the draft has is never
 * guessed.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { PieceKind } from '../../tokenizer/vocabulary.ts';

/** With less in common a draft would hardly ever be right. */
const LEAST_SHARED = 0.5;

interface Side {
  readonly name: string;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer | null;
}

export interface VocabularyMap {
  /** The draft's tokens for one of the model's: mostly one. */
  readonly toDraft: (id: number) => readonly number[];
  /** The model's token for each of the draft's; −1: none. null: they are the same. */
  readonly toModel: Int32Array | null;
}

/** Throws ArgumentError `load.draft` where the vocabularies have too little in common. */
export function mapVocabularies(model: Side, draft: Side): VocabularyMap {
  if (!model.tokenizer || !draft.tokenizer) {
    if (model.vocabSize === draft.vocabSize) return { toDraft: (id) => [id], toModel: null };
    throw new ArgumentError(
      'load.draft',
      `load: the draft ${draft.name} has ${draft.vocabSize} tokens and ${model.name} has ${model.vocabSize}, expected equal vocabularies, ` +
        'as their files hold no tokenizers to compare. Put the tokenizers beside the models, or take another draft.',
    );
  }
  const ofDraft = tokensByKey(draft.tokenizer, draft.vocabSize);
  const toDraft: number[][] = [];
  const toModel = new Int32Array(draft.vocabSize).fill(-1);
  let [plain, shared] = [0, 0];
  const count = Math.min(model.vocabSize, model.tokenizer.vocabSize);
  for (let id = 0; id < model.vocabSize; id++) {
    const same = id < count ? sameToken(model.tokenizer, id, draft.tokenizer, ofDraft) : undefined;
    if (same !== undefined && toModel[same] === -1) toModel[same] = id;
    toDraft.push(same !== undefined ? [same] : id < count ? spell(model.tokenizer, id, ofDraft) : []);
    if (id >= count || model.tokenizer.kindOf(id) === PieceKind.control) continue;
    plain++;
    if (same !== undefined) shared++;
  }
  if (shared < LEAST_SHARED * plain) {
    throw new ArgumentError(
      'load.draft',
      `load: the draft ${draft.name} has ${shared} of the ${plain} pieces of ${model.name}, expected at least half. ` +
        'Take a smaller model of the same family.',
    );
  }
  const isSame = model.vocabSize === draft.vocabSize && toModel.every((id, i) => id === i || id === -1);
  return { toDraft: (id) => toDraft[id]!, toModel: isSame && toModel.every((id) => id >= 0) ? null : toModel };
}

/** A token as both sides would call it. */
function keyOf(tokenizer: Tokenizer, id: number): string {
  const kind = tokenizer.kindOf(id);
  if (kind === PieceKind.control || kind === PieceKind.unknown) return `<${tokenizer.pieceOf(id)}>`;
  return bytesKey(tokenizer.bytesOf(id));
}

/** One letter a byte. */
function bytesKey(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function tokensByKey(tokenizer: Tokenizer, vocabSize: number): Map<string, number> {
  const tokens = new Map<string, number>();
  for (let id = Math.min(vocabSize, tokenizer.vocabSize) - 1; id >= 0; id--) tokens.set(keyOf(tokenizer, id), id);
  return tokens;
}

function sameToken(
  model: Tokenizer,
  id: number,
  draft: Tokenizer,
  ofDraft: ReadonlyMap<string, number>,
): number | undefined {
  const isItself =
    id < draft.vocabSize && draft.pieceOf(id) === model.pieceOf(id) && draft.kindOf(id) === model.kindOf(id);
  if (isItself) return id;
  // Some bytes are spelled twice, as a byte and as a letter: the same piece comes first.
  const spelled = draft.idOf(model.pieceOf(id));
  if (spelled !== null && keyOf(draft, spelled) === keyOf(model, id)) return spelled;
  const found = ofDraft.get(keyOf(model, id));
  if (found !== undefined) return found;
  if (id === model.bosId) return draft.bosId ?? undefined;
  if (id === model.eosId) return draft.eosId ?? undefined;
  return undefined;
}

/** With the draft's longest pieces; what it has no piece for is left out. */
function spell(model: Tokenizer, id: number, ofDraft: ReadonlyMap<string, number>): number[] {
  if (model.kindOf(id) === PieceKind.control) return [];
  const rest = bytesKey(model.bytesOf(id));
  const spelled: number[] = [];
  for (let at = 0; at < rest.length; ) {
    let end = rest.length;
    while (end > at && !ofDraft.has(rest.slice(at, end))) end--;
    if (end > at) spelled.push(ofDraft.get(rest.slice(at, end))!);
    at = Math.max(end, at + 1);
  }
  return spelled;
}
