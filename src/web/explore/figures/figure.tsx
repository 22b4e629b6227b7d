/** A picture with its title, its numbers on request, and the ways to take it along. */
import type { ComponentChildren } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { TraceSlice } from '../../../inference/observe.ts';
import type { Traces } from '../../../inference/remote/traces.ts';
import type { X } from '../x.ts';
import { TraceTable } from './trace-table.tsx';
import { type Columns, ValueTable } from './value-table.tsx';

export interface FigureProps {
  readonly x: X;
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  /** The numbers that it shows, where they are activations. */
  readonly traces?: Traces;
  readonly slice?: TraceSlice;
  readonly table?: ComponentChildren;
  /** The numbers that it shows, where the page has made them. */
  readonly values?: Columns;
}

export function Figure({ x, title, children, traces, slice = {}, table, values }: FigureProps) {
  const body = useRef<HTMLDivElement>(null);
  const id = useId();
  const [open, setOpen] = useState(false);
  const [copied, setCopied] = useState(false);
  const { t, world } = x;
  const names = traces ? [...traces.keys()] : [];
  const json = () => {
    const numbers = traces
      ? Object.fromEntries([...traces].map(([name, { shape, data }]) => [name, { shape, data: [...data] }]))
      : Object.fromEntries((values ?? []).map(([name, column]) => [name, Array.from(column)]));
    const of = { model: x.model.facts.name, ids: x.ids, ...slice, numbers };
    world.save('numbers.json', 'application/json', JSON.stringify(of));
  };
  const asCode = () => {
    const options = JSON.stringify(slice) === '{}' ? '' : `, ${JSON.stringify(slice)}`;
    return [
      "import { Llama } from 'cria';",
      '',
      `const model = await Llama.load(); // ${x.model.facts.name}: without a path the bundled model`,
      `const ids = [${x.ids.join(', ')}];`,
      `const trace = await model.trace(ids, ${JSON.stringify(names)}${options});`,
      `console.log(trace.get(${JSON.stringify(names[0])}));`,
      'await model.close();',
    ].join('\n');
  };
  return (
    <figure>
      <figcaption>
        <strong>{title}</strong>
        <span class="tools">
          <button
            type="button"
            class="quiet"
            onClick={() => world.save('figure.svg', 'image/svg+xml', world.svgOf(body.current!))}
          >
            SVG
          </button>
          {(traces || values) && (
            <button type="button" class="quiet" onClick={json}>
              JSON
            </button>
          )}
          {traces && (
            <button type="button" class="quiet" onClick={() => void world.copy(asCode()).then(() => setCopied(true))}>
              {copied ? t.copied : t.copyCode}
            </button>
          )}
        </span>
      </figcaption>
      <div class="picture" ref={body} aria-details={table || traces ? id : undefined}>
        {children}
      </div>
      {values && <ValueTable t={t} columns={values} />}
      {(table || traces) && (
        <details class="numbers" id={id} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{t.numbers}</summary>
          {open && (table ?? <TraceTable traces={traces!} slice={slice} />)}
        </details>
      )}
    </figure>
  );
}
