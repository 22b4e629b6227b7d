/** What was kept or comes from a file, read as conversations: today's form, the page's first one, and OpenAI's messages. */
import {
  type Conversation,
  type Message,
  type Preset,
  type Stats,
  type TextFile,
  type TokenInfo,
  titleOf,
} from './conversation.ts';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** null: it is no conversation. `newId` names what has no name. Only what is known is taken over. */
export function conversationFrom(value: unknown, newId: () => string, now: number): Conversation | null {
  if (!isObject(value) || !Array.isArray(value.messages)) return null;
  const isTree = value.messages.every((each) => isObject(each) && typeof each.id === 'string' && 'parent' in each);
  const read = isTree ? treeOf(value.messages) : chainOf(value.messages, newId);
  if (read === null) return null;
  const { messages, system } = read;
  const ids = new Set(messages.map(({ id }) => id));
  const leaf = textOf(value.leaf);
  return {
    id: textOf(value.id) ?? newId(),
    title: (textOf(value.title) ?? titleOf(messages[0]?.content ?? '')).slice(0, 200),
    ...(value.named === true && { named: true }),
    changed: typeof value.changed === 'number' && Number.isFinite(value.changed) ? value.changed : now,
    system: textOf(value.system) ?? system,
    messages,
    leaf: leaf !== undefined && ids.has(leaf) ? leaf : (read.leaf ?? messages.at(-1)?.id ?? null),
  };
}

interface Read {
  readonly messages: readonly Message[];
  readonly system: string;
  readonly leaf?: string;
}

/** null: a message comes before the one it follows, twice, or from nobody who speaks here. */
function treeOf(list: readonly unknown[]): Read | null {
  const known = new Set<string>();
  const messages: Message[] = [];
  for (const value of list as readonly Json[]) {
    const id = value.id as string;
    const parent = value.parent === null ? null : textOf(value.parent);
    const message = messageOf(value, id, parent ?? null);
    if (!message || known.has(id) || parent === undefined || (parent !== null && !known.has(parent))) return null;
    known.add(id);
    messages.push(message);
  }
  return { messages, system: '' };
}

/** A list of turns, of which an answer may have had versions; a system message first becomes the system prompt. */
function chainOf(list: readonly unknown[], newId: () => string): Read | null {
  const messages: Message[] = [];
  let parent: string | null = null;
  let system = '';
  for (const [i, value] of list.entries()) {
    if (!isObject(value)) return null;
    if (i === 0 && (value.role === 'system' || value.role === 'developer')) {
      system = partsOf(value.content);
      continue;
    }
    const version = typeof value.version === 'number' ? value.version : 0;
    const others = listOf(value.versions);
    let shown = '';
    for (let each = 0; each < Math.max(others.length, version + 1); each++) {
      const one = each === version ? value : others[each];
      const message: Message | null = isObject(one) ? messageOf(one, newId(), parent) : null;
      if (!message) return null;
      messages.push(message);
      if (each === version) shown = message.id;
    }
    parent = shown;
  }
  return { messages, system, ...(parent !== null && { leaf: parent }) };
}

function messageOf(value: Json, id: string, parent: string | null): Message | null {
  const { role, finish, error, model } = value;
  if (role !== 'user' && role !== 'assistant') return null;
  const files = listOf(value.files).filter(isFile);
  const thoughts = textOf(value.thoughts) ?? textOf(value.reasoning_content);
  const tokens = listOf(value.tokens);
  return {
    id,
    parent,
    role,
    content: partsOf(value.content),
    ...(files.length > 0 && { files }),
    ...(thoughts !== undefined && thoughts !== '' && { thoughts }),
    ...(typeof model === 'string' && { model }),
    ...(tokens.length > 0 && tokens.every(isToken) && { tokens }),
    ...(isStats(value.stats) && { stats: value.stats }),
    ...(typeof finish === 'string' && { finish }),
    ...(typeof error === 'string' && { error }),
  };
}

/** A text, or the texts of OpenAI's parts. */
function partsOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return listOf(content)
    .map((part) => (isObject(part) ? (textOf(part.text) ?? '') : ''))
    .join('');
}

const isFile = (value: unknown): value is TextFile =>
  isObject(value) && typeof value.name === 'string' && typeof value.text === 'string';

const isAlternative = (value: unknown): value is Json =>
  isObject(value) && typeof value.token === 'string' && typeof value.logprob === 'number';

const isToken = (value: unknown): value is TokenInfo => isAlternative(value) && listOf(value.top).every(isAlternative);

const isStats = (value: unknown): value is Stats =>
  isObject(value) &&
  (
    ['promptTokens', 'cachedTokens', 'answerTokens', 'tokensPerSecond', 'promptPerSecond'] satisfies (keyof Stats)[]
  ).every((name) => typeof value[name] === 'number');

export function presetsFrom(value: unknown): readonly Preset[] {
  return listOf(value).filter(
    (each): each is Preset & Json =>
      isObject(each) && typeof each.id === 'string' && typeof each.name === 'string' && typeof each.text === 'string',
  );
}
