/** The chat page in a browser: its services, and the page itself. */
import { options, render } from 'preact';
import { App } from '../../../web/chat/app.tsx';
import type { PageWorld } from '../../../web/chat/world.ts';
import { openStorage } from './storage.ts';

// However fast tokens come, the page is drawn once a frame.
options.debounceRendering = (draw) => void requestAnimationFrame(draw);

const world: PageWorld = {
  fetch: (...request) => fetch(...request),
  storage: await openStorage(),
  languages: navigator.languages,
  hasKeyboard: matchMedia('(hover: hover) and (pointer: fine)').matches,
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  randomId: () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join(''),
  copy: (text) => navigator.clipboard.writeText(text),
};
render(<App world={world} />, document.getElementById('app')!);
