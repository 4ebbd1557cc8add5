import {
  ConsecutiveBreaker,
  ExponentialBackoff,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import type { z } from 'zod';
import type { Logger } from '../shared/kernel/log.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { Problem, problemBody } from '../shared/kernel/problems.ts';
import { inSpan, SpanKind, traceHeaders } from '../shared/kernel/telemetry.ts';

/** One attempt; long enough for a check of a million transactions. */
const ATTEMPT_MS = 20_000;
const RETRIES = 2;
const FAILURES_TO_OPEN = 5;
const HALF_OPEN_AFTER_MS = 2_000;

/** Reads from the ledger service, with retry and a circuit breaker: a ledger that is away costs its callers one quick 503. */
export class LedgerClient {
  readonly #base: string;
  readonly #policy;

  constructor(base: string, log: Logger, metrics: Metrics) {
    this.#base = base.replace(/\/$/, '');
    const failed = handleWhen((error) => !(error instanceof Problem));
    const breaker = circuitBreaker(failed, { halfOpenAfter: HALF_OPEN_AFTER_MS, breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN) });
    const retryPolicy = retry(
      handleWhen((error) => !(error instanceof Problem) && !isBrokenCircuitError(error)),
      { maxAttempts: RETRIES, backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 500 }) },
    );
    this.#policy = wrap(retryPolicy, breaker, timeout(ATTEMPT_MS, TimeoutStrategy.Aggressive));
    breaker.onBreak(() => log.warn('the ledger fails: circuit opened'));
    breaker.onReset(() => log.info('the ledger answers again: circuit closed'));
    const state = metrics.gauge('circuit_breaker_state', 'State of the breaker: 0 closed, 1 open, 2 half-open', ['connector']);
    state.set({ connector: 'ledger' }, 0);
    breaker.onBreak(() => state.set({ connector: 'ledger' }, 1));
    breaker.onHalfOpen(() => state.set({ connector: 'ledger' }, 2));
    breaker.onReset(() => state.set({ connector: 'ledger' }, 0));
  }

  /**
   * GETs a path of the ledger and checks the answer's shape.
   * @throws Problem: the ledger's own for a 4xx, `ledger_unavailable` when it does not answer properly
   */
  async get<T extends z.ZodType>(path: string, shape: T): Promise<z.output<T>> {
    try {
      return await this.#policy.execute(({ signal }) => this.#attempt(path, shape, signal));
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem('ledger_unavailable', 'Try again in a moment.', undefined, { cause: error });
    }
  }

  async #attempt<T extends z.ZodType>(path: string, shape: T, signal: AbortSignal): Promise<z.output<T>> {
    const url = `${this.#base}${path}`;
    return inSpan('GET ledger', { kind: SpanKind.CLIENT, attributes: { 'http.request.method': 'GET', 'url.full': url } }, async (span) => {
      const response = await fetch(url, { headers: traceHeaders(), signal });
      span.setAttribute('http.response.status_code', response.status);
      const body: unknown = await response.json();
      if (response.status >= 500) throw new Error(`the ledger answered ${response.status}: ${JSON.stringify(body)}`);
      if (!response.ok) throw asProblem(body);
      return shape.parse(body);
    });
  }
}

function asProblem(body: unknown): Error {
  const problem = problemBody.safeParse(body);
  if (!problem.success) return new Error(`the ledger answered with an unknown error: ${JSON.stringify(body)}`);
  return new Problem(problem.data.code, problem.data.detail, problem.data.errors);
}
