import { ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError, wrap } from 'cockatiel';
import type { z } from 'zod';
import { remainingMs } from '../shared/kernel/deadline.ts';
import { TIMEOUT_HEADER } from '../shared/kernel/http.ts';
import type { Logger } from '../shared/kernel/log.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { Problem, problemBody } from '../shared/kernel/problems.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { inSpan, SpanKind, traceHeaders } from '../shared/kernel/telemetry.ts';
import { PROBLEMS } from './problems.ts';

/** Time limit of one attempt, unless the request's deadline comes first. */
const ATTEMPT_MS = 2_000;
/** A failed attempt with less time than this does not count against the ledger: the caller allowed too little. */
const FAIR_ATTEMPT_MS = 1_000;
const RETRIES = 2;
const MAX_RETRY_DELAY_MS = 500;
const FAILURES_TO_OPEN = 5;
const HALF_OPEN_AFTER_MS = 2_000;

/** A failure that is not the ledger's: it neither opens the circuit nor is it retried. */
class CallersFailure extends Error {
  override readonly name = 'CallersFailure';
}

const isLedgersFailure = (error: unknown): boolean => !(error instanceof Problem) && !(error instanceof CallersFailure);

/** Reads from the ledger service, with retry and a circuit breaker: while the ledger fails, a request costs its caller one quick 503. */
export class LedgerClient {
  readonly #base: string;
  readonly #policy;

  constructor(base: string, log: Logger, metrics: Metrics) {
    this.#base = base.replace(/\/$/, '');
    const breaker = circuitBreaker(handleWhen(isLedgersFailure), {
      halfOpenAfter: HALF_OPEN_AFTER_MS,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    });
    const retryable = (error: unknown) => isLedgersFailure(error) && !isBrokenCircuitError(error) && remainingMs() > FAIR_ATTEMPT_MS;
    this.#policy = wrap(
      retryPolicy({ log, what: 'read from the ledger', retryable, attempts: RETRIES, maxDelayMs: MAX_RETRY_DELAY_MS }),
      breaker,
    );
    breaker.onBreak(() => log.warn('the ledger fails: circuit opened'));
    breaker.onReset(() => log.info('the ledger answers again: circuit closed'));
    const state = metrics.gauge('circuit_breaker_state', 'State of the breaker: 0 closed, 1 open, 2 half-open', ['connector']);
    state.set({ connector: 'ledger' }, 0);
    breaker.onBreak(() => state.set({ connector: 'ledger' }, 1));
    breaker.onHalfOpen(() => state.set({ connector: 'ledger' }, 2));
    breaker.onReset(() => state.set({ connector: 'ledger' }, 0));
  }

  /**
   * GETs a path of the ledger and checks the answer's shape. The ledger learns how much time is left.
   * @param attemptMs time limit of one attempt
   * @throws Problem: the ledger's own for a 4xx, `ledger_unavailable` when it does not answer as its contract says
   */
  async get<T extends z.ZodType>(path: string, shape: T, attemptMs = ATTEMPT_MS): Promise<z.output<T>> {
    try {
      return await this.#policy.execute(() => this.#attempt(path, shape, Math.min(attemptMs, remainingMs())));
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem(PROBLEMS.ledger_unavailable, 'Retry in a moment.', { cause: error, retryAfterSeconds: 1 });
    }
  }

  async #attempt<T extends z.ZodType>(path: string, shape: T, limitMs: number): Promise<z.output<T>> {
    const url = `${this.#base}${path}`;
    const attributes = { 'http.request.method': 'GET', 'url.full': url };
    return inSpan('GET ledger', { kind: SpanKind.CLIENT, attributes }, async (span) => {
      const { status, body } = await fetchJson(url, limitMs);
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) throw new Error(`the ledger answered ${status}: ${JSON.stringify(body)}`);
      if (status >= 400) throw clientError(status, body);
      return shape.parse(body);
    });
  }
}

async function fetchJson(url: string, limitMs: number): Promise<{ status: number; body: unknown }> {
  const limit = Math.max(1, Math.floor(limitMs));
  try {
    const headers = { ...traceHeaders(), [TIMEOUT_HEADER]: String(limit) };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(limit) });
    const text = await response.text();
    const isClientError = response.status >= 400 && response.status < 500;
    return { status: response.status, body: isClientError && !isJson(response) ? text : JSON.parse(text) };
  } catch (error) {
    if (limit >= FAIR_ATTEMPT_MS) throw error;
    throw new CallersFailure(`no answer within the ${limit} ms that the request had left`, { cause: error });
  }
}

function isJson(response: Response): boolean {
  return /json/.test(response.headers.get('content-type') ?? '');
}

function clientError(status: number, body: unknown): Error {
  const problem = problemBody.safeParse(body);
  if (problem.success) return Problem.fromBody(problem.data);
  return new CallersFailure(`the ledger answered ${status}: ${JSON.stringify(body)}`);
}
