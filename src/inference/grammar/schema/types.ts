/** JSON's types, and JSON values as they are compared. */
export const typeNames = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof typeNames)[number];

/** The names of `type`, one or a list. */
export function typesOf(type: unknown): { readonly names: readonly string[]; readonly unknown: boolean } {
  const list: unknown[] = Array.isArray(type) ? type : [type];
  const names = list.filter((name): name is string => name === 'integer' || typeNames.includes(name as TypeName));
  return { names, unknown: names.length < list.length || list.length === 0 };
}

export function typeOfValue(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as TypeName;
}

/** The same for equal values, whatever the order of their members. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join()}}`;
}
