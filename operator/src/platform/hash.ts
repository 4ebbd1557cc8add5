/** Hash of a configuration or secret, as pod templates and names of Jobs carry it. */
export { shortFingerprint as hash } from '../objects/index.ts';
