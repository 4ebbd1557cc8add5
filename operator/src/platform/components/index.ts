/** The list of components. This is the only place that names them all: what the operator does with a component follows from its definition. */
import type { ComponentDefinition } from '../definition.ts';
import * as alertmanager from './alertmanager.ts';
import * as base from './base.ts';
import * as exporters from './exporters.ts';
import * as gateway from './gateway.ts';
import * as grafana from './grafana.ts';
import * as interest from './interest.ts';
import * as kafkaExporter from './kafka-exporter.ts';
import * as kafka from './kafka.ts';
import * as ledger from './ledger.ts';
import * as migrate from './migrate.ts';
import * as pgbouncer from './pgbouncer.ts';
import * as postgres from './postgres.ts';
import * as prometheus from './prometheus.ts';
import * as pushgateway from './pushgateway.ts';
import * as redis from './redis.ts';

/** In the order in which they are brought up; the components of one stage are applied together. */
const COMPONENTS = [
  base,
  kafka,
  postgres,
  pgbouncer,
  redis,
  migrate,
  ledger,
  gateway,
  interest,
  kafkaExporter,
  exporters,
  pushgateway,
  prometheus,
  alertmanager,
  grafana,
] as const;

export const DEFINITIONS: readonly ComponentDefinition[] = COMPONENTS.map(({ definition }) => definition);

type Piece = Extract<(typeof COMPONENTS)[number], { specPiece: unknown }>['specPiece'];

/** The parts of the spec that belong to components. */
export const SPEC_PIECES: readonly Piece[] = COMPONENTS.flatMap((component) => ('specPiece' in component ? [component.specPiece] : []));
