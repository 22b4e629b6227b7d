/** Wikipedia `pages-articles` dumps: articles only (namespace 0, no redirects), wikitext stripped to prose. */
import type { Document } from '../document.ts';
import type { InputFile, ReadContext } from './reader.ts';
import { wikitextToProse } from './wikitext.ts';
import { parseXml } from './xml.ts';

interface Page {
  title: string;
  namespace: string;
  id: string;
  date: string;
  text: string;
  redirect: boolean;
}

export async function* readWikipedia(file: InputFile, context: ReadContext): AsyncGenerator<Document> {
  for await (const page of readPages(file, context)) {
    if (page.namespace !== '0' || page.redirect) continue;
    const text = wikitextToProse(page.text);
    yield { id: `${file.name}#${page.id}`, title: page.title, date: page.date, text, attributes: {} };
  }
}

async function* readPages(file: InputFile, context: ReadContext): AsyncGenerator<Page> {
  let page = emptyPage();
  let ready: Page[] = [];
  const path: string[] = [];
  const xml = parseXml(file.chunks(), context.maximumRecordBytes, {
    open(name) {
      path.push(name);
      if (name === 'page') page = emptyPage();
      if (name === 'redirect') page.redirect = true;
    },
    text(text) {
      const where = path.slice(-2).join('/');
      if (where === 'page/title') page.title += text;
      else if (where === 'page/ns') page.namespace += text;
      else if (where === 'page/id') page.id += text;
      else if (where === 'revision/timestamp') page.date += text;
      else if (where === 'revision/text') page.text += text;
    },
    close(name) {
      path.pop();
      if (name === 'page') ready.push(page);
    },
  });
  for (;;) {
    const { done, value } = await xml.next();
    yield* ready;
    ready = [];
    if (!done) continue;
    if (value) context.problem('broken-xml', `${file.name}: ${value.message}; what came before was kept`);
    return;
  }
}

function emptyPage(): Page {
  return { title: '', namespace: '', id: '', date: '', text: '', redirect: false };
}
