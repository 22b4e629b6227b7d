/** One answer of the model for a figure, that is no activation: rows of a matrix, neighbours. */
import { useEffect, useState } from 'preact/hooks';

export interface Asked<T> {
  /** null until it is there, and where it is not asked for. */
  readonly value: T | null;
  /** Why it will not come; '' else. */
  readonly trouble: string;
}

/** Asks again when `key` is another one; null asks nobody. */
export function useAsked<T>(key: string | null, ask: () => Promise<T>): Asked<T> {
  const [answer, setAnswer] = useState<Asked<T> & { readonly key: string }>({ key: '', value: null, trouble: '' });
  useEffect(() => {
    if (key === null) return;
    let current = true;
    ask().then(
      (value) => current && setAnswer({ key, value, trouble: '' }),
      (error: unknown) =>
        current && setAnswer({ key, value: null, trouble: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      current = false;
    };
  }, [key]);
  return answer.key === key ? answer : { value: null, trouble: '' };
}

/** In place of what is not there yet, or will not come. */
export function Missing({ asked }: { readonly asked: Asked<unknown> }) {
  if (asked.trouble === '') return <p class="waiting">…</p>;
  return (
    <p class="error" role="alert">
      {asked.trouble}
    </p>
  );
}
