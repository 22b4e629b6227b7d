/** Which query heads share which key head: queries above, keys below, a line for each pair. */
const [STEP, MOST] = [44, 40];

export function Groups({
  heads,
  groups,
  label,
  query,
  keys,
}: {
  readonly heads: number;
  readonly groups: number;
  readonly label: string;
  readonly query: string;
  readonly keys: string;
}) {
  const shown = Math.min(heads, MOST);
  const width = shown * STEP;
  const of = (head: number) => Math.floor((head * groups) / heads);
  const last = of(shown - 1);
  const x = (head: number) => head * STEP + STEP / 2;
  const middle = (group: number) => {
    const own = Array.from({ length: shown }, (_, head) => head).filter((head) => of(head) === group);
    return own.reduce((sum, head) => sum + x(head), 0) / own.length;
  };
  return (
    <div class="wide">
      <svg
        viewBox={`0 0 ${width} 132`}
        class="groups"
        role="img"
        aria-label={label}
        style={{ width: `${width * 1.5}px` }}
      >
        {Array.from({ length: shown }, (_, head) => (
          <g key={head} class={`c${of(head) % 4}`}>
            <line x1={x(head)} y1={40} x2={middle(of(head))} y2={92} />
            <circle cx={x(head)} cy={26} r={15} />
            <text x={x(head)} y={30} text-anchor="middle">
              {query}
              {head}
            </text>
          </g>
        ))}
        {Array.from({ length: last + 1 }, (_, group) => (
          <g key={group} class={`c${group % 4}`}>
            <rect x={middle(group) - 16} y={90} width={32} height={32} rx={5} />
            <text x={middle(group)} y={110} text-anchor="middle">
              {keys}
              {group}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}
