import { z } from 'zod';

/** Every error that the HTTP APIs answer with: stable code to status and title. Documented in docs/http-errors.md, which a test compares. */
export const PROBLEMS = {
  validation_failed: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A valid bearer token is required' },
  not_found: { status: 404, title: 'There is nothing at this address' },
  account_not_found: { status: 404, title: 'There is no account with this id' },
  seed_not_enabled: { status: 404, title: 'Seeding is not enabled on this platform' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
  unsupported_media_type: { status: 415, title: 'Send application/json' },
  no_accounts: { status: 409, title: 'There are no customer accounts to seed events for' },
  internal: { status: 500, title: 'The service failed' },
  ledger_unavailable: { status: 503, title: 'The ledger does not answer' },
  database_unavailable: { status: 503, title: 'The database does not answer' },
  kafka_unavailable: { status: 503, title: 'Kafka does not take events' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** The body of an error answer, application/problem+json (RFC 9457), with the code as its stable name. */
export const problemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.custom<ProblemCode>((code) => typeof code === 'string' && Object.hasOwn(PROBLEMS, code)),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type ProblemBody = z.output<typeof problemBody>;

/** An error that the HTTP layer answers as it is. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly errors: { path: string; message: string }[] | undefined;

  /** @param detail what to do about it, for the caller */
  constructor(code: ProblemCode, detail?: string, errors?: { path: string; message: string }[], options?: ErrorOptions) {
    super(detail ?? PROBLEMS[code].title, options);
    this.code = code;
    this.errors = errors;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  body(): ProblemBody {
    const { status, title } = PROBLEMS[this.code];
    return {
      type: `urn:bss-platform:problem:${this.code}`,
      title,
      status,
      code: this.code,
      ...(this.message === title ? {} : { detail: this.message }),
      ...(this.errors ? { errors: this.errors } : {}),
    };
  }
}
