/** What the page is given: the browser's services, which only src/platform/browser may reach for. */
import type { PageModel } from '../../explorer/page-model.ts';

/** A formula of a room of src/kernels, as its reference says it. */
export interface Formula {
  readonly summary: string;
  readonly formula: string;
  readonly path: string;
  readonly line: number;
}

export interface PageWorld {
  /** The model behind the server; without a server the bundled one, in this page. `onProgress`: share of the loading. */
  open(onProgress: (share: number) => void): Promise<PageModel>;
  /** A file that was chosen or dropped, computed in this page. */
  openFiles(files: readonly File[], onProgress: (share: number) => void): Promise<PageModel>;
  /** By operation. */
  formulas(): Promise<Readonly<Record<string, Formula>>>;
  readonly languages: readonly string[];
  readonly reducedMotion: boolean;
  /** The window is as narrow as a phone's: pictures are drawn for that width, not made smaller. */
  isNarrow(): boolean;
  hash(): string;
  /** `push`: the back button leads to what was before. */
  setHash(hash: string, push: boolean): void;
  onHash(run: () => void): () => void;
  after(milliseconds: number, run: () => void): () => void;
  copy(text: string): Promise<void>;
  save(name: string, type: string, text: string): void;
  /** An SVG or a canvas inside of `element` as the text of an SVG file, with its colours. */
  svgOf(element: Element): string;
  print(): void;
}
