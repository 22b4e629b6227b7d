/**
 * What goes on otherwise than was asked, but goes on, is a warning of Node, with this name: programs hear of it by
 * `process.on('warning', …)`, and the command line prints it as its own message.
 */
import type { MessagePort, Worker } from 'node:worker_threads';

const NAME = 'CriaWarning';

export function warn(message: string): void {
  process.emitWarning(message, NAME);
}

interface Handed {
  readonly kind: 'warning';
  readonly message: string;
}

/** In a worker: its warnings are the program's, which would not hear of them otherwise. */
export function handWarningsTo(port: MessagePort): void {
  takeWarnings((message) => port.postMessage({ kind: 'warning', message } satisfies Handed));
}

/** What such a worker says goes on as this thread's warnings, and everything else to `others`. */
export function hearWarningsOf<Message>(worker: Worker, others: (message: Message) => void): void {
  worker.on('message', (message: Message | Handed) => {
    if (isHanded(message)) warn(message.message);
    else others(message);
  });
}

function isHanded(message: unknown): message is Handed {
  return (message as Partial<Handed> | null)?.kind === 'warning';
}

/** Our warnings go to `say` instead of to stderr with the number of the process; Node's own stay as they are. */
export function takeWarnings(say: (message: string) => void): void {
  const usual = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === NAME) say(warning.message);
    else for (const listener of usual) listener(warning);
  });
}
