/** The expressions of the dashboards under promtool, which parses them with Prometheus' own engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { dashboardExpressions } from '../testing/expressions.ts';
import { Promtool } from '../testing/promtool.ts';

const SELECTION = { namespace: 'bss', platform: 'demo', rateInterval: '1m' };

test('Prometheus parses every expression of every dashboard', async (context) => {
  const promtool = await Promtool.open();
  context.after(() => promtool.close());
  const expressions = (await dashboardExpressions(SELECTION)).filter(({ source }) => source === 'prometheus');
  assert.ok(expressions.length > 100, `only ${expressions.length} expressions were found`);
  // promtool names the rule that it cannot parse: a rule for each expression.
  const rules = expressions.map(({ expr, place }, index) => ({ record: `expression_${index}`, labels: { place }, expr }));
  await promtool.write('expressions.yml', stringify({ groups: [{ name: 'dashboards', rules }] }, { lineWidth: 0 }));
  await promtool.run('check', 'rules', 'expressions.yml');
});
