// docs/requests.md: what each endpoint does with each field of a request, from the schemas that check the requests.
import { openApi } from '../src/server/openapi.ts';
import { refusedFields } from '../src/server/request/fields.ts';

const withoutEffect = 'accepted without effect: ';

export function requestsMarkdown() {
  const { paths } = openApi('');
  const tables = Object.entries(paths).flatMap(([path, { post }]) => {
    const schema = post?.requestBody?.content['application/json'].schema;
    // What is there under two paths is described once.
    if (!schema?.properties || Object.keys(schema.properties).length === 0 || paths[`/v1${path}`]) return [];
    return [`## POST ${path}`, '', ...tableOf(schema), ''];
  });
  const refused = Object.entries(refusedFields).map(([name, instead]) => `| \`${name}\` | ${cell(instead)} |`);
  return `${[
    '# Fields of requests',
    '',
    'Made by `npm run docs` from the schemas that check the requests. A field that an endpoint does not list is refused with a 400 that',
    'names it: nothing is ignored in silence.',
    '',
    '## Refused everywhere else than where they are listed',
    '',
    '| field | instead |',
    '|---|---|',
    ...refused,
    '',
    ...tables,
  ].join('\n')}`;
}

function tableOf({ properties, required = [] }) {
  const rows = Object.entries(properties).map(([name, { description = '' }]) => {
    const isIdle = description.startsWith(withoutEffect);
    const effect = isIdle ? 'accepted without effect' : required.includes(name) ? 'honoured, required' : 'honoured';
    const text = isIdle ? description.slice(withoutEffect.length) : description;
    return { isIdle, row: `| \`${name}\` | ${effect} | ${cell(text)} |` };
  });
  const ordered = [...rows.filter(({ isIdle }) => !isIdle), ...rows.filter(({ isIdle }) => isIdle)];
  return ['| field | | |', '|---|---|---|', ...ordered.map(({ row }) => row)];
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}
