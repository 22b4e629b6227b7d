/**
 * Files by address for threads that read synchronously (`ByteSource`): a thread of its own fetches, the reader waits for it. One such thread serves a whole
 * process; each reading thread has its own port to it.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { CriaError } from '../../base/errors.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { openFile } from '../node/files.ts';
import type { Asked, Pending, Question, Reply } from './protocol.ts';
import { RemoteSource } from './remote-source.ts';
import type { OpenedFile, RemoteEntry, ServiceOptions } from './service.ts';

/** How long a wait lasts before the reader says that it is still there. */
const SLICE_MS = 1000;

/** What is below each pattern. */
export type Listed = ReadonlyMap<string, readonly RemoteEntry[]>;

export interface RemoteThread {
  /** For a reading thread, which makes its RemoteReader of it. */
  port(): MessagePort;
  /** Lists without blocking, for the thread that hears interrupts. Throws CriaError `network.…`, `hub.…`. */
  list(pattern: string): Promise<readonly RemoteEntry[]>;
  close(): Promise<void>;
}

export function startRemoteThread(options: ServiceOptions): RemoteThread {
  const worker = new Worker(new URL('./fetch-worker.ts', import.meta.url), { workerData: options });
  worker.unref();
  const port = () => {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage(port2, [port2]);
    return port1;
  };
  return {
    port,
    async list(pattern) {
      const own = port();
      try {
        const answered = once(own, 'message') as Promise<[Reply]>;
        const question: Question = { kind: 'list', pattern };
        own.postMessage({ id: 0, question, bell: new SharedArrayBuffer(4) } satisfies Asked);
        return resultOf((await answered)[0]) as readonly RemoteEntry[];
      } finally {
        own.close();
      }
    },
    async close() {
      await worker.terminate();
    },
  };
}

/** What a reading thread holds. */
export class RemoteReader {
  private readonly port: MessagePort;
  private readonly beat: () => void;
  private readonly replies = new Map<number, Reply>();
  private readonly unwanted = new Set<number>();
  private readonly listed: Listed;
  private asked = 0;

  /** `beat` is called while this thread waits; `listed` is not asked for again. */
  constructor(port: MessagePort, beat: () => void, listed: Listed = new Map()) {
    this.port = port;
    this.beat = beat;
    this.listed = listed;
    port.unref();
  }

  /** Throws CriaError `network.…`, `hub.…`. */
  list(pattern: string): readonly RemoteEntry[] {
    return this.listed.get(pattern) ?? (this.ask({ kind: 'list', pattern }).wait() as readonly RemoteEntry[]);
  }

  /** Throws CriaError `network.…`, `hub.…`, `source.missing`. */
  open(name: string): ByteSource {
    const opened = this.ask({ kind: 'open', name }).wait() as OpenedFile;
    if (opened.kind === 'remote') return new RemoteSource(name, opened, (question) => this.ask(question));
    const source = openFile(opened.path);
    const { byteLength } = source;
    return { name, byteLength, readInto: (target, at) => source.readInto(target, at), close: () => source.close() };
  }

  private ask(question: Question): Pending {
    const id = this.asked++;
    const bell = new SharedArrayBuffer(4);
    this.port.postMessage({ id, question, bell } satisfies Asked);
    return { wait: () => this.wait(id, new Int32Array(bell)), drop: () => this.unwanted.add(id) };
  }

  private wait(id: number, bell: Int32Array): unknown {
    while (Atomics.load(bell, 0) === 0) {
      Atomics.wait(bell, 0, 0, SLICE_MS);
      this.beat();
    }
    while (!this.replies.has(id)) {
      const reply = receiveMessageOnPort(this.port)!.message as Reply;
      if (!this.unwanted.delete(reply.id)) this.replies.set(reply.id, reply);
    }
    const reply = this.replies.get(id)!;
    this.replies.delete(id);
    return resultOf(reply);
  }
}

function resultOf(reply: Reply): unknown {
  if (reply.ok) return reply.value;
  if (reply.code === undefined) throw new Error(reply.message);
  throw new CriaError(reply.code, reply.message);
}
