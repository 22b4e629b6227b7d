import { UsageError } from '../../base/errors.ts';
import { loadTokenizer } from '../../platform/node/load-tokenizer.ts';
import { defineCommand } from '../command.ts';
import { readAll, sayRemarks, warnOfTwoBos, writeJson, writeLine, writeResult } from '../io.ts';
import { looksLikeModel, resolveModel } from '../model-name.ts';
import { modelOption, openOptions } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';

export const command = defineCommand({
  options: {
    model: { ...modelOption, help: `${modelOption.help}; also tokenizer.json or tokenizer.model` },
    pre: openOptions.pre,
    text: { kind: 'text', otherwise: 'standard input', help: 'what to encode' },
    bos: { kind: 'flag', help: "put the model's first token in front" },
    parseSpecial: { kind: 'flag', help: 'special tokens written in the text (<s>) are those tokens, not characters' },
    decode: { kind: 'flag', help: 'the other way: numbers in, text out' },
    json: { kind: 'flag', help: 'one JSON object: { ids, pieces }, or { ids, text } with --decode' },
  },
  positionals: ['model', 'text'],
  // As with `run`: one plain word is the text unless it names a model.
  placeWords: ([word, ...more], free) =>
    word !== undefined && more.length === 0 && free.includes('text') && !looksLikeModel(word) ? ['text'] : free,
  examples: [
    ['tokenize "Once upon a time"', "the bundled model's tokens"],
    ['tokenize model.gguf "Once upon a time"', 'one line per token: id and piece'],
    ['tokenize -m model.gguf --json < story.txt', 'ids and pieces of a file'],
    ['tokenize -m model.gguf --decode --text "1 9038 2501"', 'the text of three tokens'],
  ],
  async run(options, io) {
    const tokenizer = loadTokenizer(resolveModel(options.model), options.pre);
    sayRemarks(tokenizer.remarks, io);
    const input = options.text ?? (await readAll(io));
    if (options.decode) {
      const ids = parseIds(input);
      const text = tokenizer.decode(ids);
      if (options.json) writeJson(io.stdout, { ids, text });
      else writeResult(io.stdout, `${text}\n`);
      return;
    }
    const ids = tokenizer.encode(input, { bos: options.bos, special: options.parseSpecial ? 'parse' : 'text' });
    warnOfTwoBos(ids, tokenizer.bosId, io);
    const pieces = tokenizer.pieces(ids);
    if (options.json) writeJson(io.stdout, { ids, pieces });
    else if (ids.length > 0)
      writeLine(
        io.stdout,
        alignColumns(
          [...ids].map((id, i) => [String(id), JSON.stringify(pieces[i])]),
          [0],
        ),
      );
  },
});

function parseIds(text: string): number[] {
  const words = text.split(/[\s,[\]]+/).filter((word) => word !== '');
  const wrong = words.find((word) => !/^\d+$/.test(word));
  if (wrong !== undefined) throw new UsageError([`--decode wants token ids, found ${JSON.stringify(wrong)}`]);
  return words.map(Number);
}
