/** Where the next message is written. What is in it is kept for its conversation, until it is sent. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import type { ChatState } from '../chat-state.ts';
import { type Draft, pathOf } from '../conversation/conversation.ts';
import type { Strings } from '../strings/languages.ts';
import type { PageWorld } from '../world.ts';
import { DraftField } from './draft-field.tsx';

const empty: Draft = { text: '', files: [] };
const KEEP_MS = 250;

interface ComposerProps {
  readonly chat: Chat;
  readonly state: ChatState;
  readonly world: PageWorld;
  readonly t: Strings;
  readonly busy: boolean;
  readonly onEditLast: () => void;
}

/** Made anew for each conversation. */
export function Composer({ chat, state, world, t, busy, onEditLast }: ComposerProps) {
  const { model, current } = state;
  const [draft, setDraft] = useState(empty);
  const latest = useRef(empty);
  const touched = useRef(false);
  const waiting = useRef<(() => void) | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const { id } = current;

  // With the drawing and not after it: the keys of somebody who types on go into this field.
  useLayoutEffect(() => field.current?.focus(), [id]);
  useEffect(() => {
    void chat.draftOf(id).then((kept) => {
      if (!kept || touched.current) return;
      latest.current = kept;
      setDraft(kept);
    });
    const leave = world.onLeave(() => {
      if (waiting.current) chat.noteDraft(id, latest.current);
    });
    return () => {
      leave();
      waiting.current?.();
    };
  }, [id]);

  const change = (update: (draft: Draft) => Draft) => {
    touched.current = true;
    latest.current = update(latest.current);
    setDraft(latest.current);
    waiting.current ??= keepLater(world, () => {
      waiting.current = null;
      chat.keepDraft(id, latest.current);
    });
  };

  const isEmpty = ({ text, files }: Draft) => text.trim() === '' && files.length === 0;
  // A key may come before what was typed last is drawn: so what is sent is the latest, not what is drawn.
  const send = () => {
    if (isEmpty(latest.current) || !chat.canAsk) return;
    chat.ask(pathOf(chat.state.current).at(-1)?.id ?? null, latest.current);
    change(() => empty);
    waiting.current?.();
  };
  const placeholder = model?.canChat === false ? t.placeholderText : t.placeholderChat;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <DraftField
        draft={draft}
        t={t}
        label={t.placeholderChat}
        placeholder={placeholder}
        mostRows={8}
        field={field}
        onChange={change}
        onSay={(word) => chat.say(word)}
        onRemoved={({ name }, restore) => chat.offerUndo((words) => words.removedFile(name), restore)}
        onKeyDown={(event) => {
          // While a syllable is being composed, Enter belongs to the input method.
          if (world.hasKeyboard && event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          } else if (event.key === 'ArrowUp' && !event.altKey && latest.current.text === '' && !busy) {
            event.preventDefault();
            onEditLast();
          }
        }}
      />
      {busy ? (
        <button type="button" class="stop" onClick={() => chat.stop()}>
          {t.stop}
        </button>
      ) : (
        <button type="submit" disabled={isEmpty(draft) || busy || model === null}>
          {t.send}
        </button>
      )}
    </form>
  );
}

/** Runs it in a moment; the function returned runs it at once instead. */
function keepLater(world: PageWorld, keep: () => void): () => void {
  const cancel = world.after(KEEP_MS, keep);
  return () => {
    cancel();
    keep();
  };
}
