/** The texts that a model is asked by `cria eval`, for a corpus that must not hold them. */
import { resolve } from 'node:path';
import { exampleText } from '../../../evaluation/task/prompt.ts';
import { builtInTasks, tasksNamed } from '../../../evaluation/tasks/table.ts';
import { loadTaskData, parsePlaces } from '../evaluation/data.ts';

/** Nothing is fetched: what a corpus is made from lies below its input folder. */
const offline = { signal: new AbortController().signal, offline: true, env: {}, onProgress: () => {} };

/** Data is looked for at `data`, below the input folder, as `cria eval --data` does; never on the network. Throws ArgumentError `eval.*`. */
export async function* evaluationTexts(
  tasks: readonly string[],
  data: readonly string[],
  input: string,
): AsyncGenerator<{ set: string; text: string }> {
  const places = parsePlaces(data.map((place) => belowInput(place, input)));
  for (const name of new Set(tasks.flatMap(tasksNamed))) {
    const spec = builtInTasks.get(name)!;
    const { docs } = await loadTaskData(spec, places, { hub: offline, withPool: false });
    for (const doc of docs) {
      yield { set: name, text: exampleText(spec, doc) };
      for (const text of textsIn(doc)) yield { set: name, text };
    }
  }
}

function belowInput(place: string, input: string): string {
  const [, task = '', path = ''] = /^((?:[\w-]+(?::[\w-]+)?=)?)(.*)$/.exec(place)!;
  return `${task}${resolve(input, path)}`;
}

/** Every text of an item, however deep. */
function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) yield* textsIn(each);
}
