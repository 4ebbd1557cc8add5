/** Names that users and other programs rely on. */
export const GROUP = 'bss-platform.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'BssPlatform';
export const PLURAL = 'bssplatforms';
export const AUTOSCALER_KIND = 'ConsumerAutoscaler';
export const AUTOSCALER_PLURAL = 'consumerautoscalers';

/** Of server-side apply. */
export const FIELD_MANAGER = 'bss-operator';
/** Prefix of our labels and annotations. */
export const PREFIX = `${GROUP}/`;
export const FINALIZER = `${PREFIX}finalizer`;
/** Annotation of a platform: a value that it did not have before asks for new credentials. */
export const ROTATE_ANNOTATION = `${PREFIX}rotate-credentials`;
/** Version of the platform that this operator creates by default, and the newest that it knows. */
export const PLATFORM_VERSION = '0.1.0';
