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
  readonly token_logprobs: number[];
  readonly top_logprobs: Record<string, number>[];
  /** Where each token begins in the text that is sent, in UTF-16 units. */
  readonly text_offset: number[];
}

export function completionLogprobs(names: TokenNames, pieces: readonly Piece[], offset: number): CompletionLogprobs {
  const logprobs: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  for (const piece of pieces) {
    const { logprob, top } = piece.logprobs as PieceLogProbabilities;
    logprobs.tokens.push(names.textOf(piece.id));
    logprobs.token_logprobs.push(finite(logprob));
    const alternatives: Record<string, number> = {};
    for (const entry of top) alternatives[names.textOf(entry.id)] ??= finite(entry.logprob);
    logprobs.top_logprobs.push(alternatives);
    logprobs.text_offset.push(offset);
    offset += piece.text.length;
  }
  return logprobs;
}

function finite(logprob: number): number {
  return Math.max(logprob, NEVER);
}
