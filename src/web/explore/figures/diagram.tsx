/** The diagram of a model as SVG: boxes and arrows where src/explorer/diagram.ts has put them. */
import { useEffect, useRef } from 'preact/hooks';
import type { Box, Diagram } from '../../../explorer/diagram.ts';

interface Measures {
  readonly wide: number;
  readonly gapX: number;
  readonly gapY: number;
  /** Beside the boxes at both sides, for arrows that pass by. */
  readonly lane: number;
  /** From one line of text to the next. */
  readonly line: number;
}

const usual: Measures = { wide: 190, gapX: 14, gapY: 26, lane: 40, line: 16 };
/** Three boxes side by side on a phone. */
const narrow: Measures = { wide: 98, gapX: 5, gapY: 24, lane: 18, line: 14 };

export function DiagramView({
  isNarrow,
  diagram,
  label,
  title,
  detail,
  onPick,
}: {
  isNarrow: boolean;
  diagram: Diagram;
  label: string;
  title: (box: Box) => string;
  /** What stands under a box's name: what it reads, and its shape. */
  detail: (box: Box) => string;
  onPick: (box: Box) => void;
}) {
  const { boxes, arrows, layers, widest } = diagram;
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Where it is wider than the page, the middle is seen first.
    const { scrollWidth, clientWidth } = frame.current!;
    frame.current!.scrollLeft = (scrollWidth - clientWidth) / 2;
  }, []);
  const { wide, gapX, gapY, lane, line: step } = isNarrow ? narrow : usual;
  const texts = new Map(boxes.map((box) => [box.id, linesOf(title(box), detail(box), isNarrow)]));
  const high = 14 + step * Math.max(...[...texts.values()].map(([name, rest]) => name.length + rest.length));
  const width = widest * (wide + gapX) + 2 * lane;
  const height = layers * (high + gapY);
  const left = ({ place }: Box) => width / 2 + place * (wide + gapX) - wide / 2;
  const top = ({ layer }: Box) => layer * (high + gapY) + 4;
  const of = new Map(boxes.map((box) => [box.id, box]));
  const line = (from: Box, to: Box) => {
    const [x1, y1] = [left(from) + wide / 2, top(from) + high];
    const [x2, y2] = [left(to) + wide / 2, top(to)];
    if (to.layer === from.layer + 1) {
      const middle = (y1 + y2) / 2;
      return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
    }
    // The stream passes by at the left; what else is read later passes at the right and comes in from above.
    const isStream = from.kind !== 'rotation' && (to.kind === 'add' || to.kind === 'block');
    const out = top(from) + high / 2;
    if (isStream) {
      const into = top(to) + high / 2;
      const [a, b] = [left(from), left(to)];
      const [x, round] = [lane * 0.35, lane * 0.3];
      return `M${a} ${out}H${x + round}Q${x} ${out} ${x} ${out + round}V${into - round}Q${x} ${into} ${x + round} ${into}H${b}`;
    }
    const side = width - lane * (from.kind === 'rotation' ? 0.25 : 0.55);
    const [above, x] = [top(to) - gapY / 2, left(to) + wide * 0.8];
    return `M${left(from) + wide} ${out}H${side - 8}Q${side} ${out} ${side} ${out + 8}V${above - 8}Q${side} ${above} ${side - 8} ${above}H${x + 6}Q${x} ${above} ${x} ${above + 6}V${top(to)}`;
  };
  return (
    <div class="wide" ref={frame}>
      {/* biome-ignore lint/a11y/useSemanticElements: there are no fieldsets inside of a picture */}
      <svg
        viewBox={`0 0 ${width} ${height}`}
        class="diagram"
        role="group"
        aria-label={label}
        style={{ maxWidth: `${width * 1.1}px`, ...(isNarrow && { minWidth: `${width * 0.9}px` }) }}
      >
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" />
          </marker>
        </defs>
        {arrows.map(([from, to]) => (
          <path
            key={`${from} ${to}`}
            class={`arrow${of.get(to)!.layer > of.get(from)!.layer + 1 ? ' far' : ''}${of.get(from)!.kind === 'rotation' ? ' turning' : ''}`}
            d={line(of.get(from)!, of.get(to)!)}
            marker-end="url(#tip)"
          />
        ))}
        {boxes.map((box) => (
          // biome-ignore lint/a11y/useSemanticElements: there are no buttons inside of a picture
          <g
            key={box.id}
            class={`box ${groupOf(box)}`}
            role="button"
            tabIndex={0}
            aria-label={`${title(box)}: ${detail(box)}`}
            onClick={() => onPick(box)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' && event.key !== ' ') return;
              event.preventDefault();
              onPick(box);
            }}
          >
            <rect x={left(box)} y={top(box)} width={wide} height={high} rx={8} />
            {texts.get(box.id)!.map((lines, part) =>
              lines.map((text, i) => {
                const [name, rest] = texts.get(box.id)!;
                const above = (high - step * (name.length + rest.length)) / 2;
                const row = part === 0 ? i : name.length + i;
                return (
                  <text
                    key={`${part} ${text}`}
                    class={part === 0 ? '' : 'small'}
                    x={left(box) + wide / 2}
                    y={top(box) + above + step * (row + 0.7)}
                    text-anchor="middle"
                  >
                    {text}
                  </text>
                );
              }),
            )}
          </g>
        ))}
      </svg>
    </div>
  );
}

/** A box's name and what stands under it, as lines: on a phone each of them is broken where its parts meet. */
function linesOf(title: string, detail: string, isNarrow: boolean): readonly [readonly string[], readonly string[]] {
  return isNarrow ? [title.split(/(?<=\.)/), detail.split(/(?<=[→…]) /)] : [[title], [detail]];
}

function groupOf({ kind, name }: Box): string {
  if (kind === 'ids' || kind === 'block') return kind;
  if (/Norm$/.test(kind)) return 'norm';
  if (kind === 'add') return 'sum';
  return name?.includes('attention') || kind === 'rotation'
    ? 'attending'
    : name?.includes('feedForward')
      ? 'feeding'
      : 'outer';
}
