import type { AttributeValue } from '../document.ts';
import type { Selection } from '../recipe/recipe.ts';
import type { Stage } from './stage.ts';

/** Thresholds over attributes that earlier stages noted. */
export function selectByAttributes(rules: readonly Selection[]): Stage {
  return {
    name: 'select',
    apply({ attributes }) {
      for (const rule of rules) {
        const value = attributes[rule.attribute];
        const reason = refusal(rule, value);
        if (reason) return { reason, detail: `${rule.attribute} is ${value ?? 'unknown'}` };
      }
      return undefined;
    },
  };
}

function refusal(rule: Selection, value: AttributeValue | undefined): string | undefined {
  const { attribute, minimum, maximum } = rule;
  if (value === undefined) return rule.missing === 'drop' ? `${attribute} is unknown` : undefined;
  if (rule.in && !rule.in.includes(String(value))) return `${attribute} not among ${rule.in.join(', ')}`;
  if (minimum !== undefined && !(Number(value) >= minimum)) return `${attribute} under ${minimum}`;
  if (maximum !== undefined && !(Number(value) <= maximum)) return `${attribute} over ${maximum}`;
  return undefined;
}
