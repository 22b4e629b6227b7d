/** Markdown as elements. Model text only ever becomes text nodes and a few known elements: no HTML is read from it. */
import { type ComponentChildren, h } from 'preact';
import { useMemo } from 'preact/hooks';
import { type Alignment, type Block, parseMarkdown } from './blocks.ts';
import { CodeText } from './code-text.tsx';
import type { Inline } from './inline.ts';
import { type MathNode, parseMath } from './math.ts';

export function Markdown({ text, onCopy, copyLabel }: CodeProps & { readonly text: string }) {
  // What was drawn is drawn again only when its text is another: one page holds many answers.
  return useMemo(
    () => <div class="markdown">{parseMarkdown(text).map((block) => renderBlock(block, { onCopy, copyLabel }))}</div>,
    [text, copyLabel],
  );
}

interface CodeProps {
  readonly onCopy: (text: string) => void;
  readonly copyLabel: string;
}

function renderBlock(block: Block, code: CodeProps): ComponentChildren {
  switch (block.kind) {
    case 'paragraph':
      return <p dir="auto">{block.parts.map(renderInline)}</p>;
    case 'heading': {
      // The page has its own first headings.
      const Tag = `h${Math.min(6, block.level + 2)}` as 'h3';
      return <Tag dir="auto">{block.parts.map(renderInline)}</Tag>;
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
          <CodeText text={block.text} language={block.language} />
        </figure>
      );
    case 'quote':
      return <blockquote dir="auto">{block.blocks.map((inner) => renderBlock(inner, code))}</blockquote>;
    case 'list': {
      const items = block.items.map(({ done, blocks }) => (
        <li dir="auto" class={done === null ? '' : 'task'}>
          {done !== null && <input type="checkbox" checked={done} disabled />}
          {tight(blocks).map((inner) => (inner.kind === 'line' ? inner.nodes : renderBlock(inner.block, code)))}
        </li>
      ));
      return block.start === null ? <ul>{items}</ul> : <ol start={block.start}>{items}</ol>;
    }
    case 'table':
      return (
        <div class="table">
          <table>
            <thead>
              <tr>{block.head.map((cell, i) => cellOf('th', cell, block.alignments[i]))}</tr>
            </thead>
            <tbody>{block.rows.map((row) => rowOf(row, block.alignments))}</tbody>
          </table>
        </div>
      );
    case 'math':
      return <p>{mathOf(block.tex, true)}</p>;
    case 'rule':
      return <hr />;
    default:
      return block satisfies never;
  }
}

function cellOf(Tag: 'th' | 'td', cell: readonly Inline[], alignment: Alignment | undefined) {
  return (
    <Tag dir="auto" class={alignment ? `align-${alignment}` : ''}>
      {cell.map(renderInline)}
    </Tag>
  );
}

function rowOf(row: readonly (readonly Inline[])[], alignments: readonly Alignment[]) {
  return <tr>{row.map((cell, i) => cellOf('td', cell, alignments[i]))}</tr>;
}

/** What cannot be drawn stays as it was written. */
function mathOf(tex: string, display: boolean) {
  const parsed = parseMath(tex);
  if (!parsed) return <code class="tex">{display ? `$$${tex}$$` : `$${tex}$`}</code>;
  const drawn = h(
    'math',
    { display: display ? 'block' : 'inline', 'aria-label': tex, dir: 'ltr', lang: 'en' },
    mathElement(parsed),
  );
  return display ? <span class="display-math">{drawn}</span> : drawn;
}

function mathElement({ tag, attributes, children }: MathNode): ComponentChildren {
  const inner = children.map((child) => (typeof child === 'string' ? child : mathElement(child)));
  return h(tag, attributes ?? null, ...inner);
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
    case 'math':
      return mathOf(part.tex, part.display);
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
