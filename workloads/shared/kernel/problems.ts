import { z } from 'zod';

/** An error that an HTTP API answers with: a stable code, its status and its title. */
export interface ProblemDefinition {
  code: string;
  status: number;
  title: string;
}

/**
 * Registers the problems of one owner: the kernel, a service, or a service's contract where callers need the codes. docs/http-errors.md
 * documents all of them, and a test compares.
 */
export function defineProblems<T extends Record<string, Omit<ProblemDefinition, 'code'>>>(
  problems: T,
): { [K in keyof T]: ProblemDefinition } {
  const entries = Object.entries(problems).map(([code, { status, title }]) => [code, { code, status, title }]);
  return Object.fromEntries(entries) as { [K in keyof T]: ProblemDefinition };
}

/** Problems that any HTTP API may answer with. */
export const PROBLEMS = defineProblems({
  validation_failed: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A valid API key or token is required' },
  forbidden: { status: 403, title: 'The credential does not permit this request' },
  not_found: { status: 404, title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, title: 'This address does not have this method' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
  unsupported_media_type: { status: 415, title: 'The content type is not application/json' },
  rate_limited: { status: 429, title: 'The client sends too many requests' },
  internal: { status: 500, title: 'The service failed' },
  database_unavailable: { status: 503, title: 'The database does not answer' },
  issuer_unavailable: { status: 503, title: 'The keys of the token issuer cannot be fetched' },
  deadline_exceeded: { status: 503, title: 'The request exceeded its deadline' },
  overloaded: { status: 503, title: 'The service has too many requests in progress' },
});

const fieldErrors = z.array(z.object({ path: z.string(), message: z.string() }));
export type FieldErrors = z.output<typeof fieldErrors>;

/** The body of an error answer, application/problem+json (RFC 9457), with the code as its stable name. */
export const problemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  errors: fieldErrors.optional(),
  allowed: z.array(z.string()).optional().describe('What would be permitted, such as the states that may follow'),
});
export type ProblemBody = z.output<typeof problemBody>;

interface ProblemOptions extends ErrorOptions {
  errors?: FieldErrors | undefined;
  /** What would be permitted; a member of the body. */
  allowed?: readonly string[] | undefined;
  /** Sent as Retry-After. */
  retryAfterSeconds?: number | undefined;
  /** Sent as WWW-Authenticate. */
  challenge?: string;
  /** Further headers of the answer. */
  headers?: Readonly<Record<string, string>>;
}

/** An error that the HTTP layer answers as it is. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly definition: ProblemDefinition;
  readonly errors: FieldErrors | undefined;
  readonly allowed: readonly string[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly challenge: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail what the caller can do about it */
  constructor(definition: ProblemDefinition, detail?: string, given: ProblemOptions = {}) {
    const { errors, allowed, retryAfterSeconds, challenge, headers = {}, ...options } = given;
    super(detail ?? definition.title, options);
    this.definition = definition;
    this.errors = errors;
    this.allowed = allowed;
    this.retryAfterSeconds = retryAfterSeconds;
    this.challenge = challenge;
    this.headers = headers;
  }

  get code(): string {
    return this.definition.code;
  }

  get status(): number {
    return this.definition.status;
  }

  /** The problem that another service answered with. */
  static fromBody(
    { code, status, title, detail, errors, allowed }: ProblemBody,
    options: Pick<ProblemOptions, 'retryAfterSeconds' | 'headers'> = {},
  ): Problem {
    return new Problem({ code, status, title }, detail, { errors, allowed, ...options });
  }

  body(): ProblemBody {
    const { code, status, title } = this.definition;
    return {
      type: `urn:bss-platform:problem:${code}`,
      title,
      status,
      code,
      ...(this.message === title ? {} : { detail: this.message }),
      ...(this.errors ? { errors: this.errors } : {}),
      ...(this.allowed ? { allowed: [...this.allowed] } : {}),
    };
  }
}

/** The problem with a `code` of its own for each status, as OpenAPI documents it. */
export function problemSchema(definitions: readonly ProblemDefinition[]) {
  return problemBody.extend({ code: z.enum(definitions.map(({ code }) => code)) });
}
