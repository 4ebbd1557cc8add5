/** PgHero: a web page about the database: slow queries, missing indexes, sizes, connections. */
import { z } from 'zod';
import { placement, resources } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { EXPORTER_KEY, EXPORTER_ROLE } from '../logins.ts';
import { addressOf, credentialsName } from '../names.ts';
import { deployment, service } from '../parts.ts';
import { container, fromSecret, podTemplate, probes, scratch, value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { usesDatabase } from '../store.ts';
import type { PlatformInput } from '../types.ts';
import { postgresAccess } from './postgres.ts';

const schema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe('Run PgHero. The login is `admin`, its password is in the Secret `<platform>-credentials`, key `pghero-password`.'),
    resources: resources('PgHero'),
    ...placement(),
  })
  .prefault({})
  .describe('PgHero, a web page about the database. It connects as the PostgreSQL exporter does, and reads no table.');

export const specPiece = piece('pghero', schema, {
  profiles: {
    small: { resources: amounts('20m', '128Mi', '500m', '384Mi') },
    production: { resources: amounts('50m', '256Mi', undefined, '512Mi') },
  },
});

const IMAGE = { name: 'pghero', refs: { '0.1.0': 'ankane/pghero:v3.7.0' }, what: 'PgHero' };
const USER = 65532;
const PORT = 8080;
const PASSWORD_KEY = 'pghero-password';

const isPresent = (spec: BssPlatformSpec) => spec.pghero.enabled && spec.observability.mode === 'managed' && usesDatabase(spec);

function template(input: PlatformInput) {
  const { pghero } = input.spec;
  const server = postgresAccess(input);
  const secret = credentialsName(input);
  const { authority } = server;
  const root = authority ? `&sslrootcert=${authority.path}` : '';
  const url = `postgres://${EXPORTER_ROLE}:$(DATABASE_PASSWORD)@${server.host}:${server.port}/ledger?sslmode=${server.tls}${root}`;
  return podTemplate(input, {
    component: 'pghero',
    placement: pghero,
    user: USER,
    secrets: [{ name: secret, keys: [EXPORTER_KEY, PASSWORD_KEY] }, ...(authority?.secrets ?? [])],
    gracePeriodSeconds: 15,
    containers: [
      container(input, {
        name: 'pghero',
        image: IMAGE,
        command: ['puma', '-C', '/app/config/puma.rb'],
        env: [
          value('PORT', PORT),
          fromSecret('DATABASE_PASSWORD', secret, EXPORTER_KEY),
          value('DATABASE_URL', url),
          value('PGHERO_USERNAME', 'admin'),
          fromSecret('PGHERO_PASSWORD', secret, PASSWORD_KEY),
        ],
        ports: { http: PORT },
        resources: pghero.resources,
        mounts: { '/app/tmp': 'tmp', '/tmp': 'tmp', ...authority?.mounts },
        // Every page asks for the login.
        probes: probes({ tcpSocket: { port: 'http' } }),
      }),
    ],
    volumes: [scratch('tmp', '64Mi'), ...(authority?.volumes ?? [])],
  });
}

export const definition: ComponentDefinition = {
  name: 'pghero',
  stage: 'observability',
  present: isPresent,
  images: [IMAGE],
  ports: () => ({ http: PORT }),
  connections: () => ['postgres'],
  admits: () => [{ from: 'anywhere', ports: [PORT] }],
  credentials: [{ key: PASSWORD_KEY, type: 'password' }],
  reads: [EXPORTER_KEY, PASSWORD_KEY],
  endpoints: (platform) =>
    isPresent(platform.spec) ? [{ name: 'pghero', address: `http://${addressOf(platform, 'pghero')}:${PORT}` }] : [],
  manifests: (input) => [service(input, 'pghero', { http: PORT }), deployment(input, 'pghero', template(input), 1, { type: 'Recreate' })],
};
