/** Schemathesis generates requests from the OpenAPI document of a running gateway, and checks each answer against it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ensureSchemathesis } from '../../../local/src/build/python.ts';
import { run, RunError } from '../../../local/src/exec.ts';

/** Another seed generates other requests; a failing run prints its seed. */
export const SEED = process.env['SCHEMATHESIS_SEED'] ?? '1';
const TIMEOUT_MS = 260_000;

/** The credential reaches it by its environment: other users can read the arguments of a process. */
const CONFIG = `[headers]
Authorization = "Bearer \${API_KEY}"

[parameters]
# A generated ETag loses its quotes. This is that of a new resource.
"header.if-match" = '"1"'

[checks.positive_data_acceptance]
# 412 and 428: the version that a change is based on is another one, or was not sent.
# 422: a valid request that the rules of a service, or an earlier request with its key, do not permit.
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "428", "429", "5xx"]

[[operations]]
# The value of a cursor, which comes from another answer, has no schema.
include-method = "GET"
include-path-regex = "^/api/v1/[a-z-]+(/[{]id[}]/[a-z-]+)?$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "412", "422", "428", "429", "5xx"]
`;

export interface Conformance {
  /** Operations that were tested. */
  operations: number;
  /** Requests that were generated. */
  requests: number;
  output: string;
}

/**
 * @param base address of the gateway
 * @param key of a client of the gateway
 * @param options.examples generated requests of each operation in the phase `fuzzing`, unless SCHEMATHESIS_EXAMPLES says another number; those of
 * the phase `coverage` follow from the schemas
 * @param options.select further arguments, which select operations
 * @throws AssertionError with what Schemathesis printed, when an answer is not as documented
 */
export async function conformance(
  base: string,
  key: string,
  { examples, select = [] }: { examples: number; select?: readonly string[] },
): Promise<Conformance> {
  const schemathesis = await ensureSchemathesis();
  const folder = await mkdtemp(join(tmpdir(), 'bss-schemathesis-'));
  try {
    const config = join(folder, 'schemathesis.toml');
    await writeFile(config, CONFIG);
    const most = process.env['SCHEMATHESIS_EXAMPLES'] ?? String(examples);
    const phases = ['--phases', 'examples,coverage,fuzzing,stateful', '--max-examples', most, '--seed', SEED];
    const limits = ['--workers', '1', '--request-timeout', '30', '--continue-on-failure', '--no-color'];
    const args = ['--config-file', config, 'run', `${base}/openapi.json`, ...phases, ...limits, ...select];
    const { stdout } = await run(schemathesis, args, { cwd: folder, env: { ...process.env, API_KEY: key }, timeoutMs: TIMEOUT_MS });
    return {
      operations: Number(/Tested: (\d+)/.exec(stdout)?.[1]),
      requests: Number(/(\d+) generated/.exec(stdout)?.[1]),
      output: stdout,
    };
  } catch (error) {
    return assert.fail(error instanceof RunError ? error.stdout + error.stderr : String(error));
  } finally {
    await rm(folder, { recursive: true });
  }
}
