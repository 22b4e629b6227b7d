/** The field for a message's words, and its files: chosen, dropped on it, or made of a paste too long for a field. */
import type { Ref } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Draft, TextFile } from '../conversation/conversation.ts';
import type { Strings } from '../strings/languages.ts';
import { LongText } from './long-text.tsx';
import { LONG_PASTE, readTextFile, sizeText, withFiles } from './text-files.ts';

interface DraftFieldProps {
  readonly draft: Draft;
  readonly t: Strings;
  readonly label: string;
  readonly placeholder?: string;
  readonly mostRows: number;
  readonly field: Ref<HTMLTextAreaElement>;
  readonly onChange: (change: (draft: Draft) => Draft) => void;
  readonly onSay: (word: (t: Strings) => string) => void;
  readonly onRemoved: (file: TextFile, restore: () => void) => void;
  readonly onKeyDown?: (event: KeyboardEvent) => void;
}

export function DraftField({ draft, t, label, placeholder, mostRows, field, ...on }: DraftFieldProps) {
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const add = (added: readonly TextFile[]) =>
    on.onChange((before) => ({ ...before, files: withFiles(before.files, added) }));
  const read = async (files: FileList | null | undefined) => {
    for (const file of [...(files ?? [])]) {
      const found = await readTextFile(file);
      if (typeof found === 'function') on.onSay(found);
      else add([found]);
    }
  };
  return (
    <div class={`draft${over ? ' over' : ''}`}>
      <Files
        files={draft.files}
        t={t}
        onRemove={(file) => {
          on.onChange((before) => ({ ...before, files: before.files.filter((each) => each !== file) }));
          on.onRemoved(file, () => add([file]));
        }}
      />
      <div class="field">
        <button
          type="button"
          class="quiet attach"
          aria-label={t.attach}
          title={t.attach}
          onClick={() => chooser.current?.click()}
        >
          ＋
        </button>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            const { currentTarget } = event;
            void read(currentTarget.files).then(() => {
              currentTarget.value = '';
            });
          }}
        />
        <textarea
          ref={field}
          dir="auto"
          rows={rowsOf(draft.text, mostRows)}
          value={draft.text}
          placeholder={placeholder}
          aria-label={label}
          title={t.hint}
          onInput={(event) => {
            const { value } = event.currentTarget;
            on.onChange((before) => ({ ...before, text: value }));
          }}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            void read(event.dataTransfer?.files);
          }}
          onPaste={(event) => {
            const files = event.clipboardData?.files;
            const text = event.clipboardData?.getData('text/plain') ?? '';
            if (text.length > LONG_PASTE) add([{ name: `${t.pasted}.txt`, text }]);
            else if (text === '' && files && files.length > 0) void read(files);
            else return;
            event.preventDefault();
          }}
          onKeyDown={on.onKeyDown}
        />
      </div>
    </div>
  );
}

function rowsOf(text: string, most: number): number {
  let rows = 1;
  for (let at = text.indexOf('\n'); at >= 0 && rows < most; at = text.indexOf('\n', at + 1)) rows++;
  return rows;
}

interface FilesProps {
  readonly files: readonly TextFile[];
  readonly t: Strings;
  readonly onRemove?: (file: TextFile) => void;
}

export function Files({ files, t, onRemove }: FilesProps) {
  if (files.length === 0) return null;
  return (
    <ul class="files">
      {files.map((file) => (
        <li key={file.name}>
          <details>
            <summary>
              <span dir="auto">{file.name}</span> <small>{sizeText(file.text.length)}</small>
            </summary>
            <Opened file={file} t={t} />
          </details>
          {onRemove && (
            <button type="button" class="quiet" aria-label={`${t.remove}: ${file.name}`} onClick={() => onRemove(file)}>
              ×
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Opened({ file, t }: { readonly file: TextFile; readonly t: Strings }) {
  return (
    <pre dir="auto">
      <LongText text={file.text} t={t} />
    </pre>
  );
}
