/** The demo's closing words. Pure: facts in, text out. */
import type { Audit } from './audit.ts';
import type { Incident } from './incident-text.ts';
import type { OrderRun } from './order.ts';
import type { LedgerCheck } from './platform.ts';
import type { TransferRun } from './transfer.ts';
import { formatCount, peakRate, scaleActions, worstLag, type TimelineSample } from './timeline.ts';

export interface DemoFacts {
  /** Events that Kafka acknowledged in this run. */
  readonly accepted: number;
  readonly before: LedgerCheck;
  readonly after: LedgerCheck;
  /** Every balance beside an independent calculation over the topic; a message when that could not be made. */
  readonly audit: Audit | string;
  readonly samples: readonly TimelineSample[];
  /** Mean of database calls per batch, from Prometheus; undefined when it has no series yet. */
  readonly callsPerBatch: number | undefined;
  /** Memory of the platform's pods, bytes; undefined where it cannot be read. */
  readonly memoryBytes: number | undefined;
  /** The incident after the burst; a message when it did not go as it should; undefined before it. */
  readonly incident?: Incident | string;
  /** The transfers before the incident; a message when one failed; undefined where the platform makes none. */
  readonly transfer?: TransferRun | string | undefined;
  /** The order before the incident; a message when it failed; undefined where the platform has no crm. */
  readonly order?: OrderRun | string | undefined;
  /** Seconds from `kubectl apply` to Ready. */
  readonly readySeconds: number;
  /** Seconds since the start of the demo. */
  readonly totalSeconds: number;
  readonly addresses: readonly { readonly what: string; readonly url: string }[];
  readonly hints: readonly string[];
}

export interface Verdict {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What must hold after a run; each with the figures that it was judged by. */
export function verdicts(facts: DemoFacts): Verdict[] {
  const { after, before, accepted } = facts;
  const applied = after.transactions - before.transactions;
  const actions = scaleActions(facts.samples);
  const ups = actions.filter((action) => action.to > action.from).length;
  const downs = actions.length - ups;
  return [
    {
      name: 'every event applied exactly once',
      ok: applied === accepted,
      detail: `${formatCount(accepted)} in, ${formatCount(applied)} applied`,
    },
    auditVerdict(facts.audit),
    {
      name: 'entries sum to zero',
      ok: after.sumMinor === '0' && after.unbalancedTransactions === 0,
      detail: `sum ${after.sumMinor} over ${formatCount(after.postings)} postings`,
    },
    {
      name: 'balances equal their entries',
      ok: after.balanceMismatches === 0,
      detail: `${after.balanceMismatches} of ${formatCount(after.accounts)} accounts differ`,
    },
    { name: 'consumers were added', ok: ups > 0, detail: `${ups} scale-ups` },
    { name: 'consumers were taken away', ok: downs > 0, detail: `${downs} scale-downs` },
    ...(facts.transfer === undefined ? [] : [transferVerdict(facts.transfer)]),
    ...(facts.order === undefined ? [] : [orderVerdict(facts.order)]),
    ...(facts.incident === undefined ? [] : [incidentVerdict(facts.incident)]),
  ];
}

/** Names at most so many accounts or components. */
const SHOWN = 3;

function auditVerdict(audit: Audit | string): Verdict {
  const name = 'balances equal an independent calculation';
  if (typeof audit === 'string') return { name, ok: false, detail: audit };
  const { events, accounts, wrong } = audit;
  const named = wrong.length === 0 ? '' : `: ${wrong.slice(0, SHOWN).join('; ')}`;
  const detail = `${formatCount(events)} events of the topic, in order: ${wrong.length} of ${formatCount(accounts)} customers' accounts differ${named}`;
  return { name, ok: wrong.length === 0 && events > 0 && accounts > 0, detail };
}

function transferVerdict(transfer: TransferRun | string): Verdict {
  const name = 'a repeated transfer is made once, and its trace is found';
  if (typeof transfer === 'string') return { name, ok: false, detail: transfer };
  const { repeated, source, spans } = transfer;
  const trace = spans === undefined ? 'no trace store' : `${spans} spans`;
  return { name, ok: repeated && spans !== 0, detail: `${repeated ? 'made once' : 'made twice'}, balance from the ${source}, ${trace}` };
}

function orderVerdict(order: OrderRun | string): Verdict {
  const name = 'the payment of an invoice is in the ledger';
  if (typeof order === 'string') return { name, ok: false, detail: order };
  const { invoice, totalMinor, currency, settled, receivedMinor } = order;
  const detail = `${invoice} of ${totalMinor} ${currency} minor units is ${settled ? 'settled' : 'NOT settled'}, the receipts grew by ${receivedMinor}`;
  return { name, ok: settled && receivedMinor === totalMinor, detail };
}

function incidentVerdict(incident: Incident | string): Verdict {
  const name = 'the alert fired and was resolved';
  if (typeof incident === 'string') return { name, ok: false, detail: incident };
  const { alert, firedSeconds, resolvedSeconds, trace, logs } = incident;
  const spans = trace === undefined ? 'no trace store' : `${trace} spans`;
  const times = `${alert} ${firedSeconds.toFixed(0)} s after the fault, resolved ${resolvedSeconds.toFixed(0)} s after the repair`;
  return { name, ok: trace !== 0 && logs > 0, detail: `${times}; the failed request: ${spans}, ${logs} log lines` };
}

/** The first few of what is missing. @param missing a line for each component */
export function formatMissing(missing: readonly string[]): string {
  return [...missing.slice(0, SHOWN), ...(missing.length > SHOWN ? ['and others'] : [])].join('; ');
}

export function formatSummary(facts: DemoFacts): string {
  const actions = scaleActions(facts.samples).map((a) => `${a.from} -> ${a.to} at ${Math.round(a.at)} s`);
  const rows: [string, string][] = [
    ['events in', formatCount(facts.accepted)],
    ['events applied', formatCount(facts.after.transactions - facts.before.transactions)],
    ['throughput', `${formatCount(peakRate(facts.samples, 10))}/s at its best over 10 s`],
    ['worst lag', formatCount(worstLag(facts.samples))],
    ['database calls per batch', facts.callsPerBatch === undefined ? 'not scraped yet' : facts.callsPerBatch.toFixed(2)],
    ['replicas', actions.length === 0 ? 'never changed' : actions.join(', ')],
    ['platform Ready', `${facts.readySeconds.toFixed(0)} s after kubectl apply`],
    ['memory', facts.memoryBytes === undefined ? 'not measured here' : `${(facts.memoryBytes / 2 ** 30).toFixed(2)} GiB for all pods`],
    ['elapsed', `${facts.totalSeconds.toFixed(0)} s`],
  ];
  const checks = verdicts(facts).map((v) => `  ${v.ok ? '✔' : '✖'} ${v.name}: ${v.detail}`);
  return [
    'Summary',
    ...rows.map(([name, value]) => `  ${name.padEnd(26)} ${value}`),
    'Ledger, autoscaler and alerts',
    ...checks,
    'Addresses',
    ...facts.addresses.map((address) => `  ${address.what.padEnd(26)} ${address.url}`),
    ...facts.hints.map((hint) => `  ${hint}`),
  ].join('\n');
}
