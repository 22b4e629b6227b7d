/** What is drawn: all of it, as plain data. */
import type { ModelInfo } from './api.ts';
import type { Conversation, Preset } from './conversation/conversation.ts';
import type { Settings } from './conversation/settings.ts';
import type { Keeping } from './keeper.ts';
import type { Strings } from './strings/languages.ts';

/** A word of the page's own, in whatever language is chosen when it is drawn. */
export type Word = (t: Strings) => string;

export interface Undo {
  readonly words: Word;
  readonly restore: () => void;
}

export interface ChatState {
  /** All that are kept, the latest first. */
  readonly conversations: readonly Conversation[];
  /** The one that is shown, which is among them once it has a message. */
  readonly current: Conversation;
  readonly settings: Settings;
  readonly presets: readonly Preset[];
  /** What is served; empty: the server was not heard yet. */
  readonly models: readonly ModelInfo[];
  readonly model: ModelInfo | null;
  /** Why nothing can be asked. */
  readonly trouble: Word | null;
  /** Something that was done or could not be done. */
  readonly notice: Word | null;
  /** Whether what is written outlives the page. */
  readonly keeping: Keeping;
  /** Messages that are being written by this page. */
  readonly writing: ReadonlySet<string>;
  /** Messages that another tab is writing. */
  readonly elsewhere: ReadonlySet<string>;
  /** What was deleted, the last at the end. */
  readonly undos: readonly Undo[];
}
