/** A planned change and its diff. Pure. */
import { createHash } from 'node:crypto';
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import { withoutBookkeeping, type KubernetesObject } from '../../runtime/index.ts';

export interface PlannedChange {
  /** `replace`: deleted and recreated. `keep`: no longer used, but kept with its data. `refused`: the API server rejects it, or it has another owner. */
  action: 'create' | 'change' | 'replace' | 'delete' | 'keep' | 'refused';
  kind: string;
  name: string;
  before?: KubernetesObject | undefined;
  after?: KubernetesObject | undefined;
  /** Reasons for the rollout of its pods; empty when there is none. */
  restarts: string[];
  /** Why it is refused. */
  refusal?: string;
}

export const VERSION_LABEL = 'app.kubernetes.io/version';

/** An upgrade changes the version label of every object; such changes are not listed. */
export function isRelabelled({ action, before, after, restarts }: PlannedChange): boolean {
  return action === 'change' && restarts.length === 0 && yaml(before) === yaml(after);
}

/** Lines of a unified diff without its header; empty unless the object is changed or recreated. */
export function diffLines({ action, before, after }: PlannedChange): string[] {
  if (action !== 'change' && action !== 'replace') return [];
  const patch = createTwoFilesPatch('', '', yaml(before), yaml(after), '', '', { context: 2 });
  // The first lines name the two files.
  return patch
    .split('\n')
    .slice(4)
    .filter((line) => line !== '' && !line.startsWith('\\'));
}

/** `1 to create, 2 to change, 0 to delete`. */
export function countChanges(changes: PlannedChange[]): string {
  const number = (...actions: PlannedChange['action'][]) => changes.filter(({ action }) => actions.includes(action)).length;
  const refused = number('refused');
  const parts = [`${number('create')} to create`, `${number('change', 'replace')} to change`, `${number('delete')} to delete`];
  return [...parts, ...(refused > 0 ? [`${refused} refused`] : [])].join(', ');
}

/** What a person compares: without status, version label and the server's bookkeeping. */
function yaml(object: KubernetesObject | undefined): string {
  if (object === undefined) return '';
  const { status: _status, metadata, ...rest } = withoutBookkeeping(withoutSecrets(object));
  const { uid: _uid, creationTimestamp: _time, labels = {}, ...kept } = metadata;
  const { [VERSION_LABEL]: _version, ...otherLabels } = labels;
  const text = stringify({ ...rest, metadata: { ...kept, labels: otherLabels } }, { sortMapEntries: true, lineWidth: 0 });
  // The template hash changes with any other field of the template and adds no information.
  return text.replace(TEMPLATE_HASH, '');
}

const TEMPLATE_HASH = new RegExp(`^ *${TEMPLATE_ANNOTATION.replaceAll('.', '[.]')}: .*\\n`, 'm');

/** Replaces the values of a Secret by hashes; returns other objects unchanged. Equal values have equal hashes, so changes still show. */
export function withoutSecrets(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object;
  return { ...object, ...hidden(object, 'data'), ...hidden(object, 'stringData') };
}

function hidden(object: KubernetesObject, field: string): Record<string, unknown> {
  const values = object[field];
  if (typeof values !== 'object' || values === null) return {};
  return { [field]: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, mask(String(value))])) };
}

function mask(value: string): string {
  return `*** (sha256 ${createHash('sha256').update(value).digest('hex').slice(0, 8)})`;
}
