/** Conversations and settings in IndexedDB. Where the browser has none (a private window), they live as long as the page. */
import type { Conversation, Settings } from '../../../web/chat/conversation.ts';
import type { Storage } from '../../../web/chat/world.ts';

const NAME = 'cria-chat';
const VERSION = 1;

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
  return {
    conversations: () => done(store('conversations', 'readonly').getAll() as IDBRequest<Conversation[]>),
    save: async (conversation) => void (await done(store('conversations', 'readwrite').put(conversation))),
    remove: async (id) => void (await done(store('conversations', 'readwrite').delete(id))),
    settings: async () => (await done(store('settings', 'readonly').get('settings') as IDBRequest<Settings>)) ?? {},
    saveSettings: async (settings) => void (await done(store('settings', 'readwrite').put(settings, 'settings'))),
  };
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function memoryStorage(): Storage {
  const conversations = new Map<string, Conversation>();
  let kept: Partial<Settings> = {};
  return {
    conversations: async () => [...conversations.values()],
    save: async (conversation) => void conversations.set(conversation.id, conversation),
    remove: async (id) => void conversations.delete(id),
    settings: async () => kept,
    saveSettings: async (settings) => {
      kept = settings;
    },
  };
}
