/** Real replies against openapi.json: whole ones, every event of streams, and refusals. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { endpoints } from '../../src/server/endpoints/table.ts';
import { openApi } from '../../src/server/openapi.ts';

type Content = Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
type Operation = { readonly responses: Readonly<Record<string, { readonly content: Content }>> };
const description = openApi('test') as {
  readonly components: object;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv as never);
ajv.addSchema({ $id: 'cria', components: description.components });

/** What was checked, as `POST /v1/messages text/event-stream`. */
export const checkedReplies = new Set<string>();

/** Throws where the reply is not as it is described. `path` may have a query, and a parameter's value. */
export function checkReply(method: string, path: string, status: number, type: string, text: string): void {
  const [bare] = path.split('?') as [string];
  const matches = (pattern: string) => new RegExp(`^${pattern.replace(/:\w+/g, '[^/]+')}$`).test(bare);
  const endpoint = endpoints.find((one) => one.method === method && matches(one.path));
  if (!endpoint) return;
  const { responses } = description.paths[endpoint.path.replace(/:(\w+)/g, '{$1}')]![method.toLowerCase()]!;
  const { content } = responses[status === 200 ? '200' : 'default']!;
  const media = type.split(';')[0]!;
  const described = content[media] ?? content[type];
  if (!described) throw new Error(`${method} ${path}: ${type} is not described`);
  const { $ref } = described.schema;
  if ($ref === undefined) return;
  const validate = ajv.getSchema(`cria${$ref}`)!;
  for (const json of partsOf(media, text)) {
    if (validate(json)) continue;
    const said = ajv.errorsText(validate.errors);
    throw new Error(`${method} ${path} ${status}: not as described: ${said}: ${JSON.stringify(json).slice(0, 500)}`);
  }
  checkedReplies.add(`${status === 200 ? '' : 'refused '}${method} ${endpoint.path} ${media}`);
}

function partsOf(media: string, text: string): unknown[] {
  if (media === 'application/json') return [JSON.parse(text)];
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('event: '));
  if (media === 'application/x-ndjson') return lines.map((line) => JSON.parse(line) as unknown);
  const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice('data: '.length));
  return data.filter((line) => line !== '[DONE]').map((line) => JSON.parse(line) as unknown);
}
