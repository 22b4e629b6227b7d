/**
 * StackExchange `Posts.xml`: each question with its answers, best score first, HTML stripped.
 *
 *   Q: title ⏎ body ⏎ A: answer ⏎ A: answer …
 *
 * Answers may stand anywhere after (or before) their question, so rows first go to buckets by question number, on disk, and each bucket
 * is put in order by itself: memory is one bucket, whatever the site's size. Scores are compared as numbers.
 * Source: LLaMA, arXiv:2302.13971 §2.1 ("Stack Exchange"); the layout of RedPajama v1, without its text-order scores.
 */
import { groupBy } from '../../base/es2024.ts';
import type { Document } from '../document.ts';
import { htmlToText } from './html-text.ts';
import type { InputFile, ReadContext } from './reader.ts';
import { parseXml } from './xml.ts';

/** Question numbers that share a bucket: about 64 Mi of rows on the largest site. */
const QUESTIONS_PER_BUCKET = 1 << 17;

interface Post {
  readonly id: number;
  /** Its own number for a question, its parent's for an answer. */
  readonly question: number;
  readonly score: number;
  readonly title: string;
  readonly body: string;
  readonly date: string;
  readonly tags: string;
}

export async function* readStackExchange(file: InputFile, context: ReadContext): AsyncGenerator<Document> {
  const scratch = context.scratch();
  const encoder = new TextEncoder();
  const buckets = new Set<number>();
  try {
    for await (const post of readPosts(file, context)) {
      const bucket = Math.floor(post.question / QUESTIONS_PER_BUCKET);
      buckets.add(bucket);
      scratch.append(bucket, encoder.encode(`${JSON.stringify(post)}\n`));
    }
    for (const bucket of [...buckets].sort((a, b) => a - b)) {
      const lines = new TextDecoder().decode(scratch.read(bucket)).split('\n');
      yield* joinPosts(
        lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Post),
        file.name,
        context,
      );
    }
  } finally {
    scratch.remove();
  }
}

function* joinPosts(posts: readonly Post[], name: string, context: ReadContext): Generator<Document> {
  const answers = groupBy(
    posts.filter((post) => post.id !== post.question),
    (post) => post.question,
  );
  const questions = posts.filter((post) => post.id === post.question).sort((a, b) => a.id - b.id);
  for (const question of questions) {
    const best = (answers.get(question.id) ?? []).sort((a, b) => b.score - a.score || a.id - b.id);
    answers.delete(question.id);
    const parts = [`Q: ${[plain(question.title), plain(question.body)].filter((part) => part !== '').join('\n')}`];
    for (const answer of best) parts.push(`A: ${plain(answer.body)}`);
    yield {
      id: `${name}#${question.id}`,
      text: parts.join('\n'),
      title: plain(question.title),
      date: question.date,
      attributes: { score: question.score, answers: best.length, tags: question.tags },
    };
  }
  for (const [question, orphans] of answers) {
    context.problem(
      'no-question',
      `${name}: ${orphans.length} answers to question ${question}, which is not in the file`,
    );
  }
}

function plain(markup: string): string {
  return htmlToText(markup, { listMarker: '*' }).text;
}

/** Rows of questions and answers. */
async function* readPosts(file: InputFile, context: ReadContext): AsyncGenerator<Post> {
  let ready: Post[] = [];
  const xml = parseXml(file.chunks(), context.maximumRecordBytes, {
    open(name, attributes) {
      const post = name === 'row' ? postOf(attributes) : undefined;
      if (post) ready.push(post);
    },
  });
  for (;;) {
    const { done, value } = await xml.next();
    yield* ready;
    ready = [];
    if (!done) continue;
    if (value) context.problem('broken-xml', `${file.name}: ${value.message}; what came before was kept`);
    return;
  }
}

function postOf(row: Readonly<Record<string, string>>): Post | undefined {
  const type = row.PostTypeId;
  if (type !== '1' && type !== '2') return undefined;
  const id = Number(row.Id);
  const question = type === '1' ? id : Number(row.ParentId);
  if (!Number.isSafeInteger(id) || !Number.isSafeInteger(question)) return undefined;
  return {
    id,
    question,
    score: Number(row.Score ?? 0) || 0,
    title: row.Title ?? '',
    body: row.Body ?? '',
    date: row.CreationDate ?? '',
    tags: row.Tags ?? '',
  };
}
