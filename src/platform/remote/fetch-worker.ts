/** The thread that fetches for all others of its process: they wait for it, so that reading stays synchronous. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { CriaError } from '../../base/errors.ts';
import type { Asked, Question, Reply } from './protocol.ts';
import { type OpenedFile, type RemoteEntry, RemoteFiles, type ServiceOptions } from './service.ts';

const files = new RemoteFiles(workerData as ServiceOptions);

parentPort!.on('message', (port: MessagePort) => {
  port.on('message', (asked: Asked) => void answer(asked, port));
});

async function answer({ id, question, bell }: Asked, port: MessagePort): Promise<void> {
  let reply: Reply;
  try {
    reply = { id, ok: true, value: await done(question) };
  } catch (error) {
    reply = { id, ok: false, ...asWords(error) };
  }
  port.postMessage(reply);
  const rung = new Int32Array(bell);
  Atomics.store(rung, 0, 1);
  Atomics.notify(rung, 0);
}

async function done(question: Question): Promise<readonly RemoteEntry[] | OpenedFile | undefined> {
  if (question.kind === 'list') return files.list(question.pattern);
  if (question.kind === 'open') return files.open(question.name);
  await files.read(question.name, question.file, question.from, new Uint8Array(question.target));
  return undefined;
}

function asWords(error: unknown): { readonly code: string | undefined; readonly message: string } {
  if (error instanceof CriaError) return { code: error.code, message: error.message };
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  // The disk of the hub's cache: the run ends with its words.
  if (syscall !== undefined) return { code: 'hub.cache', message: `${message} (${code})` };
  return { code: undefined, message: error instanceof Error ? (error.stack ?? message) : String(error) };
}
