/**
 * The spec is composed of pieces: one for each component and each general field. A piece is a schema with the place where it belongs and the
 * defaults that depend on the profile.
 */
import type { z } from 'zod';

/** An object as parsed from YAML or JSON, not validated yet. */
export type Raw = Record<string, unknown>;
export interface SpecPiece<At extends string = string, S extends z.ZodType = z.ZodType> {
  /** Path of the field below `spec`: `kafka`, or `workloads.ledger` for a field of a group. */
  at: At;
  schema: S;
  /** Defaults by profile, relative to the field. A default that all profiles share belongs to the schema. */
  profiles?: { small?: Raw; production?: Raw };
  /**
   * Settles defaults that depend on what the user wrote.
   * @param merged the user's value over the defaults of the profile, not validated yet
   * @param given the user's value; undefined when the field is absent
   */
  settle?: (merged: unknown, given: unknown) => unknown;
  /** Rules that compare this field with others of its group. */
  groupRules?: GroupRule[];
}

/** A rule of a group of components, such as `workloads`: see `rule()`. */
export interface GroupRule {
  cel: string;
  message: string;
  fieldPath: string;
  check: (group: Record<string, { enabled?: boolean | undefined }>) => boolean;
}

export function piece<const At extends string, S extends z.ZodType>(
  at: At,
  schema: S,
  options: Omit<SpecPiece, 'at' | 'schema'> = {},
): SpecPiece<At, S> {
  return { at, schema, ...options };
}

/** Schemas by name of the field, for the pieces that belong to no group. */
export type Fields<P extends SpecPiece> = { [Q in P as Q['at'] extends `${string}.${string}` ? never : Q['at']]: Q['schema'] };

/** Schemas by name of the field, for the pieces of one group. */
export type GroupFields<G extends string, P extends SpecPiece> = {
  [Q in P as Q['at'] extends `${G}.${infer Name}` ? Name : never]: Q['schema'];
};

/** The fields of a group, in the order of the pieces. */
export function groupFields<G extends string, P extends SpecPiece>(group: G, pieces: readonly P[]): GroupFields<G, P> {
  const members = pieces.filter(({ at }) => at.startsWith(`${group}.`));
  return Object.fromEntries(members.map(({ at, schema }) => [at.slice(group.length + 1), schema])) as GroupFields<G, P>;
}

/** The fields of the spec in the order of the pieces; a group is where its first member is. */
export function specFields<P extends SpecPiece, G extends Record<string, z.ZodType>>(pieces: readonly P[], groups: G): Fields<P> & G {
  const entries = pieces.map(({ at, schema }) => {
    const group = at.split('.')[0] ?? at;
    return [group, groups[group] ?? schema] as const;
  });
  return Object.fromEntries(entries) as Fields<P> & G;
}
