/** A fine-tuning run on one page: what was proved of the data, the method's curves, samples with their marks, answers over time. */
import { formatCount, formatDuration } from '../../base/units.ts';
import { type Curve, drawCharts, escapeText, reportPage, series } from '../../training/run/report.ts';
import type { Run } from '../data/proof.ts';
import type { TuningMetrics } from './loop.ts';

/** Numbers of methods that share a chart, and its title. */
const groups: readonly (readonly [title: string, names: readonly string[]])[] = [
  ['margin (chosen − rejected reward)', ['margin', 'chosenReward']],
  ['accuracy', ['accuracy', 'accuracy significantly', 'accuracy better', 'accuracy slightly', 'accuracy negligibly']],
  ['score of the answers', ['score', 'bestScore']],
  ['KL to the reference (k3, nats an answer)', ['kl']],
  ['entropy (nats a token)', ['entropy']],
  ['tokens of an answer', ['length']],
  ['shares', ['ended', 'repetition', 'clipFraction', 'groupsWithoutSpread']],
  ['value loss', ['valueLoss']],
];
const colors = ['#47c', '#c40', '#383', '#639', '#888'];

export function tuningSvg(metrics: readonly TuningMetrics[]): string {
  const validated = metrics.filter(({ validation }) => validation);
  const charts: [string, Curve[]][] = [
    [
      'loss',
      [
        { label: 'training', color: '#89a', points: series(metrics, ({ loss }) => loss) },
        { label: 'smoothed', color: '#47c', points: series(metrics, ({ smoothedLoss }) => smoothedLoss) },
        ...(validated.length === 0
          ? []
          : [
              {
                label: 'validation',
                color: '#c40',
                points: series(validated, ({ validation }) => validation!.loss ?? Number.NaN),
              },
            ]),
      ],
    ],
    ...groups.map(([title, names]): [string, Curve[]] => [
      title,
      names
        .filter((name) => metrics.some(({ numbers }) => numbers[name] !== undefined))
        .map((name, i) => ({
          label: names.length > 1 ? name.replace('accuracy ', '') : '',
          color: colors[i % colors.length]!,
          points: series(
            metrics.filter(({ numbers }) => numbers[name] !== undefined),
            ({ numbers }) => numbers[name]!,
          ),
        })),
    ]),
    ['learning rate', [{ label: '', color: '#383', points: series(metrics, ({ learningRate }) => learningRate) }]],
    ['gradient norm', [{ label: '', color: '#639', points: series(metrics, ({ gradientNorm }) => gradientNorm) }]],
    ['tokens a second', [{ label: '', color: '#888', points: series(metrics, (m) => m.tokensPerSecond) }]],
  ];
  return drawCharts(charts, metrics.at(-1)?.tokens ?? 0);
}

export function tuningHtml(
  name: string,
  facts: readonly (readonly [string, string])[],
  samples: readonly { readonly title: string; readonly runs: readonly Run[] }[],
  metrics: readonly TuningMetrics[],
  isRunning: boolean,
): string {
  const last = metrics.at(-1);
  const progress: [string, string][] = last
    ? [
        ['step', String(last.step)],
        ['tokens seen', formatCount(last.tokens)],
        ['time so far', formatDuration(last.seconds)],
        ['smoothed loss', last.smoothedLoss.toFixed(4)],
      ]
    : [];
  const alarms = metrics.flatMap(({ step, alarms }) => alarms.map((alarm) => `step ${step}: ${alarm}`)).slice(-10);
  const answers = metrics.filter(({ sample }) => sample !== undefined).slice(-5);
  const body = [
    alarms.length > 0
      ? `<h2>Alarms</h2><ul>${alarms.map((alarm) => `<li>${escapeText(alarm)}</li>`).join('')}</ul>`
      : '',
    `<div class="curves">${tuningSvg(metrics)}</div>`,
    answers.length > 0 ? '<h2>Answers</h2>' : '',
    ...answers.toReversed().map(({ step, sample }) => `<h3>step ${step}</h3><pre>${escapeText(sample!)}</pre>`),
    '<h2>What is learned from</h2><p>What carries loss is <b>bold and underlined</b>.</p>',
    '<style>.loss{font-weight:bold;text-decoration:underline;text-decoration-color:#2a2}.quiet{opacity:.6}</style>',
    ...samples.map(({ title, runs }) => `<h3>${escapeText(title)}</h3><pre>${runs.map(markedHtml).join('')}</pre>`),
  ];
  return reportPage(name, [...facts, ...progress], body.join('\n'), isRunning);
}

function markedHtml({ text, carries }: Run): string {
  return `<span class="${carries ? 'loss' : 'quiet'}">${escapeText(text)}</span>`;
}
