/** What the page keeps: conversations and settings, and the changes that one can make to them. All of it is plain data. */

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

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly tokens?: readonly TokenInfo[];
  readonly stats?: Stats;
  /** 'stop', 'length', or 'stopped' by the reader. */
  readonly finish?: string;
  readonly error?: string;
  /** All answers to the same question, where there are several: plain ones, of which `version` is shown (and maybe newer here). */
  readonly versions?: readonly Message[];
  readonly version?: number;
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly changed: number;
  readonly messages: readonly Message[];
}

export interface Settings {
  readonly system: string;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  /** null: to the end of the context. */
  readonly maxTokens: number | null;
  /** null: another one every time. */
  readonly seed: number | null;
  readonly probabilities: boolean;
  readonly apiKey: string;
  readonly language: 'en' | 'ko';
  readonly theme: 'system' | 'light' | 'dark';
}

/** The sampling values are the engine's own defaults. */
export const defaultSettings: Settings = {
  system: '',
  temperature: 0.8,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  repeatPenalty: 1,
  maxTokens: null,
  seed: null,
  probabilities: false,
  apiKey: '',
  language: 'en',
  theme: 'system',
};

const TITLE_LENGTH = 48;

export function titleOf(messages: readonly Message[], empty: string): string {
  const first = messages[0]?.content.trim().replace(/\s+/g, ' ') ?? '';
  if (first === '') return empty;
  return first.length > TITLE_LENGTH ? `${first.slice(0, TITLE_LENGTH)}…` : first;
}

/** The same conversation with its last message replaced. */
export function withLast(conversation: Conversation, change: (last: Message) => Message): Conversation {
  const { messages } = conversation;
  return { ...conversation, messages: [...messages.slice(0, -1), change(messages.at(-1)!)] };
}

/** Another answer beside those that are there, to be written. */
export function anotherVersion(answer: Message): Message {
  const versions = versionsOf(answer);
  return { role: 'assistant', content: '', versions, version: versions.length };
}

/** The same answers, with another one shown. */
export function showVersion(answer: Message, version: number): Message {
  const versions = versionsOf(answer);
  return { ...versions[version]!, versions, version };
}

export function versionCount({ versions = [], version = 0 }: Message): number {
  return Math.max(versions.length, version + 1);
}

function versionsOf({ versions = [], version = 0, ...shown }: Message): readonly Message[] {
  return [...versions.slice(0, version), shown, ...versions.slice(version + 1)];
}

/** Everything before message `index`, and a new one of the user's there. */
export function asked(conversation: Conversation, index: number, content: string, now: number): Conversation {
  const messages: Message[] = [...conversation.messages.slice(0, index), { role: 'user', content }];
  return { ...conversation, changed: now, messages, title: titleOf(messages, conversation.title) };
}
