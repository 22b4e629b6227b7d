/** What people write in the chat page is not lost: addresses, reloads, two tabs, a server that goes, deletions, files out and in. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import type { Download, Page } from 'playwright-core';
import { noBrowser } from '../support/browser.ts';
import { ask, chatPages, stored } from '../support/chat-page.ts';

describe('what the chat page keeps', { skip: noBrowser }, async () => {
  if (noBrowser) return;
  const pages = await chatPages((prompt) =>
    prompt.lastIndexOf('slow') > prompt.lastIndexOf('from two') ? 'word '.repeat(20_000) : 'An answer with **bold**.',
  );
  const { open, openBeside } = pages;
  after(() => pages.close());

  const answer = (page: Page) => page.locator('.message.assistant').last();
  const field = (page: Page) => page.getByPlaceholder('Write a message');
  const menu = async (page: Page, entry: string) => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.locator('#more').getByRole('button', { name: entry, exact: true }).click();
  };
  const textOf = async (download: Download) => readFileSync((await download.path())!, 'utf8');

  test('each conversation has an address; back and forward go between them', async () => {
    const { page, complaints } = await open();
    await ask(page, 'first');
    const first = page.url();
    await page.keyboard.press('Control+Shift+O');
    await ask(page, 'second');
    const second = page.url();
    ok(first !== second && /#\/\w+$/.test(first), `${first} and ${second}`);
    strictEqual(await page.title(), 'second · Cria');
    await page.goBack(); // to the new chat that became the second is one entry, so back is the first
    await page.locator('.message.user').getByText('first').waitFor();
    strictEqual(page.url(), first);
    await page.goForward();
    await page.locator('.message.user').getByText('second').waitFor();
    await stored(page);
    const beside = await openBeside(page, new URL(first).hash.replace(/^/, '/'));
    await beside.page.locator('.message.user').getByText('first').waitFor();
    await page.goto(`${pages.server.url}/#/nobody`);
    await page.getByText('There is no such conversation').waitFor();
    deepStrictEqual([...complaints, ...beside.complaints], []);
    await page.context().close();
  });

  test('a reload in the middle of an answer keeps what had come, and it can be gone on with', async () => {
    const { page, complaints } = await open();
    await field(page).fill('a slow one');
    await page.keyboard.press('Enter');
    await page.getByText('word word word').waitFor();
    await page.reload();
    await answer(page).getByText('interrupted').waitFor();
    const before = (await answer(page).locator('.markdown').textContent())!;
    ok(before.startsWith('word word'), before);
    await answer(page).getByRole('button', { name: 'Continue' }).click();
    await page.waitForFunction(
      (length) => document.querySelector('.message.assistant .markdown')!.textContent!.length > length + 20,
      before.length,
    );
    await page.keyboard.press('Escape');
    await answer(page).getByText('stopped').waitFor();
    ok((await answer(page).locator('.markdown').textContent())!.startsWith(before.trimEnd()));
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('a draft and its files are there after a reload, each with its conversation', async () => {
    const { page, complaints } = await open();
    await field(page).fill('not sent yet');
    await page.locator('.composer input[type=file]').setInputFiles({
      name: 'notes.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('some notes'),
    });
    await page.locator('.composer').getByText('notes.txt').waitFor();
    await page.waitForTimeout(500); // a draft is kept a moment after it was typed
    await page.reload();
    await page.locator('.composer').getByText('notes.txt').waitFor();
    strictEqual(await field(page).inputValue(), 'not sent yet');
    await field(page).press('Enter');
    await answer(page).locator('strong').waitFor();
    strictEqual(await field(page).inputValue(), '');
    await page.locator('.said').getByText('notes.txt').waitFor();
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('what is typed right after the key for a new conversation is in that one, before anything was drawn', async () => {
    const { page, complaints } = await open();
    await ask(page, 'before');
    await page.evaluate(async () => {
      const key = { key: 'O', ctrlKey: true, shiftKey: true, bubbles: true, cancelable: true };
      document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', key));
      for (let i = 0; i < 10; i++) await null; // what waits for no frame
      document.execCommand('insertText', false, 'typed on');
    });
    strictEqual(await field(page).inputValue(), 'typed on');
    await page.keyboard.press('Enter');
    await page.locator('.message.user').getByText('typed on').waitFor();
    strictEqual(await page.locator('.message.user').count(), 1);
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('two tabs: each shows what the other writes, and neither undoes the other', async () => {
    const { page: one, complaints } = await open();
    await ask(one, 'common');
    await stored(one);
    const { page: two, complaints: others } = await openBeside(one, `/${new URL(one.url()).hash}`);
    await answer(two).locator('strong').waitFor();
    // Both ask in the same conversation at the same time; on a busy machine one may have heard of the other's question by then, and goes on
    // after it in place of beside it.
    await field(one).fill('from one, a slow one');
    await field(two).fill('from two');
    await Promise.all([one.keyboard.press('Enter'), two.keyboard.press('Enter')]);
    await answer(two).locator('strong').waitFor();
    await one.getByText('word word').waitFor();
    await answer(one).getByRole('button', { name: 'Regenerate' }).waitFor({ state: 'detached' });
    await one.keyboard.press('Escape');
    await answer(one).getByText('stopped').waitFor();
    await stored(one);
    const texts = new Set<string>();
    await two.reload();
    await two.locator('.message.user').nth(1).waitFor();
    for (const name of ['Previous version', 'Next version']) {
      const button = two.locator('.message.user').nth(1).getByRole('button', { name });
      for (const text of await two.locator('.message.user p').allTextContents()) texts.add(text);
      if ((await button.count()) > 0 && (await button.isEnabled())) await button.click();
      await two.waitForTimeout(200);
      for (const text of await two.locator('.message.user p').allTextContents()) texts.add(text);
    }
    deepStrictEqual(texts, new Set(['common', 'from one, a slow one', 'from two']));
    // A new conversation, a new name and a deletion show in the other tab.
    await one.keyboard.press('Control+Shift+O');
    await ask(one, 'new in one');
    await two.getByRole('link', { name: 'new in one' }).waitFor();
    await menu(one, 'Rename');
    await one.getByLabel('Title').fill('its own name');
    await one.keyboard.press('Enter');
    await two.getByRole('link', { name: 'its own name' }).waitFor();
    await one.getByRole('button', { name: 'Delete: its own name' }).click();
    await two.getByRole('link', { name: 'its own name' }).waitFor({ state: 'detached' });
    await one.getByRole('button', { name: 'Undo' }).click();
    await two.getByRole('link', { name: 'its own name' }).waitFor();
    deepStrictEqual([...complaints, ...others], []);
    await one.context().close();
  });

  test('another tab sees an answer while it is written, and does not call it interrupted', async () => {
    const { page: one } = await open();
    await field(one).fill('a slow one');
    await one.keyboard.press('Enter');
    await one.getByText('word word').waitFor();
    const { page: two } = await openBeside(one, `/${new URL(one.url()).hash}`);
    await answer(two).getByText('being written in another tab').waitFor();
    const before = (await answer(two).locator('.markdown').textContent())!.length;
    await two.waitForFunction(
      (length) => document.querySelector('.message.assistant .markdown')!.textContent!.length > length,
      before,
    );
    await one.keyboard.press('Escape');
    await answer(two).getByText('stopped').waitFor();
    await one.context().close();
  });

  test('a server that goes and comes back: nothing is lost, and the page finds it', async () => {
    const { page } = await open();
    await field(page).fill('a slow one');
    await page.keyboard.press('Enter');
    await page.getByText('word word').waitFor();
    await field(page).fill('and then');
    await pages.server.close();
    await answer(page)
      .getByText(/interrupted|token limit|stopped/)
      .waitFor();
    await page.getByText('The server does not answer.').waitFor();
    ok((await answer(page).locator('.markdown').textContent())!.startsWith('word word'));
    strictEqual(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled(), true);
    await pages.restart();
    await page.getByText('The server does not answer.').waitFor({ state: 'detached' });
    strictEqual(await field(page).inputValue(), 'and then');
    await page.keyboard.press('Control+Shift+O');
    await ask(page, 'are you back');
    await page.context().close();
  });

  test('search, rename, export and import, deleting all, and undoing it', async () => {
    const { page, complaints } = await open();
    await ask(page, 'about Ponies');
    await page.keyboard.press('Control+Shift+O');
    await ask(page, 'about cats');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('pOnIes');
    await page.getByRole('link', { name: 'about cats' }).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'about Ponies' }).click();
    await page.getByLabel('Search conversations').fill('');
    const markdown = page.waitForEvent('download');
    await menu(page, 'Export as Markdown');
    strictEqual((await markdown).suggestedFilename(), 'about-Ponies.md');
    const text = await textOf(await markdown);
    strictEqual(text, '# about Ponies\n\n## You\n\nabout Ponies\n\n## Model\n\nAn answer with **bold**.\n');
    const json = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export all' }).click();
    const all = await textOf(await json);
    await page.getByRole('button', { name: 'Delete all' }).click();
    await page.getByText('2 conversations were deleted.').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('link', { name: 'about cats' }).waitFor();
    await page.getByRole('button', { name: 'Delete all' }).click();
    await page.getByText('Conversations stay in this browser.').waitFor();
    const chooser = page.locator('nav input[type=file]');
    const file = (name: string, content: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
    await chooser.setInputFiles(file('all.json', all));
    await page.getByRole('link', { name: 'about Ponies' }).waitFor();
    await chooser.setInputFiles(file('again.json', all)); // what is there is not doubled
    await page.getByText('2 conversations were imported.').waitFor();
    strictEqual(await page.locator('nav li').count(), 2);
    await chooser.setInputFiles(file('one.md', text.replace('# about Ponies', '# A read one')));
    await page.getByRole('link', { name: 'A read one' }).waitFor();
    await answer(page).locator('strong').waitFor();
    await chooser.setInputFiles(file('none.json', '{"a":1}'));
    await page.getByText('This file holds no conversation').waitFor();
    await stored(page);
    await page.reload();
    await page.locator('nav li').nth(2).waitFor();
    strictEqual(await page.locator('nav li').count(), 3);
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('a system prompt belongs to its conversation; presets are named, chosen, deleted and brought back', async () => {
    const { page, complaints } = await open();
    const prompts: string[] = [];
    page.on('request', (request) => {
      if (request.method() !== 'POST') return;
      const [first] = request.postDataJSON().messages as { role: string; content: string }[];
      prompts.push(first!.role === 'system' ? first!.content : '');
    });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('System prompt').fill('Be a pirate.');
    await page.getByRole('button', { name: 'Save as preset' }).click();
    await page.getByLabel('Name of the preset').fill('Pirate');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await ask(page, 'one');
    await page.keyboard.press('Control+Shift+O');
    strictEqual(await page.getByLabel('System prompt').inputValue(), '');
    await ask(page, 'two');
    await page.getByLabel('Preset').selectOption('Pirate');
    await ask(page, 'three');
    await page.getByRole('button', { name: 'Delete the preset' }).click();
    await page.getByLabel('Preset').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByLabel('Preset').waitFor();
    await page.getByRole('link', { name: 'two' }).waitFor();
    deepStrictEqual(prompts, ['Be a pirate.', '', 'Be a pirate.']);
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('a paste of 5 MB becomes a file, and freezes nothing', async () => {
    const { page, complaints } = await open();
    await field(page).focus();
    const longest = await page.evaluate(async () => {
      const line = 'lorem ipsum dolor sit amet 한글 ';
      const data = new DataTransfer();
      data.setData('text/plain', line.repeat(5e6 / line.length));
      let gap = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        gap = Math.max(gap, performance.now() - last);
        last = performance.now();
      }, 10);
      document.activeElement!.dispatchEvent(
        new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }),
      );
      await new Promise((resolve) => setTimeout(resolve, 1500));
      clearInterval(timer);
      return gap;
    });
    await page.locator('.composer').getByText('pasted.txt').waitFor();
    console.log(`# the longest pause of the page around a paste of 5 MB: ${longest.toFixed(0)} ms`);
    strictEqual(await field(page).inputValue(), '');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.locator('.message.user').getByText('pasted.txt').waitFor();
    await page.locator('.message.assistant [role=alert]').waitFor(); // no model has room for it, and it is said
    await page.getByRole('button', { name: 'Delete: pasted.txt', exact: true }).click();
    deepStrictEqual(
      complaints.filter((text) => !/status of 4/.test(text)),
      [],
    );
    await page.context().close();
  });

  test('where the browser keeps nothing, it is said, and the page works', async () => {
    const { page } = await open();
    await page.context().addInitScript(() => {
      Object.defineProperty(globalThis, 'indexedDB', {
        value: {
          open: () => {
            throw new Error('no');
          },
        },
      });
    });
    await page.reload();
    await page.getByText('This browser keeps nothing here').waitFor();
    await ask(page, 'hello');
    await answer(page).locator('strong').waitFor();
    await page.context().close();
  });
});
