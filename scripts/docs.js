// `npm run docs`: docs/cli.md from the option tables, docs/requests.md from the request schemas, docs/api.md from the sources' declarations and comments.
import { writeFileSync } from 'node:fs';
import { markdown } from '../src/cli/help.ts';
import { apiMarkdown } from './api-docs.js';
import { requestsMarkdown } from './request-docs.js';

writeFileSync(new URL('../docs/cli.md', import.meta.url), await markdown());
writeFileSync(new URL('../docs/api.md', import.meta.url), await apiMarkdown());
writeFileSync(new URL('../docs/requests.md', import.meta.url), requestsMarkdown());
