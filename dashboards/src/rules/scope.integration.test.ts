/** The rules of two platforms in one Prometheus, under promtool: each sees its own series and those of the operator. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { Promtool } from '../testing/promtool.ts';
import { DEFAULTS, ruleGroups, scopedGroups } from './index.ts';
import { isAlert } from './types.ts';

const OPTIONS = { ...DEFAULTS, targets: ['bss-operator', 'gateway'] };
const scopeOf = (namespace: string, platform: string) => ({ namespace, platform, operatorNamespace: 'bss-system' });
const DEMO = scopeOf('bss', 'demo');
const SHOP = scopeOf('retail', 'shop');
const RECORDS = ruleGroups().flatMap(({ rules }) => rules.flatMap((rule) => (isAlert(rule) ? [] : [rule.record])));

let promtool: Promtool;

before(async () => {
  promtool = await Promtool.open();
});

after(() => promtool.close());

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
}

const rulesOf = (scope: typeof DEMO) => scopedGroups(OPTIONS, scope).flatMap(({ rules }) => rules as Rule[]);

test('every selector and every recorded name has the matchers of the platform', () => {
  const recorded = new RegExp(String.raw`(?<![\w:])(${RECORDS.join('|')})(?![\w:])(?!\{namespace=~"bss\|bss-system",)`);
  for (const { alert, record, expr } of rulesOf(DEMO)) {
    assert.doesNotMatch(expr, /\{(?!namespace=~"bss\|bss-system",platform=~"demo\|bss-operator")/, alert ?? record ?? '');
    assert.doesNotMatch(expr, recorded, alert ?? record ?? '');
  }
});

test('Prometheus accepts every rule of a platform', async () => {
  await promtool.write('scoped.yml', stringify({ groups: scopedGroups(OPTIONS, DEMO) }));
  await promtool.run('check', 'rules', '--lint=all', '--lint-fatal', 'scoped.yml');
});

/** A minute of samples every 15 s, one more than promtool reads. */
const always = (value: string) => `${value}x80`;
const up = (namespace: string, platform: string, job: string) => `up{namespace="${namespace}",platform="${platform}",job="${job}"}`;
const OPERATOR = { [up('bss-system', 'bss-operator', 'bss-operator')]: always('1+0') };
const requests = ({ namespace, platform }: typeof DEMO, status: string) =>
  `http_requests_total{namespace="${namespace}",platform="${platform}",job="gateway",service="gateway",status="${status}"}`;

const CASES: Record<string, { series: Record<string, string>; alert: string; fires: Record<'demo' | 'shop', boolean>; reason: string }> = {
  'the gateway of one platform is missing': {
    series: { ...OPERATOR, [up('retail', 'shop', 'gateway')]: always('1+0') },
    alert: 'TargetMissing',
    fires: { demo: true, shop: false },
    reason: 'the gateway of another platform is no substitute',
  },
  'the gateway of one platform fails': {
    series: { [requests(SHOP, '500')]: always('0+10'), [requests(DEMO, '200')]: always('0+10') },
    alert: 'BssErrorRateCritical',
    fires: { demo: false, shop: true },
    reason: 'an alert on a recorded series reads that of its platform',
  },
  'the operator does not lead': {
    series: { 'bss_operator_leader{namespace="bss-system",platform="bss-operator",job="bss-operator"}': always('0+0') },
    alert: 'OperatorNoLeader',
    fires: { demo: true, shop: true },
    reason: 'it concerns every platform, under the name of that platform',
  },
};

const NAMES = ['BssErrorRateCritical', 'TargetMissing', 'OperatorNoLeader', 'service:http_requests:error_ratio'];

/** The rules of a case, of one platform: to evaluate all of them would take ten times as long. */
function writtenRules(scope: typeof DEMO): string {
  const wanted = ({ alert, record }: Rule) => NAMES.includes(alert ?? record ?? '');
  const groups = scopedGroups(OPTIONS, scope).map(({ name, rules }) => ({ name, rules: (rules as Rule[]).filter(wanted) }));
  return stringify({ groups: groups.filter(({ rules }) => rules.length > 0) });
}

for (const [index, [name, { series, alert, fires, reason }]] of Object.entries(CASES).entries()) {
  for (const scope of [DEMO, SHOP]) {
    test(`${name}: ${alert} of ${scope.platform}`, async () => {
      const id = `${index}-${scope.platform}`;
      const { namespace, platform } = scope;
      const isFiring = fires[platform as 'demo' | 'shop'];
      const labels = `alertname="${alert}",alertstate="firing",namespace="${namespace}",platform="${platform}"`;
      const query = (expr: string, count: number) => ({
        expr,
        eval_time: '15m',
        exp_samples: count === 0 ? [] : [{ labels: '{}', value: count }],
      });
      await promtool.write(`rules-${id}.yml`, writtenRules(scope));
      await promtool.write(
        `test-${id}.yml`,
        stringify({
          rule_files: [`rules-${id}.yml`],
          evaluation_interval: '15s',
          tests: [
            {
              interval: '15s',
              input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
              promql_expr_test: [
                query(`count(ALERTS{${labels}})`, isFiring ? 1 : 0),
                query(`count(ALERTS{alertname="${alert}",platform!="${platform}"})`, 0),
              ],
            },
          ],
        }),
      );
      await assert.doesNotReject(promtool.run('test', 'rules', `test-${id}.yml`), reason);
    });
  }
}
