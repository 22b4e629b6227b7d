/** What the server says when it says no: an HTTP status and OpenAI's error object. */
import { ArgumentError, CriaError, UnsupportedError } from '../base/errors.ts';

/** OpenAI's name for each kind of refusal, by status. */
const types: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  408: 'timeout_error',
  413: 'invalid_request_error',
  415: 'invalid_request_error',
  501: 'not_supported_error',
  499: 'client_closed_request',
  503: 'service_unavailable',
};

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export class ApiError extends CriaError {
  readonly status: number;
  /** The parameter that is wrong, as a path: `messages.0.role`. */
  readonly param: string | null;
  /** When it is worth another try. */
  readonly retryAfterSeconds: number | null;
  /** The methods that the path has, where another was used. */
  readonly allow: readonly string[];

  constructor(
    status: number,
    code: string,
    message: string,
    more: {
      readonly param?: string;
      readonly retryAfterSeconds?: number;
      readonly allow?: readonly string[];
      readonly cause?: unknown;
    } = {},
  ) {
    super(code, message, { cause: more.cause });
    this.status = status;
    this.param = more.param ?? null;
    this.retryAfterSeconds = more.retryAfterSeconds ?? null;
    this.allow = more.allow ?? [];
  }

  get body(): ErrorBody {
    const { message, status, param, code } = this;
    return { error: { message, type: types[status] ?? 'server_error', param, code } };
  }
}

export function engineUnavailable(cause?: unknown): ApiError {
  const message = 'the model is not running any more. The server must be restarted.';
  return new ApiError(503, 'engine_unavailable', message, { cause });
}

/** Which parameter of the wire an error of the engine is about. */
const paramOf: Readonly<Record<string, string>> = {
  'generate.prompt': 'prompt',
  'generate.context': 'messages',
  'sampling.none-left': 'logit_bias',
  'chat.role': 'messages',
  'chat.template': 'messages',
  'chat.no-template': 'messages',
};

/** The same, by the area of the code. */
const areaParams: Readonly<Record<string, string>> = { grammar: 'grammar', schema: 'response_format', tools: 'tools' };

/** Any error as one that may be told to a client: the caller's faults in full, ours without their insides. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof CriaError && (error.code === 'engine.died' || error.code === 'engine.closed')) {
    return engineUnavailable(error);
  }
  const theirs = error instanceof ArgumentError || error instanceof UnsupportedError;
  // Chat templates are the model's; what they raise is about the messages that they were given. So is what leaves no token to choose.
  if (theirs || (error instanceof CriaError && /^(?:chat|grammar)\.|^sampling\.none-left$/.test(error.code))) {
    const [, option] = (error.code === 'generate.options' && /^generate: ([a-z]\w*)/.exec(error.message)) || [];
    const wire = option?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const param = wire ?? paramOf[error.code] ?? areaParams[error.code.split('.')[0]!];
    const message = option === undefined ? error.message : error.message.replace(`generate: ${option}`, `${wire}:`);
    return new ApiError(400, error.code, message, { ...(param !== undefined && { param }), cause: error });
  }
  return new ApiError(500, 'internal_error', 'the server made a mistake; its log says which.', { cause: error });
}
