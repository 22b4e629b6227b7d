/** The messages that are shown, with the end of the text in sight unless the reader has scrolled away. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import type { ChatState } from '../chat-state.ts';
import { type Message, versionsOf } from '../conversation/conversation.ts';
import type { Strings } from '../strings/languages.ts';
import { MessageView } from './message.tsx';

interface ThreadProps {
  readonly chat: Chat;
  readonly state: ChatState;
  readonly t: Strings;
  readonly path: readonly Message[];
  readonly busy: boolean;
  readonly editing: string | null;
  readonly onEditing: (message: string | null) => void;
  readonly onCopy: (text: string) => void;
}

export function Thread({ chat, state, t, path, busy, editing, onEditing, onCopy }: ThreadProps) {
  const { current, model, writing, elsewhere } = state;
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

  // Follow the text, and what appears under it at its end, unless the reader has scrolled away.
  useEffect(() => {
    look();
    if (follows.current) toEnd();
  }, [current, busy]);
  useEffect(() => {
    toEnd();
  }, [current.id]);

  return (
    <div class="thread" ref={box} onScroll={look}>
      {path.length === 0 && <p class="empty">{model?.canChat === false ? t.emptyText : t.emptyChat}</p>}
      {path.map((message, i) => (
        <MessageView
          key={message.id}
          chat={chat}
          message={message}
          versions={versionsOf(current, message)}
          t={t}
          isLast={i === path.length - 1}
          state={writing.has(message.id) ? 'writing' : elsewhere.has(message.id) ? 'elsewhere' : 'still'}
          busy={busy || model === null}
          editing={editing === message.id}
          onEditing={onEditing}
          onCopy={onCopy}
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
