/** A picture with its title, its numbers on request, and the ways to take it along. */
import type { ComponentChildren } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { TraceSlice } from '../../../inference/observe.ts';
import type { Traces } from '../../../inference/remote/traces.ts';
import type { X } from '../x.ts';
import { TraceTable } from './trace-table.tsx';

export interface FigureProps {
  readonly x: X;
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  /** The numbers that it shows, where they are activations. */
  readonly traces?: Traces;
  readonly slice?: TraceSlice;
  readonly table?: ComponentChildren;
}

export function Figure({ x, title, children, traces, slice = {}, table }: FigureProps) {
  const body = useRef<HTMLDivElement>(null);
  const id = useId();
  const [open, setOpen] = useState(false);
  const { t, world } = x;
  const names = traces ? [...traces.keys()] : [];
  const json = () => {
    const numbers = Object.fromEntries(
      [...(traces ?? [])].map(([name, { shape, data }]) => [name, { shape, data: [...data] }]),
    );
    world.save(
      'numbers.json',
      'application/json',
      JSON.stringify({ model: x.model.facts.name, ids: x.ids, ...slice, numbers }),
    );
  };
  const asCode = () => {
    const options = JSON.stringify(slice) === '{}' ? '' : `, ${JSON.stringify(slice)}`;
    return [
      "import { Llama } from 'cria';",
      '',
      'const model = await Llama.load();',
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
          {traces && (
            <>
              <button type="button" class="quiet" onClick={json}>
                JSON
              </button>
              <button type="button" class="quiet" onClick={() => void world.copy(asCode())}>
                {t.copyCode}
              </button>
            </>
          )}
        </span>
      </figcaption>
      <div class="picture" ref={body} aria-details={table || traces ? id : undefined}>
        {children}
      </div>
      {(table || traces) && (
        <details class="numbers" id={id} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{t.numbers}</summary>
          {open && (table ?? <TraceTable traces={traces!} slice={slice} />)}
        </details>
      )}
    </figure>
  );
}
