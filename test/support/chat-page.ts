/** The chat page in a headless Chromium, served with a model that says what it is told to. */
import type { Browser, Page } from 'playwright-core';
import { createLog } from '../../src/platform/node/serve/log.ts';
import { type ModelServer, type ServeSettings, startServer } from '../../src/platform/node/serve/server.ts';
import type { ServedModel } from '../../src/server/world.ts';
import { launchBrowser, newPage } from './browser.ts';
import { scriptedModel } from './scripted-model.ts';
import { serveDefaults } from './server.ts';

export interface ChatPage {
  readonly page: Page;
  /** What the browser complained of, and requests to anybody but the server. */
  readonly complaints: string[];
}

export interface ChatPages {
  readonly browser: Browser;
  readonly server: ModelServer;
  /** Another server at the same address, in the place of the one that was closed. */
  restart(): Promise<void>;
  open(options?: object): Promise<ChatPage>;
  /** Another tab of the same reader. */
  openBeside(page: Page, path?: string): Promise<ChatPage>;
  close(): Promise<void>;
}

export function serveChat(model: ServedModel, settings: Partial<ServeSettings> = {}): Promise<ModelServer> {
  const log = createLog({ write: () => {} }, { level: 'silent', prompts: false });
  return startServer(model, { ...serveDefaults, page: true, bodyBytes: 8 << 20, drainSeconds: 0.2, ...settings }, log);
}

export async function chatPages(answerTo: (prompt: string) => string): Promise<ChatPages> {
  const { buildWeb } = (await import(new URL('../../scripts/build-web.js', import.meta.url).href)) as {
    buildWeb(options: object): Promise<void>;
  };
  await buildWeb({ log: () => {} });
  const model = scriptedModel(answerTo, 4);
  let server = await serveChat(model);
  const browser = await launchBrowser();
  const watch = async (page: Page, path = '/'): Promise<ChatPage> => {
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url)) complaints.push(`asked ${request.url()}`);
    });
    await page.goto(server.url + path);
    await page.getByText('tiny').first().waitFor();
    return { page, complaints };
  };
  return {
    browser,
    get server() {
      return server;
    },
    async restart() {
      server = await serveChat(model, { port: Number(new URL(server.url).port) });
    },
    async open(options = {}) {
      return watch(await newPage(browser, { viewport: { width: 1200, height: 800 }, ...options }));
    },
    openBeside: async (page, path) => watch(await page.context().newPage(), path),
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** Asks, and waits for the whole answer. */
export async function ask(page: Page, text: string): Promise<void> {
  await page.getByPlaceholder('Write a message').fill(text);
  await page.keyboard.press('Enter');
  await page.locator('.message.user').getByText(text, { exact: true }).last().waitFor();
  await page.locator('.message.assistant').last().getByRole('button', { name: 'Regenerate' }).waitFor();
}

/** Waits until what the page has saved so far is on the disk: a reading waits for the writings before it. */
export async function stored(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const opened = indexedDB.open('cria-chat');
        opened.onerror = () => reject(opened.error);
        opened.onsuccess = () => {
          const count = opened.result.transaction('conversations').objectStore('conversations').count();
          count.onerror = () => reject(count.error);
          count.onsuccess = () => resolve(opened.result.close());
        };
      }),
  );
}
