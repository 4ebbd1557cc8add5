/** Redis, and the caches of the services. */
import { PLATFORM, series } from '../promql.ts';
import type { Group, RuleOptions } from './types.ts';

/** Share of maxmemory in use. Without a limit (maxmemory 0) there is no share. */
export const CACHE_MEMORY_RATIO = 'instance:redis_memory:used_ratio';

export function redisGroups({ timing }: RuleOptions): Group[] {
  return [
    {
      name: 'bss-cache-records',
      rules: [{ record: CACHE_MEMORY_RATIO, expr: `${series('redis_memory_used_bytes')} / (${series('redis_memory_max_bytes')} > 0)` }],
    },
    {
      name: 'redis-alerts',
      rules: [
        {
          alert: 'RedisDown',
          expr: `${series('redis_up')} == 0`,
          for: timing.for('down'),
          severity: 'critical',
          team: 'cache',
          summary: 'Redis of platform {{ $labels.platform }} is down',
          description: 'The exporter cannot log in to Redis: the server is down, unreachable or refuses the password.',
        },
        {
          alert: 'CacheMemoryUsage',
          expr: `${CACHE_MEMORY_RATIO} > 0.8`,
          for: timing.for('resources'),
          severity: 'warning',
          team: 'cache',
          summary: 'Redis of platform {{ $labels.platform }} is nearly full',
          description:
            '{{ $value | humanizePercentage }} of maxmemory is in use, above 80 %. At 100 % Redis evicts keys or refuses writes.',
        },
        {
          alert: 'CacheRejectsConnections',
          expr: `increase(${series('redis_rejected_connections_total')}[${timing.range('event')}]) > 0`,
          severity: 'warning',
          team: 'cache',
          summary: 'Redis of platform {{ $labels.platform }} refuses clients',
          description: '{{ $value | printf "%.0f" }} connections were refused: maxclients is reached.',
        },
        {
          alert: 'CacheDistrusted',
          expr: `min by (${PLATFORM}, service, pod) (${series('cache_trusted')}) == 0`,
          for: timing.for('warning'),
          severity: 'warning',
          team: 'cache',
          summary: 'A cache of {{ $labels.service }} is not used',
          description: 'The cache in {{ $labels.pod }} cannot read the notifications of changes: every read goes to the database.',
        },
      ],
    },
  ];
}
