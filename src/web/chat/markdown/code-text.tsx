/** Code with its parts coloured. */
import { useMemo } from 'preact/hooks';
import { highlight } from './highlight.ts';

export function CodeText({ text, language, class: name }: { text: string; language: string; class?: string }) {
  return useMemo(
    () => (
      <pre class={name} dir="ltr">
        <code>
          {highlight(text, language).map((part, i) =>
            part.kind === 'plain' ? (
              part.text
            ) : (
              <span key={i} class={`code-${part.kind}`}>
                {part.text}
              </span>
            ),
          )}
        </code>
      </pre>
    ),
    [text, language, name],
  );
}
