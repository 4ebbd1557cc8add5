/** One error class for all failed requests to the API server. */

/** One wrong field or one conflict, from `details.causes` of a Status. */
export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** The `Status` object that the API server returns with an error. */
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

/** Statuses after which the same request may succeed later; 0 means no response. */
const RETRIABLE = new Set([0, 408, 409, 410, 429]);

/** Reasons for which a retry cannot succeed, whatever the status. */
const FINAL_REASONS = new Set(['Aborted', 'Invalid']);

/** A request that the API server rejected, or that got no response. */
export class KubeError extends Error {
  /** Kubernetes' own (NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired, TooManyRequests, ...), or Timeout, ConnectionFailed, Aborted. */
  readonly reason: string;
  /** HTTP status; 0 when no response arrived. */
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

  /** The same request may succeed later. */
  get retriable(): boolean {
    return !FINAL_REASONS.has(this.reason) && (RETRIABLE.has(this.status) || this.status >= 500);
  }
}

/** Reasons for responses without a Status object: proxies and overloaded servers send plain text. */
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
 * The error for an HTTP response that is not a success.
 * @param attempt the operation, for the message: `apply Deployment bss/demo-gateway`
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

/** Server-side apply rejects an object that does not match its schema like a server failure: status 500, without a reason. */
const SCHEMA_MISMATCH = /^failed to create typed patch object/;

function reasonOf(code: number, message = ''): string {
  if (SCHEMA_MISMATCH.test(message)) return 'Invalid';
  return REASONS[code] ?? (code >= 500 ? 'InternalError' : 'Unknown');
}

/** The error for a request that got no response. */
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

/** Another client changed the object since it was read, or another manager owns a field. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.reason === 'Conflict';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.reason === 'AlreadyExists';
}

/** The server no longer has the resourceVersion or continue token. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && error.status === 410;
}
