/** One message: its text as Markdown, or its tokens with their probabilities; and what can be done with it. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type Message, type Stats, versionCount } from './conversation.ts';
import { Markdown } from './markdown/markdown.tsx';
import type { Strings } from './strings.ts';
import { Tokens } from './tokens.tsx';

interface MessageProps {
  readonly message: Message;
  readonly t: Strings;
  readonly isLast: boolean;
  readonly busy: boolean;
  readonly canContinue: boolean;
  readonly onCopy: (text: string) => void;
  readonly onEdit: (content: string) => void;
  readonly onRegenerate: () => void;
  readonly onShow: (version: number) => void;
  readonly onContinue: () => void;
}

export function MessageView({ message, t, isLast, busy, canContinue, ...on }: MessageProps) {
  const [editing, setEditing] = useState(false);
  const [showTokens, setShowTokens] = useState(false);
  const isUser = message.role === 'user';
  const writing = busy && isLast && !isUser;
  const finish = message.finish === 'length' ? t.length : message.finish === 'stopped' ? t.stopped : '';

  return (
    <article class={`message ${message.role}`} aria-label={isUser ? t.you : t.model} aria-busy={writing}>
      {editing ? (
        <Editor
          content={message.content}
          t={t}
          onCancel={() => setEditing(false)}
          onSave={(content) => {
            setEditing(false);
            on.onEdit(content);
          }}
        />
      ) : isUser ? (
        <p class="said">{message.content}</p>
      ) : showTokens && message.tokens ? (
        <Tokens tokens={message.tokens} />
      ) : (
        <Markdown text={message.content} onCopy={on.onCopy} copyLabel={t.copy} />
      )}
      {writing && message.content === '' && <p class="thinking">{t.thinking}</p>}
      {message.error !== undefined && (
        <p class="error" role="alert">
          {message.error}
        </p>
      )}
      {!editing && !writing && (
        <footer>
          {!isUser && message.stats && <span class="stats">{statsText(t, message.stats)}</span>}
          {finish !== '' && <span class="stats">{finish}</span>}
          {isLast && versionCount(message) > 1 && (
            <Versions t={t} count={versionCount(message)} shown={message.version ?? 0} busy={busy} onShow={on.onShow} />
          )}
          <span class="actions">
            <button type="button" class="quiet" onClick={() => on.onCopy(message.content)}>
              {t.copy}
            </button>
            {isUser && (
              <button type="button" class="quiet" disabled={busy} onClick={() => setEditing(true)}>
                {t.edit}
              </button>
            )}
            {message.tokens && (
              <button type="button" class="quiet" aria-pressed={showTokens} onClick={() => setShowTokens(!showTokens)}>
                {showTokens ? t.text : t.tokens}
              </button>
            )}
            {!isUser && isLast && (
              <button type="button" class="quiet" disabled={busy} onClick={on.onRegenerate}>
                {t.regenerate}
              </button>
            )}
            {!isUser && isLast && canContinue && (
              <button type="button" class="quiet" disabled={busy} onClick={on.onContinue}>
                {t.goOn}
              </button>
            )}
          </span>
        </footer>
      )}
    </article>
  );
}

function statsText(t: Strings, { answerTokens, tokensPerSecond, promptTokens, cachedTokens }: Stats): string {
  const rate = tokensPerSecond >= 100 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1);
  return t.stats(answerTokens, rate, promptTokens, cachedTokens);
}

interface VersionsProps {
  readonly t: Strings;
  readonly count: number;
  readonly shown: number;
  readonly busy: boolean;
  readonly onShow: (version: number) => void;
}

function Versions({ t, count, shown, busy, onShow }: VersionsProps) {
  const step = (to: number, label: string, sign: string) => (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      disabled={busy || to < 0 || to >= count}
      onClick={() => onShow(to)}
    >
      {sign}
    </button>
  );
  return (
    <span class="versions">
      {step(shown - 1, t.previous, '‹')}
      {shown + 1}/{count}
      {step(shown + 1, t.next, '›')}
    </span>
  );
}

interface EditorProps {
  readonly content: string;
  readonly t: Strings;
  readonly onSave: (content: string) => void;
  readonly onCancel: () => void;
}

function Editor({ content, t, onSave, onCancel }: EditorProps) {
  const [draft, setDraft] = useState(content);
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (draft.trim() !== '') onSave(draft);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onCancel();
      }}
    >
      <textarea
        rows={Math.min(12, draft.split('\n').length + 1)}
        value={draft}
        aria-label={t.edit}
        ref={field}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      <button type="submit">{t.save}</button>
      <button type="button" class="quiet" onClick={onCancel}>
        {t.cancel}
      </button>
    </form>
  );
}
