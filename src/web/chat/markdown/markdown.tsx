/** Markdown as elements. Model text only ever becomes text nodes and a few known elements: no HTML is read from it. */
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { type Block, parseMarkdown } from './blocks.ts';
import type { Inline } from './inline.ts';

export function Markdown({ text, onCopy, copyLabel }: CodeProps & { readonly text: string }) {
  const blocks = useMemo(() => parseMarkdown(text), [text]);
  return <div class="markdown">{blocks.map((block) => renderBlock(block, { onCopy, copyLabel }))}</div>;
}

interface CodeProps {
  readonly onCopy: (text: string) => void;
  readonly copyLabel: string;
}

function renderBlock(block: Block, code: CodeProps): ComponentChildren {
  switch (block.kind) {
    case 'paragraph':
      return <p>{block.parts.map(renderInline)}</p>;
    case 'heading': {
      // The page has its own first headings.
      const Tag = `h${Math.min(6, block.level + 2)}` as 'h3';
      return <Tag>{block.parts.map(renderInline)}</Tag>;
    }
    case 'code':
      return (
        <figure class="code">
          <figcaption>
            <span>{block.language}</span>
            <button type="button" class="quiet" onClick={() => code.onCopy(block.text)}>
              {code.copyLabel}
            </button>
          </figcaption>
          <pre>
            <code>{block.text}</code>
          </pre>
        </figure>
      );
    case 'quote':
      return <blockquote>{block.blocks.map((inner) => renderBlock(inner, code))}</blockquote>;
    case 'list': {
      const items = block.items.map((item) => (
        <li>{tight(item).map((inner) => (inner.kind === 'line' ? inner.nodes : renderBlock(inner.block, code)))}</li>
      ));
      return block.start === null ? <ul>{items}</ul> : <ol start={block.start}>{items}</ol>;
    }
    case 'table':
      return (
        <div class="table">
          <table>
            <thead>
              <tr>{block.head.map((cell) => cellOf('th', cell))}</tr>
            </thead>
            <tbody>{block.rows.map((row) => rowOf(row))}</tbody>
          </table>
        </div>
      );
    case 'rule':
      return <hr />;
    default:
      return block satisfies never;
  }
}

function cellOf(Tag: 'th' | 'td', cell: readonly Inline[]) {
  return <Tag>{cell.map(renderInline)}</Tag>;
}

function rowOf(row: readonly (readonly Inline[])[]) {
  return <tr>{row.map((cell) => cellOf('td', cell))}</tr>;
}

/** A list item's only paragraph is a line, not a paragraph. */
function tight(item: readonly Block[]) {
  return item.map((block, i) =>
    block.kind === 'paragraph' && i === 0
      ? { kind: 'line' as const, nodes: block.parts.map(renderInline) }
      : { kind: 'block' as const, block },
  );
}

function renderInline(part: Inline): ComponentChildren {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'code':
      return <code>{part.text}</code>;
    case 'strong':
      return <strong>{part.parts.map(renderInline)}</strong>;
    case 'emphasis':
      return <em>{part.parts.map(renderInline)}</em>;
    case 'strike':
      return <s>{part.parts.map(renderInline)}</s>;
    case 'link':
      return (
        <a href={part.href} target="_blank" rel="noopener noreferrer nofollow">
          {part.parts.map(renderInline)}
        </a>
      );
    case 'break':
      return <br />;
    default:
      return part satisfies never;
  }
}
