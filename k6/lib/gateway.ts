/** Requests to the gateway, each one counted and checked. */
import { check } from 'k6';
import http, { type RefinedResponse } from 'k6/http';
import { authorization, baseUrl } from './environment.ts';
import { errorRate, responseTime, throughput } from './metrics.ts';

export type Answer = RefinedResponse<'text'>;
export type Expectations = Record<string, (answer: Answer) => boolean>;

export interface Call {
  readonly method: string;
  /** With query. */
  readonly path: string;
  /** Path without ids and query: names the request in metrics and checks. */
  readonly name: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** False sends no credential. */
  readonly authenticated?: boolean;
  /** Most seconds to wait for the answer. */
  readonly limitSeconds?: number;
  /** What is right about the answer, by name. All of it must hold. */
  readonly expect: Expectations;
}

/** Sends a request. An answer that is not as expected counts as an error and as a failed check. */
export function send(call: Call): { answer: Answer; ok: boolean } {
  const { method, path, name, body, headers = {}, authenticated = true, limitSeconds = 30, expect } = call;
  const answer = http.request(method, baseUrl + path, body === undefined ? null : JSON.stringify(body), {
    headers: {
      ...headers,
      ...(authenticated ? authorization() : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    tags: { name: `${method} ${name}` },
    timeout: `${limitSeconds}s`,
    responseType: 'text',
  });
  const named = Object.entries(expect).map(([what, holds]): [string, typeof holds] => [`${method} ${name}: ${what}`, holds]);
  const ok = check(answer, Object.fromEntries(named));
  throughput.add(1);
  responseTime.add(answer.timings.duration);
  errorRate.add(!ok);
  return { answer, ok };
}

/** The body as JSON; undefined where it is none. */
export function jsonOf(answer: Answer): unknown {
  try {
    return JSON.parse(answer.body ?? '');
  } catch {
    return undefined;
  }
}

/** A field of a JSON body; undefined where there is none. */
export function field(answer: Answer, name: string): unknown {
  const body = jsonOf(answer);
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;
}
