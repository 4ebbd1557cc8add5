/** A change that a plan foresees, and how it reads: pure. */
import { createHash } from 'node:crypto';
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import { withoutBookkeeping, type KubernetesObject } from '../../runtime/index.ts';

export interface PlannedChange {
  /** `replace`: deleted and made anew. `keep`: no longer used, but its data stays. `refused`: the API server or another owner does not let us. */
  action: 'create' | 'change' | 'replace' | 'delete' | 'keep' | 'refused';
  kind: string;
  name: string;
  before?: KubernetesObject | undefined;
  after?: KubernetesObject | undefined;
  /** Why its pods are replaced; empty when they are not. */
  restarts: string[];
  /** Why it cannot be applied. */
  refusal?: string;
}

export const VERSION_LABEL = 'app.kubernetes.io/version';

/** The version is a label of every object, so that an upgrade changes them all: what nobody needs to read. */
export function isRelabelled({ action, before, after, restarts }: PlannedChange): boolean {
  return action === 'change' && restarts.length === 0 && yaml(before) === yaml(after);
}

/** The difference as lines of a unified diff, without its head; empty for what is not changed in place or replaced. */
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

/** What a person compares: without status, version label and what the server notes down. */
function yaml(object: KubernetesObject | undefined): string {
  if (object === undefined) return '';
  const { status: _status, metadata, ...rest } = withoutBookkeeping(withoutSecrets(object));
  const { uid: _uid, creationTimestamp: _time, labels = {}, ...kept } = metadata;
  const { [VERSION_LABEL]: _version, ...telling } = labels;
  const text = stringify({ ...rest, metadata: { ...kept, labels: telling } }, { sortMapEntries: true, lineWidth: 0 });
  // It changes with anything else in a template, and says nothing of its own.
  return text.replace(TEMPLATE_HASH, '');
}

const TEMPLATE_HASH = new RegExp(`^ *${TEMPLATE_ANNOTATION.replaceAll('.', '[.]')}: .*\\n`, 'm');

/** A Secret with the hashes of its values in their place; every other object as it is. Equal values have equal hashes, so a change still shows. */
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
