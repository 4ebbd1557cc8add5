/** The CustomResourceDefinition of this version, with the spec as the definitions of the components compose it. */
import { customResourceDefinition } from '../api/crd.ts';
import { inputSchema } from '../api/json-schema.ts';
import { profiles, specSchema } from './spec.ts';

export function platformDefinition() {
  return customResourceDefinition(inputSchema(specSchema, profiles));
}
