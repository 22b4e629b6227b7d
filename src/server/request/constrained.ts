/**
 * Where a request says what its answer must look like: response_format, tools. The place at which they become a Constraint of the
 * sampler (inference/constraint.ts) and a part of the prompt. Until there are grammars, what would need one is refused.
 */
import { z } from 'zod';
import { ApiError } from '../api-error.ts';

const anyObject = z.record(z.string(), z.unknown());

export const constrainedFields = {
  response_format: anyObject.nullish().describe('only { "type": "text" } so far'),
  tools: z.array(z.unknown()).max(128).nullish().describe('only an empty list so far'),
  tool_choice: z.union([z.string(), anyObject]).nullish().describe('only "none" so far'),
  parallel_tool_calls: z.boolean().nullish().describe('not without tools'),
};

export interface ConstrainedFields {
  readonly response_format?: Readonly<Record<string, unknown>> | null | undefined;
  readonly tools?: readonly unknown[] | null | undefined;
  readonly tool_choice?: unknown;
  readonly parallel_tool_calls?: boolean | null | undefined;
}

/** Throws ApiError 400 for everything that needs constrained output. */
export function refuseConstraints(fields: ConstrainedFields): void {
  const refuse = (param: string, what: string): never => {
    throw new ApiError(400, 'unsupported_parameter', `${param}: ${what} is not supported by this server.`, { param });
  };
  const { response_format: format, tools, tool_choice: choice } = fields;
  if (format && (format.type !== 'text' || Object.keys(format).length > 1)) {
    refuse('response_format', `type ${JSON.stringify(format.type)}`);
  }
  if (tools && tools.length > 0) refuse('tools', 'calling tools');
  if (choice != null && choice !== 'none') refuse('tool_choice', 'anything but "none"');
  if (fields.parallel_tool_calls != null) refuse('parallel_tool_calls', 'calling tools');
}
