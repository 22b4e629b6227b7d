// docs/api.md from the sources: every name that an entry of package.json exports, with its declaration and its comment.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SyntaxKind } from 'typescript/unstable/ast';
import * as is from 'typescript/unstable/ast/is';
import { API, SymbolFlags } from 'typescript/unstable/sync';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

/** The text of docs/api.md. */
export async function apiMarkdown() {
  const api = new API({ cwd: root });
  try {
    const project = api.updateSnapshot({ openProjects: [`${root}tsconfig.json`] }).getProjects()[0];
    const parts = ['# The library', '', introduction, ''];
    const described = new Set();
    for (const [path, entry] of Object.entries(exports)) {
      if (typeof entry === 'string') continue;
      const node = await exportsOf(project, sourceOf(entry.default));
      const name = `cria${path.slice(1)}`;
      const isNew = ({ name, file }) => !described.has(`${name} ${file}`);
      const known = node.filter((found) => !isNew(found)).map((found) => `\`${found.name}\``);
      parts.push(`## ${name}`, '', `\`import … from '${name}'\``, '', ...render(project, node.filter(isNew)));
      if (known.length > 0) parts.push(`Also, as above: ${known.join(', ')}.`, '');
      for (const found of node) described.add(`${found.name} ${found.file}`);
      if (!entry.browser) continue;
      const browser = await exportsOf(project, sourceOf(entry.browser.default));
      const other = browser.filter((found) => found.file.includes('/platform/browser/') && isNew(found));
      for (const found of other) described.add(`${found.name} ${found.file}`);
      if (other.length > 0) parts.push(`### In a browser, ${name} has these instead`, '', ...render(project, other));
    }
    return `${parts.join('\n').trimEnd()}\n`;
  } finally {
    api.close();
  }
}

const introduction = `Every name that the package exports, made from the sources by \`npm run docs\`. [node.md](node.md), [browser.md](browser.md) and
[bundlers.md](bundlers.md) say how they are used.`;

const sourceOf = (built) => root + built.replace('./dist/', 'src/').replace(/\.js$/, '.ts');

/** What a module exports: name, declarations, comment, and the value of what may be a table of options. */
async function exportsOf(project, file) {
  const { program, checker } = project;
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const values = await import(file);
  return checker
    .getExportsOfModule(module)
    .map((exported) => {
      const symbol = exported.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const nodes = symbol.declarations.map((handle) => handle.resolve(project));
      const sourceFile = nodes[0].getSourceFile();
      const comment = checker.getDocumentationCommentOfSymbol(symbol);
      return { name: exported.name, symbol, nodes, file: sourceFile.fileName, comment, value: values[exported.name] };
    })
    .sort((a, b) => Number(isTypeOnly(a)) - Number(isTypeOnly(b)) || (a.name < b.name ? -1 : 1));
}

/** Classes, functions and values come first, also classes that a program gets but does not make. */
const isTypeOnly = ({ value, nodes }) => value === undefined && !nodes.some((node) => is.isClassDeclaration(node));

function render(project, found) {
  return found.flatMap(({ name, nodes, comment, value, symbol }) => {
    const shown = isOptionTable(value)
      ? optionRows(value)
      : ['```ts', ...declarationsOf(project, symbol, nodes), '```', ''];
    return [`### ${name}`, '', ...(comment ? [comment, ''] : []), ...shown];
  });
}

function declarationsOf(project, symbol, nodes) {
  const bodiless = nodes.filter((node) => !(is.isFunctionDeclaration(node) && node.body));
  const shown = nodes.length > 1 && bodiless.length > 0 ? bodiless : nodes;
  return shown.map((node) => {
    if (is.isClassDeclaration(node)) return classText(project, node);
    if (is.isFunctionDeclaration(node)) return signature(project, node);
    if (is.isVariableDeclaration(node)) {
      const { checker } = project;
      const type = checker.typeToString(checker.getTypeOfSymbol(symbol), node, NO_TRUNCATION);
      return wrapped(`const ${symbol.name}: ${type};`);
    }
    // A name for something that has no public name of its own.
    if (/^(?:export )?type \w+ = \w+;$/.test(textOf(node))) {
      const target = project.checker.getTypeAtLocation(node).getSymbol();
      const inner = target?.declarations.map((handle) => handle.resolve(project)) ?? [];
      const [only] = inner.length > 0 ? declarationsOf(project, target, inner) : [];
      if (only) return only.replace(/^(interface|class) \w+/, `$1 ${symbol.name}`);
    }
    return withoutExport(textOf(node));
  });
}
const NO_TRUNCATION = 1;

/** A long object type, a property a line. */
function wrapped(text) {
  if (text.length <= 120) return text;
  return text.replace(/^(const \w+: )\{ (.*) \};$/s, (_, head, body) => {
    const parts = body.split(/(?<=;) (?=(?:readonly )?\w+\??[:(])/);
    let depth = 0;
    const lines = [];
    for (const part of parts) {
      if (depth === 0) lines.push(part);
      else lines[lines.length - 1] += ` ${part}`;
      depth += (part.match(/\{/g)?.length ?? 0) - (part.match(/\}/g)?.length ?? 0);
    }
    return `${head}{\n${lines.map((line) => `  ${line}`).join('\n')}\n};`;
  });
}

/** A class without what is private and without bodies; its parts keep their comments. */
function classText(project, node) {
  const [first] = node.members;
  const head = textOf(node).slice(0, first ? first.pos - node.getStart() : undefined);
  const members = [...node.members].filter(
    (member) =>
      !is.isConstructorDeclaration(member) &&
      !(member.modifiers ?? []).some(
        ({ kind }) => kind === SyntaxKind.PrivateKeyword || kind === SyntaxKind.ProtectedKeyword,
      ) &&
      !isImplementation(node, member),
  );
  const parts = members.map((member) => {
    const comment = member.getFullText().slice(0, member.getStart() - member.pos);
    const found = /\/\*\*[\s\S]*\*\//.exec(comment)?.[0];
    return `${found ? `  ${found}\n` : ''}  ${signature(project, member)}`;
  });
  return parts.length === 0 ? withoutExport(textOf(node)) : `${withoutExport(head).trimEnd()}\n${parts.join('\n')}\n}`;
}

/** The body of an overloaded method stands behind its signatures. */
function isImplementation(node, member) {
  if (!is.isMethodDeclaration(member) || !member.body) return false;
  return [...node.members].some((other) => other !== member && nameOf(other) === nameOf(member) && !other.body);
}
const nameOf = (member) => member.name?.getText();

/** Up to the body, with the type that the compiler finds where none is written. */
function signature(project, node) {
  const { checker } = project;
  const text = textOf(node);
  if (is.isPropertyDeclaration(node)) {
    const head = node.initializer ? text.slice(0, node.initializer.pos - node.getStart()).replace(/=\s*$/, '') : text;
    const type = node.type ? '' : `: ${checker.typeToString(checker.getTypeAtLocation(node), node, NO_TRUNCATION)}`;
    return `${head.replace(/;$/, '').trim()}${type};`;
  }
  const head = (node.body ? text.slice(0, node.body.pos - node.getStart()) : text.replace(/;$/, '')).trim();
  const clean = withoutExport(head).replace(/\basync /, '');
  if (node.type) return `${clean};`;
  const returned = checker.getReturnTypeOfSignature(checker.getSignatureFromDeclaration(node));
  return `${clean}: ${checker.typeToString(returned, node, NO_TRUNCATION)};`;
}

const textOf = (node) => node.getText();
const withoutExport = (text) => text.replace(/^export (?:declare )?/, '');

function isOptionTable(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).length > 0 &&
    Object.values(value).every((option) => typeof option?.help === 'string' && 'default' in option)
  );
}

function optionRows(table) {
  const rows = Object.entries(table).map(([name, { kind, default: otherwise, min, max, help }]) => {
    const range = min === undefined && max === undefined ? '' : ` ${min ?? ''} … ${max ?? ''}`.trimEnd();
    return `| \`${name}\` | ${kind}${range} | \`${JSON.stringify(otherwise)}\` | ${help.replaceAll('|', '\\|')} |`;
  });
  return ['| option | kind | default | |', '|---|---|---|---|', ...rows, ''];
}
