/**
 * The name under which a tensor lies in a file: a model saved without its head leaves Hugging Face's `model.` out, and one with more
 * senses puts `language_model` before it or behind it.
 */
export function nameIn(found: { has(name: string): boolean }, name: string): string {
  const bare = name.startsWith('model.') ? name.slice('model.'.length) : name;
  const names = [name, bare, `language_model.${name}`, `model.language_model.${bare}`];
  return names.find((one) => found.has(one)) ?? name;
}
