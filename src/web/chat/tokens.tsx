/** An answer token by token: the less likely, the warmer; what else could have stood there shows on hover or focus. */
import { useState } from 'preact/hooks';
import type { TokenInfo } from './conversation.ts';

export function Tokens({ tokens }: { readonly tokens: readonly TokenInfo[] }) {
  const [at, setAt] = useState<number | null>(null);
  const chosen = at === null ? null : tokens[at];
  return (
    <div class="tokens">
      <p>
        {tokens.map(({ token, logprob }, i) => [
          <button
            type="button"
            key={i}
            class={`token heat${heatOf(logprob)}${i === at ? ' chosen' : ''}`}
            onMouseEnter={() => setAt(i)}
            onFocus={() => setAt(i)}
          >
            {token.replaceAll('\n', '⏎')}
          </button>,
          token.includes('\n') && <br key={`${i} end`} />,
        ])}
      </p>
      {chosen && (
        <dl class="alternatives" aria-live="polite">
          {[chosen, ...chosen.top.filter(({ token }) => token !== chosen.token)].map(({ token, logprob }, i) => (
            <div key={token} class={i === 0 ? 'picked' : ''}>
              <dt>{JSON.stringify(token).slice(1, -1)}</dt>
              <dd>{percent(logprob)}</dd>
              <meter min={0} max={1} value={Math.exp(logprob)} />
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

/** 0: certain … 5: a surprise of several nats. */
function heatOf(logprob: number): number {
  return Math.min(5, Math.floor(-logprob));
}

function percent(logprob: number): string {
  const share = 100 * Math.exp(logprob);
  return share >= 0.05 ? `${share.toFixed(1)} %` : `< 0.1 %`;
}
