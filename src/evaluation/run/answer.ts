/**
 * Puts the questions of one item to the model. Under several rule sets the same request is computed once; the choices of a question are
 * scored from one reading of it.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { Score } from '../../inference/reading/scoring.ts';
import type { Metric } from '../metrics/metric.ts';
import { metrics } from '../metrics/table.ts';
import { pairOf, type Request, rollingWindows, scoreRequests } from '../requests.ts';
import type { Question } from '../task/prompt.ts';
import type { MetricUse, TaskSpec } from '../task/spec.ts';
import type { EvaluatedModel } from './model.ts';

export interface Answered {
  readonly question: Question;
  /** Of the requests, in order; of a whole text one. */
  readonly scores: readonly Score[];
  readonly afterNothing?: readonly number[];
  readonly afterNeutral?: readonly number[];
  /** What was generated, once per repeat. */
  readonly responses: readonly string[];
  /** Tokens of the beginning that had no room. */
  readonly cutTokens: number;
  /** The context has less room for an answer than the task allows it. */
  readonly shortened: boolean;
}

/** New tokens of an answer where the task does not say, as in the harness. */
const USUAL_NEW_TOKENS = 256;

export interface Asked {
  readonly spec: TaskSpec;
  readonly question: Question;
}

/** Remembers what texts score after nothing and after the neutral context: the choices A, B, C and D come again and again. */
export class AnswerWriter {
  private readonly model: EvaluatedModel;
  private readonly task: string;
  private readonly known = new Map<string, Promise<Score>>();

  constructor(model: EvaluatedModel, task: string) {
    this.model = model;
    this.task = task;
  }

  /** Answers to an item's questions, one for each rule set. `place`: of the item, which seeds what is drawn for it. */
  async answer(asked: readonly Asked[], place: number): Promise<Answered[]> {
    const scored = await this.scoreAll(asked.flatMap(({ question }) => requestsOf(question)));
    const texts = new Map<string, Promise<Pick<Answered, 'responses' | 'cutTokens' | 'shortened'>>>();
    return Promise.all(
      asked.map(async ({ spec, question }): Promise<Answered> => {
        switch (question.kind) {
          case 'multiple_choice':
          case 'loglikelihood': {
            const scores = requestsOf(question).map((request) => scored.get(keyOf(request))!);
            const needs = new Set(spec.metric_list.map(({ metric }) => needsOf(metric)));
            const after = async (context: string) =>
              (
                await Promise.all(
                  requestsOf(question).map(({ continuation }) => this.remembered({ context, continuation })),
                )
              ).map(({ logLikelihood }) => logLikelihood);
            return {
              question,
              scores,
              responses: [],
              shortened: false,
              cutTokens: Math.max(0, ...scores.map(({ dropped }) => dropped)),
              ...(needs.has('after nothing') && { afterNothing: await after('') }),
              ...(needs.has('after neutral') && { afterNeutral: await after(spec.neutral_context) }),
            };
          }
          case 'loglikelihood_rolling':
            return {
              question,
              scores: [await this.scoreText(question.text)],
              responses: [],
              cutTokens: 0,
              shortened: false,
            };
          case 'generate_until': {
            const key = JSON.stringify([question.context, spec.generation_kwargs, spec.repeats]);
            const text = texts.get(key) ?? this.write(spec, question.context, place);
            texts.set(key, text);
            return { question, scores: [], ...(await text) };
          }
        }
      }),
    );
  }

  private async scoreAll(requests: readonly Request[]) {
    const unique = new Map(requests.map((request) => [keyOf(request), request]));
    // Neighbours of one context are scored together.
    const ordered = [...unique.values()].sort((a, b) => (a.context < b.context ? -1 : a.context > b.context ? 1 : 0));
    const scores = await scoreRequests(this.model, ordered, 'truncate');
    return new Map(ordered.map((request, i) => [keyOf(request), scores[i]!]));
  }

  private remembered(request: Request): Promise<Score> {
    const key = keyOf(request);
    const known = this.known.get(key);
    if (known) return known;
    const score = scoreRequests(this.model, [request], 'truncate').then(([first]) => first!);
    this.known.set(key, score);
    return score;
  }

  private async scoreText(text: string): Promise<Score> {
    const { model } = this;
    const { prefixId, contextLength } = model;
    if (prefixId === null) {
      throw new UnsupportedError(
        'eval.rolling',
        `${this.task}: expected a model with a beginning token, after which a text's first token is scored, found none. Take another model.`,
      );
    }
    const encoded = model.encode(text);
    const ids = encoded[0] === prefixId ? encoded.subarray(1) : encoded;
    let logLikelihood = 0;
    let isGreedy = true;
    for (const { context, continuation } of rollingWindows(ids, prefixId, contextLength)) {
      const [score] = await model.score(context, [continuation]);
      logLikelihood += score!.logLikelihood;
      isGreedy &&= score!.isGreedy;
    }
    return { logLikelihood, isGreedy, tokens: ids.length };
  }

  private async write(spec: TaskSpec, context: string, place: number) {
    const { until = [], do_sample = false, temperature = 1, top_p = 1, max_gen_toks } = spec.generation_kwargs ?? {};
    const { model } = this;
    // At least half of the context is the question's.
    const allowed = max_gen_toks ?? USUAL_NEW_TOKENS;
    const maxTokens = Math.min(allowed, Math.floor(model.contextLength / 2));
    const whole = model.encodeContext(context);
    const cutTokens = Math.max(0, whole.length - (model.contextLength - maxTokens));
    const ids = whole.subarray(cutTokens);
    const draw = async (repeat: number) => {
      const text = await model.generate(ids, {
        stop: until,
        maxTokens,
        temperature: do_sample ? temperature : 0,
        topP: do_sample ? top_p : 1,
        seed: seedOf(this.task, place, repeat),
      });
      return until.reduce((rest, stop) => (stop === '' ? rest : rest.split(stop)[0]!), text);
    };
    return {
      responses: await Promise.all(Array.from({ length: spec.repeats }, (_, i) => draw(i))),
      cutTokens,
      shortened: maxTokens < allowed,
    };
  }
}

/** Whether all that is scored of a question fits into the context. */
export function fits(model: EvaluatedModel, question: Question): boolean {
  return requestsOf(question).every((request) => {
    const { context, continuation } = pairOf(model, request);
    return context.length + continuation.length <= model.contextLength + 1;
  });
}

export function requestsOf(question: Question): readonly Request[] {
  if (question.kind === 'multiple_choice') return question.requests;
  return question.kind === 'loglikelihood' ? [question.request] : [];
}

const keyOf = ({ context, continuation }: Request) => JSON.stringify([context, continuation]);

const needsOf = (metric: MetricUse['metric']) => (metrics[metric] as Metric).needs;

/** The same draws for an item whatever is asked beside it. */
function seedOf(task: string, place: number, repeat: number): number {
  let mixed = 0x811c9dc5;
  for (const mark of `${task} ${place} ${repeat}`) mixed = Math.imul(mixed ^ mark.codePointAt(0)!, 0x01000193);
  return (mixed >>> 0) & 0x7fffffff;
}
