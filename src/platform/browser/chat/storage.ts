/** Conversations and settings in IndexedDB. Where the browser has none (a private window), they live as long as the page. */
import type { Conversation } from '../../../web/chat/conversation/conversation.ts';
import { conversationFrom } from '../../../web/chat/conversation/kept.ts';
import type { Leaving, Storage } from '../../../web/chat/world.ts';

const NAME = 'cria-chat';
const VERSION = 1;

/** Notes lie in localStorage, which is written at once: each under a name of its own, as several tabs may close together. */
const NOTES = 'cria-chat leaving ';
/** Characters. Browsers hold some five million in all. */
const LONGEST_NOTE = 1_000_000;

function note(leaving: Leaving): void {
  const text = JSON.stringify(leaving);
  const own = leaving.kind === 'message' ? leaving.message.id : leaving.conversation;
  try {
    if (text.length <= LONGEST_NOTE) localStorage.setItem(`${NOTES}${leaving.kind} ${own}`, text);
  } catch {} // full or forbidden: there is nobody left to tell
}

function noted(): readonly Leaving[] {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(NOTES));
  return keys.map((key) => {
    const text = localStorage.getItem(key)!;
    localStorage.removeItem(key);
    return JSON.parse(text) as Leaving;
  });
}

export async function openStorage(): Promise<Storage> {
  try {
    return storageOf(await open());
  } catch {
    return memoryStorage();
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('conversations', { keyPath: 'id' });
    request.result.createObjectStore('settings');
  };
  return done(request);
}

function storageOf(database: IDBDatabase): Storage {
  const store = (name: 'conversations' | 'settings', mode: IDBTransactionMode) =>
    database.transaction(name, mode).objectStore(name);
  /** Reads and writes in one transaction, so that nobody writes between. */
  const change = async (
    name: 'conversations' | 'settings',
    key: string,
    put: (kept: unknown, store: IDBObjectStore) => void,
  ) => {
    const held = store(name, 'readwrite');
    const reading = held.get(key);
    reading.onsuccess = () => put(reading.result, held);
    await finished(held.transaction);
  };
  return {
    keeps: true,
    note,
    noted,
    async conversations() {
      const records = await done(store('conversations', 'readonly').getAll());
      return records.map(read).filter((each) => each !== null);
    },
    conversation: async (id) => read(await done(store('conversations', 'readonly').get(id))),
    change: (id, update) =>
      change('conversations', id, (record, held) => {
        const next = update(read(record));
        if (next === null) held.delete(id);
        else held.put(next);
      }),
    value: (key) => done(store('settings', 'readonly').get(key)),
    changeValue: (key, update) =>
      change('settings', key, (kept, held) => {
        const next = update(kept);
        if (next === undefined) held.delete(key);
        else held.put(next, key);
      }),
  };
}

/** A record in today's form. What had no names gets the same ones each time that it is read. */
function read(record: unknown): Conversation | null {
  const id = (record as { id?: string } | undefined)?.id ?? '';
  let count = 0;
  return conversationFrom(record, () => `${id}x${count++}`, 0);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

function memoryStorage(): Storage {
  const conversations = new Map<string, Conversation>();
  const values = new Map<string, unknown>();
  return {
    keeps: false,
    note: () => {},
    noted: () => [],
    conversations: async () => [...conversations.values()],
    conversation: async (id) => conversations.get(id) ?? null,
    async change(id, update) {
      const next = update(conversations.get(id) ?? null);
      if (next === null) conversations.delete(id);
      else conversations.set(id, next);
    },
    value: async (key) => values.get(key),
    async changeValue(key, update) {
      const next = update(values.get(key));
      if (next === undefined) values.delete(key);
      else values.set(key, next);
    },
  };
}
