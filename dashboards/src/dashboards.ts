/** The generated dashboards, as Grafana's provisioning reads them. */
import overview from '../generated/dashboards/bss-overview.json' with { type: 'json' };
import business from '../generated/dashboards/bss-business.json' with { type: 'json' };
import system from '../generated/dashboards/bss-system.json' with { type: 'json' };
import components from '../generated/dashboards/bss-components.json' with { type: 'json' };
import kafka from '../generated/dashboards/bss-kafka.json' with { type: 'json' };
import database from '../generated/dashboards/bss-database.json' with { type: 'json' };
import cache from '../generated/dashboards/bss-cache.json' with { type: 'json' };
import interest from '../generated/dashboards/bss-interest.json' with { type: 'json' };
import autoscaling from '../generated/dashboards/bss-autoscaling.json' with { type: 'json' };
import ledger from '../generated/dashboards/credit-ledger.json' with { type: 'json' };
import logs from '../generated/dashboards/bss-logs.json' with { type: 'json' };
import traces from '../generated/dashboards/bss-traces.json' with { type: 'json' };
import monitoring from '../generated/dashboards/bss-monitoring.json' with { type: 'json' };
import operator from '../generated/dashboards/bss-operator.json' with { type: 'json' };
import slo from '../generated/dashboards/bss-slo.json' with { type: 'json' };

const ALL = [
  overview,
  business,
  system,
  components,
  kafka,
  database,
  cache,
  interest,
  autoscaling,
  ledger,
  slo,
  logs,
  traces,
  monitoring,
  operator,
];

/** Text of each dashboard by file name. Without indentation all of them take a seventh of what a ConfigMap may hold. */
export const DASHBOARD_FILES: Readonly<Record<string, string>> = Object.fromEntries(
  ALL.map((board) => [`${board.uid}.json`, JSON.stringify(board)]),
);

/** The file that Grafana opens with. */
export const HOME_DASHBOARD = `${overview.uid}.json`;
