/** `bss render`: prints every manifest of a platform; needs no cluster. */
import { stringify } from 'yaml';
import { buildPlatform, credentialsName, FIRST_SLOT, parseSpec } from '../platform/index.ts';
import type { ResourceFile } from './resource.ts';
import { UsageError } from './usage.ts';

/** YAML documents in the order in which the operator applies them. @throws UsageError when the spec is invalid */
export function render(platform: ResourceFile, operatorNamespace: string): string {
  const parsed = parseSpec(platform.spec);
  if (!parsed.ok)
    throw new UsageError(
      `${platform.name} is not valid:\n${parsed.problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`,
    );
  const { name, namespace } = platform;
  const components = buildPlatform({ name, namespace, spec: parsed.spec, operatorNamespace, secretHashes: {}, slots: FIRST_SLOT });
  const documents = components.flatMap(({ name: component, stage, manifests }) =>
    manifests.map((manifest) => `# ${stage}: ${component}\n${stringify(manifest, { lineWidth: 0 })}`),
  );
  return `# The Secret ${credentialsName({ name, namespace })} with random passwords is created by the operator.\n${documents.map((text) => `---\n${text}`).join('')}`;
}
