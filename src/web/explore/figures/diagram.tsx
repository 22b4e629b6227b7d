/** The diagram of a model as SVG: boxes and arrows where src/explorer/diagram.ts has put them. */
import type { Box, Diagram } from '../../../explorer/diagram.ts';

const [WIDE, HIGH, GAP_X, GAP_Y] = [176, 44, 14, 22];

export function DiagramView({
  diagram,
  label,
  title,
  current,
  onPick,
}: {
  diagram: Diagram;
  label: string;
  title: (box: Box) => string;
  current: (box: Box) => boolean;
  onPick: (box: Box) => void;
}) {
  const { boxes, arrows, layers, widest } = diagram;
  const lane = 34;
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
    // The stream passes by at the left; what else is read later passes at the right.
    const isStream = from.kind !== 'rotation' && (to.kind === 'add' || to.kind === 'block');
    const side = isStream ? 14 : width - 14;
    const out = isStream ? left(from) : left(from) + WIDE;
    const into = isStream ? left(to) : left(to) + WIDE;
    const [a, b] = [top(from) + HIGH / 2, top(to) + HIGH / 2];
    return `M${out} ${a}C${side} ${a} ${side} ${a} ${side} ${a + 20}V${b - 20}C${side} ${b} ${side} ${b} ${into} ${b}`;
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: there are no fieldsets inside of a picture
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
          class={`arrow${of.get(to)!.layer > of.get(from)!.layer + 1 ? ' far' : ''}`}
          d={line(of.get(from)!, of.get(to)!)}
          marker-end="url(#tip)"
        />
      ))}
      {boxes.map((box) => (
        // biome-ignore lint/a11y/useSemanticElements: there are no buttons inside of a picture
        <g
          key={box.id}
          class={`box ${groupOf(box)}${current(box) ? ' current' : ''}`}
          role="button"
          tabIndex={0}
          aria-label={`${title(box)} ${box.letters.join('·')}`}
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
            {box.parameters.length > 0 && box.kind !== 'block'
              ? `${box.parameters.map(({ key }) => key).join(' ')} → `
              : ''}
            {box.letters.join('·')}
          </text>
        </g>
      ))}
    </svg>
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
