/** The bar over the messages: the conversation's title, the model, and what is done with the whole of it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { requestOf } from '../api.ts';
import type { Chat } from '../chat.ts';
import type { ChatState } from '../chat-state.ts';
import type { Message } from '../conversation/conversation.ts';
import { fileName, toJson, toMarkdown } from '../conversation/transfer.ts';
import { CodeText } from '../markdown/code-text.tsx';
import type { Strings } from '../strings/languages.ts';
import type { PageWorld } from '../world.ts';
import { Dialog } from './dialog.tsx';

interface BarProps {
  readonly chat: Chat;
  readonly state: ChatState;
  readonly world: PageWorld;
  readonly t: Strings;
  readonly path: readonly Message[];
  readonly menuOpen: boolean;
  readonly settingsOpen: boolean;
  readonly onMenu: () => void;
  readonly onSettings: () => void;
}

export function Bar({ chat, state, world, t, path, menuOpen, settingsOpen, onMenu, onSettings }: BarProps) {
  const { current, models, model, settings } = state;
  const [renaming, setRenaming] = useState(false);
  useEffect(() => setRenaming(false), [current.id]);
  const isEmpty = current.messages.length === 0;
  return (
    <header class="bar">
      <button type="button" class="quiet menu" aria-expanded={menuOpen} onClick={onMenu}>
        {t.menu}
      </button>
      <div class="model">
        {models.length > 1 ? (
          <select
            aria-label={t.model}
            value={model?.id}
            onChange={(event) => chat.changeSettings({ model: event.currentTarget.value })}
          >
            {models.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        ) : (
          <strong>{model?.id ?? 'Cria'}</strong>
        )}
        <span>{model?.description ?? ''}</span>
      </div>
      {renaming ? (
        <Title
          title={current.title}
          label={t.title}
          onDone={(title) => {
            setRenaming(false);
            if (title !== null) chat.rename(current.id, title);
          }}
        />
      ) : (
        !isEmpty && (
          <span class="title" dir="auto">
            {current.title || t.untitled}
          </span>
        )
      )}
      {!isEmpty && (
        <More
          t={t}
          entries={(showJson) => [
            [t.rename, () => setRenaming(true)],
            [
              t.exportMarkdown,
              () => world.download(fileName(current.title, 'md'), 'text/markdown', toMarkdown(current)),
            ],
            [
              t.exportJson,
              () => world.download(fileName(current.title, 'json'), 'application/json', toJson([current], [])),
            ],
            [t.showRequest, showJson],
            [t.print, world.print],
            [t.remove, () => chat.remove(current.id)],
          ]}
          request={() => JSON.stringify(model ? requestOf(model, settings, current.system, path) : current, null, 2)}
        />
      )}
      <button type="button" class="quiet" aria-expanded={settingsOpen} onClick={onSettings}>
        {t.settings}
      </button>
    </header>
  );
}

interface MoreProps {
  readonly t: Strings;
  readonly entries: (showJson: () => void) => readonly (readonly [word: string, act: () => void])[];
  /** The conversation as the JSON that the model is asked with. */
  readonly request: () => string;
}

function More({ t, entries, request }: MoreProps) {
  const [shown, setShown] = useState<string | null>(null);
  const menu = useRef<HTMLDivElement>(null);
  const act = (run: () => void) => () => {
    menu.current?.hidePopover();
    run();
  };
  return (
    <>
      <button type="button" class="quiet" popovertarget="more" aria-label={t.more} title={t.more}>
        ⋯
      </button>
      <div id="more" popover="auto" ref={menu}>
        {entries(() => setShown(request())).map(([word, run]) => (
          <button key={word} type="button" class="quiet" onClick={act(run)}>
            {word}
          </button>
        ))}
      </div>
      {shown !== null && (
        <Dialog title={t.json} t={t} onClose={() => setShown(null)}>
          <CodeText class="raw" language="json" text={shown.length > 200_000 ? `${shown.slice(0, 200_000)}…` : shown} />
        </Dialog>
      )}
    </>
  );
}

interface TitleProps {
  readonly title: string;
  readonly label: string;
  /** null: it stays. */
  readonly onDone: (title: string | null) => void;
}

function Title({ title, label, onDone }: TitleProps) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  return (
    <form
      class="title"
      onSubmit={(event) => {
        event.preventDefault();
        onDone(field.current!.value);
      }}
    >
      <input
        ref={field}
        dir="auto"
        defaultValue={title}
        maxLength={200}
        aria-label={label}
        onBlur={(event) => onDone(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onDone(null);
        }}
      />
    </form>
  );
}
