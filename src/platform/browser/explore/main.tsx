/** The explorer's page in a browser: its services, and the page itself. */
import { options, render } from 'preact';
import { type PageCall, type PageModel, pageModelOf, servedModel } from '../../../explorer/page-model.ts';
import { App } from '../../../web/explore/app.tsx';
import type { PageWorld } from '../../../web/explore/world.ts';
import { svgOf } from './svg.ts';

options.debounceRendering = (draw) => void requestAnimationFrame(draw);

/** The server's API key, where it asks for one: known until the page is closed. */
let key = '';

/** Where a server answers; a page of static files has nobody there. */
async function ask(call: PageCall): Promise<ArrayBuffer> {
  const response = await fetch('./call', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key !== '' && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify(call),
  });
  if (response.ok) return response.arrayBuffer();
  const text = await response.text();
  if (response.status === 401) {
    const given = prompt(JSON.parse(text).error.message);
    if (given) {
      key = given;
      return ask(call);
    }
  }
  let message = text;
  try {
    message = (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {}
  throw new Error(message);
}

/** A model in this page: its library is fetched only now. */
async function local(source: URL | readonly File[], onProgress: (share: number) => void): Promise<PageModel> {
  const { Llama } = await import('../index.ts');
  const model = await Llama.load(source as URL, {
    onProgress: ({ done, total }) => onProgress(total ? done / total : 0),
  });
  return pageModelOf(model);
}

/** A server says with it that it answers questions, too. */
const formulas = fetch('./formulas.json');

/** What is printed has its tables open. */
function openTables(): void {
  for (const table of document.querySelectorAll('details')) table.open = true;
}
addEventListener('beforeprint', openTables);

const world: PageWorld = {
  async open(onProgress) {
    const isServed = (await formulas).headers.get('x-cria-explorer') === 'served';
    return isServed ? servedModel(ask) : local(new URL('./model.gguf', location.href), onProgress);
  },
  openFiles: local,
  formulas: async () => (await formulas).clone().json(),
  languages: navigator.languages,
  reducedMotion: matchMedia('(prefers-reduced-motion: reduce)').matches,
  isNarrow: () => matchMedia('(max-width: 600px)').matches,
  hash: () => location.hash,
  setHash(hash, push) {
    const address = `${location.pathname}${location.search}#${hash}`;
    if (push) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
  },
  onHash(run) {
    addEventListener('popstate', run);
    addEventListener('hashchange', run);
    return () => {
      removeEventListener('popstate', run);
      removeEventListener('hashchange', run);
    };
  },
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  copy: (text) => navigator.clipboard.writeText(text),
  save(name, type, text) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = document.createElement('a');
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  },
  svgOf,
  print() {
    openTables();
    setTimeout(() => window.print(), 300); // they are filled when they open
  },
};
render(<App world={world} />, document.getElementById('app')!);
