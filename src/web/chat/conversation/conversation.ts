/**
 * A conversation is a tree of messages: another answer, or a question put differently, is another child of the same message, and nothing
 * that was written goes. What is shown is the path from the root to one `leaf`. All of it is plain data, and every change is a
 * function from a conversation to the next, so that it can be made to what is kept as well as to what is shown.
 */

export interface Alternative {
  readonly token: string;
  readonly logprob: number;
}

export interface TokenInfo extends Alternative {
  readonly top: readonly Alternative[];
}

export interface Stats {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly answerTokens: number;
  readonly tokensPerSecond: number;
  readonly promptPerSecond: number;
}

export interface TextFile {
  readonly name: string;
  readonly text: string;
}

export type Role = 'user' | 'assistant';

export interface Message {
  readonly id: string;
  /** The message that it follows; null: it is a first one. */
  readonly parent: string | null;
  readonly role: Role;
  readonly content: string;
  readonly files?: readonly TextFile[];
  /** What the model thought before it answered. */
  readonly thoughts?: string;
  /** The model that answered. */
  readonly model?: string;
  readonly tokens?: readonly TokenInfo[];
  readonly stats?: Stats;
  /** 'stop', 'length', or 'stopped' by the reader; absent: it is being written, or was when its page went. */
  readonly finish?: string;
  readonly error?: string;
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  /** The title is the reader's own, and does not follow the first message. */
  readonly named?: boolean;
  /** Milliseconds since 1970. */
  readonly changed: number;
  readonly system: string;
  /** Every message, each after its parent. */
  readonly messages: readonly Message[];
  /** The last message that is shown; null: none. */
  readonly leaf: string | null;
}

/** What is in the field before it is sent. */
export interface Draft {
  readonly text: string;
  readonly files: readonly TextFile[];
}

export interface Preset {
  readonly id: string;
  readonly name: string;
  readonly text: string;
}

const TITLE_LENGTH = 48;

export function titleOf(text: string): string {
  const line = text.slice(0, 400).trim().replace(/\s+/g, ' ');
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH)}…` : line;
}

/** The messages that are shown, first to last. */
export function pathOf({ messages, leaf }: Conversation): readonly Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const path: Message[] = [];
  for (let at = leaf; at !== null && path.length <= messages.length; ) {
    const message = byId.get(at);
    if (!message) break;
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}

/** The message and those that stand in its place, in the order of writing. */
export function versionsOf({ messages }: Conversation, { parent, role }: Message): readonly Message[] {
  return messages.filter((other) => other.parent === parent && other.role === role);
}

/** Shows `id` and what was last written after it. */
export function showing(conversation: Conversation, id: string): Conversation {
  return { ...conversation, leaf: newestBelow(conversation, id) };
}

function newestBelow({ messages }: Conversation, id: string): string {
  const newest = new Map<string, string>();
  for (const message of messages) if (message.parent !== null) newest.set(message.parent, message.id);
  let leaf = id;
  for (let next = newest.get(leaf); next !== undefined; next = newest.get(leaf)) leaf = next;
  return leaf;
}

/** With the message in it, and shown: added, or in the place of the one with its id. */
export function withMessage(conversation: Conversation, message: Message): Conversation {
  const { messages } = conversation;
  const at = messages.findIndex(({ id }) => id === message.id);
  if (at >= 0) return { ...conversation, messages: messages.with(at, message) };
  const isFirst = message.parent === null && message.role === 'user' && !conversation.named;
  const title = isFirst ? titleOf(message.content) || titleOf(message.files?.[0]?.name ?? '') : conversation.title;
  return { ...conversation, title, messages: [...messages, message], leaf: message.id };
}

/** Without the message and all that follows it; its neighbour, or what it followed, is shown. */
export function withoutMessage(conversation: Conversation, id: string): Conversation {
  const gone = new Set([id]);
  for (const message of conversation.messages)
    if (message.parent !== null && gone.has(message.parent)) gone.add(message.id);
  const removed = conversation.messages.find((message) => message.id === id);
  const messages = conversation.messages.filter((message) => !gone.has(message.id));
  const rest = { ...conversation, messages };
  if (!removed || conversation.leaf === null || !gone.has(conversation.leaf)) return rest;
  const neighbour = versionsOf(rest, removed).at(-1);
  if (neighbour) return showing(rest, neighbour.id);
  return { ...rest, leaf: removed.parent };
}

/** Both, with every message of either: what two tabs wrote, or a file that is read back. Where both have one, `mine` counts. */
export function merged(mine: Conversation, other: Conversation): Conversation {
  const own = new Set(mine.messages.map(({ id }) => id));
  const added = other.messages.filter(({ id }) => !own.has(id));
  return added.length === 0 ? mine : { ...mine, messages: [...mine.messages, ...added], leaf: mine.leaf ?? other.leaf };
}

/**
 * What another tab kept, as this tab shows it: this tab's own place in the tree stays, unless what was added follows it.
 * `isOurs`: the messages that this tab is writing, which are newer here.
 */
export function refreshed(shown: Conversation, kept: Conversation, isOurs: (id: string) => boolean): Conversation {
  const ours = shown.messages.filter(({ id }) => isOurs(id));
  const messages = kept.messages.map((message) => ours.find(({ id }) => id === message.id) ?? message);
  const known = new Set(messages.map(({ id }) => id));
  const all = { ...kept, messages: [...messages, ...ours.filter(({ id }) => !known.has(id))] };
  const follows = shown.leaf === null || pathOf(kept).some(({ id }) => id === shown.leaf);
  const isThere = all.messages.some(({ id }) => id === shown.leaf);
  return follows || !isThere ? all : { ...all, leaf: shown.leaf };
}

/** What the model reads of a message: its files come after its words, each in a fence that its text does not close. */
export function contentOf({ content, files = [] }: Pick<Message, 'content' | 'files'>): string {
  const parts = files.map(({ name, text }) => {
    const longest = Math.max(2, ...(text.match(/`{3,}/g) ?? []).map(({ length }) => length));
    const fence = '`'.repeat(longest + 1);
    return `${name}:\n${fence}\n${text}${text.endsWith('\n') ? '' : '\n'}${fence}`;
  });
  return [...(content === '' ? [] : [content]), ...parts].join('\n\n');
}

/** A conversation's texts in one, in small letters, for searching; made once for each state of it. */
export function searchText(conversation: Conversation): string {
  let text = searchTexts.get(conversation);
  if (text === undefined) {
    const parts = conversation.messages.flatMap(({ content, files = [] }) => [
      content,
      ...files.map((file) => file.text),
    ]);
    text = folded([conversation.title, ...parts].join('\n'));
    searchTexts.set(conversation, text);
  }
  return text;
}

const searchTexts = new WeakMap<Conversation, string>();

/** As texts are compared: composed, in small letters. */
export const folded = (text: string) => text.normalize('NFC').toLowerCase();
