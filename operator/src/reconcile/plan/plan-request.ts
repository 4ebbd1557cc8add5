/** The plan request in a platform's annotation. Pure. */
import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import { PREFIX, type Problem } from '../../api/index.ts';
import { isRecord } from '../../runtime/index.ts';

/** A merge patch of the resource, as JSON or YAML: `{"spec": {"version": "0.2.0"}}`. */
export const PLAN_ANNOTATION = `${PREFIX}plan`;
const PATH = `metadata.annotations[${PLAN_ANNOTATION}]`;
const EXAMPLE = '{"spec": {"version": "0.2.0"}}';

export interface PlanRequest {
  /** Hash of the text of the annotation. */
  id: string;
  /** Merge patch of the spec; null removes a field. Undefined when there are problems. */
  patch?: Record<string, unknown>;
  problems: Problem[];
}

export function readPlanRequest(text: string): PlanRequest {
  const id = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const wrong = (message: string): PlanRequest => ({ id, problems: [{ path: PATH, message }] });
  let value: unknown;
  try {
    // Aliases could expand a small text to any size.
    value = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    return wrong(`write a merge patch as JSON or YAML, such as ${EXAMPLE}: ${firstLine(error)}`);
  }
  if (!isRecord(value) || !isRecord(value['spec'])) return wrong(`write a merge patch of the resource, such as ${EXAMPLE}`);
  const others = Object.keys(value).filter((key) => key !== 'spec');
  if (others.length > 0) return wrong(`only spec can be planned: remove ${others.join(', ')}`);
  return { id, patch: value['spec'], problems: [] };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

/** JSON merge patch (RFC 7386), as the API server applies it. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
