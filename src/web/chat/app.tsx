/** The chat page: conversations at the left, the open one in the middle, settings at the right. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { MessageView } from './message.tsx';
import { SettingsPanel } from './settings.tsx';
import { type ChatState, useChat } from './use-chat.ts';
import type { PageWorld } from './world.ts';

export function App({ world }: { readonly world: PageWorld }) {
  const chat = useChat(world);
  const { t, settings, model, trouble, removed } = chat;
  const [menuOpen, setMenuOpen] = useState(false);
  const [settingsOpen, setSettingsOpen] = useState(false);
  const [copied, setCopied] = useState('');

  useEffect(() => {
    document.documentElement.lang = settings.language;
    document.documentElement.dataset.theme = settings.theme;
  }, [settings.language, settings.theme]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.key.toLowerCase() !== 'o') return;
      event.preventDefault();
      chat.open(null);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });

  const copy = (text: string) => {
    void world.copy(text).then(
      () => setCopied(t.copied),
      () => setCopied(''),
    );
  };

  return (
    <div class={`page${menuOpen ? ' menu-open' : ''}`}>
      <ConversationList chat={chat} onPick={() => setMenuOpen(false)} />
      <main>
        <header class="bar">
          <button type="button" class="quiet menu" aria-expanded={menuOpen} onClick={() => setMenuOpen(!menuOpen)}>
            {t.menu}
          </button>
          <div class="model">
            <strong>{model?.id ?? 'Cria'}</strong>
            <span>{model?.description ?? ''}</span>
          </div>
          <button
            type="button"
            class="quiet"
            aria-expanded={settingsOpen}
            onClick={() => setSettingsOpen(!settingsOpen)}
          >
            {t.settings}
          </button>
        </header>
        {trouble !== null && (
          <p class="error trouble" role="alert">
            {trouble}
          </p>
        )}
        <Thread chat={chat} onCopy={copy} />
        <Composer chat={chat} sendsByEnter={world.hasKeyboard} />
        <p class="status" role="status">
          {removed ? (
            <>
              {t.removed(removed.title)}{' '}
              <button type="button" class="quiet" onClick={chat.restore}>
                {t.undo}
              </button>
            </>
          ) : (
            copied
          )}
        </p>
      </main>
      {settingsOpen && (
        <SettingsPanel
          settings={settings}
          t={t}
          onChange={chat.changeSettings}
          onClose={() => setSettingsOpen(false)}
        />
      )}
    </div>
  );
}

function ConversationList({ chat, onPick }: { readonly chat: ChatState; readonly onPick: () => void }) {
  const { t, conversations, current } = chat;
  const open = (id: string | null) => {
    chat.open(id);
    onPick();
  };
  return (
    <nav aria-label={t.conversations}>
      <button type="button" class="new" title={t.newChatKey} onClick={() => open(null)}>
        {t.newChat}
      </button>
      <ul>
        {conversations.map(({ id, title }) => (
          <li key={id} class={id === current.id ? 'current' : ''}>
            <button type="button" class="quiet" aria-current={id === current.id} onClick={() => open(id)}>
              {title}
            </button>
            <button
              type="button"
              class="quiet remove"
              aria-label={`${t.remove}: ${title}`}
              onClick={() => chat.remove(id)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      {conversations.length === 0 && <p class="stats">{t.noConversations}</p>}
    </nav>
  );
}

function Thread({ chat, onCopy }: { readonly chat: ChatState; readonly onCopy: (text: string) => void }) {
  const { current, t, busy, model } = chat;
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const lastTop = useRef(0);
  const [away, setAway] = useState(false);
  const toEnd = () => {
    if (!box.current) return;
    box.current.scrollTop = box.current.scrollHeight;
    lastTop.current = box.current.scrollTop;
    follows.current = true;
    setAway(false);
  };
  /** Only a reader scrolls up; text that comes faster than it is scrolled only leaves the end behind for a moment. */
  const look = () => {
    if (!box.current) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    if (scrollHeight - scrollTop - clientHeight < 40) follows.current = true;
    else if (scrollTop < lastTop.current) follows.current = false;
    lastTop.current = scrollTop;
    setAway(!follows.current);
  };
  const { messages } = current;

  // Follow the text, and what appears under it at its end, unless the reader has scrolled away.
  useEffect(() => {
    look();
    if (follows.current) toEnd();
  }, [messages, busy]);
  useEffect(() => {
    toEnd();
  }, [current.id]);

  return (
    <div class="thread" ref={box} onScroll={look}>
      {messages.length === 0 && <p class="empty">{model?.canChat === false ? t.emptyText : t.emptyChat}</p>}
      {messages.map((message, i) => (
        <MessageView
          key={`${current.id} ${i}`}
          message={message}
          t={t}
          isLast={i === messages.length - 1}
          busy={busy}
          canContinue={model?.canChat === false}
          onCopy={onCopy}
          onEdit={(content) => chat.ask(i, content)}
          onRegenerate={chat.regenerate}
          onShow={chat.show}
          onContinue={chat.goOn}
        />
      ))}
      {away && (
        <button type="button" class="to-end" aria-label={t.toEnd} title={t.toEnd} onClick={toEnd}>
          ↓
        </button>
      )}
    </div>
  );
}

function Composer({ chat, sendsByEnter }: { readonly chat: ChatState; readonly sendsByEnter: boolean }) {
  const { t, busy, model, current } = chat;
  const [draft, setDraft] = useState('');
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), [current.id]);
  const send = () => {
    if (busy || draft.trim() === '' || !model) return;
    chat.ask(current.messages.length, draft);
    setDraft('');
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={Math.min(8, Math.max(1, draft.split('\n').length))}
        value={draft}
        placeholder={model?.canChat === false ? t.placeholderText : t.placeholderChat}
        aria-label={t.placeholderChat}
        title={t.hint}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          // While a syllable is being composed, Enter belongs to the input method.
          if (sendsByEnter && event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          } else if (event.key === 'Escape' && busy) chat.stop();
        }}
      />
      {busy ? (
        <button type="button" class="stop" onClick={chat.stop}>
          {t.stop}
        </button>
      ) : (
        <button type="submit" disabled={draft.trim() === '' || !model}>
          {t.send}
        </button>
      )}
    </form>
  );
}
