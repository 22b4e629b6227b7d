/** The text, and what else the whole page shares. */
import { useState } from 'preact/hooks';
import { formatBytes, formatCount } from '../../base/units.ts';
import type { PageFacts } from '../../explorer/page-model.ts';
import { languageNames, languageOf } from '../../explorer/words/words.ts';
import { type State, themes } from './state.ts';
import type { Strings } from './strings.ts';
import type { PageWorld } from './world.ts';

export function Controls({
  state,
  set,
  t,
  facts,
  world,
  onFiles,
}: {
  state: State;
  set: (patch: Partial<State>) => void;
  t: Strings;
  facts: PageFacts | null;
  world: PageWorld;
  onFiles: (files: File[]) => void;
}) {
  const [open, setOpen] = useState(false);
  return (
    <div class="controls">
      <label class="text">
        <span>{t.prompt}</span>
        <textarea
          rows={1}
          value={state.text}
          spellcheck={false}
          onInput={(event) => set({ text: event.currentTarget.value, appended: [], query: -1, key: -1 })}
        />
      </label>
      <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
        {facts?.name ?? '…'}
      </button>
      {open && (
        <div class="panel">
          {facts && (
            <p class="facts">
              {formatCount(facts.parameterCount)} · {facts.dtypes.join(', ')} · {formatBytes(facts.weightBytes)}
              <br />
              {facts.device}
            </p>
          )}
          <label>
            {t.openFile}
            <input type="file" multiple onChange={(event) => onFiles([...(event.currentTarget.files ?? [])])} />
            <small>{t.dropHere}</small>
          </label>
          <label>
            {t.language}
            <select
              value={state.language || languageOf(world.languages)}
              onChange={(event) => set({ language: event.currentTarget.value as State['language'] })}
            >
              {languageNames.map((name) => (
                <option key={name} value={name}>
                  {name === 'ko' ? '한국어' : 'English'}
                </option>
              ))}
            </select>
          </label>
          <label>
            {t.theme}
            <select
              value={state.theme}
              onChange={(event) => set({ theme: event.currentTarget.value as State['theme'] })}
            >
              {themes.map((name) => (
                <option key={name} value={name}>
                  {t.themes[name]}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="plain" onClick={() => world.print()}>
            {t.print}
          </button>
        </div>
      )}
    </div>
  );
}
