/** Log-probabilities in OpenAI's two shapes. A token's text and bytes are those it has in the middle of a text. */
import type { Piece, PieceLogProbabilities } from '../../inference/generation.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

export interface NamedToken {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprob extends NamedToken {
  readonly top_logprobs: readonly NamedToken[];
}

/** JSON has no −∞; OpenAI writes this for "next to never". */
const NEVER = -9999;

export class TokenNames {
  private readonly tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** An entry of choices[].logprobs.content. */
  chat({ id, logprobs }: Piece): ChatLogprob {
    const { logprob, top } = logprobs!;
    return { ...this.name(id, logprob), top_logprobs: top.map((entry) => this.name(entry.id, entry.logprob)) };
  }

  name(id: number, logprob: number): NamedToken {
    const bytes = this.bytesOf(id);
    return { token: new TextDecoder().decode(bytes), logprob: finite(logprob), bytes: [...bytes] };
  }

  textOf(id: number): string {
    return new TextDecoder().decode(this.bytesOf(id));
  }

  /** A model may have more rows than its tokenizer has pieces. */
  private bytesOf(id: number): Uint8Array {
    return id < this.tokenizer.vocabSize ? this.tokenizer.bytesOf(id) : new Uint8Array(0);
  }
}

/** choices[].logprobs of /v1/completions. */
export interface CompletionLogprobs {
  readonly tokens: string[];
  /** null: the first token of a prompt, which nothing is before. */
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  /** Where each token begins in the text that is sent, in UTF-16 units. */
  readonly text_offset: number[];
}

/** `pieces` of a text that begins `offset` units into what is sent. */
export function completionLogprobs(
  names: TokenNames,
  pieces: readonly Pick<Piece, 'id' | 'text' | 'logprobs'>[],
  offset: number,
): CompletionLogprobs {
  const logprobs: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  for (const { id, text, logprobs: given } of pieces) {
    logprobs.tokens.push(names.textOf(id));
    logprobs.token_logprobs.push(given ? finite(given.logprob) : null);
    logprobs.top_logprobs.push(given ? alternatives(names, given) : null);
    logprobs.text_offset.push(offset);
    offset += text.length;
  }
  return logprobs;
}

function alternatives(names: TokenNames, { top }: PieceLogProbabilities): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { id, logprob } of top) found[names.textOf(id)] ??= finite(logprob);
  return found;
}

function finite(logprob: number): number {
  return Math.max(logprob, NEVER);
}
