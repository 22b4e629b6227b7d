/** The page's state, and everything that its buttons do. What is drawn is `state`; each change of it is told to who listens. */
import { Answers } from './answers.ts';
import { ApiFailure, fetchModels } from './api.ts';
import type { ChatState, Word } from './chat-state.ts';
import {
  type Conversation,
  type Draft,
  type Message,
  merged,
  type Preset,
  refreshed,
  showing,
  withMessage,
  withoutMessage,
} from './conversation/conversation.ts';
import { presetsFrom } from './conversation/kept.ts';
import { defaultSettings, type Settings, settingsFrom } from './conversation/settings.ts';
import { fromFile } from './conversation/transfer.ts';
import { Keeper } from './keeper.ts';
import type { Notice, PageWorld } from './world.ts';

/** A server that is not there may be starting. */
const RETRY_MS = 2000;
/** How long a message counts as being written after another tab said so. */
const BELIEVED_MS = 2500;
/** How long a notice stays. */
const NOTICE_MS = 4000;

export class Chat {
  state: ChatState;
  private readonly world: PageWorld;
  private readonly listeners = new Set<() => void>();
  private readonly keeper: Keeper;
  private readonly answers: Answers;
  private readonly believed = new Map<string, () => void>();
  private loaded = false;
  private leaveLooking = () => {};
  private leaveNotice = () => {};

  constructor(world: PageWorld) {
    this.world = world;
    const language = world.languages[0]?.toLowerCase().startsWith('ko') ? 'ko' : 'en';
    this.state = {
      conversations: [],
      current: this.emptyConversation(world.address.read().fresh, ''),
      settings: { ...defaultSettings, language },
      presets: [],
      models: [],
      model: null,
      trouble: null,
      notice: null,
      keeping: world.storage.keeps ? 'kept' : 'page only',
      writing: new Set(),
      elsewhere: new Set(),
      undos: [],
    };
    this.keeper = new Keeper(world, (keeping) => {
      if (keeping !== 'kept' || this.state.keeping === 'failed') this.set({ keeping });
    });
    this.answers = new Answers(world, {
      put: (id, update) => this.put(id, update),
      keep: (id, update) => this.keeper.keep(id, update),
      changed: (writing) => this.set({ writing }),
      lost: () => void this.look(),
    });
  }

  /** Reads what is kept, looks for the server, and listens to the other tabs; the function returned ends that. */
  start(): () => void {
    const { world } = this;
    const leaves = [
      world.onNotice((notice) => void this.heard(notice)),
      world.address.watch(() => this.followAddress()),
      world.onLeave(() => this.answers.leave()),
      () => this.leaveLooking(),
    ];
    void this.load();
    return () => {
      for (const leave of leaves) leave();
    };
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private set(change: Partial<ChatState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }

  private async load(): Promise<void> {
    const { storage } = this.world;
    try {
      await Promise.all([this.readSettings(), this.readPresets(), this.takeNotes()]);
      const kept = await storage.conversations();
      const known = new Set(this.state.conversations.map(({ id }) => id));
      this.set({
        conversations: latestFirst([...this.state.conversations, ...kept.filter(({ id }) => !known.has(id))]),
      });
    } catch {
      this.set({ keeping: 'failed' });
    }
    this.loaded = true;
    const { current, settings } = this.state;
    if (current.messages.length === 0 && current.system === '')
      this.set({ current: { ...current, system: settings.system } });
    this.followAddress();
    await this.look();
  }

  /** Keeps what a page that went had only noted: of a message, unless more of it was kept after all. */
  private async takeNotes(): Promise<void> {
    for (const note of this.world.storage.noted()) {
      if (note.kind === 'draft') await this.keeper.keepValue(`draft ${note.conversation}`, () => note.draft);
      else {
        const { id, content } = note.message;
        const isMore = (kept: Conversation) =>
          kept.messages.some((each) => each.id === id && each.content.length < content.length);
        await this.keeper.keep(note.conversation, (kept) =>
          kept && isMore(kept) ? withMessage(kept, note.message) : kept,
        );
      }
    }
  }

  private async readSettings(): Promise<void> {
    await this.keeper.readValue('settings', (kept) => {
      if (kept) this.set({ settings: { ...this.state.settings, ...settingsFrom(kept as Record<string, unknown>) } });
      this.chooseModel();
    });
  }

  private async readPresets(): Promise<void> {
    await this.keeper.readValue('presets', (kept) => this.set({ presets: presetsFrom(kept) }));
  }

  // ── The server ──

  /** Asks what is served; where nobody answers, again and again. */
  private async look(): Promise<void> {
    this.leaveLooking();
    try {
      const models = await fetchModels(this.world.fetch, this.state.settings.apiKey);
      this.set({ models, trouble: null });
      this.chooseModel();
    } catch (error) {
      const { message, status } = error instanceof ApiFailure ? error : { message: '', status: 0 };
      this.set({
        model: null,
        trouble: status === 401 ? (t) => t.needKey : status === 0 ? (t) => t.unreachable : () => message,
      });
      if (status === 0 || status >= 500) this.leaveLooking = this.world.after(RETRY_MS, () => void this.look());
    }
  }

  private chooseModel(): void {
    const { models, settings } = this.state;
    this.set({ model: models.find(({ id }) => id === settings.model) ?? models[0] ?? null });
  }

  changeSettings(change: Partial<Settings>): void {
    this.set({ settings: { ...this.state.settings, ...change } });
    void this.keeper.keepValue('settings', (kept) => ({
      ...settingsFrom((kept ?? {}) as Record<string, unknown>),
      ...change,
    }));
    if (change.apiKey !== undefined) void this.look();
    if (change.model !== undefined) this.chooseModel();
  }

  // ── What is kept ──

  /** Makes a change to what is shown and to what is kept. */
  private change(id: string, update: (conversation: Conversation) => Conversation): void {
    this.put(id, update);
    void this.keeper.keep(id, (kept) => kept && update(kept));
  }

  private put(id: string, update: (conversation: Conversation) => Conversation): void {
    const { conversations, current } = this.state;
    const before = conversations.find((each) => each.id === id);
    if (!before) return;
    const next = update(before);
    const others = conversations.filter((each) => each.id !== id);
    this.set({ conversations: latestFirst([next, ...others]), ...(current.id === id && { current: next }) });
  }

  /** What another tab said. */
  private async heard(notice: Notice): Promise<void> {
    if (notice.kind === 'writing') this.believe(notice.message);
    else if (notice.kind === 'value') {
      if (notice.key === 'settings') await this.readSettings();
      if (notice.key === 'presets') await this.readPresets();
    } else {
      await this.keeper.read(notice.id, (kept) => {
        if (kept) this.take(kept);
        else this.forget(notice.id);
      });
    }
  }

  /** Shows what is kept. */
  private take(kept: Conversation): void {
    const { conversations } = this.state;
    const shown = conversations.find(({ id }) => id === kept.id);
    if (!shown) this.set({ conversations: latestFirst([kept, ...conversations]) });
    else this.put(kept.id, () => refreshed(shown, kept, (id) => this.state.writing.has(id)));
  }

  private believe(message: string): void {
    this.believed.get(message)?.();
    const end = () => {
      this.believed.delete(message);
      this.set({ elsewhere: new Set(this.believed.keys()) });
    };
    this.believed.set(message, this.world.after(BELIEVED_MS, end));
    if (!this.state.elsewhere.has(message)) this.set({ elsewhere: new Set(this.believed.keys()) });
  }

  // ── Which conversation ──

  private emptyConversation(id: string | null, system: string): Conversation {
    const { world } = this;
    return { id: id ?? world.randomId(), title: '', changed: world.now(), system, messages: [], leaf: null };
  }

  private followAddress(): void {
    const { conversation, fresh } = this.world.address.read();
    const { current } = this.state;
    if (conversation === null) {
      if (current.messages.length > 0 || (fresh !== null && fresh !== current.id)) this.begin(fresh);
      this.world.address.go(null, this.state.current.id, 'same');
      return;
    }
    if (conversation === current.id) return;
    const found = this.state.conversations.find(({ id }) => id === conversation);
    if (found) this.set({ current: found });
    else if (this.loaded) {
      this.begin(null);
      this.world.address.go(null, this.state.current.id, 'same');
      this.say((t) => t.notHere);
    }
  }

  private begin(id: string | null): void {
    const started = this.state.conversations.find((each) => each.id === id);
    this.set({ current: started ?? this.emptyConversation(id, this.state.settings.system) });
  }

  /** null: a new one. What is being written elsewhere goes on. */
  open(id: string | null): void {
    const { current, conversations } = this.state;
    if (id === null) {
      if (current.messages.length === 0) return;
      this.begin(null);
      this.world.address.go(null, this.state.current.id, 'new');
      return;
    }
    const found = conversations.find((each) => each.id === id);
    if (!found || id === current.id) return;
    this.set({ current: found });
    this.world.address.go(id, this.world.randomId(), 'new');
  }

  /** The conversation `step` places further down the list. */
  openNeighbour(step: 1 | -1): void {
    const { conversations, current } = this.state;
    const at = conversations.findIndex(({ id }) => id === current.id);
    const next = conversations[at < 0 ? 0 : at + step];
    if (next) this.open(next.id);
  }

  rename(id: string, title: string): void {
    const name = title.trim().slice(0, 200);
    if (name !== '') this.change(id, (conversation) => ({ ...conversation, title: name, named: true }));
  }

  changeSystem(system: string): void {
    const { current } = this.state;
    if (this.isKept(current.id)) this.change(current.id, (conversation) => ({ ...conversation, system }));
    else this.set({ current: { ...current, system } });
  }

  private isKept(id: string): boolean {
    return this.state.conversations.some((each) => each.id === id);
  }

  // ── Asking and answering ──

  /** Whether a question would be answered: there is a model, and it does not answer here already. */
  get canAsk(): boolean {
    const { current, writing, model } = this.state;
    return model !== null && !current.messages.some(({ id }) => writing.has(id));
  }

  /** Asks after `parent`; beside what stands there already, if something does. */
  ask(parent: string | null, { text, files }: Draft): void {
    const { world } = this;
    const { current } = this.state;
    const question: Message = {
      id: world.randomId(),
      parent,
      role: 'user',
      content: text,
      ...(files.length > 0 && { files }),
    };
    const answer = this.emptyAnswer(question.id);
    const add = (conversation: Conversation) =>
      withMessage(withMessage({ ...conversation, changed: world.now() }, question), answer);
    if (this.isKept(current.id)) this.change(current.id, add);
    else {
      const next = add(current);
      this.set({ conversations: [next, ...this.state.conversations], current: next });
      // The same beginning may have been gone on with in a copy of this tab.
      void this.keeper.keep(current.id, (kept) => (kept ? add(kept) : next));
      world.address.go(current.id, world.randomId(), 'same');
    }
    this.write(current.id, answer);
  }

  /** Another answer beside this one. */
  regenerate({ parent }: Message): void {
    const answer = this.emptyAnswer(parent);
    const { id } = this.state.current;
    this.change(id, (conversation) => withMessage({ ...conversation, changed: this.world.now() }, answer));
    this.write(id, answer);
  }

  /** More of an answer that ended early. */
  goOn({ finish: _finish, error: _error, ...message }: Message): void {
    const { id } = this.state.current;
    this.change(id, (conversation) => withMessage({ ...conversation, changed: this.world.now() }, message));
    this.write(id, message);
  }

  private emptyAnswer(parent: string | null): Message {
    const { model } = this.state;
    return { id: this.world.randomId(), parent, role: 'assistant', content: '', ...(model && { model: model.id }) };
  }

  stop(): void {
    this.answers.end(this.state.current.id);
  }

  private write(id: string, answer: Message): void {
    const { model, settings, conversations } = this.state;
    const conversation = conversations.find((each) => each.id === id);
    if (model && conversation) void this.answers.write(conversation, answer, model, settings);
  }

  /** Shows another message in the place of one, with what followed it. */
  show(message: string): void {
    this.change(this.state.current.id, (conversation) => showing(conversation, message));
  }

  // ── Deleting, and taking it back ──

  remove(id: string): void {
    this.removeAll([id], (title) => (t) => t.removed(title));
  }

  removeAll(ids = this.state.conversations.map(({ id }) => id), words?: (title: string) => Word): void {
    const removed = this.state.conversations.filter(({ id }) => ids.includes(id));
    const wasShown = this.state.current.id;
    for (const { id } of removed) {
      this.forget(id);
      void this.keeper.keep(id, () => null);
    }
    if (removed.length === 0) return;
    this.offerUndo(words?.(removed[0]!.title) ?? ((t) => t.removedMany(removed.length)), () => {
      for (const each of removed) {
        void this.keeper.keep(each.id, (kept) => (kept ? merged(kept, each) : each));
        this.take(each);
      }
      if (ids.includes(wasShown) && this.state.current.messages.length === 0) this.open(wasShown);
    });
  }

  /** What is gone is not shown, and nothing is written into it. */
  private forget(id: string): void {
    this.answers.end(id);
    this.set({ conversations: this.state.conversations.filter((each) => each.id !== id) });
    if (this.state.current.id !== id) return;
    this.begin(null);
    this.world.address.go(null, this.state.current.id, 'same');
  }

  /** The message, and what follows it. */
  removeMessage(message: string): void {
    const before = this.state.current;
    this.answers.end(before.id, message);
    this.change(before.id, (conversation) => withoutMessage(conversation, message));
    this.offerUndo(
      (t) => t.removedMessage,
      () => this.change(before.id, (conversation) => ({ ...merged(conversation, before), leaf: before.leaf })),
    );
  }

  savePreset(name: string, text: string): void {
    const preset = { id: this.world.randomId(), name: name.trim().slice(0, 100), text };
    this.changePresets((presets) => [...presets.filter((each) => each.name !== preset.name), preset]);
  }

  removePreset(id: string): void {
    const preset = this.state.presets.find((each) => each.id === id);
    if (!preset) return;
    this.changePresets((presets) => presets.filter((each) => each.id !== id));
    this.offerUndo(
      (t) => t.removed(preset.name),
      () => this.changePresets((presets) => [...presets, preset]),
    );
  }

  private changePresets(update: (presets: readonly Preset[]) => readonly Preset[]): void {
    this.set({ presets: update(this.state.presets) });
    void this.keeper.keepValue('presets', (kept) => update(presetsFrom(kept)));
  }

  offerUndo(words: Word, restore: () => void): void {
    this.set({ undos: [...this.state.undos, { words, restore }] });
  }

  undo(): void {
    const { undos } = this.state;
    this.set({ undos: undos.slice(0, -1) });
    undos.at(-1)?.restore();
  }

  // ── Files ──

  /** Takes in conversations from a file's text. */
  import(text: string): void {
    const { world } = this;
    const found = fromFile(text, world.randomId, world.now());
    if (!found) {
      this.say((t) => t.notImported);
      return;
    }
    for (const each of found.conversations) {
      void this.keeper.keep(each.id, (kept) => (kept ? merged(kept, each) : each));
      const shown = this.state.conversations.find(({ id }) => id === each.id);
      this.take(shown ? merged(shown, each) : each);
    }
    const { length } = found.conversations;
    if (found.presets.length > 0) {
      this.changePresets((presets) => [
        ...presets,
        ...found.presets.filter(({ id }) => !presets.some((each) => each.id === id)),
      ]);
    }
    this.say((t) => t.imported(length));
    if (length === 1) this.open(found.conversations[0]!.id);
  }

  say(notice: Word): void {
    this.leaveNotice();
    this.set({ notice });
    this.leaveNotice = this.world.after(NOTICE_MS, () => this.set({ notice: null }));
  }

  /** What was in the field when the page went. */
  async draftOf(id: string): Promise<Draft | null> {
    const kept = (await this.world.storage.value(`draft ${id}`).catch(() => undefined)) as Draft | undefined;
    return kept ?? null;
  }

  keepDraft(id: string, { text, files }: Draft): void {
    const isEmpty = text === '' && files.length === 0;
    void this.keeper.keepValue(`draft ${id}`, () => (isEmpty ? undefined : { text, files }));
  }

  noteDraft(conversation: string, draft: Draft): void {
    this.world.storage.note({ kind: 'draft', conversation, draft });
  }
}

function latestFirst(conversations: readonly Conversation[]): readonly Conversation[] {
  return conversations.toSorted((a, b) => b.changed - a.changed);
}
