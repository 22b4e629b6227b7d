import { existsSync, readFileSync } from 'node:fs';
import { CriaError } from '../../base/errors.ts';
import { generationOptions } from '../../inference/options.ts';
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { appendHistory, historyFile, readHistory } from '../chat/history.ts';
import { KeptSession, sessionOption } from '../chat/kept-session.ts';
import { createReader } from '../chat/reader.ts';
import { Session } from '../chat/session.ts';
import { speakerOf } from '../chat/speaker.ts';
import { defineCommand } from '../command.ts';
import { loadModel, pick } from '../load-model.ts';
import { cacheDirOptions, checkDraft, draftOption, modelOptions } from '../model-options.ts';
import type { OptionTable } from '../option-table.ts';

// A prompt is not typed here, and nobody reads log-probabilities at a terminal.
const {
  parseSpecial: _1,
  logprobs: _2,
  postSamplingProbs: _3,
  promptLogprobs: _4,
  ...chatGeneration
} = generationOptions;

const options = {
  ...modelOptions,
  draft: draftOption,
  ...cacheDirOptions,
  session: sessionOption,
  system: { kind: 'text', short: 's', help: 'the system message, which opens the conversation' },
  template: {
    kind: 'text',
    value: 'NAME|FILE',
    otherwise: "the model's own",
    help: `chat format: ${Object.keys(builtInTemplates).join(', ')}, or a file with a Jinja template`,
  },
  reasoningBudget: {
    kind: 'integer',
    min: -1,
    default: -1,
    help: 'tokens that a model may reason before it answers; 0: none, −1: as many as it likes',
  },
  history: { kind: 'flag', help: "keep what you type for the next chat, in the user's state folder" },
  ...chatGeneration,
  maxTokens: {
    ...chatGeneration.maxTokens,
    short: 'n',
    help: 'longest answer in tokens; −1: until it or the context ends',
  },
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model'],
  details:
    'A conversation. Ctrl-C stops an answer, Ctrl-D or /exit leaves, /help lists the commands. A message of several lines stands\n' +
    'between two """. Messages may also come from a pipe, one per line; only the answers go to stdout. Reasoning (<think>) is shown apart. When\n' +
    'the context is full the oldest turns are forgotten, which is said. Exit code 1 when a message could not be answered.',
  examples: [
    ['chat -m model.gguf', 'talk to a model'],
    ['chat -m model.gguf --system "You are a poet." --temperature 0.5', 'with a system message'],
  ],
  async run(options, io) {
    checkDraft(options);
    const model = await loadModel(options, io);
    const path = options.history ? historyFile(io.env) : null;
    const remembered = path === null ? [] : readHistory(path);
    const reader = createReader(io, remembered);
    try {
      const template = readTemplate(options.template) ?? model.facts.chatTemplate ?? undefined;
      chatTemplateFor(model.tokenizer, template); // refused before the first message, not after it
      const session = new Session(
        speakerOf(model, template),
        { options: pick(chatGeneration, options), system: options.system, reasoningBudget: options.reasoningBudget },
        io,
      );
      const kept = await KeptSession.open(model, options.session, io);
      session.restore(kept.note);
      if (io.stdin.isTTY && io.stdout.isTTY) {
        session.note(`${model.facts.name} · ${model.facts.device} · ${model.contextLength} tokens of context`);
        session.note('/help lists the commands, Ctrl-D leaves.');
      }
      for (;;) {
        const message = await reader.next('> ');
        if (message === null || io.signal.aborted) break;
        if (path !== null && message.trim() !== '') appendHistory(path, message);
        if (!(await session.take(message))) break;
        await kept.saveText(await session.ids(), { messages: session.messages });
      }
      await kept.save(await session.ids(), { messages: session.messages });
      if (session.failures > 0 && !io.signal.aborted) {
        const count = session.failures === 1 ? '1 message was' : `${session.failures} messages were`;
        throw new CriaError('chat.unanswered', `${count} not answered, for the reasons above.`);
      }
    } finally {
      reader.close();
      await model.close();
    }
  },
});

/** A built-in's name stays a name; a file is read. */
function readTemplate(template: string | undefined): string | undefined {
  if (template === undefined || Object.hasOwn(builtInTemplates, template) || !existsSync(template)) return template;
  return readFileSync(template, 'utf8');
}
