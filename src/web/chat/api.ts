/** The page's side of the server's protocol: the same requests that any program could send. */
import type { Message, Settings, Stats, TokenInfo } from './conversation.ts';

export interface ModelInfo {
  readonly id: string;
  readonly contextTokens: number;
  /** Without a chat template the page continues texts instead. */
  readonly canChat: boolean;
  readonly description: string;
}

export class ApiFailure extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Fetch = typeof fetch;

interface WireChunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly text?: string;
    readonly finish_reason: string | null;
    readonly logprobs?: {
      readonly content?: readonly WireToken[];
      readonly tokens?: readonly string[];
      readonly token_logprobs?: readonly number[];
      readonly top_logprobs?: readonly Readonly<Record<string, number>>[];
    } | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
  readonly timings?: Readonly<Record<'predicted_n' | 'predicted_per_second' | 'prompt_per_second', number>>;
  readonly error?: { readonly message: string };
}

interface WireToken {
  readonly token: string;
  readonly logprob: number;
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
}

/** What an answer adds as it comes. */
export interface Progress {
  readonly text: string;
  readonly tokens: readonly TokenInfo[];
  readonly finish: string | null;
  readonly stats: Stats | null;
}

export async function fetchModel(fetcher: Fetch, apiKey: string): Promise<ModelInfo> {
  const response = await fetcher('/v1/models', { headers: headersOf(apiKey) });
  if (!response.ok) throw await failureOf(response);
  const { data } = (await response.json()) as {
    data: { id: string; meta: { n_ctx: number; n_params: number; dtypes: string[]; device: string; chat: boolean } }[];
  };
  const { id, meta } = data[0]!;
  const size = meta.n_params >= 1e9 ? `${(meta.n_params / 1e9).toFixed(1)}B` : `${(meta.n_params / 1e6).toFixed(1)}M`;
  return {
    id,
    contextTokens: meta.n_ctx,
    canChat: meta.chat,
    description: `${size} · ${meta.dtypes[0] ?? ''} · ${meta.device}`,
  };
}

/** Streams the answer to a conversation; leaving the loop or `signal` ends it at the server too. */
export async function* streamAnswer(
  fetcher: Fetch,
  model: ModelInfo,
  settings: Settings,
  messages: readonly Message[],
  signal: AbortSignal,
): AsyncGenerator<Progress, void> {
  const path = model.canChat ? '/v1/chat/completions' : '/v1/completions';
  const response = await fetcher(path, {
    method: 'POST',
    headers: { ...headersOf(settings.apiKey), 'content-type': 'application/json' },
    body: JSON.stringify(requestOf(model, settings, messages)),
    signal,
  });
  if (!response.ok) throw await failureOf(response);
  let stats: Stats | null = null;
  for await (const data of readEvents(response.body!)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data) as WireChunk;
    if (chunk.error) throw new ApiFailure(500, chunk.error.message);
    stats = statsOf(chunk, stats);
    const choice = chunk.choices?.[0];
    yield {
      text: choice?.delta?.content ?? choice?.text ?? '',
      tokens: tokensOf(choice?.logprobs),
      finish: choice?.finish_reason ?? null,
      stats,
    };
  }
}

function requestOf(model: ModelInfo, settings: Settings, messages: readonly Message[]): object {
  const { temperature, topP, topK, minP, repeatPenalty, maxTokens, seed, probabilities, system } = settings;
  const common = {
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    repeat_penalty: repeatPenalty,
    ...(maxTokens !== null && { max_tokens: maxTokens }),
    ...(seed !== null && { seed }),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (!model.canChat) {
    const prompt = system + messages.map(({ content }) => content).join('');
    return { ...common, prompt, ...(probabilities && { logprobs: 5 }) };
  }
  const turns = messages.map(({ role, content }) => ({ role, content }));
  return {
    ...common,
    messages: system === '' ? turns : [{ role: 'system', content: system }, ...turns],
    ...(probabilities && { logprobs: true, top_logprobs: 5 }),
  };
}

/** The `data:` lines of server-sent events, wherever the network cuts them. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const utf8 = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (rest + utf8.decode(value, { stream: true })).split('\n\n');
      rest = events.pop()!;
      for (const event of events) if (event.startsWith('data: ')) yield event.slice('data: '.length);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

type WireLogprobs = NonNullable<NonNullable<WireChunk['choices']>[number]>['logprobs'];

function tokensOf(logprobs: WireLogprobs): TokenInfo[] {
  if (logprobs?.content) {
    return logprobs.content.map(({ token, logprob, top_logprobs }) => ({ token, logprob, top: top_logprobs }));
  }
  return (logprobs?.tokens ?? []).map((token, i) => ({
    token,
    logprob: logprobs!.token_logprobs![i]!,
    top: Object.entries(logprobs!.top_logprobs![i]!).map(([text, logprob]) => ({ token: text, logprob })),
  }));
}

function statsOf({ timings, usage }: WireChunk, before: Stats | null): Stats | null {
  if (!timings && !usage) return before;
  return {
    promptTokens: usage?.prompt_tokens ?? before?.promptTokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details.cached_tokens ?? before?.cachedTokens ?? 0,
    answerTokens: timings?.predicted_n ?? before?.answerTokens ?? 0,
    tokensPerSecond: timings?.predicted_per_second ?? before?.tokensPerSecond ?? 0,
    promptPerSecond: timings?.prompt_per_second ?? before?.promptPerSecond ?? 0,
  };
}

function headersOf(apiKey: string): Record<string, string> {
  return apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
}

async function failureOf(response: Response): Promise<ApiFailure> {
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  return new ApiFailure(response.status, body?.error?.message ?? `HTTP ${response.status}`);
}
