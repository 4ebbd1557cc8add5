/**
 * Hibernation and the retention of topics. Kafka deletes events by their age, and unread events age in hibernation: an external Kafka deletes them
 * meanwhile, the managed one when it wakes. Pure.
 */
import { retentionMs } from '../../api/index.ts';
import { consumedTopics, type BssPlatformSpec } from '../../platform/index.ts';

interface Risk {
  status: 'True' | 'False';
  reason: string;
  message: string;
}

/**
 * Whether unread events may be lost. The messages hold no figure that changes with time.
 * @param since start of the hibernation, RFC 3339
 * @param at the present instant, RFC 3339
 */
export function retentionRisk(spec: BssPlatformSpec, since: string, at: string): Risk {
  if (!spec.hibernate) return { status: 'False', reason: 'NotHibernated', message: '' };
  const limited = consumedTopics(spec).filter((topic) => Number.isFinite(retentionMs(topic.retention)));
  const [shortest] = limited.toSorted((a, b) => retentionMs(a.retention) - retentionMs(b.retention));
  if (shortest === undefined) return { status: 'False', reason: 'NoConsumers', message: '' };
  const { name, retention } = shortest;
  const deadline = Date.parse(since) + retentionMs(retention);
  const end = new Date(deadline).toISOString().replace(/\.\d+Z$/, 'Z');
  const topic = `topic ${name} keeps events for ${retention}, and unread events age in hibernation`;
  return Date.parse(at) < deadline
    ? {
        status: 'True',
        reason: 'Hibernated',
        message: `${topic}: wake the platform before ${end}, after which Kafka deletes events that no consumer has read; for longer hibernations raise the retention under spec.topics first`,
      }
    : {
        status: 'True',
        reason: 'RetentionExceeded',
        message: `${topic}: since ${end} Kafka may delete events that no consumer has read, a managed Kafka within minutes after the platform wakes; to keep what is left, raise the retention under spec.topics in the change that wakes it`,
      };
}
