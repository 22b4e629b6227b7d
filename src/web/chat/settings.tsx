/** The settings panel: how answers are sampled, and how the page looks. */
import { defaultSettings, type Settings } from './conversation.ts';
import type { Strings } from './strings.ts';

interface SettingsProps {
  readonly settings: Settings;
  readonly t: Strings;
  readonly onChange: (change: Partial<Settings>) => void;
  readonly onClose: () => void;
}

export function SettingsPanel({ settings, t, onChange, onClose }: SettingsProps) {
  const number = (
    key: 'temperature' | 'topP' | 'topK' | 'minP' | 'repeatPenalty',
    range: { readonly min: number; readonly max: number; readonly step: number },
  ) => (
    <label class="slider">
      <span>{t[key]}</span>
      <span class="value">{settings[key]}</span>
      <input
        type="range"
        {...range}
        value={settings[key]}
        onInput={(event) => onChange({ [key]: event.currentTarget.valueAsNumber })}
      />
    </label>
  );
  const optional = (key: 'maxTokens' | 'seed', min: number) => (
    <label>
      <span>{t[key]}</span>
      <input
        type="number"
        min={min}
        step={1}
        placeholder={t.automatic}
        value={settings[key] ?? ''}
        onInput={(event) => {
          const value = event.currentTarget.valueAsNumber;
          onChange({ [key]: Number.isSafeInteger(value) && value >= min ? value : null });
        }}
      />
    </label>
  );
  const { temperature, topP, topK, minP, repeatPenalty, maxTokens, seed } = defaultSettings;
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
      <label>
        <span>{t.system}</span>
        <textarea rows={4} value={settings.system} onInput={(e) => onChange({ system: e.currentTarget.value })} />
      </label>
      {number('temperature', { min: 0, max: 2, step: 0.05 })}
      {number('topP', { min: 0, max: 1, step: 0.01 })}
      {number('topK', { min: 0, max: 200, step: 1 })}
      {number('minP', { min: 0, max: 1, step: 0.01 })}
      {number('repeatPenalty', { min: 0.5, max: 2, step: 0.01 })}
      {optional('maxTokens', 1)}
      {optional('seed', 0)}
      <label class="check">
        <input
          type="checkbox"
          checked={settings.probabilities}
          onChange={(event) => onChange({ probabilities: event.currentTarget.checked })}
        />
        <span>{t.probabilities}</span>
      </label>
      <button
        type="button"
        class="plain"
        onClick={() => onChange({ temperature, topP, topK, minP, repeatPenalty, maxTokens, seed })}
      >
        {t.reset}
      </button>
      <label>
        <span>{t.apiKey}</span>
        <input
          type="password"
          autocomplete="off"
          value={settings.apiKey}
          onChange={(event) => onChange({ apiKey: event.currentTarget.value })}
        />
      </label>
      <label>
        <span>{t.language}</span>
        <select
          value={settings.language}
          onChange={(event) => onChange({ language: event.currentTarget.value as Settings['language'] })}
        >
          <option value="en">English</option>
          <option value="ko">한국어</option>
        </select>
      </label>
      <label>
        <span>{t.theme}</span>
        <select
          value={settings.theme}
          onChange={(event) => onChange({ theme: event.currentTarget.value as Settings['theme'] })}
        >
          <option value="system">{t.themeSystem}</option>
          <option value="light">{t.themeLight}</option>
          <option value="dark">{t.themeDark}</option>
        </select>
      </label>
    </aside>
  );
}
