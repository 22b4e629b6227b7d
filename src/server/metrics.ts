/** Counters and histograms in Prometheus' text format. */
import type { EngineLoad } from '../inference/engine.ts';
import type { GenerationResult } from '../inference/generation.ts';

/** Upper bounds in seconds: from a cached prompt on a fast machine to a long one on a slow one. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

class Counter {
  private readonly values = new Map<string, number>();
  private readonly name: string;
  private readonly help: string;

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(amount: number, labels: Readonly<Record<string, string | number>> = {}): void {
    const key = Object.entries(labels)
      .map(([label, value]) => `${label}="${String(value).replace(/[\\"\n]/g, '_')}"`)
      .join(',');
    this.values.set(key, (this.values.get(key) ?? 0) + amount);
  }

  lines(): string[] {
    const samples = this.values.size === 0 ? [['', 0] as const] : [...this.values];
    return [
      ...head(this.name, this.help, 'counter'),
      ...samples.map(([key, value]) => `${this.name}${key && `{${key}}`} ${value}`),
    ];
  }
}

class Histogram {
  private readonly counts = new Float64Array(SECONDS.length);
  private count = 0;
  private sum = 0;
  private readonly name: string;
  private readonly help: string;

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  observe(seconds: number): void {
    this.count++;
    this.sum += seconds;
    for (let i = SECONDS.length - 1; i >= 0 && seconds <= SECONDS[i]!; i--) this.counts[i]!++;
  }

  lines(): string[] {
    return [
      ...head(this.name, this.help, 'histogram'),
      ...SECONDS.map((bound, i) => `${this.name}_bucket{le="${bound}"} ${this.counts[i]}`),
      `${this.name}_bucket{le="+Inf"} ${this.count}`,
      `${this.name}_sum ${this.sum}`,
      `${this.name}_count ${this.count}`,
    ];
  }
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

/** What the server holds beside the engines. */
export interface Held {
  readonly reading: number;
  readonly unread: number;
  readonly grammars: { readonly count: number; readonly bytes: number };
  readonly responses: { readonly count: number; readonly characters: number };
  readonly models: number;
}

export class ServerMetrics {
  readonly requests = new Counter('cria_requests_total', 'Requests answered, by path and status.');
  readonly readSeconds = new Histogram(
    'cria_request_read_seconds',
    'From arrival until a body was parsed, rendered and encoded, with its wait.',
  );
  readonly compileSeconds = new Histogram('cria_grammar_seconds', 'Waits for a grammar or schema to be compiled.');
  readonly answers = new Counter('cria_answers_total', 'Answers that ended, by reason.');
  private readonly promptTokens = new Counter('cria_prompt_tokens_total', 'Prompt tokens computed.');
  private readonly cachedTokens = new Counter('cria_prompt_tokens_cached_total', 'Prompt tokens found in the cache.');
  private readonly promptSeconds = new Counter('cria_prompt_seconds_total', 'Time from admission to the first token.');
  private readonly predictedTokens = new Counter('cria_tokens_predicted_total', 'Tokens generated.');
  private readonly predictedSeconds = new Counter('cria_tokens_predicted_seconds_total', 'Time spent generating.');
  private readonly guessedTokens = new Counter('cria_tokens_drafted_total', 'Tokens guessed ahead.');
  private readonly rightTokens = new Counter('cria_tokens_drafted_accepted_total', 'Guessed tokens that were right.');
  private readonly firstToken = new Histogram('cria_time_to_first_token_seconds', 'From arrival to the first token.');
  private readonly perToken = new Histogram('cria_time_per_token_seconds', 'Mean time per token, of every answer.');

  answered({ timings, finishReason }: GenerationResult, firstTokenSeconds: number): void {
    this.answers.add(1, { reason: finishReason });
    this.promptTokens.add(timings.prompt_n);
    this.cachedTokens.add(timings.cache_n);
    this.promptSeconds.add(timings.prompt_ms / 1000);
    this.predictedTokens.add(timings.predicted_n);
    this.predictedSeconds.add(timings.predicted_ms / 1000);
    this.guessedTokens.add(timings.draft_n ?? 0);
    this.rightTokens.add(timings.draft_n_accepted ?? 0);
    if (timings.predicted_n > 0) this.firstToken.observe(firstTokenSeconds);
    if (timings.predicted_n > 1) this.perToken.observe(timings.predicted_ms / 1000 / (timings.predicted_n - 1));
  }

  /** The whole page. */
  expose(engine: EngineLoad, held: Held): string {
    const gauges: [name: string, help: string, value: number][] = [
      ['cria_requests_reading', 'Requests and grammars that are being read.', held.reading],
      ['cria_requests_unread', 'Requests and grammars that wait to be read.', held.unread],
      ['cria_grammars_kept', 'Compiled grammars that are kept.', held.grammars.count],
      ['cria_grammars_kept_bytes', 'Bytes of those.', held.grammars.bytes],
      ['cria_responses_kept', 'Responses that may be gone on with.', held.responses.count],
      ['cria_responses_kept_characters', 'Characters of those.', held.responses.characters],
      ['cria_models_loaded', 'Models in memory.', held.models],
      ['cria_answers_running', 'Answers that the engines compute.', engine.running],
      ['cria_answers_waiting', 'Answers that wait for their place.', engine.waiting],
      ['cria_cache_blocks_used', 'Cache blocks in use.', engine.usedBlocks],
      ['cria_cache_blocks', 'Cache blocks in all.', engine.blockCount],
      ['cria_engine_steps', 'Batches computed since the start.', engine.steps],
      ['cria_engine_rows', 'Rows of those batches.', engine.rows],
    ];
    const parts: { lines(): string[] }[] = [
      this.requests,
      this.readSeconds,
      this.compileSeconds,
      this.answers,
      this.promptTokens,
      this.cachedTokens,
      this.promptSeconds,
      this.predictedTokens,
      this.predictedSeconds,
      this.guessedTokens,
      this.rightTokens,
      this.firstToken,
      this.perToken,
      ...gauges.map(([name, help, value]) => ({ lines: () => [...head(name, help, 'gauge'), `${name} ${value}`] })),
    ];
    return `${parts.flatMap((part) => part.lines()).join('\n')}\n`;
  }
}
