/** openapi.json, made from the endpoints' zod schemas and the table of replies, so that it says what is checked and what is sent. */
import { z } from 'zod';
import { type Endpoint, endpoints } from './endpoints/table.ts';
import { streamError } from './reply/shapes/common.ts';
import { replyShapeOf } from './reply/shapes/table.ts';

/** `basePath`: what comes before every path. */
export function openApi(version: string, basePath = ''): object {
  const paths: Record<string, Record<string, object>> = {};
  const schemas = new Schemas();
  for (const endpoint of endpoints) {
    const { method, path, summary, schema, open } = endpoint;
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
          content: { 'application/json': { schema: jsonSchema(schema, 'input') } },
        },
      }),
      responses: responsesOf(endpoint, schemas),
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
      schemas: schemas.byName,
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer' },
        xApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
    paths,
  };
}

function responsesOf({ method, path }: Endpoint, schemas: Schemas): object {
  const { json, text, stream, error = ['Error', streamError] as const } = replyShapeOf(method, path) ?? {};
  const content = {
    ...(json && { 'application/json': { schema: schemas.refer(...json) } }),
    ...(text && { [text]: { schema: { type: 'string' } } }),
    // As OpenAPI 3.1 cannot say more of a stream than its media type, the schema is that of each event or line.
    ...(stream && { [stream.type]: { schema: schemas.refer(...stream.each) } }),
  };
  return {
    200: { description: stream ? 'the answer; as a stream, each event or line' : 'the answer', content },
    default: { description: 'refused', content: { 'application/json': { schema: schemas.refer(...error) } } },
  };
}

/** Schemas that several operations refer to. */
class Schemas {
  readonly byName: Record<string, object> = {};

  refer(name: string, schema: z.ZodType): object {
    this.byName[name] ??= jsonSchema(schema, 'output');
    return { $ref: `#/components/schemas/${name}` };
  }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io });
  return rest;
}
