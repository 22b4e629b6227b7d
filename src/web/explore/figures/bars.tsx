/** Shares as bars, each with its text before and its number behind. */
import type { ComponentChildren } from 'preact';

export interface BarRow {
  readonly key: string;
  readonly label: ComponentChildren;
  /** 0 … 1 of the longest bar. */
  readonly share: number;
  readonly value: ComponentChildren;
  /** A picture behind the number. */
  readonly detail?: ComponentChildren;
  readonly kind?: 'chosen' | 'dropped' | 'plain' | 'below';
  readonly onClick?: () => void;
}

export function Bars({
  rows,
  label,
  sums = false,
}: {
  readonly rows: readonly BarRow[];
  readonly label: string;
  /** The values are several numbers each. */
  readonly sums?: boolean;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a list would need bullets taken away again
    <div class={sums ? 'bars sums' : 'bars'} role="list" aria-label={label}>
      {rows.map(({ key, label, share, value, detail, kind = 'plain', onClick }) => (
        // biome-ignore lint/a11y/useSemanticElements: see above
        <div key={key} role="listitem" class={`bar-row ${kind}${detail ? ' detailed' : ''}`}>
          {onClick ? (
            <button type="button" class="quiet label" onClick={onClick}>
              {label}
            </button>
          ) : (
            <span class="label">{label}</span>
          )}
          <span class="track">
            <span class="fill" style={{ width: `${Math.max(0, Math.min(100, 100 * share))}%` }} />
          </span>
          <span class="value">{value}</span>
          {detail && <span class="detail">{detail}</span>}
        </div>
      ))}
    </div>
  );
}
