/** The list of components. This is the only place that names them all: what the operator does with a component follows from its definition. */
import type { ComponentDefinition } from '../definition.ts';
import * as accounts from './accounts.ts';
import * as alertmanager from './alertmanager.ts';
import * as base from './base.ts';
import * as collector from './collector.ts';
import * as crmSeed from './crm-seed.ts';
import * as crm from './crm.ts';
import * as exporters from './exporters.ts';
import * as gateway from './gateway.ts';
import * as grafana from './grafana.ts';
import * as interest from './interest.ts';
import * as jaeger from './jaeger.ts';
import * as kafkaExporter from './kafka-exporter.ts';
import * as kafka from './kafka.ts';
import * as ledger from './ledger.ts';
import * as logAgent from './log-agent.ts';
import * as loki from './loki.ts';
import * as migrate from './migrate.ts';
import * as monitoring from './monitoring.ts';
import * as nodeExporter from './node-exporter.ts';
import * as orchestrator from './orchestrator.ts';
import * as outboxRelay from './outbox-relay.ts';
import * as pgbouncer from './pgbouncer.ts';
import * as pghero from './pghero.ts';
import * as postgres from './postgres.ts';
import * as prometheus from './prometheus.ts';
import * as pushgateway from './pushgateway.ts';
import * as readModel from './read-model.ts';
import * as redis from './redis.ts';
import * as tempo from './tempo.ts';

/** In the order in which they are brought up; the components of one stage are applied together. */
const COMPONENTS = [
  base,
  kafka,
  postgres,
  pgbouncer,
  redis,
  migrate,
  ledger,
  outboxRelay,
  orchestrator,
  // Before the read model: the columns of kubectl get show the first consumer group.
  interest,
  readModel,
  accounts,
  crm,
  crmSeed,
  gateway,
  kafkaExporter,
  exporters,
  nodeExporter,
  pushgateway,
  monitoring,
  prometheus,
  alertmanager,
  loki,
  logAgent,
  tempo,
  jaeger,
  collector,
  grafana,
  pghero,
] as const;

export const DEFINITIONS: readonly ComponentDefinition[] = COMPONENTS.map(({ definition }) => definition);

type Piece = Extract<(typeof COMPONENTS)[number], { specPiece: unknown }>['specPiece'];

/** The parts of the spec that belong to components. */
export const SPEC_PIECES: readonly Piece[] = COMPONENTS.flatMap((component) => ('specPiece' in component ? [component.specPiece] : []));
