import { TOKEN_FORMAT, TOKEN_FORMAT_VERSION, type TokenManifest, tokenWidthFor } from '../mixture/shards.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { CorpusHost, CorpusTokenizer } from './host.ts';
import type { MixResult } from './kinds/mix.ts';
import type { ShardResult } from './kinds/shard.ts';

/** The manifest of finished shards. */
export function buildManifest(
  recipe: Recipe,
  host: CorpusHost,
  tokenizer: CorpusTokenizer,
  mix: MixResult,
  shardIds: readonly string[],
): TokenManifest {
  const records = shardIds.map((id) => host.work.done(id)!);
  const results = records.map(({ result }) => result as ShardResult);
  const tokenCount = results.reduce((sum, { tokens }) => sum + tokens, 0);
  const sources = Object.keys(recipe.sources).map((name) => {
    const shares = results.map((result) => result.sources[name] ?? { tokens: 0, documents: 0 });
    const tokens = shares.reduce((sum, share) => sum + share.tokens, 0);
    const documents = shares.reduce((sum, share) => sum + share.documents, 0);
    const supply = mix.supply[name]!;
    return [
      name,
      {
        tokens,
        documents,
        share: tokenCount === 0 ? 0 : tokens / tokenCount,
        epochs: supply === 0 ? 0 : tokens / supply,
      },
    ] as const;
  });
  const settings = recipe.tokens!;
  return {
    format: TOKEN_FORMAT,
    version: TOKEN_FORMAT_VERSION,
    dtype: tokenWidthFor(tokenizer.vocabSize),
    vocabularySize: tokenizer.vocabSize,
    bos: settings.bos ? tokenizer.bosId : null,
    eos: settings.eos ? tokenizer.eosId : null,
    tokenizer: { name: tokenizer.name, sha256: tokenizer.sha256 },
    seed: recipe.seed,
    tokenCount,
    documentCount: results.reduce((sum, { documents }) => sum + documents, 0),
    sources: Object.fromEntries(sources),
    shards: results.map(({ tokens, documents }, i) => {
      const digestOf = (name: string) => records[i]!.files.find((file) => file.name === name)!.sha256;
      const number = String(i).padStart(5, '0');
      return {
        file: `tokens-${number}.bin`,
        tokenCount: tokens,
        sha256: digestOf('tokens.bin'),
        endsFile: `tokens-${number}.ends.bin`,
        documentCount: documents,
        endsSha256: digestOf('ends.bin'),
      };
    }),
  };
}
