import { formatBytes } from '../../../base/units.ts';
import { type Box, diagramOf } from '../../../explorer/diagram.ts';
import { formatCount } from '../../../explorer/numbers.ts';
import type { SceneKey } from '../../../explorer/walk.ts';
import { type LlamaConfig, paperChoices } from '../../../model/config.ts';
import { listParameters, type Parameter, parameterCount } from '../../../model/parameters.ts';
import { type PresetName, presetNames, presets } from '../../../model/presets.ts';
import { type DType, rowBytes } from '../../../tensor/dtype.ts';
import { columnCount, rowCount } from '../../../tensor/tensor.ts';
import { DiagramView } from '../figures/diagram.tsx';
import { Figure } from '../figures/figure.tsx';
import { Count } from '../num.tsx';
import type { X } from '../x.ts';

const base = { ...presets['llama-7b'], ...paperChoices };
/** The shapes of other papers, in the choices that this model has. */
const others: Readonly<Record<string, LlamaConfig>> = {
  original: {
    ...base,
    ...{ width: 512, blockCount: 6, headCount: 8, kvHeadCount: 8, headSize: 64, ffnWidth: 2048, vocabSize: 37_000 },
    ...{ contextLength: 512, norm: 'layer', normPlacement: 'after', positions: 'sinusoidal', activation: 'relu' },
    tiedEmbeddings: true,
  },
  gpt2: {
    ...base,
    ...{ width: 768, blockCount: 12, headCount: 12, kvHeadCount: 12, headSize: 64, ffnWidth: 3072, vocabSize: 50_257 },
    ...{ contextLength: 1024, norm: 'layer', positions: 'learned', activation: 'gelu', attentionBias: true },
    ...{ attentionOutputBias: true, feedForwardBias: true, tiedEmbeddings: true },
  },
};

export function MapScene({ x }: { readonly x: X }) {
  const { t, w, state, set, model, block } = x;
  const own = model.facts.config;
  const config = others[state.choice] ?? presets[state.choice as PresetName] ?? own;
  const drawn = Math.min(block, config.blockCount - 1);
  const diagram = diagramOf(config, drawn);
  const dtypeOf = config === own ? model.facts.dtypeOf : null;
  const title = (box: Box) => boxTitle(x, box);
  return (
    <>
      <p class="dials">
        <label>
          {t.preset}
          <select value={state.choice} onChange={(event) => set({ choice: event.currentTarget.value })}>
            <option value="">{`${t.thisModel}: ${model.facts.name}`}</option>
            <option value="original">{t.original}</option>
            <option value="gpt2">{t.gpt2}</option>
            {presetNames.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <span>
          <Count value={parameterCount(config)} /> {w.parameters}, <Count value={config.blockCount} /> {w.blocks},{' '}
          <span data-count="">{formatBytes(bytesOf(listParameters(config), dtypeOf))}</span>
          {dtypeOf === null && ' (f16)'}
        </span>
      </p>
      <Figure x={x} title={w.scenes.map.title} table={<Parameters x={x} config={config} dtypeOf={dtypeOf} />}>
        <DiagramView
          isNarrow={x.world.isNarrow()}
          diagram={diagram}
          label={w.scenes.map.what}
          title={title}
          detail={(box) => boxDetail(box, x.ids.length)}
          onPick={(box) =>
            set({ scene: sceneOf(box), ...(box.kind === 'block' && box.block !== null && { block: box.block }) }, true)
          }
        />
      </Figure>
      <h3>{t.comparison}</h3>
      <div class="wide">
        <Comparison x={x} />
      </div>
    </>
  );
}

function boxTitle(x: X, box: Box): string {
  if (box.kind === 'ids') return `ids: ${x.w.tokens}`;
  if (box.kind === 'block') return box.id;
  return box.name?.replace(/^blocks\.\d+\./, '') ?? box.kind;
}

/** Which scene tells more of a box. */
function sceneOf({ kind, name }: Box): SceneKey {
  if (kind === 'ids') return 'tokens';
  if (kind === 'block') return 'map';
  if (kind === 'embed' || kind === 'addSinusoids') return 'embedding';
  if (/Norm$/.test(kind)) return 'norms';
  if (kind === 'rope' || kind === 'rotation') return 'rope';
  if (kind === 'attention') return 'attention';
  if (kind === 'add') return 'stream';
  if (name === 'logits') return 'choice';
  if (name?.includes('feedForward')) return 'swiglu';
  return name?.includes('attention.output') ? 'attention' : 'projections';
}

type Types = Readonly<Record<string, DType>> | null;

/** As stored; of a configuration without a file, as f16. */
function bytesOf(parameters: readonly Parameter[], dtypeOf: Types): number {
  return parameters.reduce(
    (sum, { name, shape }) => sum + rowCount(shape) * rowBytes(dtypeOf?.[name] ?? 'f16', columnCount(shape)),
    0,
  );
}

/** Which parameters a box reads, and the shape of what it makes: in letters, and for this text. */
function boxDetail({ kind, parameters, letters, shape }: Box, tokens: number): string {
  const keys = kind === 'block' ? [] : parameters.map(({ key }) => key);
  const read = keys.length > 2 ? `${keys[0]} … ${keys.at(-1)}` : keys.join(' ');
  // The record is of two tokens; M counts each token once for each of its experts.
  const sizes = shape
    .map((size, i) => (letters[i] === 'N' || letters[i] === 'M' ? (size / 2) * tokens : size))
    .join('×');
  return `${read === '' ? '' : `${read} → `}${letters.join('·')} = ${sizes}`;
}

function Parameters({ x, config, dtypeOf }: { readonly x: X; readonly config: LlamaConfig; readonly dtypeOf: Types }) {
  const rows = listParameters(config).filter(({ block }) => block === null || block === 0);
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col" colspan={2}>
              {x.w.shape}
            </th>
            <th scope="col">{x.w.parameters}</th>
            <th scope="col" colspan={2}>
              {x.w.bytes}
            </th>
            <th scope="col">Hugging Face</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, shape, spec, block }, i) => (
            <tr key={name}>
              <th scope="row">{block === null ? name : name.replace('.0.', '.*.')}</th>
              <td>{spec.shape.join('·')}</td>
              <td>{shape.map(formatCount).join(' × ')}</td>
              <td>
                <Count value={shape.reduce((a, b) => a * b, 1)} />
              </td>
              <td>{dtypeOf?.[name] ?? 'f16'}</td>
              <td>
                <span data-count="">{formatBytes(bytesOf([rows[i]!], dtypeOf))}</span>
              </td>
              <td>{spec.hf ?? ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Comparison({ x }: { readonly x: X }) {
  const { t, w, model } = x;
  const columns: readonly (readonly [string, LlamaConfig])[] = [
    [t.original, others.original!],
    [t.gpt2, others.gpt2!],
    ['LLaMA 7B', presets['llama-7b']],
    ['Llama 2 7B', presets['llama-2-7b']],
    ['Llama 2 70B', presets['llama-2-70b']],
    [model.facts.name, model.facts.config],
  ];
  const rows: readonly (readonly [string, (config: LlamaConfig) => string])[] = [
    [t.choicesOf.norm, (c) => c.norm],
    [t.choicesOf.place, (c) => c.normPlacement],
    [t.choicesOf.positions, (c) => c.positions],
    [t.choicesOf.activation, (c) => c.activation],
    [t.choicesOf.heads, (c) => `${c.headCount} / ${c.kvHeadCount}`],
    [w.width, (c) => formatCount(c.width)],
    [t.choicesOf.width, (c) => formatCount(c.ffnWidth)],
    [w.blocks, (c) => formatCount(c.blockCount)],
    [t.choicesOf.context, (c) => formatCount(c.contextLength)],
    [w.parameters, (c) => formatCount(parameterCount(c))],
  ];
  return (
    <table class="stacked">
      <thead>
        <tr>
          <td />
          {columns.map(([name]) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {columns.map(([column, config]) => (
              <td key={column} data-label={column}>
                {value(config)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
