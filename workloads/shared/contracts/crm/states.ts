/**
 * The life cycles of the resource families, as tables. The names are those of the TM Forum Open APIs where these have a list of states (in camel
 * case); docs/adr/0012-tm-forum.md has the mapping.
 */

/** Which state may follow which. A state without a successor is final. */
export interface StateMachine<S extends string = string> {
  /** States that a resource may be created in; the first one is the default. */
  readonly initial: readonly [S, ...S[]];
  readonly next: Readonly<Record<S, readonly S[]>>;
}

/** TMF629 has no list of states. These are those of its life-cycle diagram in use. */
const customer = machine(['initialized', 'active'], {
  initialized: ['validated', 'active', 'closed'],
  validated: ['active', 'closed'],
  active: ['suspended', 'closed'],
  suspended: ['active', 'closed'],
  closed: [],
});

/** TMF620, product offering. */
const product = machine(['inStudy', 'inDesign', 'inTest', 'active', 'launched'], {
  inStudy: ['inDesign', 'rejected'],
  inDesign: ['inTest', 'rejected'],
  inTest: ['active', 'inDesign', 'rejected'],
  active: ['launched', 'retired'],
  launched: ['retired'],
  retired: ['launched', 'obsolete'],
  obsolete: [],
  rejected: [],
});

/** TMF638, service inventory. */
const service = machine(['feasibilityChecked', 'designed', 'reserved', 'inactive', 'active'], {
  feasibilityChecked: ['designed', 'terminated'],
  designed: ['reserved', 'inactive', 'terminated'],
  reserved: ['inactive', 'active', 'terminated'],
  inactive: ['active', 'terminated'],
  active: ['inactive', 'terminated'],
  terminated: [],
});

/** TMF639, status of a resource. */
const asset = machine(['available', 'reserved', 'standby', 'unknown'], {
  available: ['reserved', 'standby', 'suspended', 'alarm', 'unknown'],
  reserved: ['available', 'standby', 'suspended', 'alarm', 'unknown'],
  standby: ['available', 'reserved', 'suspended', 'alarm', 'unknown'],
  alarm: ['available', 'standby', 'suspended', 'unknown'],
  suspended: ['available', 'standby', 'unknown'],
  unknown: ['available', 'standby', 'suspended'],
});

/** TMF637, product inventory. */
const subscription = machine(['created', 'pendingActive', 'active'], {
  created: ['pendingActive', 'active', 'cancelled'],
  pendingActive: ['active', 'cancelled', 'aborted'],
  active: ['suspended', 'pendingTerminate', 'terminated'],
  suspended: ['active', 'pendingTerminate', 'terminated'],
  pendingTerminate: ['active', 'terminated'],
  terminated: [],
  cancelled: [],
  aborted: [],
});

/** TMF622, product order, with `draft` while items are added. `partial`: some items are fulfilled and the others cancelled. */
const order = machine(['draft'], {
  draft: ['acknowledged', 'cancelled'],
  acknowledged: ['inProgress', 'completed', 'cancelled'],
  inProgress: ['completed', 'partial'],
  completed: [],
  partial: [],
  cancelled: [],
});

/** TMF678, customer bill, with `voided`. A refund opens a settled invoice again. */
const invoice = machine(['new'], {
  new: ['validated', 'voided'],
  validated: ['validated', 'sent', 'voided'],
  sent: ['partiallyPaid', 'settled', 'voided'],
  partiallyPaid: ['partiallyPaid', 'settled', 'sent'],
  settled: ['partiallyPaid', 'sent'],
  voided: [],
});

/**
 * TMF676, payment. `authorized`: the transfer is requested, and its outcome unknown. TMF676 has refunds as a resource of their own; here they are the
 * states `refunding` and `refunded`. A refund that the ledger rejects leaves the payment done.
 */
const payment = machine(['pendingAuthorization'], {
  pendingAuthorization: ['authorized'],
  authorized: ['done', 'failed'],
  done: ['refunding'],
  failed: [],
  refunding: ['refunded', 'done'],
  refunded: [],
});

/** By family. */
export const STATE_MACHINES = { customer, product, service, asset, subscription, order, invoice, payment } as const;
export type StatefulFamily = keyof typeof STATE_MACHINES;
export type StateOf<F extends StatefulFamily> = keyof (typeof STATE_MACHINES)[F]['next'] & string;

/** The states of a family, in the order of its life cycle. */
export function statesOf<F extends StatefulFamily>(family: F): [StateOf<F>, ...StateOf<F>[]] {
  return Object.keys(STATE_MACHINES[family].next) as [StateOf<F>, ...StateOf<F>[]];
}

function machine<S extends string>(
  initial: readonly [NoInfer<S>, ...NoInfer<S>[]],
  next: Record<S, readonly NoInfer<S>[]>,
): StateMachine<S> {
  return { initial, next };
}
