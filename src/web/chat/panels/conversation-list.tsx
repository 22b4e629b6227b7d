/** The conversations at the left, which can be searched; and what is done with all of them. */
import type { Ref } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import type { ChatState } from '../chat-state.ts';
import { folded, searchText } from '../conversation/conversation.ts';
import { toJson } from '../conversation/transfer.ts';
import type { Strings } from '../strings/languages.ts';
import type { PageWorld } from '../world.ts';

interface ListProps {
  readonly chat: Chat;
  readonly state: ChatState;
  readonly world: PageWorld;
  readonly t: Strings;
  readonly search: Ref<HTMLInputElement>;
  readonly onPick: () => void;
  readonly onHelp: () => void;
}

export function ConversationList({ chat, state, world, t, search, onPick, onHelp }: ListProps) {
  const { conversations, current, presets } = state;
  const [wanted, setWanted] = useState('');
  const words = folded(wanted).split(/\s+/).filter(Boolean);
  const found = conversations.filter((each) => words.every((word) => searchText(each).includes(word)));
  const open = (id: string | null) => {
    chat.open(id);
    onPick();
  };
  return (
    <nav aria-label={t.conversations}>
      <button type="button" class="new" onClick={() => open(null)}>
        {t.newChat}
      </button>
      {conversations.length > 0 && (
        <input
          type="search"
          ref={search}
          dir="auto"
          value={wanted}
          placeholder={t.search}
          aria-label={t.search}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      )}
      <ul>
        {found.map(({ id, title, messages }) => (
          <li key={id} class={id === current.id ? 'current' : ''}>
            <a
              href={world.address.of(id)}
              dir="auto"
              aria-current={id === current.id ? 'page' : undefined}
              onClick={(event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                event.preventDefault();
                open(id);
              }}
            >
              {title || t.untitled}
              {messages.some((message) => state.writing.has(message.id)) && <span class="dot" aria-hidden="true" />}
            </a>
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
      {found.length === 0 && <p class="stats">{conversations.length === 0 ? t.noConversations : t.nothingFound}</p>}
      <footer>
        <Import chat={chat} t={t} />
        {conversations.length > 0 && (
          <>
            <button
              type="button"
              class="quiet"
              onClick={() => world.download('cria-chat.json', 'application/json', toJson(conversations, presets))}
            >
              {t.exportAll}
            </button>
            <button type="button" class="quiet" onClick={() => chat.removeAll()}>
              {t.removeAll}
            </button>
          </>
        )}
        <button type="button" class="quiet" onClick={onHelp}>
          {t.keysHelp}
        </button>
      </footer>
    </nav>
  );
}

function Import({ chat, t }: { readonly chat: Chat; readonly t: Strings }) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="quiet" onClick={() => chooser.current?.click()}>
        {t.import}
      </button>
      <input
        ref={chooser}
        type="file"
        accept=".json,.md,application/json,text/markdown"
        multiple
        hidden
        aria-label={t.import}
        onChange={async (event) => {
          const { currentTarget } = event;
          for (const file of currentTarget.files ?? []) chat.import(await file.text());
          currentTarget.value = '';
        }}
      />
    </>
  );
}
