/** Conversations as files, out and in: JSON holds everything; Markdown holds what is shown, for people, and can be read back. */
import { type Conversation, contentOf, type Message, type Preset, pathOf, titleOf } from './conversation.ts';
import { conversationFrom, presetsFrom } from './kept.ts';

const FORMAT = 'cria-chat';

export function toJson(conversations: readonly Conversation[], presets: readonly Preset[]): string {
  return `${JSON.stringify({ format: FORMAT, version: 2, conversations, presets }, null, 1)}\n`;
}

const headings = { system: 'System', user: 'You', assistant: 'Model' } as const;
type Speaker = keyof typeof headings;

/** A line of a message that would be taken for a heading gets one more backslash, and loses it when it is read. */
const LIKE_HEADING = /^(\\*)(# |## (?:System|You|Model)$)/gm;
const HEADING = /^## (System|You|Model)$/;

export function toMarkdown(conversation: Conversation): string {
  const said = (speaker: Speaker, text: string) =>
    `## ${headings[speaker]}\n\n${text.replaceAll('\r\n', '\n').replace(LIKE_HEADING, '\\$1$2')}\n`;
  const parts = pathOf(conversation).map((message) => said(message.role, contentOf(message)));
  if (conversation.system !== '') parts.unshift(said('system', conversation.system));
  return [`# ${conversation.title.replace(/\s+/g, ' ')}\n`, ...parts].join('\n');
}

export interface Imported {
  readonly conversations: readonly Conversation[];
  readonly presets: readonly Preset[];
}

/** null: the text is of neither form. */
export function fromFile(text: string, newId: () => string, now: number): Imported | null {
  const start = text.replace(/^\uFEFF/, '');
  if (/^\s*[[{]/.test(start)) return fromJson(start, newId, now);
  const conversation = fromMarkdown(start.replaceAll('\r\n', '\n'), newId, now);
  return conversation && { conversations: [conversation], presets: [] };
}

function fromJson(text: string, newId: () => string, now: number): Imported | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const exported = typeof value === 'object' && value !== null && 'conversations' in value ? value : null;
  const list: unknown = exported ? exported.conversations : Array.isArray(value) ? whole(value) : [value];
  if (!Array.isArray(list)) return null;
  const conversations = list.map((each) => conversationFrom(each, newId, now));
  if (conversations.some((each) => each === null)) return null;
  const presets = exported && 'presets' in exported ? presetsFrom(exported.presets) : [];
  return { conversations: conversations as Conversation[], presets };
}

/** A bare list is one of conversations, or one conversation's messages. */
function whole(list: readonly unknown[]): readonly unknown[] {
  const isMessages =
    list.length > 0 && list.every((each) => typeof each === 'object' && each !== null && 'role' in each);
  return isMessages ? [{ messages: list }] : list;
}

function fromMarkdown(text: string, newId: () => string, now: number): Conversation | null {
  const lines = text.split('\n');
  const sections: { speaker: Speaker; lines: string[] }[] = [];
  let title = '';
  for (const line of lines) {
    const heading = HEADING.exec(line);
    if (heading) {
      const speaker = (Object.keys(headings) as Speaker[]).find((each) => headings[each] === heading[1])!;
      sections.push({ speaker, lines: [] });
    } else if (sections.length > 0)
      sections.at(-1)!.lines.push(line.replace(/^\\(\\*(?:# |## (?:System|You|Model)$))/, '$1'));
    else if (line.startsWith('# ')) title = line.slice(2);
  }
  if (sections.length === 0) return null;
  let system = '';
  const messages: Message[] = [];
  for (const { speaker, lines: own } of sections) {
    // A blank line under the heading, and one before the next, are the file's.
    const body = own.slice(own[0] === '' ? 1 : 0, own.length > 1 && own.at(-1) === '' ? -1 : undefined).join('\n');
    if (speaker === 'system' && messages.length === 0) system = body;
    else if (speaker === 'system') return null;
    else {
      const end = speaker === 'assistant' ? { finish: 'stop' } : {};
      messages.push({ id: newId(), parent: messages.at(-1)?.id ?? null, role: speaker, content: body, ...end });
    }
  }
  const own = title !== '' && title !== titleOf(messages[0]?.content ?? '');
  return {
    id: newId(),
    title: title || titleOf(messages[0]?.content ?? ''),
    ...(own && { named: true }),
    changed: now,
    system,
    messages,
    leaf: messages.at(-1)?.id ?? null,
  };
}

/** A name that every file system takes. */
export function fileName(title: string, extension: 'json' | 'md'): string {
  const name = title
    .replace(/[^\p{L}\p{N}._ -]+/gu, ' ')
    .trim()
    .replace(/\s+/g, '-')
    .slice(0, 60)
    .replace(/^[.-]+|[.-]+$/g, '');
  return `${name || 'conversation'}.${extension}`;
}
