/** The chat page: conversations at the left, the open one in the middle, settings at the right. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from './chat.ts';
import { pathOf } from './conversation/conversation.ts';
import { pageKey } from './keys.ts';
import { Bar } from './panels/bar.tsx';
import { ConversationList } from './panels/conversation-list.tsx';
import { KeysDialog } from './panels/dialog.tsx';
import { SettingsPanel } from './panels/settings.tsx';
import { languages } from './strings/languages.ts';
import { Composer } from './thread/composer.tsx';
import { Thread } from './thread/thread.tsx';
import type { PageWorld } from './world.ts';

const isComposer = (target: EventTarget | null) => (target as Element).closest('.composer') !== null;

export function App({ chat, world }: { readonly chat: Chat; readonly world: PageWorld }) {
  const [state, setState] = useState(chat.state);
  useEffect(() => {
    const leave = chat.listen(() => setState(chat.state));
    setState(chat.state);
    return leave;
  }, [chat]);
  const { settings, current, trouble, notice, undos, keeping } = state;
  const t = languages[settings.language];
  const [menuOpen, setMenuOpen] = useState(false);
  const [settingsOpen, setSettingsOpen] = useState(false);
  const [helpOpen, setHelpOpen] = useState(false);
  const [editing, setEditing] = useState<string | null>(null);
  const search = useRef<HTMLInputElement>(null);
  const path = pathOf(current);
  const busy = current.messages.some(({ id }) => state.writing.has(id));

  useEffect(() => {
    document.documentElement.lang = settings.language;
    document.documentElement.dataset.theme = settings.theme;
  }, [settings.language, settings.theme]);
  useEffect(() => {
    document.title = current.title === '' ? 'Cria' : `${current.title} · Cria`;
  }, [current.title]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const key = pageKey(event);
      if (key === null) return;
      if (key === 'stop') {
        // Where something is open, Escape closes that.
        if (!(event.target as Element).closest('dialog, form, aside, [popover]') || isComposer(event.target))
          chat.stop();
        return;
      }
      event.preventDefault();
      if (key === 'new') chat.open(null);
      else if (key === 'help') setHelpOpen(true);
      else if (key === 'search') {
        setMenuOpen(true);
        requestAnimationFrame(() => search.current?.select());
      } else chat.openNeighbour(key === 'next' ? 1 : -1);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [chat]);

  const copy = (text: string) => {
    void world.copy(text).then(
      () => chat.say((words) => words.copied),
      () => chat.say((words) => words.notCopied),
    );
  };
  const undo = undos.at(-1);

  return (
    <div class={`page${menuOpen ? ' menu-open' : ''}`}>
      <ConversationList
        chat={chat}
        state={state}
        world={world}
        t={t}
        search={search}
        onPick={() => setMenuOpen(false)}
        onHelp={() => setHelpOpen(true)}
      />
      <main>
        <Bar
          chat={chat}
          state={state}
          world={world}
          t={t}
          path={path}
          menuOpen={menuOpen}
          settingsOpen={settingsOpen}
          onMenu={() => setMenuOpen(!menuOpen)}
          onSettings={() => setSettingsOpen(!settingsOpen)}
        />
        {trouble !== null && (
          <p class="error trouble" role="alert">
            {trouble(t)}
          </p>
        )}
        {keeping !== 'kept' && (
          <p class="error trouble" role="alert">
            {keeping === 'failed' ? t.keepFailed : t.pageOnly}
          </p>
        )}
        <Thread
          chat={chat}
          state={state}
          t={t}
          path={path}
          busy={busy}
          editing={editing}
          onEditing={setEditing}
          onCopy={copy}
        />
        <Composer
          key={current.id}
          chat={chat}
          state={state}
          world={world}
          t={t}
          busy={busy}
          onEditLast={() => setEditing(path.findLast(({ role }) => role === 'user')?.id ?? null)}
        />
        <p class="status" role="status">
          {notice?.(t)}{' '}
          {undo && (
            <>
              {undo.words(t)}{' '}
              <button type="button" class="quiet" onClick={() => chat.undo()}>
                {t.undo}
              </button>
            </>
          )}
        </p>
      </main>
      {settingsOpen && <SettingsPanel chat={chat} state={state} t={t} onClose={() => setSettingsOpen(false)} />}
      {helpOpen && <KeysDialog t={t} onClose={() => setHelpOpen(false)} />}
    </div>
  );
}
