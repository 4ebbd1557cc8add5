/** ConsumerAutoscalers as lines of text. Pure. */
import { parseConsumerAutoscaler, type ConsumerAutoscalerStatus } from '../api/index.ts';
import { readAutoscalerStatus } from '../reconcile/autoscalers/status.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import { columns, type Paint } from './output.ts';
import { figuresText, replicasText } from './status-text.ts';

/** A tree with a line for each; empty without one. */
export function describeAutoscalers(resources: readonly AutoscalerObject[], paint: Paint): string {
  if (resources.length === 0) return '';
  const lines = columns(resources.map((resource) => row(resource))).map((line, index) => {
    const fork = index === resources.length - 1 ? '└─' : '├─';
    return `${paint('dim', fork)} ${paint(STYLE[line.slice(0, 1)] ?? 'dim', line.slice(0, 1))}${line.slice(1)}`;
  });
  return [paint('bold', 'ConsumerAutoscalers'), ...lines].join('\n');
}

const STYLE: Record<string, 'green' | 'yellow' | 'red'> = { '✓': 'green', '○': 'yellow', '✗': 'red' };

function row({ metadata, spec, status: raw }: AutoscalerObject): string[] {
  const status = readAutoscalerStatus(raw);
  const { namespace, name, generation = 0 } = metadata;
  const title = `${namespace}/${name}`;
  if (status?.conditions === undefined) return ['○', title, subject(spec), '', '', 'not reconciled yet: run bss doctor'];
  const behind = (status.observedGeneration ?? 0) < generation ? '  (the newest generation is not reconciled yet)' : '';
  return [mark(status), title, subject(spec), figuresText(status), `replicas ${replicasText(status)}`, `${situation(status)}${behind}`];
}

/** The group, and what it scales. */
function subject(spec: unknown): string {
  const parsed = parseConsumerAutoscaler(spec);
  if (!parsed.ok) return '';
  const { group, scaleTargetRef } = parsed.spec;
  return `${group} of ${scaleTargetRef.kind} ${scaleTargetRef.name}`;
}

const conditionOf = ({ conditions = [] }: ConsumerAutoscalerStatus, type: string) => conditions.find((one) => one.type === type);

/** Somebody has to act, the operator retries, or it scales. */
function mark(status: ConsumerAutoscalerStatus): string {
  if (conditionOf(status, 'Ready')?.status === 'True') return '✓';
  return conditionOf(status, 'Stalled')?.status === 'True' ? '✗' : '○';
}

/** Why it does not scale; else the last decision, and what limits it. */
function situation(status: ConsumerAutoscalerStatus): string {
  const ready = conditionOf(status, 'Ready');
  if (ready?.status !== 'True') return told(ready);
  const limited = conditionOf(status, 'ScalingLimited');
  return limited?.status === 'True' ? told(limited) : told(status);
}

function told({ reason = '', message = '' }: { reason?: string | undefined; message?: string | undefined } = {}): string {
  return message === '' ? reason : `${reason}: ${message}`;
}
