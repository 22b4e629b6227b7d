/** The chat page in a browser: its services, and the page itself. */
import { render } from 'preact';
import { App } from '../../../web/chat/app.tsx';
import type { PageWorld } from '../../../web/chat/world.ts';
import { openStorage } from './storage.ts';

const world: PageWorld = {
  fetch: (...request) => fetch(...request),
  storage: await openStorage(),
  languages: navigator.languages,
  now: () => Date.now(),
  randomId: () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join(''),
  copy: (text) => navigator.clipboard.writeText(text),
};
render(<App world={world} />, document.getElementById('app')!);
