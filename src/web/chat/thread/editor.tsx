/** A message of the reader's, put differently. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import type { Draft, Message } from '../conversation/conversation.ts';
import type { Strings } from '../strings/languages.ts';
import { DraftField } from './draft-field.tsx';

interface EditorProps {
  readonly chat: Chat;
  readonly message: Message;
  readonly t: Strings;
  readonly onSave: (draft: Draft) => void;
  readonly onCancel: () => void;
}

export function Editor({ chat, message, t, onSave, onCancel }: EditorProps) {
  const [draft, setDraft] = useState<Draft>({ text: message.content, files: message.files ?? [] });
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const latest = useRef(draft);
  const change = (update: (draft: Draft) => Draft) => {
    latest.current = update(latest.current);
    setDraft(latest.current);
  };
  const isEmpty = ({ text, files }: Draft) => text.trim() === '' && files.length === 0;
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isEmpty(latest.current)) onSave(latest.current);
      }}
    >
      <DraftField
        draft={draft}
        t={t}
        label={t.edit}
        mostRows={12}
        field={field}
        onChange={change}
        onSay={(word) => chat.say(word)}
        onRemoved={({ name }, restore) => chat.offerUndo((words) => words.removedFile(name), restore)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onCancel();
        }}
      />
      <div class="buttons">
        <button type="submit" disabled={isEmpty(draft)}>
          {t.sendAgain}
        </button>
        <button type="button" class="quiet" onClick={onCancel}>
          {t.cancel}
        </button>
      </div>
    </form>
  );
}
