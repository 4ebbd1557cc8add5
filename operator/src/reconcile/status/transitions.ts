/** Transitions between two statuses, as events. Pure; equal statuses give no event. */
import type { BssPlatformStatus } from '../../api/index.ts';
import { conditionOf, type ConditionType } from './conditions.ts';
import type { EventReason } from './events.ts';

export interface Transition {
  type: 'Normal' | 'Warning';
  reason: EventReason;
  message: string;
}

export function transitions(old: BssPlatformStatus | undefined, next: BssPlatformStatus): Transition[] {
  const became = (type: ConditionType, status: string) =>
    conditionOf(next, type)?.status === status && conditionOf(old, type)?.status !== status;
  const message = (type: ConditionType) => conditionOf(next, type)?.message ?? '';
  const [before, after] = [conditionOf(old, 'Ready')?.reason, conditionOf(next, 'Ready')?.reason];
  const entered = (name: string) => after === name && before !== name;
  const wasReady = conditionOf(old, 'Ready')?.status === 'True';
  const list: (Transition | false | undefined)[] = [
    became('SpecValid', 'False') && { type: 'Warning', reason: 'InvalidSpec', message: message('SpecValid') },
    became('SecretsMissing', 'True') && { type: 'Warning', reason: 'SecretsMissing', message: message('SecretsMissing') },
    became('Paused', 'True') && { type: 'Normal', reason: 'Paused', message: message('Paused') },
    conditionOf(old, 'Paused')?.status === 'True' &&
      became('Paused', 'False') && { type: 'Normal', reason: 'Resumed', message: 'the operator applies changes again' },
    entered('Hibernating') && { type: 'Normal', reason: 'Hibernating', message: 'stopping all pods, workloads first' },
    isAsleep(before) && !isAsleep(after) && { type: 'Normal', reason: 'Waking', message: 'starting the pods again, stores first' },
    entered('Upgrading') && { type: 'Normal', reason: 'Upgrading', message: `from ${old?.version ?? '?'}: ${message('Ready')}` },
    old?.version !== undefined &&
      next.version !== old.version && { type: 'Normal', reason: 'Upgraded', message: `runs ${next.version ?? '?'}` },
    became('Ready', 'True') && { type: 'Normal', reason: 'Ready', message: message('Ready') },
    wasReady && entered('NotReady') && { type: 'Warning', reason: 'NotReady', message: message('Ready') },
    became('Degraded', 'True') && { type: 'Warning', reason: 'NotReady', message: message('Degraded') },
    became('Rotating', 'True') && { type: 'Normal', reason: 'RotationBegun', message: message('Rotating') },
    conditionOf(old, 'Rotating')?.status === 'True' &&
      became('Rotating', 'False') && { type: 'Normal', reason: 'RotationDone', message: message('Rotating') },
    entered('Deleting') && { type: 'Normal', reason: 'Deleting', message: message('Ready') },
  ];
  return list.filter((entry) => typeof entry === 'object');
}

function isAsleep(reason: string | undefined): boolean {
  return reason === 'Hibernating' || reason === 'Hibernated';
}
