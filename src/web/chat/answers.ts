/** Answers as they are written: asked of the server, shown as they come, and kept twice a second so that a reload loses nothing. */
import { ApiFailure, type ModelInfo, streamAnswer } from './api.ts';
import { type Conversation, type Message, pathOf, withMessage } from './conversation/conversation.ts';
import type { Settings } from './conversation/settings.ts';
import type { PageWorld } from './world.ts';

export interface AnswersHost {
  /** Shows a change. */
  put(id: string, update: (conversation: Conversation) => Conversation): void;
  /** Keeps a change. */
  keep(id: string, update: (kept: Conversation | null) => Conversation | null): Promise<void>;
  /** Which messages are being written. */
  changed(writing: ReadonlySet<string>): void;
  /** The server went away. */
  lost(): void;
}

const SAVE_MS = 500;

export class Answers {
  private readonly world: PageWorld;
  private readonly host: AnswersHost;
  private readonly running = new Map<string, { readonly conversation: string; abort(): void; leave(): void }>();

  constructor(world: PageWorld, host: AnswersHost) {
    this.world = world;
    this.host = host;
  }

  /** Ends what is written into a conversation, or into one message of it. */
  end(conversation: string, message?: string): void {
    for (const [id, running] of this.running) {
      if (running.conversation === conversation && (message ?? id) === id) running.abort();
    }
  }

  /** The page goes: what has come is noted, and kept if it only is put away. */
  leave(): void {
    for (const running of this.running.values()) running.leave();
  }

  /** Writes `start`, which is in the conversation already; more of it where it has text. */
  async write(conversation: Conversation, start: Message, model: ModelInfo, settings: Settings): Promise<void> {
    const { world, host } = this;
    const { id } = conversation;
    const controller = new AbortController();
    let message = start;
    let keptAt = world.now();
    const keep = () => {
      keptAt = world.now();
      const written = message;
      void host.keep(id, (kept) =>
        kept?.messages.some((each) => each.id === start.id) ? withMessage(kept, written) : kept,
      );
      world.tell({ kind: 'writing', message: start.id });
    };
    const show = () => {
      const written = message;
      host.put(id, (shown) =>
        shown.messages.some((each) => each.id === written.id) ? withMessage(shown, written) : shown,
      );
    };
    // However fast tokens come, they are shown once a frame. What the reader does is shown at once: a key that opens another
    // conversation has opened it when the next key comes.
    let waits = false;
    const showSoon = () => {
      if (waits) return;
      waits = true;
      world.nextFrame(() => {
        waits = false;
        if (this.running.has(start.id)) show();
      });
    };
    const leave = () => {
      const { tokens: _tokens, ...rest } = message;
      world.storage.note({ kind: 'message', conversation: id, message: rest });
      keep();
    };
    this.running.set(start.id, { conversation: id, abort: () => controller.abort(), leave });
    host.changed(new Set(this.running.keys()));
    // While a long prompt is read nothing comes; the other tabs are to know that it is being read.
    let endTicks = () => {};
    const tick = () => {
      world.tell({ kind: 'writing', message: start.id });
      endTicks = world.after(SAVE_MS, tick);
    };
    tick();
    try {
      const path = pathOf({ ...conversation, leaf: start.content === '' ? start.parent : start.id });
      const answer = streamAnswer(world.fetch, model, settings, conversation.system, path, controller.signal);
      for await (const { text, thoughts, tokens, finish, stats } of answer) {
        message = {
          ...message,
          content: message.content + text,
          ...(thoughts !== '' && { thoughts: (message.thoughts ?? '') + thoughts }),
          ...(tokens.length > 0 && { tokens: [...(message.tokens ?? []), ...tokens] }),
          ...(finish !== null && { finish }),
          ...(stats !== null && { stats }),
        };
        showSoon();
        if (world.now() - keptAt >= SAVE_MS) keep();
      }
    } catch (error) {
      const isSaid = error instanceof ApiFailure;
      message = controller.signal.aborted
        ? { ...message, finish: 'stopped' }
        : { ...message, finish: 'error', ...(isSaid && { error: error.message }) };
      if (!isSaid && !controller.signal.aborted) host.lost();
    } finally {
      endTicks();
      this.running.delete(start.id);
      show();
      keep();
      host.changed(new Set(this.running.keys()));
    }
  }
}
