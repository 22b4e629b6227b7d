/** One field for each sampler of the engine's table: a slider where it has two ends, a number, or lines of text. */
import type { LogitBias, OptionSpec } from '../../../inference/option-table.ts';
import type { SamplingOptions } from '../../../inference/sampler/options.ts';
import { commonSamplers, type SamplerKey, samplerEntries } from '../conversation/settings.ts';
import type { Strings } from '../strings/languages.ts';

interface SamplersProps {
  readonly sampling: SamplingOptions;
  readonly t: Strings;
  readonly onChange: (sampling: SamplingOptions) => void;
}

export function Samplers({ sampling, t, onChange }: SamplersProps) {
  const common: readonly SamplerKey[] = commonSamplers;
  const field = ([key, spec]: (typeof samplerEntries)[number]) => (
    <Sampler
      key={key}
      name={key}
      spec={spec}
      value={sampling[key]}
      t={t}
      onChange={(value) => {
        const { [key]: _before, ...others } = sampling;
        onChange(value === undefined ? others : { ...others, [key]: value });
      }}
    />
  );
  return (
    <>
      {common.map((key) => field(samplerEntries.find(([name]) => name === key)!))}
      <details>
        <summary>{t.allSamplers}</summary>
        {samplerEntries.filter(([key]) => !common.includes(key)).map(field)}
      </details>
      <button type="button" class="plain" onClick={() => onChange({})}>
        {t.reset}
      </button>
    </>
  );
}

interface SamplerProps {
  readonly name: SamplerKey;
  readonly spec: OptionSpec;
  /** undefined: as the table has it. */
  readonly value: unknown;
  readonly t: Strings;
  readonly onChange: (value: unknown) => void;
}

/** Sliders' ends where the table leaves one open. */
const ends: Partial<Record<SamplerKey, readonly [number, number]>> = {
  temperature: [0, 2],
  topK: [0, 200],
  repeatPenalty: [0.5, 2],
};

function Sampler({ name, spec, value, t, onChange }: SamplerProps) {
  const [label, help] = t.samplers[name];
  if (spec.kind === 'texts' || spec.kind === 'names' || spec.kind === 'bias') {
    return (
      <Lines
        key={value === undefined ? 'usual' : 'own'}
        {...{ label, spec, value, t, onChange }}
        help={`${help}; ${spec.kind === 'bias' ? t.biasHint : t.listHint}`}
      />
    );
  }
  if (spec.kind === 'flag') return null;
  const [min, max] = ends[name] ?? [spec.min, spec.max];
  const isSlider = min !== undefined && max !== undefined && max <= 200;
  const isAutomatic = name === 'seed';
  const number = value as number | undefined;
  return (
    <label class={isSlider ? 'slider' : ''} title={help}>
      <span>{label}</span>
      {isSlider && <span class="value">{number ?? spec.default}</span>}
      <input
        type={isSlider ? 'range' : 'number'}
        min={isAutomatic ? 0 : min}
        max={max}
        step={spec.kind === 'integer' ? 1 : isSlider && max > 1 ? 0.05 : isSlider ? 0.01 : 'any'}
        placeholder={isAutomatic ? t.automatic : String(spec.default)}
        value={number ?? (isSlider ? spec.default : '')}
        onInput={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          const isOne = spec.kind === 'integer' ? Number.isSafeInteger(typed) : Number.isFinite(typed);
          const fits = isOne && typed >= (min ?? typed) && typed <= (max ?? typed);
          onChange(fits && typed !== spec.default ? typed : undefined);
        }}
      />
    </label>
  );
}

interface LinesProps extends Omit<SamplerProps, 'name'> {
  readonly label: string;
  readonly help: string;
}

/** A list as lines. Line ends and backslashes in its texts are written as in JSON. */
function Lines({ label, help, spec, value, onChange }: LinesProps) {
  const shown = (value ?? spec.default) as readonly string[] | LogitBias;
  return (
    <label title={help}>
      <span>{label}</span>
      <textarea
        rows={3}
        aria-label={label}
        spellcheck={false}
        placeholder={help}
        defaultValue={[...(shown as Iterable<unknown>)].map((each) => lineOf(each)).join('\n')}
        onChange={(event) => {
          const lines = event.currentTarget.value.split('\n').filter((line) => line !== '');
          onChange(given(spec, lines));
        }}
      />
    </label>
  );
}

function lineOf(value: unknown): string {
  return Array.isArray(value) ? `${escaped(String(value[0]))} ${value[1]}` : escaped(String(value));
}

const escaped = (text: string) => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');

function unescaped(line: string): string {
  return line.replace(/\\(n|t|r|\\)/g, (_, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? '\\');
}

/** undefined: there is nothing that could be sent. */
function given(spec: OptionSpec, lines: readonly string[]): unknown {
  if (spec.kind === 'names') {
    const names = lines.map((line) => line.trim()).filter((line) => spec.choices.includes(line));
    return names.length === 0 || names.join() === spec.default.join() ? undefined : names;
  }
  if (spec.kind === 'texts') {
    const texts = lines.map(unescaped);
    return JSON.stringify(texts) === JSON.stringify(spec.default) ? undefined : texts;
  }
  const biases = lines.flatMap((line) => {
    const [, token = '', amount = ''] = /^(.+) (\S+)$/.exec(line) ?? [];
    const bias = amount === 'false' ? false : Number(amount);
    if (token === '' || amount === '' || Number.isNaN(bias)) return [];
    return [[/^\d+$/.test(token) ? Number(token) : unescaped(token), bias] as const];
  });
  return biases.length === 0 ? undefined : biases;
}
