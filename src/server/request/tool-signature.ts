/**
 * A function as one line, in the notation of TypeScript, for models that are told of tools in plain text: a third of the tokens of its JSON
 * schema. It only tells; what arguments may be is held by the grammar.
 */

type Schema = Readonly<Record<string, unknown>>;

export interface FunctionTool {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly parameters?: Schema | null | undefined;
}

/** Deeper, and behind more references than these, a type is `any`. */
const DEEPEST = 5;
const LONGEST_ENUM = 32;

/** As in `search(query: string, limit?: integer) // looks something up`; what is said of an argument stands behind it. */
export function toolSignature({ name, description, parameters }: FunctionTool): string {
  const given = parameters ? membersOf(parameters, parameters, 0) : null;
  const said = description ? ` // ${oneLine(description)}` : '';
  return `${name}(${given === null ? 'arguments: object' : given.join(', ')})${said}`;
}

/** null: an object of any members. */
function membersOf(schema: Schema, root: Schema, depth: number): string[] | null {
  const { properties, required } = resolved(schema, root);
  if (!isObject(properties)) return null;
  const needed = Array.isArray(required) ? required : [];
  return Object.entries(properties).map(([key, value]) => {
    const mark = needed.includes(key) ? '' : '?';
    const description = isObject(value) && typeof value.description === 'string' ? value.description : '';
    const said = description === '' ? '' : ` /* ${oneLine(description)} */`;
    return `${/^\w+$/.test(key) ? key : JSON.stringify(key)}${mark}: ${typeOf(value, root, depth + 1)}${said}`;
  });
}

function typeOf(value: unknown, root: Schema, depth: number): string {
  if (!isObject(value) || depth > DEEPEST) return 'any';
  const schema = resolved(value, root);
  if ('const' in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum) && schema.enum.length <= LONGEST_ENUM) {
    return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return unique(choices.map((one) => typeOf(one, root, depth + 1))).join(' | ');
  const { type } = schema;
  if (Array.isArray(type))
    return unique(type.map((one) => typeOf({ ...schema, type: one }, root, depth + 1))).join(' | ');
  if (type === 'array') {
    const item = typeOf(schema.items, root, depth + 1);
    return / /.test(item) ? `(${item})[]` : `${item}[]`;
  }
  if (type === 'object' || (type === undefined && isObject(schema.properties))) {
    const members = membersOf(schema, root, depth);
    return members === null ? 'object' : `{ ${members.join(', ')} }`;
  }
  return typeof type === 'string' ? type : 'any';
}

/** A reference within the same document, followed once at each place: types that hold themselves end by their depth. */
function resolved(schema: Schema, root: Schema): Schema {
  const { $ref } = schema;
  if (typeof $ref !== 'string' || !$ref.startsWith('#/')) return schema;
  let found: unknown = root;
  for (const key of $ref.slice(2).split('/')) {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return isObject(found) ? found : schema;
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
