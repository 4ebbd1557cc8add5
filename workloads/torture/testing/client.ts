/** What a client of the platform does: it sends an operation, repeats it until it has a final answer, and keeps what the answer promises. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../ledger/testing/random.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { KEY } from './platform.ts';
import type { Link, TorturePlatform } from './platform.ts';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A request that has one effect however often it is sent. */
export interface Operation {
  /** Its external id or idempotency key. */
  readonly id: string;
  readonly link: Link;
  readonly path: string;
  readonly body: object | undefined;
  readonly headers?: Record<string, string>;
  /** Takes the first final answer. @returns an operation that follows from it */
  readonly ended: (answer: Answer) => Operation | undefined;
  /** Whether a repeated request must have the same answer. A rejection of the ledger leaves nothing, and may become an acceptance. */
  readonly repeatable: (answer: Answer) => boolean;
}

const REQUEST_MS = 3_000;
/** Longer than the request's own deadline: a frozen process does not answer. */
const CLIENT_MS = 6_000;
const RETRY_MS = 50;
/** The same request later has another answer. */
const OPEN = new Set(['transfer_in_progress', 'rate_limited']);
/** Why a request of this load may be rejected. */
const REJECTIONS = new Set(['insufficient_funds', 'currency_mismatch', 'account_not_found', 'hold_expired']);

export interface ClientFigures {
  accepted: number;
  rejected: number;
  /** Attempts without a final answer. */
  unanswered: number;
  /** Answers to requests that had a final answer before. */
  repeated: number;
}

/** GETs or POSTs. Undefined: no answer. */
export async function call(
  platform: TorturePlatform,
  { link, path, body, headers }: Omit<Operation, 'id' | 'ended' | 'repeatable'>,
): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${platform.url(link)}${path}`, {
      method: body === undefined && !path.endsWith('/void') ? 'GET' : 'POST',
      headers: {
        'x-api-key': KEY,
        'x-request-timeout-ms': String(REQUEST_MS),
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(CLIENT_MS),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

export class Client {
  readonly figures: ClientFigures = { accepted: 0, rejected: 0, unanswered: 0, repeated: 0 };
  readonly #platform: TorturePlatform;
  readonly #numbers: Random;
  readonly #next: () => Operation;
  readonly #open: Operation[] = [];
  readonly #finals: { operation: Operation; answer: Answer }[] = [];

  /** @param next makes operations */
  constructor(platform: TorturePlatform, numbers: Random, next: () => Operation) {
    this.#platform = platform;
    this.#numbers = numbers;
    this.#next = next;
  }

  /** Sends operations while `running`. Some of those without an answer are left for later. */
  async run(running: () => boolean): Promise<void> {
    while (running()) {
      const open =
        this.#open.length > 0 && this.#numbers.below(3) === 0 ? this.#open.splice(this.#numbers.below(this.#open.length), 1)[0] : undefined;
      const operation = open ?? this.#next();
      if (!(await this.#attempt(operation))) {
        this.#open.push(operation);
        await pause(RETRY_MS);
      }
      if (this.#numbers.below(5) === 0) await this.#repeat();
    }
  }

  /** Repeats what has no final answer yet until it has one. */
  async settle(): Promise<void> {
    for (let operation = this.#open.pop(); operation; operation = this.#open.pop()) {
      const one = operation;
      await waitFor(`an answer to ${one.id}`, () => this.#attempt(one));
    }
  }

  /** @returns whether the operation has a final answer now */
  async #attempt(operation: Operation): Promise<boolean> {
    const answer = await call(this.#platform, operation);
    if (!isFinal(answer)) {
      this.figures.unanswered += 1;
      return false;
    }
    const accepted = answer.status < 300;
    this.figures[accepted ? 'accepted' : 'rejected'] += 1;
    assert.ok(accepted || REJECTIONS.has(String(answer.body['code'])), `${operation.id}: ${JSON.stringify(answer.body)}`);
    const follower = operation.ended(answer);
    if (follower) this.#open.push(follower);
    if (operation.repeatable(answer)) this.#finals.push({ operation, answer });
    return true;
  }

  /** Sends an operation that has its final answer again: the answer is the same. */
  async #repeat(): Promise<void> {
    if (this.#finals.length === 0) return;
    const { operation, answer } = this.#numbers.pick(this.#finals);
    const again = await call(this.#platform, operation);
    if (!isFinal(again)) return;
    assert.deepEqual([again.status, stable(again.body)], [answer.status, stable(answer.body)], `${operation.id} again`);
    this.figures.repeated += 1;
  }
}

function isFinal(answer: Answer | undefined): answer is Answer {
  return answer !== undefined && answer.status < 500 && !OPEN.has(String(answer.body['code']));
}

/** An answer without what says that it is a repetition, and without the state of a hold, which may change meanwhile. */
function stable(body: Record<string, unknown>): Record<string, unknown> {
  const { replayed: _replayed, state: _state, endedAt: _endedAt, settledMinor: _settled, ...rest } = body;
  return rest;
}
