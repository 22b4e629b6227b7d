/** The library's server: `import { handler } from 'cria/server'`. */
export { type Handler, type HandlerOptions, handler, nodeListener } from './handler.ts';
export type { RequestLine } from './log.ts';
