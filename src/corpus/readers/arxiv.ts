/**
 * arXiv sources as LaTeX: papers as arXiv's bulk downloads hold them (a tar of `paper.gz`, each a tar of files or one TeX file), one
 * paper's own `.tar.gz`, or plain `.tex` files. Of many files the one with \documentclass is the paper; what it \inputs is put in place.
 * Papers that are not UTF-8 are read as Latin-1, which most old ones are.
 */
import type { Document } from '../document.ts';
import { oneChunk } from './byte-queue.ts';
import type { InputFile, ReadContext } from './reader.ts';
import { readTar, type TarMember } from './tar.ts';

const INCLUDE_LIMIT = 500;
const INCLUDE_DEPTH = 10;

export async function* readArxiv(file: InputFile, context: ReadContext): AsyncGenerator<Document> {
  if (/\.tex$/i.test(file.name)) {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of file.chunks()) {
      length += chunk.length;
      if (length > context.maximumRecordBytes) return context.problem('record-too-large', `${file.name}: skipped`);
      parts.push(chunk);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) bytes.set(part, (at += part.length) - part.length);
    yield { id: file.name, text: decodeTex(bytes), attributes: {} };
    return;
  }
  /** TeX files that lie in this archive itself: then it is one paper, not a collection. */
  const own = new Map<string, string>();
  let ownBytes = 0;
  for await (const member of readTar(file.chunks(), file.name, context)) {
    if (/\.gz$/i.test(member.name)) yield* readPaper(file, member, context);
    else if (isTex(member.name)) {
      ownBytes += member.bytes.length;
      if (ownBytes > context.maximumRecordBytes * 2) {
        context.problem('record-too-large', `${file.name}: more TeX than fits in one paper, the rest was skipped`);
        break;
      }
      own.set(normalName(member.name), decodeTex(member.bytes));
    }
  }
  if (own.size > 0) yield* assemble(file.name, own, context);
}

/** One `.gz` of a bulk archive: a tar of files, or a single TeX file. PDF-only papers have none and are counted. */
async function* readPaper(file: InputFile, member: TarMember, context: ReadContext): AsyncGenerator<Document> {
  const id = `${file.name}/${member.name.replace(/\.gz$/i, '')}`;
  let bytes: Uint8Array;
  try {
    bytes = context.inflate('gzip', member.bytes, context.maximumRecordBytes);
  } catch (error) {
    context.problem('broken-gzip', `${id}: ${(error as Error).message}`);
    return;
  }
  if (!looksLikeTar(bytes)) {
    yield* assemble(id, new Map([['main.tex', decodeTex(bytes)]]), context);
    return;
  }
  const files = new Map<string, string>();
  for await (const inner of readTar(oneChunk(bytes), id, context)) {
    if (isTex(inner.name)) files.set(normalName(inner.name), decodeTex(inner.bytes));
  }
  yield* assemble(id, files, context);
}

function* assemble(id: string, files: ReadonlyMap<string, string>, context: ReadContext): Generator<Document> {
  const main = mainFile(files);
  if (main === undefined)
    return context.problem('no-text', `${id}: no TeX file with \\documentclass or \\begin{document}`);
  const budget = { includes: INCLUDE_LIMIT, characters: context.maximumRecordBytes };
  yield { id, text: includeFiles(files.get(main)!, files, budget, 0), attributes: {} };
}

/** The file with \documentclass and \begin{document}; the longest of several. A lone file is the paper. */
function mainFile(files: ReadonlyMap<string, string>): string | undefined {
  const names = [...files.keys()].sort();
  const withHead = names.filter((name) => /\\document(?:class|style)|\\begin\{document\}/.test(files.get(name)!));
  const whole = withHead.filter((name) => files.get(name)!.includes('\\begin{document}'));
  const candidates = whole.length > 0 ? whole : withHead.length > 0 ? withHead : names.length === 1 ? names : [];
  return candidates.sort((a, b) => files.get(b)!.length - files.get(a)!.length)[0];
}

function includeFiles(
  text: string,
  files: ReadonlyMap<string, string>,
  budget: { includes: number; characters: number },
  depth: number,
): string {
  if (depth > INCLUDE_DEPTH) return text;
  return text.replace(
    /^([^%\n]*?)\\(?:input|include|subfile)\s*\{([^}\n]{1,200})\}/gm,
    (whole, before: string, name: string) => {
      const wanted = normalName(name.trim());
      const found = files.get(wanted) ?? files.get(`${wanted}.tex`);
      if (found === undefined || budget.includes <= 0 || budget.characters < found.length) return whole;
      budget.includes--;
      budget.characters -= found.length;
      return before + includeFiles(found, files, budget, depth + 1);
    },
  );
}

function isTex(name: string): boolean {
  return /\.(?:tex|ltx|latex)$/i.test(name) || !/\.[a-z0-9]{1,6}$/i.test(name);
}

function normalName(name: string): string {
  return name.replace(/^(?:\.\/)+/, '');
}

function looksLikeTar(bytes: Uint8Array): boolean {
  return bytes.length >= 512 && String.fromCharCode(...bytes.subarray(257, 262)) === 'ustar';
}

function decodeTex(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('latin1').decode(bytes);
  }
}
