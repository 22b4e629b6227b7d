/**
 * The library in a browser without a bundler: `<script type="module">` imports this one file from anywhere. As it stands it is the
 * library; scripts/build-standalone.js makes the one file of it, with the scripts of the workers inside.
 */
export * from './index.ts';
