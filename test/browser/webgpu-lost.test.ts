/** The same in headless Chromium: the device goes away in mid-answer, the page goes on, and a retry answers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type * as Sources from '../../src/platform/browser/sources.ts';
import { launchBrowser, newPage, noBrowser, serveSources, softwareGpu } from '../support/browser.ts';
import { goldenPath } from '../support/golden.ts';
import type * as Losing from '../support/losing-gpu.ts';
import { checkHeard } from '../support/losing-gpu.ts';

test('a device that is lost in mid-answer in Chromium: one clear error, and the model loaded again answers as before', {
  skip: noBrowser,
}, async () => {
  const server = await serveSources('open');
  const browser = await launchBrowser(softwareGpu);
  try {
    const page = await newPage(browser);
    await page.goto(server.url);
    const folder = goldenPath('forward/gqa');
    const files = readdirSync(folder).filter((name) => !name.startsWith('expected'));
    const heard = await page.evaluate(
      async (contents) => {
        const { loseInMidAnswer }: typeof Losing = await import(`${location.origin}/test/support/losing-gpu.ts`);
        const { openSource, openAdapterSource }: typeof Sources = await import(
          `${location.origin}/src/platform/browser/sources.ts`
        );
        const bytes = contents.map(([name, text]) => {
          const letters = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          return [name, letters] as const;
        });
        const source = { kind: 'files', name: 'gqa', files: new Map(bytes) } as const;
        return await loseInMidAnswer(navigator.gpu, source, { openSource, openAdapter: openAdapterSource });
      },
      files.map((name) => [name, readFileSync(join(folder, name)).toString('base64')] as const),
    );
    checkHeard(heard);
  } finally {
    await browser.close();
    server.close();
  }
});
