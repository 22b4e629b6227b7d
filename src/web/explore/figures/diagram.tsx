/** The diagram of a model as SVG: boxes and arrows where src/explorer/diagram.ts has put them. */
import { useEffect, useRef } from 'preact/hooks';
import type { Box, Diagram } from '../../../explorer/diagram.ts';

const [WIDE, HIGH, GAP_X, GAP_Y] = [190, 46, 14, 26];

export function DiagramView({
  diagram,
  label,
  title,
  detail,
  onPick,
}: {
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
    // On a phone the middle is seen first.
    const { scrollWidth, clientWidth } = frame.current!;
    frame.current!.scrollLeft = (scrollWidth - clientWidth) / 2;
  }, []);
  const lane = 40;
  const width = widest * (WIDE + GAP_X) + 2 * lane;
  const height = layers * (HIGH + GAP_Y);
  const left = ({ place }: Box) => width / 2 + place * (WIDE + GAP_X) - WIDE / 2;
  const top = ({ layer }: Box) => layer * (HIGH + GAP_Y) + 4;
  const of = new Map(boxes.map((box) => [box.id, box]));
  const line = (from: Box, to: Box) => {
    const [x1, y1] = [left(from) + WIDE / 2, top(from) + HIGH];
    const [x2, y2] = [left(to) + WIDE / 2, top(to)];
    if (to.layer === from.layer + 1) {
      const middle = (y1 + y2) / 2;
      return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
    }
    // The stream passes by at the left; what else is read later passes at the right and comes in from above.
    const isStream = from.kind !== 'rotation' && (to.kind === 'add' || to.kind === 'block');
    const out = top(from) + HIGH / 2;
    if (isStream) {
      const into = top(to) + HIGH / 2;
      const [a, b] = [left(from), left(to)];
      return `M${a} ${out}H26Q14 ${out} 14 ${out + 12}V${into - 12}Q14 ${into} 26 ${into}H${b}`;
    }
    const side = width - (from.kind === 'rotation' ? 10 : 22);
    const [above, x] = [top(to) - GAP_Y / 2, left(to) + WIDE * 0.8];
    return `M${left(from) + WIDE} ${out}H${side - 8}Q${side} ${out} ${side} ${out + 8}V${above - 8}Q${side} ${above} ${side - 8} ${above}H${x + 6}Q${x} ${above} ${x} ${above + 6}V${top(to)}`;
  };
  return (
    <div class="wide" ref={frame}>
      {/* biome-ignore lint/a11y/useSemanticElements: there are no fieldsets inside of a picture */}
      <svg
        viewBox={`0 0 ${width} ${height}`}
        class="diagram"
        role="group"
        aria-label={label}
        style={{ maxWidth: `${width * 1.1}px` }}
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
            <rect x={left(box)} y={top(box)} width={WIDE} height={HIGH} rx={8} />
            <text x={left(box) + WIDE / 2} y={top(box) + 18} text-anchor="middle">
              {title(box)}
            </text>
            <text class="small" x={left(box) + WIDE / 2} y={top(box) + 34} text-anchor="middle">
              {detail(box)}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
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
