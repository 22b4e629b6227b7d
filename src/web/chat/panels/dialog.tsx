/** Something in front of the page, until it is closed: by its button, by Escape, or by a click beside it. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { keys } from '../keys.ts';
import type { Strings } from '../strings/languages.ts';

interface DialogProps {
  readonly title: string;
  readonly t: Strings;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Dialog({ title, t, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose} closedby="any">
      <header>
        <h2>{title}</h2>
        <button type="button" class="quiet" onClick={onClose}>
          {t.close}
        </button>
      </header>
      {children}
    </dialog>
  );
}

export function KeysDialog({ t, onClose }: { readonly t: Strings; readonly onClose: () => void }) {
  return (
    <Dialog title={t.keysHelp} t={t} onClose={onClose}>
      <dl class="keys">
        {keys.map(([combination, does]) => (
          <div key={combination}>
            <dt>
              <kbd>{combination}</kbd>
            </dt>
            <dd>{t[does]}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
