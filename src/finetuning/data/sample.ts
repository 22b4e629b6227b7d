/** What a row of a data set becomes before it is encoded. */
import type { ChatMessage } from '../../tokenizer/chat/chat-template.ts';
import type { PreferenceRating } from '../losses/reward-model.ts';

/** A message with its own wish about loss: true, false, or none. */
export type TrainedMessage = ChatMessage & { readonly train?: boolean };

export interface ChatSample {
  readonly kind: 'chat';
  readonly messages: readonly TrainedMessage[];
  readonly tools?: readonly unknown[] | null;
}

/** A text and its continuation, without a template. */
export interface CompletionSample {
  readonly kind: 'completion';
  readonly prompt: string;
  readonly completion: string;
}

/** A text that is learned from its beginning. */
export interface TextSample {
  readonly kind: 'text';
  readonly text: string;
}

export type SftSample = ChatSample | CompletionSample | TextSample;

/** What is asked, as a conversation or as a text. */
export type PromptSample = (
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[]; readonly tools?: readonly unknown[] | null }
  | { readonly kind: 'completion'; readonly prompt: string }
) & {
  /** The prompt asks for something unsafe: its answers are judged by the safety reward. */
  readonly isSafety?: boolean;
  /** What a rule compares an answer with. */
  readonly answer?: string;
  /** The prompt that an answer to this one is trained behind, where it is another (ghost attention). */
  readonly trainedAs?: PromptSample;
};

/** Two answers to one prompt. */
export interface PairSample {
  readonly kind: 'pair';
  readonly chosen: SftSample;
  readonly rejected: SftSample;
  readonly margin?: number;
  readonly rating?: PreferenceRating;
}

/** One answer, liked or not (KTO). */
export interface RatedSample {
  readonly kind: 'rated';
  readonly sample: SftSample;
  readonly isLiked: boolean;
}

/** A row that cannot be used: why, in words that are counted. */
export class Refusal {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}
