/** The routes of crm at a gateway with every service that they need, against the OpenAPI document of the gateway. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PaymentPlatform, GATEWAY_KEY } from '../crm/testing/payments.ts';
import { ROUTES } from '../shared/contracts/crm/routes.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { conformance, SEED } from './testing/schemathesis.ts';

const LIMIT = { timeout: 300_000 };
const EXAMPLES = 5;
/** The families of the route table, as paths begin with them. */
const PATHS = `^/api/v1/(${[...new Set(ROUTES.map(({ url }) => url.split('/')[3]))].join('|')})`;

let platform: PaymentPlatform;
let gateway: Workload;
let base: string;

before(async () => {
  platform = await PaymentPlatform.start();
  // Schemathesis tries requests without credentials, all of them from one address.
  const started = await platform.startGateway({ AUTH_FAILURES_PER_MINUTE: '100000', REQUESTS_PER_SECOND: '100000' });
  gateway = started.workload;
  base = started.client.base;
}, LIMIT);
after(() => platform?.stop(), LIMIT);

test('every answer of the routes of crm is as documented, and none is a failure of a service', LIMIT, async (context) => {
  const select = ['--include-path-regex', PATHS];
  const { operations, requests, output } = await conformance(base, GATEWAY_KEY, { examples: EXAMPLES, select });
  assert.equal(operations, ROUTES.length, output);
  assert.ok(requests > 20 * ROUTES.length, `only ${requests} requests:\n${output}`);
  assert.equal(await gateway.metric('http_requests_total', 'status="5'), 0);
  assert.ok((await gateway.metric('http_requests_total', 'status="201"')) > 0, 'resources were created');
  context.diagnostic(`${requests} requests to ${operations} operations with seed ${SEED}`);
});
