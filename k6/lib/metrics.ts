/** Metrics of the scenarios, beside those of k6. */
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

/** Share of the requests whose answer was not as expected. */
export const errorRate = new Rate('error_rate');
/** Milliseconds from the request to the end of its answer. */
export const responseTime = new Trend('response_time', true);
/** Requests; k6 adds how many a second. */
export const throughput = new Counter('throughput');

/** Events that the ledger has applied. */
export const eventsApplied = new Counter('events_applied');
/** Events applied, divided by the time from the request to the last of them. */
export const eventsPerSecond = new Gauge('events_per_second');

/** Payments whose transfer the ledger has completed. */
export const paymentsDone = new Counter('payments_done');
