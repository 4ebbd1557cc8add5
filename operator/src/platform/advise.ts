/** What is valid in a spec but unwise: a warning in status, never an error. Each component has checks of its own. */
import { DEFINITIONS } from './components/index.ts';
import { presentIn } from './definition.ts';
import { unknownVersion } from './images.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { Advice } from './types.ts';

/** Warnings about a spec: of the platform as a whole, then in the order of the components. */
export function adviseSpec(spec: BssPlatformSpec): Advice[] {
  const advice = [
    unknownVersion(spec),
    ...unusedTemplates(spec),
    ...DEFINITIONS.flatMap(({ advise }) => advise?.(spec, DEFINITIONS) ?? []),
  ];
  return advice.filter((one) => one !== undefined);
}

function unusedTemplates(spec: BssPlatformSpec): Advice[] {
  const present = new Set(presentIn(DEFINITIONS, spec).map(({ name }) => name));
  const unused = Object.keys(spec.templates).filter((name) => !present.has(name));
  return unused.map((name) => ({
    path: `spec.templates.${name}`,
    message: `the platform has no component ${name}: the template has no effect; remove it, or enable the component`,
  }));
}
