/** What kube-score says about manifests, and the answers of `kube-score.yaml`. Pure. */
import { z } from 'zod';

/** One entry of `kube-score.yaml`. A field that is left out matches everything. */
const answerSchema = z.strictObject({
  check: z.string(),
  /** The first line of the finding, for checks that have several. */
  finding: z.string().optional(),
  /** Names of manifests: `small` for `golden/small.yaml`, `install` for `charts/install.yaml`. */
  manifests: z.array(z.string()).min(1).optional(),
  /** `Kind/name`. */
  objects: z.array(z.string()).min(1).optional(),
  reason: z.string().min(20),
});

export type Answer = z.infer<typeof answerSchema>;

/** @throws ZodError for an unknown field, and for an answer without a reason */
export function answersOf(config: unknown): Answer[] {
  return z.array(answerSchema).parse(config);
}

/** The part of kube-score's JSON (version v2) that is read here. */
const reportSchema = z.array(
  z.object({
    type_meta: z.object({ kind: z.string() }),
    object_meta: z.object({ name: z.string() }),
    checks: z.array(
      z.object({
        check: z.object({ id: z.string(), name: z.string() }),
        grade: z.number(),
        skipped: z.boolean(),
        comments: z.array(z.object({ path: z.string(), summary: z.string() })).nullable(),
      }),
    ),
  }),
);

export interface Finding {
  readonly manifest: string;
  /** `Kind/name`; of a Job without the hash at the end of its name. */
  readonly object: string;
  readonly container: string;
  readonly check: string;
  readonly finding: string;
}

/** The grade of a check that has nothing to say. */
const ALL_OK = 10;

export interface Report {
  /** `Kind/name` of each object that kube-score knows. */
  readonly objects: string[];
  readonly findings: Finding[];
}

/** Reads what kube-score printed about one manifest. */
export function reportOf(manifest: string, json: string): Report {
  const objects = reportSchema.parse(JSON.parse(json)).map(({ type_meta, object_meta, checks }) => ({
    name: objectName(type_meta.kind, object_meta.name),
    checks,
  }));
  const findings = objects.flatMap(({ name: object, checks }) =>
    checks
      .filter(({ grade, skipped }) => !skipped && grade < ALL_OK)
      .flatMap(({ check, comments }) =>
        (comments ?? [{ path: '', summary: check.name }]).map(({ path: container, summary: finding }) => ({
          manifest,
          object,
          container,
          check: check.id,
          finding,
        })),
      ),
  );
  return { objects: objects.map(({ name }) => name), findings };
}

/** The name of a Job ends with a hash of its content, which an answer does not name. */
export function objectName(kind: string, name: string): string {
  return `${kind}/${kind === 'Job' ? name.replace(/-[0-9a-f]{10}$/, '') : name}`;
}

/**
 * Compares findings with answers.
 * @returns one line for each finding without an answer, and for each answer, or part of one, that matches no finding; sorted
 */
export function unansweredOf(findings: readonly Finding[], answers: readonly Answer[]): string[] {
  const open = findings.filter((finding) => !answers.some((answer) => matches(answer, finding)));
  return [...new Set([...open.map(lineOf), ...answers.flatMap((answer) => unusedParts(answer, findings))])].toSorted();
}

function matches({ check, finding, manifests, objects }: Answer, found: Finding): boolean {
  return (
    check === found.check &&
    (finding ?? found.finding) === found.finding &&
    (manifests?.includes(found.manifest) ?? true) &&
    (objects?.includes(found.object) ?? true)
  );
}

function lineOf({ manifest, object, container, check, finding }: Finding): string {
  return `${manifest}: ${object}${container === '' ? '' : ` ${container}`}: ${finding} (${check})`;
}

function unusedParts(answer: Answer, findings: readonly Finding[]): string[] {
  const matched = findings.filter((finding) => matches(answer, finding));
  const unused = (what: string): string => `kube-score.yaml: the answer to ${answer.check}${what} matches no finding; remove it`;
  if (matched.length === 0) return [unused(answer.finding === undefined ? '' : ` (${answer.finding})`)];
  const objects = (answer.objects ?? []).filter((object) => !matched.some((finding) => finding.object === object));
  const manifests = (answer.manifests ?? []).filter((manifest) => !matched.some((finding) => finding.manifest === manifest));
  return [...objects.map((object) => unused(` for ${object}`)), ...manifests.map((manifest) => unused(` in ${manifest}`))];
}
