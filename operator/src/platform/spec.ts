/**
 * The spec of a BssPlatform, composed of the general fields and those of the components: one zod schema from which types, defaults, CRD, the
 * chart's schema and the reference page follow.
 */
import { z } from 'zod';
import { GENERAL, imagesPiece, SHARED } from '../api/general.ts';
import { consumerGroupsPiece } from '../api/groups.ts';
import { pathText, type Problem } from '../api/index.ts';
import { groupFields, specFields } from '../api/piece.ts';
import { profilesOf, withProfile } from '../api/profiles.ts';
import { rule } from '../api/rules.ts';
import { templatesPiece } from '../api/templates.ts';
import { topicsPiece } from '../api/topics.ts';
import { DEFINITIONS, SPEC_PIECES } from './components/index.ts';
import { EXISTING_RULES } from './components/monitoring.ts';
import { thirdPartyImages } from './images.ts';

const programs = Object.fromEntries(thirdPartyImages(DEFINITIONS).map(({ name, what }) => [name, what]));

const PIECES = [
  ...GENERAL,
  imagesPiece({ ...programs, workloads: 'the workloads and the migration Job' }),
  topicsPiece(DEFINITIONS.flatMap(({ topics = [] }) => topics)),
  consumerGroupsPiece(DEFINITIONS.flatMap(({ consumerGroup }) => (consumerGroup ? [consumerGroup] : []))),
  ...SHARED,
  templatesPiece(DEFINITIONS.flatMap(({ name, withoutPods }) => (withoutPods ? [] : [name]))),
  ...SPEC_PIECES,
];

const workloads = SPEC_PIECES.flatMap(({ groupRules = [] }) => groupRules)
  .reduce((schema, one) => rule(schema, one), z.strictObject(groupFields('workloads', SPEC_PIECES)))
  .prefault({})
  .describe('The services of the platform.');

/** Defaults that depend on `spec.profile`. */
export const profiles = profilesOf(PIECES);

/** Shape of `spec` as a user writes it and the API server stores it. */
export const specSchema = EXISTING_RULES.reduce((schema, one) => rule(schema, one), z.strictObject(specFields(PIECES, { workloads })));

/** The spec after defaults and profile: what the builders take. Exactly one of `managed` and `external` is set for each store. */
export type BssPlatformSpec = z.output<typeof specSchema>;

export type ParsedSpec = { ok: true; spec: BssPlatformSpec } | { ok: false; problems: Problem[] };

/** Checks a spec as read from the API server or a file, and fills in defaults and profile. Never throws. */
export function parseSpec(raw: unknown): ParsedSpec {
  const result = specSchema.safeParse(withProfile(raw ?? {}, profiles, PIECES));
  if (result.success) return { ok: true, spec: result.data };
  return { ok: false, problems: result.error.issues.map((issue) => ({ path: pathText(issue.path), message: issue.message })) };
}
