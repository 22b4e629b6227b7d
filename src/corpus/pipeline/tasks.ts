/** The units of work that a recipe asks for, and the keys that say what each is made from. */
import { ConfigError } from '../../base/errors.ts';
import { sha1Hex } from '../dedup/sha1.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { dedupPlan, filesOf, modelsOf, type StageChoice } from '../stages/table.ts';
import type { CorpusHost, InputEntry } from './host.ts';
import type { Unit } from './task.ts';

/** A change here makes every finished unit stale: raise it when the output of any stage changes. */
const PIPELINE_VERSION = 6;

export function digest(value: unknown): string {
  return sha1Hex(new TextEncoder().encode(JSON.stringify([PIPELINE_VERSION, value])));
}

export interface PlannedUnit extends Unit {
  readonly digest: string;
  readonly bytes: number;
}

/** The units of every source. Throws ConfigError for patterns that match nothing. */
export function planUnits(recipe: Recipe, host: CorpusHost, limit?: number): PlannedUnit[] {
  const problems: string[] = [];
  const units: PlannedUnit[] = [];
  for (const [source, { files, largest }] of Object.entries(recipe.sources)) {
    let entries = host.listFiles(files);
    if (entries.length === 0)
      problems.push(`sources.${source}.files: nothing in ${recipe.input} matches ${files.join(', ')}`);
    if (largest !== undefined) entries = keepLargest(entries, largest);
    for (const [index, group] of groupFiles(entries, recipe.unitBytes).entries()) {
      units.push({
        source,
        index,
        files: group.map(({ name }) => name),
        bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
        digest: digest([group, limit ?? null]),
        ...(limit === undefined ? {} : { limit }),
      });
    }
  }
  if (problems.length > 0) throw new ConfigError(recipe.name, problems, 'recipe.no-files');
  return units;
}

function keepLargest(entries: readonly InputEntry[], count: number): InputEntry[] {
  const kept = new Set([...entries].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1)).slice(0, count));
  return entries.filter((entry) => kept.has(entry));
}

function groupFiles(entries: readonly InputEntry[], unitBytes: number): InputEntry[][] {
  const groups: InputEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    if (bytes + entry.bytes > unitBytes) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(entry);
    bytes += entry.bytes;
  }
  return groups;
}

export function unitName(unit: Unit): string {
  return `${unit.source}-${String(unit.index).padStart(5, '0')}`;
}

/** Units to a folder: of a source with more, each thousand has a folder of its own. */
const FOLDER_UNITS = 1000;

/** The unit's folder in a phase, below the work folder. */
export function unitId(phase: string, unit: Unit): string {
  const thousand = Math.floor(unit.index / FOLDER_UNITS);
  return thousand === 0 ? `${phase}/${unitName(unit)}` : `${phase}/${unit.source}-${thousand}k/${unitName(unit)}`;
}

/** A shard's folder. */
export function shardId(shard: number): string {
  const thousand = Math.floor(shard / FOLDER_UNITS);
  const name = String(shard).padStart(5, '0');
  return thousand === 0 ? `shard/${name}` : `shard/${thousand}k/${name}`;
}

/** Digests of trained and read models by name; a stage's key holds those it uses. */
export type ModelKeys = Readonly<Record<string, string>>;

export function modelKeys(recipe: Recipe, host: CorpusHost): ModelKeys {
  const keys: Record<string, string> = {};
  for (const [name, model] of Object.entries(recipe.models)) {
    const missing: string[] = [];
    const listed = (patterns: readonly string[]) => {
      const entries = host.listFiles(patterns);
      if (entries.length === 0) missing.push(patterns[0] ?? 'no files');
      return entries;
    };
    const { options } = model;
    const inputs =
      model.name === 'train-ngram'
        ? [listed(model.options.from.files), listed([model.options.pieces])]
        : model.name === 'train-classifier'
          ? Object.values(model.options.labels).map(({ files }) => listed(files))
          : model.name === 'evaluation-sets'
            ? [
                ...model.options.data.map((place) => listed(evaluationFiles(place))),
                ...Object.values(model.options.texts).map(({ files }) => listed(files)),
              ]
            : Object.values(options).map((path) => listed([path as string]));
    if (missing.length > 0) {
      const files = missing.join(', ');
      throw new ConfigError(recipe.name, [`models.${name}: ${files} is not in ${recipe.input}`], 'recipe.no-files');
    }
    keys[name] = digest(['model', model, inputs, recipe.maximumRecordBytes]);
  }
  return keys;
}

/** Files at a place of evaluation data: a folder, or TASK=FILE. */
function evaluationFiles(place: string): string[] {
  const path = place.replace(/^[\w-]+(?::[\w-]+)?=/, '');
  return [path, `${path}/**/*`];
}

/** Everything that determines what a run of stages makes of a unit. */
export function stagesKey(
  stages: readonly StageChoice[],
  models: ModelKeys,
  recipe: Recipe,
  host: CorpusHost,
): unknown {
  return stages.map((stage) => [
    stage,
    modelsOf(stage).map((name) => models[name]),
    host.listFiles(filesOf(stage)),
    recipe.maximumRecordBytes,
  ]);
}

/** Positions of a source's dedup stages. */
export function dedupStages(stages: readonly StageChoice[]): number[] {
  return stages.flatMap((stage, i) => (dedupPlan(stage) ? [i] : []));
}
