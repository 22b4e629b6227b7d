/** A loaded model as evaluation sees it: texts go in and out, through the chat template where a conversation is asked for. */
import { UnsupportedError, UsageError } from '../../../base/errors.ts';
import type { EvaluatedModel } from '../../../evaluation/run/model.ts';
import { encodeChat } from '../../../inference/chat-prompt.ts';
import { usualNames } from '../../../model/adapter/select.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import type { Llama } from '../index.ts';

/**
 * Whether a prompt ends in a space or a line break. The harness decodes the new tokens by themselves, where SentencePiece drops one
 * leading space: so does `generate` here after "A:", but not after a line break, where the space is a program's indentation.
 */
function endsInSpace(tokenizer: Tokenizer, ids: Uint32Array): boolean {
  const last = ids.at(-1);
  return last !== undefined && SPACES.includes(tokenizer.bytesOf(last).at(-1)!);
}
const SPACES = [...' \n\t'].map((mark) => mark.charCodeAt(0));

const spacesBefore = (text: string) => text.length - text.replace(/^ +/, '').length;

export interface ModelView {
  readonly signal: AbortSignal;
  /** The context is a user's message, and the answer the assistant's. */
  readonly chat: boolean;
}

/** Throws UsageError without a tokenizer; UnsupportedError `eval.two-bos` where the template would begin twice. */
export function evaluatedModel(model: Llama, { signal, chat }: ModelView): EvaluatedModel {
  if (!model.hasTokenizer) {
    throw new UsageError([
      `${model.facts.name} has no tokenizer, expected one: put tokenizer.json or tokenizer.model beside it`,
    ]);
  }
  const { tokenizer, contextLength } = model;
  const { bosId, addBos } = tokenizer;
  const template = model.facts.chatTemplate ?? undefined;
  const inChat = (context: string, continuation: string) => {
    const ids = encodeChat(tokenizer, { messages: [{ role: 'user', content: context }], template, continuation });
    if (bosId !== null && ids[0] === bosId && ids[1] === bosId) {
      throw new UnsupportedError(
        'eval.two-bos',
        `--chat: the template begins with the beginning token (${bosId}) twice, expected it once. Choose another template, or mend it.`,
      );
    }
    return ids;
  };
  const encode = (text: string) => tokenizer.encode(text, { bos: addBos });
  const adapters = usualNames(model.facts.adapters, chat); // ids do not say that they are a conversation
  return {
    contextLength,
    prefixId: bosId ?? tokenizer.eosId,
    encode,
    encodeContext: chat ? (text) => inChat(text, '') : encode,
    score: (context, continuations) => model.score(context, continuations, { signal, adapters }),
    ...(chat && {
      pair: ({ context, continuation }: { readonly context: string; readonly continuation: string }) => {
        const before = inChat(context, '');
        return { context: before, continuation: inChat(context, continuation).subarray(before.length) };
      },
    }),
    async generate(ids, { stop, maxTokens, temperature, topP, seed }) {
      const { text, ids: written } = await model.generate(ids, {
        ...{ maxTokens, temperature, topP, topK: 0, minP: 0, seed, stop: [...stop], signal, adapters },
      }).result;
      signal.throwIfAborted();
      return endsInSpace(tokenizer, ids)
        ? text
        : text.slice(spacesBefore(text) - spacesBefore(tokenizer.decode(written)));
    },
  };
}
