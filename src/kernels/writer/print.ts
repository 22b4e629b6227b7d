/** A kernel as text, for people: what it computes where, with the values that are kept by name. */
import type { Block, Body, Item } from './body.ts';
import { place } from './places.ts';

export function print(body: Body): string {
  const printer = new Printer();
  const parameters = body.locals.slice(0, body.parameterCount).map((type, i) => `p${i}: ${type}`);
  return [`${body.name}(${parameters.join(', ')})`, ...printer.block(body.block, '  ', body.parameterCount)].join('\n');
}

class Printer {
  readonly #names = new Map<Item, string>();
  readonly #loops: Block[] = [];

  block(block: Block, indent: string, parameterCount: number): string[] {
    place(block);
    const lines: string[] = [];
    for (const item of block.items) {
      if (item.place !== 'here') continue;
      if (item.type !== null) {
        const name = item.name ?? `v${this.#names.size}`;
        lines.push(`${indent}${name} = ${this.#text(item, parameterCount)}`);
        this.#names.set(item, name);
      } else lines.push(...this.#statement(item, indent, parameterCount));
    }
    return lines;
  }

  #statement(item: Item, indent: string, parameterCount: number): string[] {
    const { what } = item;
    const operands = item.operands.map((operand) => this.#value(operand, parameterCount));
    const inner = (block: Block) => this.block(block, `${indent}  `, parameterCount);
    switch (what.is) {
      case 'set':
        return [`${indent}x${what.index} = ${operands[0]}`];
      case 'if': {
        const lines = [`${indent}if ${operands[0]}`, ...inner(what.yes)];
        return what.no ? [...lines, `${indent}else`, ...inner(what.no)] : lines;
      }
      case 'loop':
      case 'scope':
        this.#loops.push(what.body);
        return [`${indent}${what.is} L${this.#loops.length - 1}`, ...inner(what.body)];
      case 'branch':
        return [`${indent}to L${this.#loops.indexOf(what.to)}${operands.length ? ` if ${operands[0]}` : ''}`];
      case 'stores':
        return what.offsets.map(
          (at, i) => `${indent}${what.instruction.name}(${operands[2 * i]}, ${operands[2 * i + 1]}, +${at})`,
        );
      case 'switch':
        return [
          `${indent}case ${operands[0]}`,
          ...what.cases.flatMap((block, i) => [`${indent} ${i}:`, ...inner(block)]),
        ];
      default:
        return [`${indent}${this.#text(item, parameterCount)}`];
    }
  }

  #value(item: Item, parameterCount: number): string {
    return this.#names.get(item) ?? this.#text(item, parameterCount);
  }

  #text(item: Item, parameterCount: number): string {
    const { what } = item;
    const operands = item.operands.map((operand) => this.#value(operand, parameterCount));
    switch (what.is) {
      case 'instruction': {
        const { name, align } = what.instruction;
        const at = align !== null && what.immediates[0] ? [`+${what.immediates[0]}`] : [];
        const lanes = align === null && what.immediates.length > 0 ? [`[${what.immediates.join(' ')}]`] : [];
        return `${name}(${[...operands, ...at, ...lanes].join(', ')})`;
      }
      case 'constant':
        return String(what.number);
      case 'local':
        return what.index < parameterCount ? `p${what.index}` : `x${what.index}`;
      case 'get':
        return `x${what.index}`;
      case 'call':
        return `${what.callee.name}(${operands.join(', ')})`;
      case 'callIn':
        return `table[${operands.at(-1)}](${operands.slice(0, -1).join(', ')})`;
      default:
        return `${what.is}(${operands.join(', ')})`;
    }
  }
}
