/** What the page is given: the browser's services, which only src/platform/browser may reach for. */
import type { Conversation, Settings } from './conversation.ts';

export interface Storage {
  conversations(): Promise<Conversation[]>;
  save(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>;
  settings(): Promise<Partial<Settings>>;
  saveSettings(settings: Settings): Promise<void>;
}

export interface PageWorld {
  readonly fetch: typeof fetch;
  readonly storage: Storage;
  /** Languages that the reader prefers, best first. */
  readonly languages: readonly string[];
  /** Enter sends where there are keys; on a phone it begins a new line. */
  readonly hasKeyboard: boolean;
  now(): number;
  /** Runs it later; the function returned says not to. */
  after(milliseconds: number, run: () => void): () => void;
  randomId(): string;
  copy(text: string): Promise<void>;
}
