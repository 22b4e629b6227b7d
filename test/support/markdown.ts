/** The programs and commands in the project's pages. */

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of the block's first line, from 1. */
  readonly line: number;
}

export function blocks(page: string, language: string): Block[] {
  return [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .map(({ 1: name, 2: text, index }) => ({
      language: name!,
      text: text!,
      line: page.slice(0, index).split('\n').length + 1,
    }))
    .filter((block) => block.language === language);
}

/** 'npx cria run -m x "a b"' → its words, for every line that calls cria. */
export function commandLines(page: string): string[][] {
  const lines = blocks(page, 'sh').flatMap(({ text }) => text.replaceAll('\\\n', '').split('\n'));
  return lines.flatMap((line) => {
    const [, words] = /(?:^|&& )npx cria (.*)$/.exec(line) ?? [];
    return words === undefined
      ? []
      : [[...words.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!)];
  });
}
