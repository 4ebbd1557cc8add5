/** What can go wrong with a request to the API server, as one class. */

/** One wrong field or one conflict, from `details.causes` of a Status. */
export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** The `Status` object with which the API server answers when it refuses. */
export interface Status {
  kind?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { causes?: StatusCause[]; retryAfterSeconds?: number };
}

interface Failure {
  reason: string;
  status: number;
  retryAfterMs?: number | undefined;
  causes?: StatusCause[] | undefined;
  cause?: unknown;
}

/** Statuses after which the same request may succeed later; 0 is no answer at all. */
const RETRIABLE = new Set([0, 408, 409, 410, 429]);

/** Reasons that no repetition mends, whatever the status. */
const FINAL_REASONS = new Set(['Aborted', 'Invalid']);

/** A request that the API server refused, or that got no answer. */
export class KubeError extends Error {
  /** Kubernetes' own (NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired, TooManyRequests, ...), or Timeout, ConnectionFailed, Aborted. */
  readonly reason: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** The wait that the server asked for, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  readonly causes: StatusCause[];

  constructor(message: string, { reason, status, retryAfterMs, causes = [], cause }: Failure) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KubeError';
    this.reason = reason;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.causes = causes;
  }

  /** The same may succeed later, without anything being changed in what was asked. */
  get retriable(): boolean {
    return !FINAL_REASONS.has(this.reason) && (RETRIABLE.has(this.status) || this.status >= 500);
  }
}

/** Reasons for answers that carry no Status object: proxies and overloaded servers send plain text. */
const REASONS: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/**
 * The error for an HTTP answer that is not a success.
 * @param attempt what was being tried, for the message: `apply Deployment bss/demo-gateway`
 * @param retryAfter the header, in seconds
 */
export function refusal(attempt: string, httpStatus: number, body: unknown, retryAfter?: string): KubeError {
  const status: Status = isStatus(body) ? body : {};
  const code = status.code ?? httpStatus;
  const text = typeof body === 'string' && body !== '' ? body.slice(0, 200).trim() : undefined;
  const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds ?? Number.NaN);
  return new KubeError(`cannot ${attempt}: ${status.message ?? text ?? `HTTP ${code}`}`, {
    reason: status.reason || reasonOf(code, status.message),
    status: code,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
    causes: status.details?.causes,
  });
}

/** An object that does not fit its schema is refused by server-side apply as if the server had failed: status 500, without a reason. */
const SCHEMA_MISMATCH = /^failed to create typed patch object/;

function reasonOf(code: number, message = ''): string {
  if (SCHEMA_MISMATCH.test(message)) return 'Invalid';
  return REASONS[code] ?? (code >= 500 ? 'InternalError' : 'Unknown');
}

/** The error for a request that got no answer. */
export function unanswered(attempt: string, reason: 'Timeout' | 'ConnectionFailed' | 'Aborted', cause: unknown): KubeError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new KubeError(`cannot ${attempt}: ${reason === 'ConnectionFailed' ? detail : `${reason.toLowerCase()} (${detail})`}`, {
    reason,
    status: 0,
    cause,
  });
}

function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && (body as Status).kind === 'Status';
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

/** The object was changed by someone else since it was read, or a field is owned by another manager. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.reason === 'Conflict';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.reason === 'AlreadyExists';
}

/** The resourceVersion or continue token is older than what the server still has. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && error.status === 410;
}
