/**
 * Where requests are read: their JSON, their texts and templates, their grammars. All of that may cost what a stranger wants it to
 * cost, so it is done in workers that neither answer nor generate; see workers.ts.
 */
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import { ApiError } from '../api-error.ts';
import type { ServedModel, ServerSettings } from '../world.ts';

/** What a worker is told of the model before its first request. */
export interface Opening {
  readonly facts: ServedModel['facts'];
  readonly settings: DeskSettings;
}

/** The settings that decide how requests are read. */
export type DeskSettings = Pick<
  ServerSettings,
  'modelId' | 'aliases' | 'anyModel' | 'refuseBeyondContext' | 'template'
>;

export interface Desk {
  /** The served model as far as reading a request needs it. */
  readonly model: Pick<ServedModel, 'config' | 'facts' | 'contextLength' | 'tokenizer'>;
  readonly settings: DeskSettings;
  /** The scales of adapters, by name, where a request does not say which work; null: as the engine has it. */
  readonly usualAdapters: Readonly<Record<string, number>> | null;
  /** The time of day, for chat templates that write the date. */
  readonly now: () => Date;
}

export function openDesk({ facts, settings }: Opening, now: () => Date): Desk {
  const { config, contextLength } = facts;
  const tokenizer = facts.tokenizer && createTokenizer(facts.tokenizer, { vocabSize: config.vocabSize });
  return {
    settings,
    usualAdapters: null,
    now,
    model: {
      facts,
      config,
      contextLength,
      get tokenizer() {
        if (tokenizer) return tokenizer;
        throw new ApiError(
          400,
          'no_tokenizer',
          `${settings.modelId} has no tokenizer: only token ids can be read. Serve it with its tokenizer beside it.`,
        );
      },
    },
  };
}
