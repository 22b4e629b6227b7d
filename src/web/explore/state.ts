/** The page's whole state is one value, and is the address: restored on load, undone by the back button. */
import { type SceneKey, sceneKeys } from '../../explorer/walk.ts';
import { type Language, languageNames } from '../../explorer/words/words.ts';

export const themes = ['system', 'light', 'dark'] as const;

export interface State {
  readonly text: string;
  /** Tokens that were chosen after the text. */
  readonly appended: readonly number[];
  readonly scene: SceneKey;
  readonly block: number;
  readonly head: number;
  /** The chosen token, as a query; −1: the last one. */
  readonly query: number;
  /** The token that it looks at; −1: the one it looks at most. */
  readonly key: number;
  readonly column: number;
  readonly pair: number;
  /** By how much positions are shifted, rows multiplied, and so on: the scene's own dial. */
  readonly shift: number;
  readonly factor: number;
  /** The scene's own choice: a preset, a matrix, a function. */
  readonly choice: string;
  readonly groups: number;
  readonly tokens: number;
  readonly batch: number;
  readonly off: readonly string[];
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  /** '' as the browser prefers. */
  readonly language: Language | '';
  readonly theme: (typeof themes)[number];
}

export const initial: State = {
  text: 'The cat sat on the mat and looked at the bird',
  appended: [],
  scene: 'map',
  block: 0,
  head: 0,
  query: -1,
  key: -1,
  column: 0,
  pair: 0,
  shift: 0,
  factor: 1,
  choice: '',
  groups: 0,
  tokens: 256,
  batch: 1,
  off: [],
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  seed: 1,
  language: '',
  theme: 'system',
};

const keys = Object.keys(initial) as readonly (keyof State)[];

/** What differs from the beginning, as the part of an address behind '#'. */
export function formatState(state: State): string {
  const parameters = new URLSearchParams();
  for (const key of keys) {
    const value = state[key];
    const text = Array.isArray(value) ? value.join(',') : String(value);
    if (text !== String(initial[key])) parameters.set(key, text);
  }
  return parameters.toString();
}

/** Anybody may have written the address: what is no value of the state is left out. */
export function parseState(hash: string): State {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''));
  const state: Record<string, unknown> = { ...initial };
  for (const key of keys) {
    const text = parameters.get(key);
    if (text === null) continue;
    const value = parseValue(key, text);
    if (value !== undefined) state[key] = value;
  }
  return state as unknown as State;
}

const choices: { readonly [key in keyof State]?: readonly string[] } = {
  scene: sceneKeys,
  language: languageNames,
  theme: themes,
};
const fractions: readonly (keyof State)[] = ['factor', 'temperature', 'topP', 'minP'];

function parseValue(key: keyof State, text: string): unknown {
  const usual = initial[key];
  if (key === 'appended') {
    const ids = text.split(',').map(Number);
    return ids.every((id) => Number.isInteger(id) && id >= 0) ? ids : undefined;
  }
  if (key === 'off')
    return text.split(',').filter((name) => /^blocks\.\d+\.(attention|feedForward)\.output$/.test(name));
  if (typeof usual === 'number') {
    const number = Number(text);
    if (text.trim() === '' || !Number.isFinite(number)) return undefined;
    return fractions.includes(key) || Number.isInteger(number) ? number : undefined;
  }
  const allowed = choices[key];
  return allowed && !allowed.includes(text) ? undefined : text;
}
