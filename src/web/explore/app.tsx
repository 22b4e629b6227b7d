/** The explorer's page: the text above, one forward pass as a line of steps, and the chosen scene. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { PageModel, Reading } from '../../explorer/page-model.ts';
import { sceneKeys } from '../../explorer/walk.ts';
import { languageOf, languages } from '../../explorer/words/words.ts';
import { Controls } from './controls.tsx';
import { Scene } from './scene.tsx';
import { formatState, parseState, type State } from './state.ts';
import { strings } from './strings.ts';
import { Timeline } from './timeline.tsx';
import { TraceCache } from './traced.tsx';
import type { PageWorld } from './world.ts';
import type { X } from './x.ts';

export function App({ world }: { readonly world: PageWorld }) {
  const [state, setState] = useState<State>(() => parseState(world.hash()));
  const [loaded, setLoaded] = useState<{ readonly model: PageModel; readonly serial: number } | null>(null);
  const [share, setShare] = useState(0);
  const [trouble, setTrouble] = useState('');
  const [keysShown, showKeys] = useState(false);
  const serial = useRef(0);
  /** Keys may come faster than the page is drawn. */
  const latest = useRef(state);
  const language = state.language || languageOf(world.languages);
  const [t, w] = [strings[language], languages[language]];

  const set = (patch: Partial<State>, push = false) => {
    const next = { ...latest.current, ...patch };
    world.setHash(formatState(next), push || next.scene !== latest.current.scene);
    latest.current = next;
    setState(next);
  };
  const use = (opening: Promise<PageModel>) => {
    setTrouble('');
    setShare(0);
    opening.then(
      (model) => setLoaded({ model, serial: ++serial.current }),
      (error: unknown) => setTrouble(error instanceof Error ? error.message : String(error)),
    );
  };
  useEffect(() => use(world.open(setShare)), []);
  useEffect(
    () =>
      world.onHash(() => {
        latest.current = parseState(world.hash());
        setState(latest.current);
      }),
    [],
  );
  useEffect(() => {
    document.documentElement.lang = language;
    document.documentElement.dataset.theme = state.theme;
    document.title = `${w.scenes[state.scene].title} · Cria`;
  }, [language, state.theme, state.scene]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || /^(TEXTAREA|INPUT|SELECT)$/.test(target.tagName)) return;
      const digit = '0123456789'.indexOf(event.key);
      if (event.key === '?') showKeys(!keysShown);
      else if (event.key === 'Escape') showKeys(false);
      else if (event.key.length === 1 && digit >= 0) set({ scene: sceneKeys[digit]! });
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });

  const scenesNav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the scenes are one line that scrolls.
    const nav = scenesNav.current!;
    const current = nav.querySelector<HTMLElement>('[aria-current]')!;
    nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
  }, [state.scene]);

  const cache = useMemo(() => new TraceCache(), []);
  const reading = useReading(loaded, state.text, setTrouble);
  const x = loaded && reading && xOf(loaded, reading);

  function xOf({ model, serial }: { model: PageModel; serial: number }, read: Reading): X {
    const { config, contextLength } = model.facts;
    const all = [...read.ids, ...state.appended.filter((id) => id < config.vocabSize)];
    const ids = all.length <= Math.min(contextLength, config.contextLength) ? all : [];
    const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
    return {
      ...{ model, serial, cache, ids, state, set, w, t, world },
      words: read.words,
      promptLength: read.ids.length,
      query: state.query < 0 ? Math.max(0, ids.length - 1) : within(state.query, ids.length),
      block: within(state.block, config.blockCount),
      head: within(state.head, config.headCount),
    };
  }

  const problem =
    loaded && reading && x && x.ids.length === 0
      ? reading.ids.length === 0
        ? t.noTokens
        : t.tooLong(
            reading.ids.length + state.appended.length,
            Math.min(loaded.model.facts.contextLength, loaded.model.facts.config.contextLength),
          )
      : '';
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a file may be dropped anywhere; the panel has a field for who cannot
    <div
      class="page"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length > 0) use(world.openFiles(files, setShare));
      }}
    >
      <button type="button" class="skip" onClick={() => document.getElementById('figure')?.focus()}>
        {t.skip}
      </button>
      <header>
        <h1>Cria · {t.title}</h1>
        <Controls
          state={state}
          set={set}
          t={t}
          facts={loaded?.model.facts ?? null}
          world={world}
          onFiles={(files) => use(world.openFiles(files, setShare))}
        />
      </header>
      {loaded?.model.pieces === null && <p class="remark">{t.noTokenizer}</p>}
      {trouble !== '' && (
        <p class="error" role="alert">
          {trouble}
        </p>
      )}
      {problem !== '' && (
        <p class="error" role="alert">
          {problem}
        </p>
      )}
      {!loaded && trouble === '' && (
        <p class="waiting" role="status">
          {t.loading(`${Math.round(100 * share)} %`)}
        </p>
      )}
      <nav class="scenes" aria-label={t.scenes} ref={scenesNav}>
        {sceneKeys.map((key, i) => (
          <button
            key={key}
            type="button"
            aria-current={key === state.scene ? 'page' : undefined}
            onClick={() => set({ scene: key })}
          >
            <span class="number">{i}</span> {w.scenes[key].title}
          </button>
        ))}
      </nav>
      {x && x.ids.length > 0 && (
        <>
          <Timeline x={x} />
          <Scene x={x} />
        </>
      )}
      {keysShown && (
        <p class="status" aria-hidden="true">
          {t.keys}
        </p>
      )}
      <Voice
        world={world}
        choice={`${w.scenes[state.scene].title} ${formatState(state)}`}
        instead={keysShown ? t.keys : null}
      />
    </div>
  );
}

const QUIET_MS = 500;

/**
 * What a screen reader says after a choice: the sentence of the figure that has the focus, else of the scene's first, once no further
 * choice has been made for half a second and the numbers are there. Nothing is said of the page as it opens. A part of its own, so that
 * what it says draws nothing else anew.
 */
function Voice({
  world,
  choice,
  instead,
}: {
  readonly world: PageWorld;
  readonly choice: string;
  readonly instead: string | null;
}) {
  const [said, say] = useState('');
  const first = useRef(choice);
  useEffect(() => {
    if (choice === first.current) return;
    let stop = () => {};
    const tell = () => {
      if (document.querySelector('main [aria-busy=true], main .waiting')) {
        stop = world.after(QUIET_MS, tell);
        return;
      }
      const focused = document.activeElement?.closest('main [role=img]');
      const figure = focused ?? document.querySelector('main [role=img][aria-label]');
      say([document.querySelector('main h2'), figure].map((node) => node?.ariaLabel ?? node?.textContent).join('. '));
    };
    stop = world.after(QUIET_MS, tell);
    return () => stop();
  }, [choice]);
  return (
    <p class="said" role="status" aria-live="polite">
      {instead ?? said}
    </p>
  );
}

/** The text as the model reads it. Without a tokenizer a text of numbers is these ids; any other one chooses ids by its length. */
function useReading(
  loaded: { readonly model: PageModel; readonly serial: number } | null,
  text: string,
  fail: (message: string) => void,
): Reading | null {
  const [reading, setReading] = useState<{ readonly of: string; readonly value: Reading } | null>(null);
  const key = `${loaded?.serial} ${text}`;
  useEffect(() => {
    if (!loaded) return;
    let current = true;
    const { model } = loaded;
    const asked =
      model.pieces === null ? Promise.resolve(numbersFor(text, model.facts.config.vocabSize)) : model.read(text);
    asked.then(
      (value) => {
        if (!current) return;
        fail('');
        setReading({ of: key, value });
      },
      (error: unknown) => current && fail(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      current = false;
    };
  }, [key]);
  if (reading && reading.of.split(' ')[0] !== String(loaded?.serial)) return null;
  return reading?.value ?? null;
}

function numbersFor(text: string, vocabSize: number): Reading {
  const written = text.split(/[\s,]+/).filter((word) => word !== '');
  if (written.every((word) => /^\d+$/.test(word) && Number(word) < vocabSize))
    return { ids: written.map(Number), words: [] };
  const count = Math.max(1, text.split(/\s+/).length);
  return { ids: Array.from({ length: count }, (_, i) => (i * 7919 + text.length * 31) % vocabSize), words: [] };
}
