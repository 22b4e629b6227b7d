/** The page's side of the server's protocol: the same requests that any program could send. */
import { contentOf, type Message, type Stats, type TokenInfo } from './conversation/conversation.ts';
import { requestFields, type Settings } from './conversation/settings.ts';

export interface ModelInfo {
  readonly id: string;
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

type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

interface WireChunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string };
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
  readonly thoughts: string;
  readonly tokens: readonly TokenInfo[];
  readonly finish: string | null;
  readonly stats: Stats | null;
}

interface WireModel {
  readonly id: string;
  readonly parent?: string;
  /** Of a model that was never loaded only `status` is known. */
  readonly meta: {
    readonly n_params?: number;
    readonly dtypes?: readonly string[];
    readonly device?: string;
    readonly chat?: boolean;
    readonly status: { readonly state: string };
    readonly adapter?: { readonly n_params: number };
  };
}

/** The served model, and it with each of its adapters. */
export async function fetchModels(fetcher: Fetch, apiKey: string): Promise<readonly ModelInfo[]> {
  const response = await fetcher('v1/models', { headers: headersOf(apiKey) });
  if (!response.ok) throw await failureOf(response);
  const { data } = (await response.json()) as { data: readonly WireModel[] };
  return data.map(({ id, parent, meta }) => ({
    id,
    canChat: meta.chat ?? true,
    description: describe(parent, meta),
  }));
}

function describe(parent: string | undefined, { adapter, n_params: size, dtypes, device, status }: WireModel['meta']) {
  if (parent !== undefined && adapter) return `${parent} + ${sizeOf(adapter.n_params)}`;
  return size === undefined ? status.state : `${sizeOf(size)} · ${dtypes?.[0] ?? ''} · ${device}`;
}

function sizeOf(parameters: number): string {
  return parameters >= 1e9 ? `${(parameters / 1e9).toFixed(1)}B` : `${(parameters / 1e6).toFixed(1)}M`;
}

/** Streams the answer to a conversation, or more of its last one; leaving the loop or `signal` ends it at the server too. */
export async function* streamAnswer(
  fetcher: Fetch,
  model: ModelInfo,
  settings: Settings,
  system: string,
  messages: readonly Message[],
  signal: AbortSignal,
): AsyncGenerator<Progress, void> {
  const response = await fetcher(model.canChat ? 'v1/chat/completions' : 'v1/completions', {
    method: 'POST',
    headers: { ...headersOf(settings.apiKey), 'content-type': 'application/json' },
    body: JSON.stringify(requestOf(model, settings, system, messages)),
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
      thoughts: choice?.delta?.reasoning_content ?? '',
      tokens: tokensOf(choice?.logprobs),
      finish: choice?.finish_reason ?? null,
      stats,
    };
  }
  throw new Error('the answer was cut off');
}

/** The request that an answer is asked with: what the page shows as JSON, too. */
export function requestOf(model: ModelInfo, settings: Settings, system: string, messages: readonly Message[]): object {
  const common = {
    model: model.id,
    ...requestFields(settings),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (!model.canChat) {
    const prompt = system + messages.map(contentOf).join('');
    return { ...common, prompt, ...(settings.probabilities && { logprobs: 5 }) };
  }
  const turns = messages.map((message) => ({ role: message.role, content: contentOf(message) }));
  return {
    ...common,
    messages: system === '' ? turns : [{ role: 'system', content: system }, ...turns],
    ...(settings.probabilities && { logprobs: true, top_logprobs: 5 }),
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
