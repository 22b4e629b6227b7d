/**
 * Source trees: each file is a document, with the licence that governs it, found as people find it: an SPDX line in the file, else the
 * nearest LICENSE above it. BigQuery's export brings the licence along instead (reader `github-export`).
 */
import type { Document } from '../document.ts';
import type { InputFile, ReadContext } from './reader.ts';
import { readText } from './text.ts';

const licenceFiles = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'LICENCE', 'COPYING', 'COPYING.txt', 'MIT-LICENSE'];
const MAXIMUM_DEPTH = 30;
const HEAD_CHARACTERS = 3000;

export async function* readCode(file: InputFile, context: ReadContext): AsyncGenerator<Document> {
  for await (const document of readText(file, context, { separator: undefined })) {
    const stated = /SPDX-License-Identifier:\s*([\w.+-]+)/i.exec(document.text.slice(0, HEAD_CHARACTERS))?.[1];
    const licence = stated?.toLowerCase() ?? licenceAbove(file.name, context);
    if (licence) document.attributes.licence = licence;
    yield document;
  }
}

function licenceAbove(name: string, context: ReadContext): string | undefined {
  const folders = name.split('/').slice(0, -1);
  for (let depth = Math.min(folders.length, MAXIMUM_DEPTH); depth >= 0; depth--) {
    for (const licenceFile of licenceFiles) {
      const text = context.nearby([...folders.slice(0, depth), licenceFile].join('/'));
      if (text !== undefined) return recogniseLicence(text);
    }
  }
  return undefined;
}

/** SPDX name of a licence text, by sentences that only it has; `other` for one that is not known here. */
export function recogniseLicence(text: string): string {
  const plain = text.replace(/\s+/g, ' ');
  if (/GNU (?:LESSER |AFFERO |LIBRARY )?GENERAL PUBLIC LICENSE/i.test(plain.slice(0, 400))) return 'gpl';
  if (/Mozilla Public License/i.test(plain.slice(0, 400))) return 'mpl';
  if (/Apache License,? Version 2\.0/i.test(plain)) return 'apache-2.0';
  if (/Permission is hereby granted, free of charge, to any person obtaining a copy/i.test(plain)) return 'mit';
  if (/Redistribution and use in source and binary forms/i.test(plain)) {
    return /Neither the name/i.test(plain) ? 'bsd-3-clause' : 'bsd-2-clause';
  }
  return 'other';
}
