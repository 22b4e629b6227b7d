import { InvariantError } from '../../../base/assert.ts';
import { normaliseForLanguageModel } from '../../dedup/normalise.ts';
import type { Document } from '../../document.ts';
import { encodeFastText } from '../../language/fasttext-format.ts';
import { SupervisedTrainer } from '../../language/fasttext-train.ts';
import { ArpaReader } from '../../ngram/arpa.ts';
import { type SentenceModel, writeNgramModel } from '../../ngram/file.ts';
import { isKenlm } from '../../ngram/kenlm/layout.ts';
import { readKenlm } from '../../ngram/kenlm/read.ts';
import { KneserNeyTrainer } from '../../ngram/kneser-ney.ts';
import type { Material } from '../../recipe/recipe.ts';
import { GramCollector } from '../../stages/rules/decontaminate.ts';
import { createStage } from '../../stages/table.ts';
import { eachLine, readDocuments, type TaskContext } from '../environment.ts';
import type { UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';

const encoder = new TextEncoder();

/** Trains the models that a recipe does not bring along; n-gram models that it does are put in the form that loads fast. */
export async function trainModel(task: TaskOf<'model'>, folder: UnitFolder, context: TaskContext): Promise<unknown> {
  const model = context.recipe.models[task.model]!;
  if (model.name === 'train-ngram') return trainNgram(model.options, folder, context);
  if (model.name === 'train-classifier') return trainClassifier(model.options, folder, context);
  if (model.name === 'evaluation-sets') return collectGrams(model.options, folder, context);
  if (model.name === 'ngram') {
    const read = readModel(model.options.file, context);
    const output = folder.create('model.ngram');
    writeNgramModel(read, (bytes) => output.write(bytes));
    return { ngrams: read.size, order: read.order };
  }
  throw new InvariantError(`model ${task.model} is read where it is used, not made`);
}

/** A binary file of KenLM, or an ARPA file. */
function readModel(file: string, { host }: TaskContext): SentenceModel {
  const source = host.openRaw(file);
  if (isKenlm(source)) return readKenlm(source);
  const reader = new ArpaReader(file);
  eachLine(source, (line) => reader.line(line));
  return reader.finish();
}

type NgramOptions = Extract<TaskContext['recipe']['models'][string], { name: 'train-ngram' }>['options'];
type ClassifierOptions = Extract<TaskContext['recipe']['models'][string], { name: 'train-classifier' }>['options'];

/** A sentence per line of text, normalised and cut as the perplexity stage will do it. */
async function trainNgram(options: NgramOptions, folder: UnitFolder, context: TaskContext): Promise<unknown> {
  const tokenizer = context.host.tokenizer(options.pieces);
  const trainer = new KneserNeyTrainer({ order: options.order, maximumNgrams: options.maximumNgrams });
  let lines = 0;
  let isFull = false;
  reading: for await (const { text } of materialDocuments(options.from, context)) {
    for (const line of text.split('\n')) {
      const normalised = normaliseForLanguageModel(line);
      if (normalised === '') continue;
      const pieces = tokenizer.pieces(normalised);
      if (trainer.isFull(pieces.length)) {
        isFull = true;
        break reading;
      }
      trainer.sentence(pieces);
      if (++lines >= options.maximumLines) break reading;
    }
  }
  const { grams, model, fallbackOrders } = trainer.train();
  const columns = folder.create('model.ngram');
  writeNgramModel(model, (bytes) => columns.write(bytes));
  const output = folder.create('model.arpa');
  let batch = '';
  for (const line of grams.arpa()) {
    batch += line;
    if (batch.length < 1 << 20) continue;
    output.write(encoder.encode(batch));
    batch = '';
  }
  output.write(encoder.encode(batch));
  return { lines, ngrams: model.size, endedAtMaximumNgrams: isFull, fallbackOrders };
}

type SetOptions = Extract<TaskContext['recipe']['models'][string], { name: 'evaluation-sets' }>['options'];

export interface GramResult {
  readonly words: number;
  readonly sets: readonly string[];
  readonly runs: number;
}

/** Every text of the sets, as runs of words. */
async function collectGrams(options: SetOptions, folder: UnitFolder, context: TaskContext): Promise<GramResult> {
  const collector = new GramCollector(options.words);
  for await (const { set, text } of context.host.evaluationTexts(options.tasks, options.data)) {
    context.host.beat();
    collector.add(set, text);
  }
  for (const [set, material] of Object.entries(options.texts)) {
    for await (const { text } of materialDocuments(material, context)) collector.add(set, text);
  }
  folder.create('grams.bin').write(collector.encode());
  return { words: options.words, sets: collector.sets, runs: collector.low.length };
}

/** Examples that are kept in memory between epochs, in characters; more are read again each time. */
const EXAMPLES_IN_MEMORY = 1 << 27;

async function trainClassifier(options: ClassifierOptions, folder: UnitFolder, context: TaskContext): Promise<unknown> {
  const trainer = new SupervisedTrainer({ ...options, seed: context.recipe.seed });
  const documents: Record<string, number> = {};
  let kept: [label: string, text: string][] | undefined = [];
  let characters = 0;
  for await (const [label, text] of examples(options, context)) {
    trainer.count(label, text);
    documents[label] = (documents[label] ?? 0) + 1;
    characters += text.length;
    if (characters > EXAMPLES_IN_MEMORY) kept = undefined;
    kept?.push([label, text]);
  }
  trainer.start();
  const losses: number[] = [];
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    for await (const [label, text] of kept ?? examples(options, context)) trainer.learn(label, text);
    losses.push(trainer.takeLoss());
  }
  folder.create('model.bin').write(encodeFastText(trainer.finish()));
  return { documents, losses };
}

/** Labels take turns, so that no class is forgotten by the end of an epoch. */
async function* examples(
  options: ClassifierOptions,
  context: TaskContext,
): AsyncGenerator<[label: string, text: string]> {
  const streams = Object.entries(options.labels).map(([label, material]) => ({
    label,
    documents: materialDocuments(material, context),
    count: 0,
    ended: false,
  }));
  while (streams.some(({ ended }) => !ended)) {
    for (const stream of streams) {
      if (stream.ended) continue;
      const { done, value } = await stream.documents.next();
      if (done || stream.count >= options.maximumDocuments) stream.ended = true;
      else {
        stream.count++;
        yield [stream.label, value.text.replaceAll('\n', ' ')];
      }
    }
  }
}

async function* materialDocuments(
  material: Material,
  { recipe, host, environment }: TaskContext,
): AsyncGenerator<Document> {
  const stages = material.stages.map((stage) => createStage(stage, environment));
  const files = host.listFiles(material.files).map(({ name }) => name);
  const options = { source: 'training', maximumRecordBytes: recipe.maximumRecordBytes };
  const ignored = { removed: () => {} };
  for await (const document of readDocuments(material.reader, files, host, options, () => {})) {
    if (stages.every((stage) => stage.apply(document, ignored) === undefined)) yield document;
  }
}
