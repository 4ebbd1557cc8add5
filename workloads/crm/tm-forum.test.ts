/** The mapping to TM Forum's Open APIs in docs/adr/0012-tm-forum.md and docs/crm.md, against the state machines and the lists of the public schemas. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { STATE_MACHINES } from '../shared/contracts/crm/states.ts';
import type { StatefulFamily } from '../shared/contracts/crm/states.ts';

/** Enumerations of the schemas. */
const PUBLISHED: Record<string, string[]> = {
  // IndividualStateType and OrganizationStateType.
  'TMF629 v5.0.1': ['initialized', 'validated', 'deceased', 'closed'],
  // Examples of lifecycleStatus, which is a free text.
  'TMF620 v5.0.0': ['inDesign', 'active'],
  // ProductOrderStateType.
  'TMF622 v5.0.0': [
    'acknowledged',
    'rejected',
    'pending',
    'held',
    'inProgress',
    'cancelled',
    'completed',
    'failed',
    'partial',
    'assessingCancellation',
    'pendingCancellation',
    'draft',
    'inProgress.accepted',
  ],
  // ProductStatusType.
  'TMF637 v5.0.0': ['created', 'pendingActive', 'cancelled', 'active', 'pendingTerminate', 'terminated', 'suspended', 'aborted'],
  // ServiceStateType.
  'TMF638 v5.0.0': ['feasibilityChecked', 'designed', 'reserved', 'inactive', 'active', 'terminated', 'suspended'],
  // ResourceStatusType.
  'TMF639 v4.0.0': ['standby', 'alarm', 'available', 'reserved', 'unknown', 'suspended'],
  // CustomerBillStateType.
  'TMF678 v5.0.0': ['new', 'onHold', 'validated', 'sent', 'settled', 'partiallyPaid'],
  TMF676: [],
};

const page = (path: string): string[] => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8').split('\n');
const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .map((cell) => cell.trim())
    .slice(1, -1);
const codes = (cell = ''): string[] => [...cell.matchAll(/`([\w.]+)`/g)].map(([, code = '']) => code);
const sorted = (values: Iterable<string>): string[] => [...values].toSorted();

const rows = new Map(
  page('adr/0012-tm-forum.md')
    .filter((line) => /^\| \w+ \| TMF/.test(line))
    .map((line) => {
      const [family = '', api = '', , used, added, unused] = cellsOf(line);
      return [family.replace(/s$/, ''), { api, used: codes(used), added: codes(added), unused: codes(unused) }] as const;
    }),
);

test('the ADR has a row for each family', () => {
  assert.deepEqual(sorted(rows.keys()), sorted(Object.keys(STATE_MACHINES)));
});

for (const [family, { api, used, added, unused }] of rows) {
  test(`the states of a ${family} are those of ${api} and the added ones`, () => {
    assert.deepEqual(sorted([...used, ...added]), sorted(Object.keys(STATE_MACHINES[family as StatefulFamily].next)));
    assert.deepEqual(sorted([...used, ...unused]), sorted(PUBLISHED[api] ?? ['no such API']));
  });
}

test('docs/crm.md has every state with its successors', () => {
  const documented = page('crm.md')
    .filter((line) => Object.keys(STATE_MACHINES).some((family) => line.startsWith(`| ${family} | `)))
    .map((line) => {
      const [family, state = '', next] = cellsOf(line);
      return `${family} ${codes(state).join()}${state.includes('**') ? ' initial' : ''}: ${codes(next).join()}`;
    });
  const machines = Object.entries(STATE_MACHINES).flatMap(([family, { initial, next }]) =>
    Object.entries(next).map(
      ([state, allowed]) => `${family} ${state}${(initial as readonly string[]).includes(state) ? ' initial' : ''}: ${allowed.join()}`,
    ),
  );
  assert.deepEqual(documented, machines);
});
