/** The operations of an OpenAPI document, and whether an answer is as documented. Pure. */
import { violations, type Schema } from './schema.ts';

interface DocumentedResponse {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

/** The part of an operation that is read here. */
export interface Operation {
  readonly responses: Readonly<Record<string, DocumentedResponse>>;
  readonly security?: readonly object[];
}

/** The part of an OpenAPI 3.1 document that is read here. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** An answer of these never has a body. */
const NO_CONTENT = [204, 304];
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];

/** Operations by `METHOD path`. */
export function operationsOf({ paths }: OpenApi): Map<string, Operation> {
  const operations = new Map<string, Operation>();
  for (const [path, item] of Object.entries(paths))
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) operations.set(`${method.toUpperCase()} ${path}`, operation);
    }
  return operations;
}

/**
 * What about an answer is not as documented, a line each; empty when all is.
 * @param contentType as the header says, with parameters
 */
export function undocumented(operation: Operation, status: number, contentType: string, body: unknown): string[] {
  const response = operation.responses[status];
  if (!response) return [`status ${status} is not documented`];
  if (NO_CONTENT.includes(status)) return contentType === '' ? [] : [`status ${status} has a content type: ${contentType}`];
  const media = contentType.split(';')[0]?.trim() ?? '';
  const schema = response.content?.[media]?.schema;
  return schema ? violations(schema, body) : [`content type ${media} of status ${status} is not documented`];
}
