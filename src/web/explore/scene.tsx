/** A scene: its picture, and the words beside it. */
import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { SceneKey } from '../../explorer/walk.ts';
import { AttentionScene } from './scenes/attention.tsx';
import { CacheScene } from './scenes/cache.tsx';
import { ChoiceScene } from './scenes/choice.tsx';
import { EmbeddingScene } from './scenes/embedding.tsx';
import { FactoryScene } from './scenes/factory.tsx';
import { MapScene } from './scenes/map.tsx';
import { NormsScene } from './scenes/norms.tsx';
import { ProjectionsScene } from './scenes/projections.tsx';
import { RopeScene } from './scenes/rope.tsx';
import { SharingScene } from './scenes/sharing.tsx';
import { StreamScene } from './scenes/stream.tsx';
import { SwigluScene } from './scenes/swiglu.tsx';
import { TokensScene } from './scenes/tokens.tsx';
import { WalkScene } from './scenes/walk.tsx';
import type { Formula } from './world.ts';
import type { X } from './x.ts';

interface SceneSpec {
  readonly view: FunctionComponent<{ readonly x: X }>;
  /** Operations whose formulas belong to it. */
  readonly operations: readonly string[];
}

const scenes: Readonly<Record<SceneKey, SceneSpec>> = {
  map: { view: MapScene, operations: [] },
  tokens: { view: TokensScene, operations: [] },
  embedding: { view: EmbeddingScene, operations: [] },
  norms: { view: NormsScene, operations: ['rmsNorm', 'layerNorm', 'batchNorm'] },
  factory: { view: FactoryScene, operations: ['batchNorm'] },
  projections: { view: ProjectionsScene, operations: ['linear'] },
  rope: { view: RopeScene, operations: ['rotation', 'rope'] },
  attention: { view: AttentionScene, operations: ['attendOne', 'softmax'] },
  sharing: { view: SharingScene, operations: ['attendOne'] },
  cache: { view: CacheScene, operations: [] },
  swiglu: { view: SwigluScene, operations: ['swiglu', 'silu'] },
  stream: { view: StreamScene, operations: [] },
  choice: { view: ChoiceScene, operations: ['softmax'] },
  walk: { view: WalkScene, operations: [] },
};

export function Scene({ x }: { readonly x: X }) {
  const { w, t, state } = x;
  const { title, what, why, touch, source } = w.scenes[state.scene];
  const { view: View, operations } = scenes[state.scene];
  return (
    <main class={`scene scene-${state.scene}`}>
      <h2 id="figure" tabIndex={-1}>
        {title}
      </h2>
      <div class="figures">
        <View x={x} key={state.scene} />
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
