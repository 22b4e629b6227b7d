/** The settings panel: what this conversation begins with, how answers are drawn, and how the page looks. */
import { useState } from 'preact/hooks';
import type { Chat } from '../chat.ts';
import type { ChatState } from '../chat-state.ts';
import { type Settings, schemaOf } from '../conversation/settings.ts';
import type { Strings } from '../strings/languages.ts';
import { Samplers } from './samplers.tsx';

/** Characters of a system prompt or schema. */
const LONGEST = 200_000;

interface SettingsProps {
  readonly chat: Chat;
  readonly state: ChatState;
  readonly t: Strings;
  readonly onClose: () => void;
}

export function SettingsPanel({ chat, state, t, onClose }: SettingsProps) {
  const { settings, current } = state;
  const change = (next: Partial<Settings>) => chat.changeSettings(next);
  return (
    <aside
      class="settings"
      aria-label={t.settings}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header>
        <h2>{t.settings}</h2>
        <button type="button" class="quiet" onClick={onClose}>
          {t.close}
        </button>
      </header>
      <h3>{t.thisChat}</h3>
      <label>
        <span>{t.system}</span>
        <textarea
          rows={4}
          dir="auto"
          maxLength={LONGEST}
          value={current.system}
          onInput={(event) => chat.changeSystem(event.currentTarget.value)}
        />
      </label>
      {current.system !== settings.system && (
        <button type="button" class="plain" onClick={() => change({ system: current.system })}>
          {t.systemForNew}
        </button>
      )}
      <Presets chat={chat} state={state} t={t} />
      <h3>{t.answers}</h3>
      <label>
        <span>{t.maxTokens}</span>
        <input
          type="number"
          min={1}
          step={1}
          placeholder={t.automatic}
          value={settings.maxTokens ?? ''}
          onInput={(event) => {
            const value = event.currentTarget.valueAsNumber;
            change({ maxTokens: Number.isSafeInteger(value) && value >= 1 ? value : null });
          }}
        />
      </label>
      <label>
        <span>{t.schema}</span>
        <textarea
          rows={4}
          spellcheck={false}
          maxLength={LONGEST}
          placeholder='{ "type": "object", … }'
          aria-invalid={schemaOf(settings.schema) === 'wrong'}
          value={settings.schema}
          onInput={(event) => change({ schema: event.currentTarget.value })}
        />
        {schemaOf(settings.schema) === 'wrong' && <span class="error">{t.schemaWrong}</span>}
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={settings.probabilities}
          onChange={(event) => change({ probabilities: event.currentTarget.checked })}
        />
        <span>{t.probabilities}</span>
      </label>
      <h3>{t.sampling}</h3>
      <Samplers sampling={settings.sampling} t={t} onChange={(sampling) => change({ sampling })} />
      <h3>{t.page}</h3>
      <label>
        <span>{t.apiKey}</span>
        <input
          type="password"
          autocomplete="off"
          value={settings.apiKey}
          onChange={(event) => change({ apiKey: event.currentTarget.value.trim() })}
        />
      </label>
      <label>
        <span>{t.language}</span>
        <select
          value={settings.language}
          onChange={(event) => change({ language: event.currentTarget.value as Settings['language'] })}
        >
          <option value="en">English</option>
          <option value="ko">한국어</option>
        </select>
      </label>
      <label>
        <span>{t.theme}</span>
        <select
          value={settings.theme}
          onChange={(event) => change({ theme: event.currentTarget.value as Settings['theme'] })}
        >
          <option value="system">{t.themeSystem}</option>
          <option value="light">{t.themeLight}</option>
          <option value="dark">{t.themeDark}</option>
        </select>
      </label>
    </aside>
  );
}

/** System prompts with names. */
function Presets({ chat, state, t }: Omit<SettingsProps, 'onClose'>) {
  const { presets, current } = state;
  const [name, setName] = useState<string | null>(null);
  const chosen = presets.find(({ text }) => text === current.system);
  return (
    <div class="presets">
      {presets.length > 0 && (
        <label>
          <span>{t.preset}</span>
          <select
            value={chosen?.id ?? ''}
            onChange={(event) => {
              const preset = presets.find(({ id }) => id === event.currentTarget.value);
              if (preset) chat.changeSystem(preset.text);
            }}
          >
            <option value="" disabled>
              {t.choosePreset}
            </option>
            {presets.map((preset) => (
              <option key={preset.id} value={preset.id}>
                {preset.name}
              </option>
            ))}
          </select>
        </label>
      )}
      {chosen && (
        <button type="button" class="quiet" onClick={() => chat.removePreset(chosen.id)}>
          {t.removePreset}
        </button>
      )}
      {!chosen && current.system !== '' && name === null && (
        <button type="button" class="plain" onClick={() => setName('')}>
          {t.savePreset}
        </button>
      )}
      {name !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim() === '') return;
            chat.savePreset(name, current.system);
            setName(null);
          }}
        >
          <input
            dir="auto"
            value={name}
            maxLength={100}
            placeholder={t.presetName}
            aria-label={t.presetName}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" disabled={name.trim() === ''}>
            {t.save}
          </button>
          <button type="button" class="quiet" onClick={() => setName(null)}>
            {t.cancel}
          </button>
        </form>
      )}
    </div>
  );
}
