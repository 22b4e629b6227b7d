/** openapi.json, made from the endpoints' zod schemas, so that it says what is checked. */
import { z } from 'zod';
import { endpoints } from './endpoints/table.ts';

const errorReply = {
  description: 'refused',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        required: ['error'],
        properties: {
          error: {
            type: 'object',
            required: ['message', 'type', 'param', 'code'],
            properties: {
              message: { type: 'string' },
              type: { type: 'string' },
              param: { type: ['string', 'null'] },
              code: { type: 'string' },
            },
          },
        },
      },
    },
  },
};

/** `basePath`: what comes before every path. */
export function openApi(version: string, basePath = ''): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, summary, schema, open } of endpoints) {
    const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }));
    const operation = {
      summary,
      ...(parameters.length > 0 && { parameters }),
      ...(schema && {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: jsonSchema(schema) } },
        },
      }),
      responses: { 200: { description: 'the answer' }, default: errorReply },
      ...(open && { security: [] }),
    };
    (paths[path.replace(/:(\w+)/g, '{$1}')] ??= {})[method.toLowerCase()] = operation;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cria',
      version,
      description: "OpenAI's protocol, with llama-server's sampling parameters. What is not listed is refused.",
    },
    ...(basePath !== '' && { servers: [{ url: basePath }] }),
    security: [{}, { key: [] }, { xApiKey: [] }],
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer' },
        xApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
    paths,
  };
}

function jsonSchema(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' });
  return rest;
}
