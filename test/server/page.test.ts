/** The chat page in headless Chromium: a conversation, by keyboard too, and what hostile text does to it (nothing). */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { noBrowser } from '../support/browser.ts';
import { ask, chatPages, stored } from '../support/chat-page.ts';

const hostile = [
  '# Heading\n\nSome **bold** and `code`, a [link](https://example.com/a) and a [trap](javascript:alert(1)).',
  '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>',
  '```ts\nconst a = "<b>";\n```',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n2. two\n   - inner\n\n> quoted',
].join('\n\n');

describe('the chat page', { skip: noBrowser }, async () => {
  if (noBrowser) return;
  const pages = await chatPages((prompt) => (/slow/.test(prompt) ? 'word '.repeat(20_000) : hostile));
  const { open } = pages;
  after(() => pages.close());

  test('an answer is Markdown, and nothing in it is HTML', async () => {
    const { page, complaints } = await open();
    await ask(page, 'hello');
    const answer = page.locator('.message.assistant').last();
    strictEqual(await answer.locator('strong').textContent(), 'bold');
    strictEqual(await answer.locator('figure.code code').textContent(), 'const a = "<b>";');
    strictEqual(await answer.locator('td').count(), 2);
    strictEqual(await answer.locator('ol > li').count(), 2);
    strictEqual(await answer.locator('ol ul > li').count(), 1);
    strictEqual(await answer.locator('blockquote').textContent(), 'quoted');
    deepStrictEqual(await answer.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href'))), [
      'https://example.com/a',
    ]);
    ok((await answer.textContent())!.includes('<img src=x onerror="window.hacked=1">'));
    strictEqual(await answer.locator('img, script').count(), 0);
    strictEqual(await page.evaluate(() => (globalThis as { hacked?: number }).hacked), undefined);
    ok(/tokens\/s/.test((await answer.textContent())!));
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('stop, regenerate, edit; conversations are there after a reload, and can be deleted', async () => {
    const { page, complaints } = await open();
    await page.keyboard.type('a slow one');
    await page.keyboard.press('Enter');
    await page.getByText('word word').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('stopped').waitFor();
    while (pages.server.core.gate.inside > 0) await page.waitForTimeout(10); // the request is let go, or the test times out
    await page.getByRole('button', { name: 'Edit' }).click();
    const editor = page.locator('.message textarea');
    strictEqual(await editor.evaluate((field) => field === document.activeElement), true, 'the editor has the focus');
    await editor.fill('a fast one');
    await page.getByRole('button', { name: 'Send again' }).click();
    await page.locator('.message.assistant strong').waitFor();
    await page.getByRole('button', { name: 'Regenerate' }).click();
    const answer = page.locator('.message.assistant');
    await answer.getByText('2/2').waitFor();
    strictEqual(await page.locator('.message').count(), 2);
    await answer.getByRole('button', { name: 'Previous version' }).click();
    await answer.getByText('1/2').waitFor();
    strictEqual(await answer.getByRole('button', { name: 'Previous version' }).isDisabled(), true);
    await answer.getByRole('button', { name: 'Next version' }).click();
    // The question has versions too: the first one, with its answer, is still there.
    const question = page.locator('.message.user');
    await question.getByText('2/2').waitFor();
    await question.getByRole('button', { name: 'Previous version' }).click();
    await question.getByText('a slow one').waitFor();
    await answer.getByText('stopped').waitFor();
    await question.getByRole('button', { name: 'Next version' }).click();
    await answer.getByText('2/2').waitFor();
    await stored(page);
    await page.reload();
    await page.locator('.message.assistant strong').getByText('bold').waitFor();
    await answer.getByText('2/2').waitFor();
    await page.getByRole('button', { name: 'Delete: a fast one' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('link', { name: 'a fast one', exact: true }).waitFor();
    await stored(page);
    await page.reload();
    await page.getByRole('button', { name: 'Delete: a fast one' }).click();
    await stored(page);
    await page.reload();
    await page.getByText('Conversations stay in this browser.').waitFor();
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('settings reach the server; token probabilities show what else could have been', async () => {
    const { page, complaints } = await open();
    const bodies: Record<string, unknown>[] = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') bodies.push(request.postDataJSON());
    });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('System prompt').fill('Be brief.');
    await page.getByLabel('Seed').fill('42');
    await page.getByLabel('Record token probabilities').check();
    await page.getByLabel('Temperature').fill('0.2');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByPlaceholder('Write a message').click();
    await ask(page, 'hello');
    const [body] = bodies as [{ messages: object[] } & Record<string, unknown>];
    deepStrictEqual(body.messages[0], { role: 'system', content: 'Be brief.' });
    deepStrictEqual([body.seed, body.temperature, body.logprobs, body.top_logprobs], [42, 0.2, true, 5]);
    await page.getByRole('button', { name: 'Probabilities' }).click();
    await page.locator('.token').nth(3).hover();
    strictEqual(await page.locator('.alternatives dt').count(), 3);
    const token = (await page.locator('.token').nth(3).boundingBox())!;
    const list = (await page.locator('.alternatives').boundingBox())!;
    ok(Math.abs(list.y - token.y - token.height) < 12, 'the list is at its token');
    await page.keyboard.press('Tab'); // the tokens can be walked through by keyboard
    strictEqual(await page.locator('.alternatives').count(), 1);
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('Korean where the browser asks for it; a phone has one column, dark where the system is', async () => {
    const { page, complaints } = await open({
      locale: 'ko-KR',
      viewport: { width: 390, height: 780 },
      colorScheme: 'dark',
      hasTouch: true,
    });
    strictEqual(await page.getByPlaceholder('메시지를 입력하세요').count(), 1);
    strictEqual(await page.locator('nav').isVisible(), false);
    await page.getByRole('button', { name: '메뉴' }).click();
    await page.getByRole('button', { name: '새 대화' }).click();
    await page.locator('nav').waitFor({ state: 'hidden' });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    ok(wide <= 390, `the page is ${wide} wide`);
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    strictEqual(background, 'rgb(23, 22, 21)');
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('a reader who scrolls away stays there, and can come back; Ctrl+Shift+O begins a new chat', async () => {
    const { page, complaints } = await open({ viewport: { width: 800, height: 400 } });
    await page.keyboard.type('a slow one');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.thread')!.scrollHeight > 700);
    await page.locator('.thread').evaluate((thread) => {
      thread.scrollTop = 0;
    });
    await page.getByRole('button', { name: 'To the end' }).waitFor();
    strictEqual(await page.locator('.thread').evaluate(({ scrollTop }) => scrollTop), 0);
    await page.getByRole('button', { name: 'To the end' }).click();
    await page.getByRole('button', { name: 'To the end' }).waitFor({ state: 'detached' });
    await page.keyboard.press('Control+Shift+O');
    await page.getByText('Ask anything.').waitFor();
    deepStrictEqual(complaints, []);
    await page.context().close();
  });

  test('the whole page is at most 120 KiB', async () => {
    let bytes = 0;
    for (const path of ['', 'chat.js', 'index.css', 'icon.svg']) {
      bytes += (await (await fetch(`${pages.server.url}/${path}`)).arrayBuffer()).byteLength;
    }
    ok(bytes > 50_000 && bytes <= 120 * 1024, `${bytes} bytes`);
  });

  test('the policy forbids what the page does not need', async () => {
    const { headers } = await fetch(pages.server.url);
    const policy = headers.get('content-security-policy')!;
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
      ok(policy.includes(rule), rule);
    }
    ok(!policy.includes('unsafe'));
  });
});
