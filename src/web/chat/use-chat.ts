/** The page's state, and everything that its buttons do. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure, fetchModel, type ModelInfo, streamAnswer } from './api.ts';
import {
  anotherVersion,
  asked,
  type Conversation,
  defaultSettings,
  type Message,
  type Settings,
  showVersion,
  titleOf,
  withLast,
} from './conversation.ts';
import { languages, type Strings } from './strings.ts';
import type { PageWorld } from './world.ts';

export interface ChatState {
  readonly conversations: readonly Conversation[];
  readonly current: Conversation;
  readonly settings: Settings;
  readonly model: ModelInfo | null;
  /** Why there is no model. */
  readonly trouble: string | null;
  readonly busy: boolean;
  readonly t: Strings;
  changeSettings(change: Partial<Settings>): void;
  open(id: string | null): void;
  remove(id: string): void;
  /** The conversation that was removed last, while it can be brought back. */
  readonly removed: Conversation | null;
  restore(): void;
  /** Asks anew at message `index`; what came after it goes. */
  ask(index: number, content: string): void;
  /** Another answer in the place of the last one. */
  regenerate(): void;
  /** Shows another of the last answers. */
  show(version: number): void;
  /** More of the last answer, for models that continue texts. */
  goOn(): void;
  stop(): void;
}

/** A server that is not there may be starting. */
const RETRY_MS = 2000;

export function useChat(world: PageWorld): ChatState {
  const [settings, setSettings] = useState<Settings>(() => ({ ...defaultSettings, language: languageOf(world) }));
  const [conversations, setConversations] = useState<readonly Conversation[]>([]);
  const [currentId, setCurrentId] = useState<string | null>(null);
  const [model, setModel] = useState<ModelInfo | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const aborter = useRef<AbortController | null>(null);
  const gone = useRef(new Set<string>());
  const [removed, setRemoved] = useState<Conversation | null>(null);
  const fresh = useRef<Conversation>(emptyConversation(world));
  const t = languages[settings.language];
  const current = conversations.find(({ id }) => id === currentId) ?? fresh.current;

  useEffect(() => {
    void world.storage.settings().then((kept) => setSettings((before) => ({ ...before, ...kept })));
    void world.storage
      .conversations()
      .then((kept) => setConversations((before) => [...before, ...kept].sort((a, b) => b.changed - a.changed)));
  }, [world]);

  useEffect(() => {
    const failed = (error: unknown) => {
      setModel(null);
      const isKey = error instanceof ApiFailure && error.status === 401;
      setTrouble(isKey ? t.needKey : error instanceof ApiFailure ? error.message : t.unreachable);
    };
    let leave = () => {};
    const look = (): Promise<void> =>
      fetchModel(world.fetch, settings.apiKey).then(
        (found) => {
          setModel(found);
          setTrouble(null);
        },
        (error: unknown) => {
          failed(error);
          if (!(error instanceof ApiFailure)) leave = world.after(RETRY_MS, () => void look());
        },
      );
    void look();
    return () => leave();
  }, [world, settings.apiKey, t]);

  const changeSettings = useCallback(
    (change: Partial<Settings>) =>
      setSettings((before) => {
        const next = { ...before, ...change };
        void world.storage.saveSettings(next);
        return next;
      }),
    [world],
  );

  const put = (conversation: Conversation) => {
    if (gone.current.has(conversation.id)) return;
    setConversations((all) => [conversation, ...all.filter(({ id }) => id !== conversation.id)]);
  };

  const answer = async (start: Conversation) => {
    if (!model || busy) return;
    const controller = new AbortController();
    aborter.current = controller;
    setBusy(true);
    let conversation = start;
    const change = (update: (last: Message) => Message) => {
      conversation = withLast(conversation, update);
      put(conversation);
    };
    try {
      const last = start.messages.at(-1)!;
      const prompt = last.content === '' ? start.messages.slice(0, -1) : start.messages;
      put(conversation);
      setCurrentId(conversation.id);
      for await (const { text, tokens, finish, stats } of streamAnswer(
        world.fetch,
        model,
        settings,
        prompt,
        controller.signal,
      )) {
        change((message) => ({
          ...message,
          content: message.content + text,
          ...(tokens.length > 0 && { tokens: [...(message.tokens ?? []), ...tokens] }),
          ...(finish !== null && { finish }),
          ...(stats !== null && { stats }),
        }));
      }
    } catch (error) {
      if (controller.signal.aborted) change((message) => ({ ...message, finish: 'stopped' }));
      else change((message) => ({ ...message, error: error instanceof ApiFailure ? error.message : t.unreachable }));
    } finally {
      setBusy(false);
      if (!gone.current.has(conversation.id)) await world.storage.save(conversation).catch(() => {});
    }
  };

  const withAnswer = (conversation: Conversation): Conversation => ({
    ...conversation,
    messages: [...conversation.messages, { role: 'assistant', content: '' }],
  });

  return {
    conversations,
    current,
    settings,
    model,
    trouble,
    busy,
    t,
    changeSettings,
    open(id) {
      if (busy) aborter.current?.abort();
      fresh.current = emptyConversation(world);
      setCurrentId(id);
    },
    remove(id) {
      if (busy && id === current.id) aborter.current?.abort();
      gone.current.add(id);
      void world.storage.remove(id);
      setRemoved(conversations.find((each) => each.id === id) ?? null);
      setConversations((all) => all.filter((each) => each.id !== id));
    },
    removed,
    restore() {
      if (!removed) return;
      gone.current.delete(removed.id);
      void world.storage.save(removed);
      setConversations((all) => [...all, removed].sort((a, b) => b.changed - a.changed));
      setRemoved(null);
    },
    ask(index, content) {
      const titled = { ...current, title: titleOf(current.messages, t.untitled) };
      void answer(withAnswer(asked(titled, index, content, world.now())));
    },
    regenerate() {
      if (current.messages.at(-1)?.role !== 'assistant') return;
      void answer(withLast({ ...current, changed: world.now() }, anotherVersion));
    },
    show(version) {
      const shown = withLast(current, (answer) => showVersion(answer, version));
      put(shown);
      void world.storage.save(shown);
    },
    goOn() {
      const last = current.messages.at(-1);
      if (last) void answer({ ...current, changed: world.now() });
    },
    stop: () => aborter.current?.abort(),
  };
}

function emptyConversation(world: PageWorld): Conversation {
  return { id: world.randomId(), title: '', changed: world.now(), messages: [] };
}

function languageOf(world: PageWorld): 'en' | 'ko' {
  return world.languages[0]?.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}
