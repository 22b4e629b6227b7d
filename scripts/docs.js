// Writes docs/cli.md from the option tables.
import { writeFileSync } from 'node:fs';
import { markdown } from '../src/cli/help.ts';

writeFileSync(new URL('../docs/cli.md', import.meta.url), await markdown());
