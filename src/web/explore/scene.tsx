/** A scene: its picture, and the words beside it. */
import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type SceneKey, sceneKeys } from '../../explorer/walk.ts';
import type { Formula } from './world.ts';
import type { X } from './x.ts';

type View = FunctionComponent<{ readonly x: X }>;

interface SceneSpec {
  readonly load: () => Promise<View>;
  /** Operations whose formulas belong to it. */
  readonly operations: readonly string[];
}

const scenes: Readonly<Record<SceneKey, SceneSpec>> = {
  map: { load: async () => (await import('./scenes/map.tsx')).MapScene, operations: [] },
  tokens: { load: async () => (await import('./scenes/tokens.tsx')).TokensScene, operations: [] },
  embedding: { load: async () => (await import('./scenes/embedding.tsx')).EmbeddingScene, operations: [] },
  norms: {
    load: async () => (await import('./scenes/norms.tsx')).NormsScene,
    operations: ['rmsNorm', 'layerNorm', 'batchNorm'],
  },
  factory: { load: async () => (await import('./scenes/factory.tsx')).FactoryScene, operations: ['batchNorm'] },
  projections: {
    load: async () => (await import('./scenes/projections.tsx')).ProjectionsScene,
    operations: ['linear'],
  },
  rope: { load: async () => (await import('./scenes/rope.tsx')).RopeScene, operations: ['rotation', 'rope'] },
  attention: {
    load: async () => (await import('./scenes/attention.tsx')).AttentionScene,
    operations: ['attendOne', 'softmax'],
  },
  sharing: { load: async () => (await import('./scenes/sharing.tsx')).SharingScene, operations: ['attendOne'] },
  cache: { load: async () => (await import('./scenes/cache.tsx')).CacheScene, operations: [] },
  swiglu: { load: async () => (await import('./scenes/swiglu.tsx')).SwigluScene, operations: ['swiglu', 'silu'] },
  stream: { load: async () => (await import('./scenes/stream.tsx')).StreamScene, operations: [] },
  choice: { load: async () => (await import('./scenes/choice.tsx')).ChoiceScene, operations: ['softmax'] },
  walk: { load: async () => (await import('./scenes/walk.tsx')).WalkScene, operations: [] },
};

const views = new Map<SceneKey, View>();

async function load(scene: SceneKey): Promise<void> {
  views.set(scene, await scenes[scene].load());
}

/** A scene's own code is fetched when it is looked at; the others' after it, so that turning to them is at once. */
function useView(scene: SceneKey): View | Error | null {
  const [failure, setFailure] = useState<Error | null>(null);
  const [, draw] = useState(0);
  const view = views.get(scene);
  useEffect(() => {
    setFailure(null);
    if (view) return; // not: if it is there by now. It may have come since the page was drawn without it
    const rest = async () => {
      draw((count) => count + 1);
      for (const other of sceneKeys) if (!views.has(other)) await load(other);
    };
    load(scene).then(rest).catch(setFailure);
  }, [scene]);
  return view ?? failure;
}

export function Scene({ x }: { readonly x: X }) {
  const { w, t, state } = x;
  const { title, what, why, touch, source } = w.scenes[state.scene];
  const { operations } = scenes[state.scene];
  const view = useView(state.scene);
  return (
    <main class={`scene scene-${state.scene}`}>
      <h2 id="figure" tabIndex={-1}>
        {title}
      </h2>
      <div class="figures">
        {view instanceof Error ? <p role="alert">{view.message}</p> : <Figures view={view} x={x} key={state.scene} />}
      </div>
      <aside class="words">
        <h3>{t.what}</h3>
        <p>{what}</p>
        <h3>{t.why}</h3>
        <p>{why}</p>
        <h3>{t.touch}</h3>
        <p>{touch}</p>
        <Formulas x={x} operations={operations} />
        <p class="source">
          {t.source}: {source}
        </p>
      </aside>
    </main>
  );
}

function Figures({ view: View, x }: { readonly view: View | null; readonly x: X }) {
  return View ? <View x={x} /> : <p class="waiting" />;
}

function Formulas({ x, operations }: { readonly x: X; readonly operations: readonly string[] }) {
  const [formulas, setFormulas] = useState<Readonly<Record<string, Formula>>>({});
  useEffect(() => {
    x.world.formulas().then(setFormulas, () => {});
  }, []);
  const known = operations.flatMap((name) => (formulas[name] ? [[name, formulas[name]] as const] : []));
  if (known.length === 0) return null;
  return (
    <>
      <h3>{x.t.formula}</h3>
      {known.map(([name, { formula, path, line }]) => (
        <div key={name} class="formula">
          <pre>{formula}</pre>
          <code>
            {path}:{line}
          </code>
        </div>
      ))}
    </>
  );
}
