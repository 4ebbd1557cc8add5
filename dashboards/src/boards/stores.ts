import { quantileOf, rateOf, selected } from '../promql.ts';
import { GROUP_LAG, GROUP_RATE, TOPIC_RATE } from '../rules/kafka.ts';
import { POOL_RATIO, QUERY_SECONDS } from '../rules/postgresql.ts';
import { CACHE_MEMORY_RATIO } from '../rules/redis.ts';
import { graph, query, stat, type Board } from './board.ts';

export const kafka: Board = {
  uid: 'bss-kafka',
  title: 'Kafka Performance',
  description: 'Throughput of topics, lag of consumer groups, dead letters and rebalances.',
  rows: [
    {
      title: 'State',
      panels: [
        stat('Brokers', 'short', 'Brokers in the cluster.', `max(${selected('kafka_brokers')})`, {
          limits: { warning: 1, critical: null, falling: true },
        }),
        stat(
          'Age of the reading',
          's',
          'Time since the exporter last read offsets and groups.',
          `max(time() - ${selected('kafka_exporter_last_reading_timestamp_seconds')})`,
          {
            limits: { warning: 15, critical: 30 },
          },
        ),
        stat('Records that wait', 'short', 'Lag of all groups. Target: below 1,000.', `sum(${selected(GROUP_LAG)})`, {
          limits: { warning: 1000, critical: 10_000 },
        }),
        stat(
          'Dead letters',
          'short',
          'Records given up within the last hour.',
          `sum(increase(${selected('interest_dead_letters_total')}[1h]))`,
          {
            limits: { warning: 1, critical: 100 },
            next: 'bss-interest',
          },
        ),
      ],
    },
    {
      title: 'Throughput',
      panels: [
        graph('Appended', 'ops', 'Records that producers append, by topic.', [query(selected(TOPIC_RATE, 'topic!~"__.*"'), '{{topic}}')]),
        graph('Consumed', 'ops', 'Records that groups commit.', [query(selected(GROUP_RATE), '{{consumergroup}} {{topic}}')]),
        graph('Clients', 'ops', "Records that the platform's own clients produce and consume.", [
          query(`sum by (service, direction, topic) (${rateOf('kafka_client_messages_total')})`, '{{service}} {{direction}} {{topic}}'),
        ]),
      ],
    },
    {
      title: 'Consumer groups',
      panels: [
        graph(
          'Lag',
          'short',
          'Records that wait, by group and topic. Target: below 1,000.',
          [query(selected(GROUP_LAG), '{{consumergroup}} {{topic}}')],
          {
            limits: { warning: 1000, critical: 10_000 },
            next: 'bss-autoscaling',
          },
        ),
        graph('Lag by partition', 'short', 'One line that stays above the others is a hot partition.', [
          query(selected('kafka_consumergroup_lag'), '{{consumergroup}} {{topic}} {{partition}}'),
        ]),
        graph('Members', 'short', 'Consumers in each group.', [query(selected('kafka_consumergroup_members'), '{{consumergroup}}')]),
        graph('Joins', 'short', 'Times that members joined their group, a minute: rebalances.', [
          query(`60 * sum by (service) (${rateOf('kafka_consumer_group_joins_total')})`, '{{service}}'),
        ]),
        graph('Pause of a rebalance', 's', 'p95 of the time that a member consumes nothing because of a rebalance.', [
          query(quantileOf(0.95, 'kafka_consumer_rebalance_pause_seconds', 'service'), '{{service}}'),
        ]),
        graph('Partitions', 'short', 'Partitions of each topic: the most consumers that can work at once.', [
          query(selected('kafka_topic_partitions', 'topic!~"__.*"'), '{{topic}}'),
        ]),
      ],
    },
  ],
};

const bouncer = (metric: string) => `sum by (user) (${selected(metric, 'database!="pgbouncer"')})`;

export const database: Board = {
  uid: 'bss-database',
  title: 'Database Performance',
  description: 'Postgres, the PgBouncer in front of it, and what the services ask of them.',
  rows: [
    {
      title: 'PgBouncer',
      panels: [
        graph(
          'Query time',
          's',
          'Mean time of a query between client and server. Target: below 500 ms.',
          [query(selected(QUERY_SECONDS), '{{database}}')],
          {
            limits: { warning: 0.5, critical: 1 },
          },
        ),
        graph(
          'Pool in use',
          'percentunit',
          'Busy share of each pool. Warning 15 of 20, critical 18 of 20.',
          [query(selected(POOL_RATIO), '{{user}} {{pod}}')],
          {
            limits: { warning: 0.75, critical: 0.9 },
            max: 1,
          },
        ),
        graph(
          'Clients that wait',
          'short',
          'Clients without a server connection. Any for long: the pool is exhausted.',
          [query(bouncer('pgbouncer_pools_client_waiting_connections'), '{{user}}')],
          { limits: { warning: null, critical: 1 } },
        ),
        graph('Connections', 'short', 'Connections of clients and to the server.', [
          query(bouncer('pgbouncer_pools_client_active_connections'), '{{user}} clients'),
          query(bouncer('pgbouncer_pools_server_active_connections'), '{{user}} busy'),
          query(bouncer('pgbouncer_pools_server_idle_connections'), '{{user}} idle'),
        ]),
        graph('Queries', 'ops', 'Queries and transactions a second.', [
          query(`sum(${rateOf('pgbouncer_stats_queries_pooled_total', 'database!="pgbouncer"')})`, 'queries'),
          query(`sum(${rateOf('pgbouncer_stats_sql_transactions_pooled_total', 'database!="pgbouncer"')})`, 'transactions'),
        ]),
        graph('Clients and their limit', 'short', 'Clients of each PgBouncer, with max_client_conn.', [
          query(selected('pgbouncer_used_clients'), '{{pod}}'),
          query(selected('pgbouncer_config_max_client_connections'), '{{pod}} limit'),
        ]),
      ],
    },
    {
      title: 'Postgres',
      panels: [
        graph('Connections by state', 'short', 'Sessions on the database of the ledger.', [
          query(`sum by (state) (${selected('pg_stat_activity_count', 'datname="ledger"')})`, '{{state}}'),
        ]),
        graph('Transactions', 'ops', 'Commits and rollbacks a second.', [
          query(`sum(${rateOf('pg_stat_database_xact_commit')})`, 'commits'),
          query(`sum(${rateOf('pg_stat_database_xact_rollback')})`, 'rollbacks'),
        ]),
        graph('Rows', 'ops', 'Rows fetched and inserted a second.', [
          query(`sum(${rateOf('pg_stat_database_tup_fetched', 'datname="ledger"')})`, 'fetched'),
          query(`sum(${rateOf('pg_stat_database_tup_inserted', 'datname="ledger"')})`, 'inserted'),
        ]),
        graph(
          'Buffer hits',
          'percentunit',
          'Share of blocks found in shared_buffers. Usually above 99 %.',
          [
            query(
              `sum(${rateOf('pg_stat_database_blks_hit', 'datname="ledger"')}) / (sum(${rateOf('pg_stat_database_blks_hit', 'datname="ledger"')}) + sum(${rateOf('pg_stat_database_blks_read', 'datname="ledger"')}))`,
              'hits',
            ),
          ],
          { max: 1 },
        ),
        graph(
          'Oldest transaction',
          's',
          'By state. Critical above 1 minute: it holds locks and keeps vacuum from its work.',
          [query(`max by (state) (${selected('pg_stat_activity_max_tx_duration', 'datname="ledger"')})`, '{{state}}')],
          { limits: { warning: 30, critical: 60 } },
        ),
        graph('Locks and deadlocks', 'short', 'Locks held by mode, and deadlocks within the last 10 minutes.', [
          query(`sum by (mode) (${selected('pg_locks_count', 'datname="ledger"')}) > 0`, '{{mode}}'),
          query(`sum(increase(${selected('pg_stat_database_deadlocks')}[10m]))`, 'deadlocks'),
        ]),
        graph('Size', 'bytes', 'Size of each database.', [
          query(selected('pg_database_size_bytes', 'datname!~"template.*"'), '{{datname}}'),
        ]),
      ],
    },
    {
      title: 'Services',
      panels: [
        graph('Statements', 'ops', 'Statements that each service sends.', [
          query(`sum by (service, operation) (${rateOf('db_calls_total')})`, '{{service}} {{operation}}'),
        ]),
        graph('Connections of the services', 'short', 'Connections of each pool, by state.', [
          query(`sum by (service, state) (${selected('db_pool_connections')})`, '{{service}} {{state}}'),
        ]),
      ],
    },
  ],
};

export const cache: Board = {
  uid: 'bss-cache',
  title: 'Cache Performance',
  description: 'The caches of the services, and Redis: hit rate, staleness, memory, commands.',
  rows: [
    {
      title: 'Caches of the services',
      panels: [
        graph(
          'Reads without a load',
          'percentunit',
          'Share of the reads that made no load, by cache. Target: above 80 %.',
          [
            query(
              `sum by (service, cache) (${rateOf('cache_requests_total', 'result!~"miss|bypass"')}) / sum by (service, cache) (${rateOf('cache_requests_total')})`,
              '{{service}} {{cache}}',
            ),
          ],
          { limits: { warning: 0.8, critical: null, falling: true }, max: 1 },
        ),
        graph('Reads', 'ops', 'Reads by how they were answered: from the process, from Redis, by a load.', [
          query(`sum by (result) (${rateOf('cache_requests_total')})`, '{{result}}'),
        ]),
        graph(
          'Delay of invalidation',
          's',
          'Time from a change in the database to its effect in a process. Target: p99 below 250 ms.',
          [
            query(quantileOf(0.5, 'cache_invalidation_delay_seconds', 'service'), '{{service}} p50'),
            query(quantileOf(0.99, 'cache_invalidation_delay_seconds', 'service'), '{{service}} p99'),
          ],
          { limits: { warning: 0.25, critical: 2 } },
        ),
        graph('Invalidations', 'ops', 'Invalidations by cause; a gap removes every entry.', [
          query(`sum by (service, cause) (${rateOf('cache_invalidations_total')})`, '{{service}} {{cause}}'),
        ]),
        graph(
          'Trusted',
          'short',
          '1 while the entries of a process are used. At 0 every read goes to the database.',
          [query(`min by (service, pod) (${selected('cache_trusted')})`, '{{service}} {{pod}}')],
          { limits: { warning: 1, critical: null, falling: true }, max: 1 },
        ),
        graph('Redis joined', 'short', '1 while a process uses the values in Redis.', [
          query(`min by (service, pod) (${selected('cache_redis_joined')})`, '{{service}} {{pod}}'),
        ]),
        graph('Time of a load', 's', 'p95 of the time to load a value from the database, by cache.', [
          query(quantileOf(0.95, 'cache_load_duration_seconds', 'service, cache'), '{{service}} {{cache}}'),
        ]),
        graph('Size in the process', 'bytes', 'Size of the entries of each process, and its limit.', [
          query(`max by (service, pod) (${selected('cache_bytes')})`, '{{service}} {{pod}}'),
          query(`max by (service) (${selected('cache_bytes_limit')})`, '{{service}} limit'),
        ]),
        graph('Early reloads and warming', 'ops', 'Entries reloaded before they expired, and entries that warming has read.', [
          query(`sum by (service) (${rateOf('cache_early_expirations_total')})`, '{{service}} early'),
          query(`sum by (service) (${rateOf('cache_warmed_keys_total')})`, '{{service}} warmed'),
        ]),
      ],
    },
    {
      title: 'Redis',
      panels: [
        graph(
          'Hit rate',
          'percentunit',
          'Share of reads that found their key. Target: above 80 %.',
          [
            query(
              `sum(${rateOf('redis_keyspace_hits_total')}) / (sum(${rateOf('redis_keyspace_hits_total')}) + sum(${rateOf('redis_keyspace_misses_total')}))`,
              'hits',
            ),
          ],
          { limits: { warning: 0.8, critical: null, falling: true }, max: 1 },
        ),
        graph('Memory in use', 'percentunit', 'Share of maxmemory. Warning 80 %.', [query(selected(CACHE_MEMORY_RATIO), '{{pod}}')], {
          limits: { warning: 0.8, critical: 0.95 },
          max: 1,
        }),
        graph('Memory', 'bytes', 'Memory of the data, and its limit.', [
          query(selected('redis_memory_used_bytes'), 'used'),
          query(selected('redis_memory_max_bytes'), 'maxmemory'),
        ]),
        graph('Commands', 'ops', 'Commands a second, by kind.', [
          query(`topk(10, sum by (cmd) (${rateOf('redis_commands_total')}))`, '{{cmd}}'),
        ]),
        graph('Time of a command', 's', 'Mean time in the server, by kind.', [
          query(
            `topk(10, sum by (cmd) (${rateOf('redis_commands_duration_seconds_total')}) / sum by (cmd) (${rateOf('redis_commands_total')}))`,
            '{{cmd}}',
          ),
        ]),
        graph('Clients', 'short', 'Connected and blocked clients.', [
          query(selected('redis_connected_clients'), 'connected'),
          query(selected('redis_blocked_clients'), 'blocked'),
        ]),
        graph('Keys that went', 'ops', 'Keys evicted for want of memory, and expired by their time.', [
          query(`sum(${rateOf('redis_evicted_keys_total')})`, 'evicted'),
          query(`sum(${rateOf('redis_expired_keys_total')})`, 'expired'),
        ]),
      ],
    },
  ],
};
