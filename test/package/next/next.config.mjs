import { dirname } from 'node:path';

const headers = [
  { key: 'Cross-Origin-Opener-Policy', value: 'same-origin' },
  { key: 'Cross-Origin-Embedder-Policy', value: 'require-corp' },
];

export default {
  // The test's project lies in the folder of its tools.
  turbopack: { root: dirname(dirname(process.cwd())) },
  outputFileTracingRoot: dirname(dirname(process.cwd())),
  headers: async () => ['/isolated', '/_next/:path*'].map((source) => ({ source, headers })),
};
