/** What the page is given: the browser's services, which only src/platform/browser may reach for. */
import type { Conversation, Draft, Message } from './conversation/conversation.ts';

/** What one tab tells the others. */
export type Notice =
  | { readonly kind: 'conversation'; readonly id: string }
  | { readonly kind: 'value'; readonly key: string }
  /** A tab is at this message; said about twice a second. */
  | { readonly kind: 'writing'; readonly message: string };

/** Every change is one transaction on what is kept at that moment, whichever tab put it there: so no tab undoes what another did. */
export interface Storage {
  /** Whether anything outlives the page. */
  readonly keeps: boolean;
  conversations(): Promise<readonly Conversation[]>;
  conversation(id: string): Promise<Conversation | null>;
  /** `update` returns what is kept from now on; null: nothing. */
  change(id: string, update: (kept: Conversation | null) => Conversation | null): Promise<void>;
  /** Settings, presets and drafts, by name. */
  value(key: string): Promise<unknown>;
  /** undefined forgets it. */
  changeValue(key: string, update: (kept: unknown) => unknown): Promise<void>;
  /** Notes at once what the page has no time left to keep; a page that opens takes it in. */
  note(leaving: Leaving): void;
  noted(): readonly Leaving[];
}

/** What a page that goes had not kept yet. */
export type Leaving =
  | { readonly kind: 'message'; readonly conversation: string; readonly message: Message }
  | { readonly kind: 'draft'; readonly conversation: string; readonly draft: Draft };

/** Which conversation the page's address names. */
export interface Address {
  /** `fresh`: the name that this entry of the history has for the conversation that is still to begin. */
  read(): { readonly conversation: string | null; readonly fresh: string | null };
  /** null: the beginning of a new one. */
  go(conversation: string | null, fresh: string, entry: 'new' | 'same'): void;
  of(conversation: string): string;
  /** The reader went back, forward, or typed another address. */
  watch(listener: () => void): () => void;
}

export interface PageWorld {
  /** Paths are the page's: without a slash at their front. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  readonly storage: Storage;
  readonly address: Address;
  tell(notice: Notice): void;
  onNotice(listener: (notice: Notice) => void): () => void;
  /** The page goes, or is put away. */
  onLeave(listener: () => void): () => void;
  /** Languages that the reader prefers, best first. */
  readonly languages: readonly string[];
  /** Enter sends where there are keys; on a phone it begins a new line. */
  readonly hasKeyboard: boolean;
  now(): number;
  /** Runs it later; the function returned says not to. */
  after(milliseconds: number, run: () => void): () => void;
  /** Runs it before the page is drawn next; out of sight, where nothing is drawn, in a moment. */
  nextFrame(run: () => void): void;
  randomId(): string;
  copy(text: string): Promise<void>;
  /** Gives the reader a file. */
  download(name: string, type: string, text: string): void;
  print(): void;
}
