/** The chat page in a browser: its services, and the page itself. */
import { render } from 'preact';
import { App } from '../../../web/chat/app.tsx';
import { Chat } from '../../../web/chat/chat.ts';
import type { Address, Notice, PageWorld } from '../../../web/chat/world.ts';
import { openStorage } from './storage.ts';

const randomId = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('');

/** The conversation's name is the address' fragment, which no server hears of. */
const address: Address = {
  read() {
    const [, conversation = null] = /^#\/(\w+)$/.exec(location.hash) ?? [];
    const state: unknown = history.state;
    const fresh = typeof state === 'object' && state !== null && 'fresh' in state ? String(state.fresh) : null;
    return { conversation, fresh };
  },
  go(conversation, fresh, entry) {
    const url = conversation === null ? location.pathname + location.search : address.of(conversation);
    if (entry === 'new') history.pushState({ fresh }, '', url);
    else history.replaceState({ fresh }, '', url);
  },
  of: (conversation) => `#/${conversation}`,
  watch(listener) {
    addEventListener('popstate', listener);
    return () => removeEventListener('popstate', listener);
  },
};

const channel = new BroadcastChannel('cria-chat');

const world: PageWorld = {
  fetch: (path, init) => fetch(path, init),
  storage: await openStorage(),
  address,
  tell: (notice) => channel.postMessage(notice),
  onNotice(listener) {
    const hear = ({ data }: MessageEvent<Notice>) => listener(data);
    channel.addEventListener('message', hear);
    return () => channel.removeEventListener('message', hear);
  },
  onLeave(listener) {
    addEventListener('pagehide', listener);
    return () => removeEventListener('pagehide', listener);
  },
  languages: navigator.languages,
  hasKeyboard: matchMedia('(hover: hover) and (pointer: fine)').matches,
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  nextFrame: (run) => void (document.hidden ? setTimeout(run, 200) : requestAnimationFrame(run)),
  randomId,
  copy: (text) => (navigator.clipboard ? navigator.clipboard.writeText(text) : copyBySelection(text)),
  download(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = Object.assign(document.createElement('a'), { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  },
  print: () => print(),
};

/** Where the page came by plain HTTP from another machine there is no clipboard to write to. */
async function copyBySelection(text: string): Promise<void> {
  const field = Object.assign(document.createElement('textarea'), { value: text });
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (!copied) throw new Error('not copied');
}

const chat = new Chat(world);
chat.start();
render(<App chat={chat} world={world} />, document.getElementById('app')!);
