import type { Document } from '../document.ts';

/** Why a document does not go on: a reason that can be counted, and what was measured. */
export interface Drop {
  readonly reason: string;
  readonly detail?: string;
}

/** Where a stage says which lines it took out of a document that goes on. */
export interface LineLog {
  removed(reason: string, lineNumber: number, line: string): void;
}

/**
 * One step of cleaning. It may change the document's text and attributes, and says what it dropped; nothing disappears silently.
 * A stage is made for one unit of input and sees that unit's documents in their order in the file.
 */
export interface Stage {
  readonly name: string;
  apply(document: Document, lines: LineLog): Drop | undefined;
}
