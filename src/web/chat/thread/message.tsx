/** One message: its text as Markdown, as it was written, as JSON, or token by token; and what can be done with it. */
import { useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import { contentOf, type Message, type Stats } from '../conversation/conversation.ts';
import { CodeText } from '../markdown/code-text.tsx';
import { Markdown } from '../markdown/markdown.tsx';
import type { Strings } from '../strings/languages.ts';
import { Files } from './draft-field.tsx';
import { Editor } from './editor.tsx';
import { LONG_TEXT, LongText } from './long-text.tsx';
import { Tokens } from './tokens.tsx';

interface MessageProps {
  readonly chat: Chat;
  readonly message: Message;
  /** Those that stand in its place, with itself. */
  readonly versions: readonly Message[];
  readonly t: Strings;
  readonly isLast: boolean;
  readonly state: 'still' | 'writing' | 'elsewhere';
  /** Nothing can be asked now. */
  readonly busy: boolean;
  readonly editing: boolean;
  readonly onEditing: (message: string | null) => void;
  readonly onCopy: (text: string) => void;
}

type View = 'text' | 'source' | 'json' | 'tokens';

export function MessageView({ chat, message, versions, t, isLast, state, busy, editing, ...on }: MessageProps) {
  const [view, setView] = useState<View>('text');
  const isUser = message.role === 'user';
  const isWriting = state !== 'still';
  const end = endText(t, message, state);

  return (
    <article class={`message ${message.role}`} aria-label={isUser ? t.you : t.model} aria-busy={state === 'writing'}>
      {editing ? (
        <Editor
          chat={chat}
          message={message}
          t={t}
          onCancel={() => on.onEditing(null)}
          onSave={(draft) => {
            on.onEditing(null);
            chat.ask(message.parent, draft);
          }}
        />
      ) : (
        <Body message={message} view={view} t={t} onCopy={on.onCopy} />
      )}
      {state === 'writing' && message.content === '' && !message.thoughts && <p class="thinking">{t.reading}</p>}
      {message.error !== undefined && (
        <p class="error" role="alert">
          {message.error}
        </p>
      )}
      {!editing && state !== 'writing' && (
        <footer>
          {!isUser && message.stats && <span class="stats">{statsText(t, message.stats)}</span>}
          {end !== '' && <span class="stats">{end}</span>}
          {versions.length > 1 && <Versions chat={chat} t={t} versions={versions} shown={message} />}
          <span class="actions">
            <Action onClick={() => on.onCopy(isUser ? contentOf(message) : message.content)}>{t.copy}</Action>
            {isUser && (
              <Action disabled={busy} onClick={() => on.onEditing(message.id)}>
                {t.edit}
              </Action>
            )}
            {!isUser && isLast && (
              <Action disabled={busy || isWriting} onClick={() => chat.regenerate(message)}>
                {t.regenerate}
              </Action>
            )}
            {!isUser && isLast && (message.finish !== 'stop' || chat.state.model?.canChat === false) && (
              <Action disabled={busy || isWriting || message.content === ''} onClick={() => chat.goOn(message)}>
                {t.goOn}
              </Action>
            )}
            {(['source', 'json', 'tokens'] as const).map(
              (each) =>
                (each !== 'tokens' || message.tokens) &&
                !(isUser && each === 'source') && (
                  <Action key={each} pressed={view === each} onClick={() => setView(view === each ? 'text' : each)}>
                    {t[each]}
                  </Action>
                ),
            )}
            <Action disabled={isWriting} onClick={() => chat.removeMessage(message.id)}>
              {t.remove}
            </Action>
          </span>
        </footer>
      )}
    </article>
  );
}

interface ActionProps {
  readonly children: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
}

function Action({ children, onClick, disabled, pressed }: ActionProps) {
  return (
    <button type="button" class="quiet" disabled={disabled} aria-pressed={pressed} onClick={onClick}>
      {children}
    </button>
  );
}

interface BodyProps {
  readonly message: Message;
  readonly view: View;
  readonly t: Strings;
  readonly onCopy: (text: string) => void;
}

function Body({ message, view, t, onCopy }: BodyProps) {
  const { role, content, thoughts, files = [], tokens } = message;
  if (view === 'json') {
    const { tokens: _tokens, ...rest } = message;
    return <CodeText class="raw" language="json" text={shortened(JSON.stringify(rest, null, 2))} />;
  }
  if (view === 'tokens' && tokens) return <Tokens tokens={tokens} />;
  if (view === 'source' || content.length > 10 * LONG_TEXT) {
    return (
      <pre class="raw" dir="auto">
        <LongText text={content} t={t} />
      </pre>
    );
  }
  if (role === 'user') {
    return (
      <div class="said">
        {content !== '' && (
          <p dir="auto">
            <LongText text={content} t={t} />
          </p>
        )}
        <Files files={files} t={t} />
      </div>
    );
  }
  return (
    <>
      {thoughts && (
        <details class="thoughts" open={content === ''}>
          <summary>{t.thoughts}</summary>
          <Markdown text={thoughts} onCopy={onCopy} copyLabel={t.copy} />
        </details>
      )}
      <Markdown text={content} onCopy={onCopy} copyLabel={t.copy} />
    </>
  );
}

const shortened = (text: string) => (text.length > 5 * LONG_TEXT ? `${text.slice(0, 5 * LONG_TEXT)}…` : text);

function statsText(t: Strings, { answerTokens, tokensPerSecond, promptTokens, cachedTokens }: Stats): string {
  const rate = tokensPerSecond >= 100 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1);
  return t.stats(answerTokens, rate, promptTokens, cachedTokens);
}

function endText(t: Strings, { role, finish, error }: Message, state: MessageProps['state']): string {
  if (role === 'user' || error !== undefined) return '';
  if (state === 'elsewhere') return t.elsewhere;
  if (finish === 'length') return t.length;
  if (finish === 'stopped') return t.stopped;
  return finish === undefined || finish === 'error' ? t.interrupted : '';
}

interface VersionsProps {
  readonly chat: Chat;
  readonly t: Strings;
  readonly versions: readonly Message[];
  readonly shown: Message;
}

function Versions({ chat, t, versions, shown }: VersionsProps) {
  const at = versions.findIndex(({ id }) => id === shown.id);
  const step = (to: number, label: string, sign: string) => {
    const other = versions[to];
    return (
      <button
        type="button"
        class="quiet"
        aria-label={label}
        disabled={!other}
        onClick={() => other && chat.show(other.id)}
      >
        {sign}
      </button>
    );
  };
  return (
    <span class="versions">
      {step(at - 1, t.previous, '‹')}
      {at + 1}/{versions.length}
      {step(at + 1, t.next, '›')}
    </span>
  );
}
