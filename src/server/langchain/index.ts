/** LangChain.js on a model in this process: `import { ChatCria, CriaEmbeddings } from 'cria/langchain'`, in Node and in a browser. */
export { ChatCria, type ChatCriaCallOptions, type ChatCriaFields } from './chat-model.ts';
export { CriaEmbeddings, type CriaEmbeddingsFields } from './embeddings.ts';
