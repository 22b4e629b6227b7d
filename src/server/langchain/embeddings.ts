import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings';
import type { Pooling } from '../../inference/reading/embedding.ts';
import type { RemoteModel } from '../../inference/remote/model.ts';
import { embedTexts } from '../in-process.ts';

export interface CriaEmbeddingsFields extends EmbeddingsParams {
  /** A model of Llama.load(), or one that is loading. Closing it is up to the caller. */
  readonly model: RemoteModel | Promise<RemoteModel>;
  /** Which states a vector is made of; absent: all, their mean. */
  readonly pooling?: Pooling;
}

/** LangChain's embeddings on a model in this process: vectors of unit length. */
export class CriaEmbeddings extends Embeddings {
  private readonly model: RemoteModel | Promise<RemoteModel>;
  private readonly pooling: Pooling;

  constructor(fields: CriaEmbeddingsFields) {
    super(fields);
    this.model = fields.model;
    this.pooling = fields.pooling ?? 'mean';
  }

  async embedDocuments(documents: string[]): Promise<number[][]> {
    const { vectors } = await embedTexts(await this.model, documents, { pooling: this.pooling });
    return vectors.map((vector) => Array.from(vector));
  }

  async embedQuery(document: string): Promise<number[]> {
    const [vector] = await this.embedDocuments([document]);
    return vector!;
  }
}
