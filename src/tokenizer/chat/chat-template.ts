/**
 * A conversation as the text and the tokens that a model expects, by its own Jinja template or a built-in one, in
 * transformers' semantics (apply_chat_template).
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Segment, Tokenizer } from '../tokenizer.ts';
import { parseTemplate, runTemplate } from './bounded-interpreter.ts';
import { builtInTemplates, isTemplateName, type TemplateName } from './built-in-templates.ts';
import { Guard } from './guard.ts';

/** A turn. Other members (tool_calls, name …) are handed to the template as they are. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface RenderOptions {
  /** Ends with the beginning of the assistant's turn. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly unknown[] | null;
  readonly documents?: readonly unknown[] | null;
  /** More variables for the template, e.g. enable_thinking. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The clock that strftime_now reads. Without one the template does not have strftime_now, and uses the date it holds. */
  readonly now?: () => Date;
}

export interface RenderedChat {
  readonly text: string;
  /** The same text, cut so that nothing a person wrote can be read as a special token: for tokenizer.encodeSegments. */
  readonly segments: readonly Segment[];
}

/** Texts that templates may write for special tokens, and messages may not. */
export interface SpecialTexts {
  readonly bos: string;
  readonly eos: string;
  /** All control tokens and markup tokens of the tokenizer. */
  readonly all: readonly string[];
}

export class ChatTemplate {
  readonly source: string;
  private readonly program: ReturnType<typeof parseTemplate>;
  private readonly special: SpecialTexts;

  constructor(source: string, special: SpecialTexts) {
    this.source = source;
    this.program = parseTemplate(source);
    this.special = special;
  }

  /** Another template for the same vocabulary. */
  withSource(source: string): ChatTemplate {
    return new ChatTemplate(source, this.special);
  }

  render(messages: readonly ChatMessage[], options: RenderOptions = {}): RenderedChat {
    try {
      return this.renderGuarded(messages, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new ArgumentError(
        'chat.too-deep',
        `chat: expected messages and tools that nest less deeply, found ${error.message}.`,
      );
    }
  }

  private renderGuarded(messages: readonly ChatMessage[], options: RenderOptions): RenderedChat {
    const { tools = null, documents = null, variables = {} } = options;
    const { bos, eos, all } = this.special;
    checkRoles(messages);
    const run = (shown: (value: unknown) => unknown) =>
      runTemplate(
        this.program,
        {
          bos_token: bos,
          eos_token: eos,
          ...(shown(variables) as Record<string, unknown>),
          messages: messages.map(({ role, ...rest }) => ({ role, ...(shown(rest) as object) })),
          tools: shown(tools),
          documents: shown(documents),
          add_generation_prompt: options.addGenerationPrompt ?? false,
        },
        options.now,
      );
    const plain = run((value) => value);
    const guard = new Guard(all, this.source + JSON.stringify([messages, tools, documents, variables]));
    guard.protect([messages.map(({ role: _, ...rest }) => rest), tools, documents, variables]);
    if (!guard.isNeeded) return { text: plain, segments: [{ text: plain, trusted: true }] };
    const segments = guard.segments(
      plain,
      run((value) => guard.protect(value)),
    );
    return { text: segments.map(({ text }) => text).join(''), segments };
  }
}

/** Roles are written into markup as they are, so they are words and nothing else. */
function checkRoles(messages: readonly ChatMessage[]): void {
  for (const [i, { role }] of messages.entries()) {
    if (typeof role === 'string' && /^[\w-]{1,64}$/.test(role)) continue;
    throw new ArgumentError(
      'chat.role',
      `messages[${i}].role: expected a word such as user or assistant, found ${JSON.stringify(role)}.`,
    );
  }
}

/**
 * The template to use: `wanted` (a built-in's name or Jinja text), else the model's own, else the built-in whose special tokens
 * the vocabulary has. A model that shows nothing of this kind has no template; guessing one would give fluent nonsense.
 */
export function chatTemplateFor(tokenizer: Tokenizer, wanted?: string): ChatTemplate {
  return new ChatTemplate(chooseSource(tokenizer, wanted), specialTextsOf(tokenizer));
}

export function specialTextsOf(tokenizer: Tokenizer): SpecialTexts {
  const text = (id: number | null) => (id === null ? '' : tokenizer.pieceOf(id));
  return {
    bos: text(tokenizer.bosId),
    eos: text(tokenizer.eosId),
    all: tokenizer.controlTokens.map(({ content }) => content),
  };
}

function chooseSource(tokenizer: Tokenizer, wanted: string | undefined): string {
  const names = Object.keys(builtInTemplates).join(', ');
  if (wanted !== undefined) {
    if (isTemplateName(wanted)) return builtInTemplates[wanted];
    if (/\{[{%]/.test(wanted)) return wanted;
    throw new ArgumentError(
      'chat.template-name',
      `template: expected ${names} or a Jinja text, found ${JSON.stringify(wanted)}.`,
    );
  }
  if (tokenizer.chatTemplate !== null) return tokenizer.chatTemplate;
  const detected = detectTemplate(tokenizer);
  if (detected !== null) return builtInTemplates[detected];
  throw new ArgumentError(
    'chat.no-template',
    `chat: expected a chat template in the model's files, found none, and its vocabulary names no chat format. Choose one: ${names}.`,
  );
}

/** The built-in format whose special tokens are in the vocabulary. */
export function detectTemplate(tokenizer: Tokenizer): TemplateName | null {
  const has = (...pieces: string[]) => pieces.every((piece) => tokenizer.idOf(piece) !== null);
  if (has('<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>')) return 'llama3';
  if (has('<|im_start|>', '<|im_end|>')) return 'chatml';
  if (has('[INST]', '[/INST]', '[TOOL_CALLS]')) return 'mistral-v3';
  if (has('[INST]', '[/INST]')) return 'mistral';
  return null;
}
