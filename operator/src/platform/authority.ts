/** The certificate authority of an external store, as a file in the pods that connect to it. */
import type { V1Volume } from '@kubernetes/client-node';
import { secretVolume } from './pods.ts';
import type { SecretUse } from './types.ts';

/** What a pod needs to read the authority. */
export interface Authority {
  /** Where the containers find the certificate. */
  path: string;
  volumes: V1Volume[];
  mounts: Record<string, string>;
  secrets: SecretUse[];
}

const FILE = 'ca.crt';

/** @param store its name in paths and volumes, such as `postgres` @param secret the Secret's key that holds the certificate in PEM */
export function authority(store: string, secret: { name: string; key: string }): Authority {
  const [volume, directory] = [`${store}-ca`, `/etc/${store}-ca`];
  return {
    path: `${directory}/${FILE}`,
    volumes: [secretVolume(volume, secret.name, { [secret.key]: FILE })],
    mounts: { [directory]: volume },
    secrets: [{ name: secret.name, keys: [secret.key] }],
  };
}
