/** Texts can be read in both palettes: at least 4.5 : 1 (WCAG 2.2, 1.4.3), on every ground that the style sheet puts under them. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const css = readFileSync(new URL('style.css', import.meta.url), 'utf8');
const LEAST = 4.5;

type Color = readonly [number, number, number];

function paletteOf(place: 1 | 2): Map<string, Color> {
  const found = [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(
    (match) => [match[1]!, colorOf(match[place + 1]!)] as const,
  );
  return new Map(found);
}

function colorOf(hex: string): Color {
  return [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255) as unknown as Color;
}

function luminance(color: Color): number {
  const [r, g, b] = color.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: Color, b: Color): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

for (const [theme, place] of [
  ['light', 1],
  ['dark', 2],
] as const) {
  test(`${theme}: every text is readable on every ground`, () => {
    const palette = paletteOf(place);
    const of = (name: string) => palette.get(name)!;
    const grounds = ['page', 'side', 'card'].map((name) => [name, of(name)] as const);
    const mixed = [
      ...css.matchAll(/\.diagram [^{]*\{\s*fill: color-mix\(in srgb, var\(--(c\d)\) (\d+)%, var\(--card\)\)/g),
    ].map((match) => {
      const share = Number(match[2]) / 100;
      const mix = of(match[1]!).map((part, i) => part * share + of('card')[i]! * (1 - share));
      return [`a box of ${match[1]}`, mix as unknown as Color] as const;
    });
    ok(mixed.length >= 4, 'boxes of the diagram are tinted');
    const pairs = [
      ...['text', 'faint'].flatMap((text) => [...grounds, ...mixed].map((ground) => [text, ground] as const)),
      ...['accent', 'c0', 'c1', 'c2', 'c3', 'wrong'].flatMap((text) =>
        grounds.filter(([name]) => name !== 'side').map((ground) => [text, ground] as const),
      ),
      ['on-accent', ['accent', of('accent')] as const] as const,
      ['card', ['c0', of('c0')] as const] as const,
    ];
    const faint = pairs.filter(([text, [, ground]]) => !(contrast(of(text), ground) >= LEAST));
    deepStrictEqual(
      faint.map(([text, [name, ground]]) => `${text} on ${name}: ${contrast(of(text), ground).toFixed(2)}`),
      [],
    );
  });
}
