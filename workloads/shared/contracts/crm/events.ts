/** The event that follows each change of a resource. It has no personal data: a consumer that needs some reads the resource. */
import { z } from 'zod';
import { id, moment } from './common.ts';
import { FAMILIES } from './resource.ts';

/** The default topic. The record's key is the id of the resource, so that its changes stay in order. */
export const CRM_EVENT_TOPIC = 'crm.change.v1';

export const changeEvent = z.object({
  family: z.enum([...FAMILIES, 'addresses']),
  /** Past tense: created, updated, deleted, statusChanged, erased and so on. */
  action: z.string(),
  id,
  /** Of the resource after the change. A consumer drops every event whose version is not above the last that it has seen. */
  version: z.int().min(1),
  at: moment,
  /** Names of the fields that have changed, personal ones too. */
  changed: z.array(z.string()),
  /** The resource after the change, without personal fields. */
  resource: z.record(z.string(), z.unknown()),
});
export type ChangeEvent = z.output<typeof changeEvent>;

/** CloudEvents type of an event. */
export const changeType = ({ family, action }: Pick<ChangeEvent, 'family' | 'action'>): string => `crm.${family}.${action}.v1`;

/** CloudEvents attributes as Kafka headers, beside the trace headers. @param eventId the same for every delivery */
export function changeHeaders(event: ChangeEvent, eventId: string, source: string): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_type: changeType(event),
    ce_source: source,
    ce_id: eventId,
    ce_time: event.at,
    ce_subject: event.id,
    'content-type': 'application/json',
  };
}
