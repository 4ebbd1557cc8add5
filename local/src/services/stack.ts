/**
 * The programs of the monitoring stack for tests, on free ports of 127.0.0.1, with the configurations that the caller gives: Loki, Jaeger, the
 * Collector as gateway and as log agent, and Tempo where this machine has it.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureExtra, findExtra, type Extra } from '../build/extra.ts';
import { ensurePrograms } from '../build/programs.ts';
import { serverFolder } from './folder.ts';
import { freePorts } from './ports.ts';
import { ServerProcess, type Service } from './process.ts';

/** Where a program listens and keeps its data. Each takes what it needs. */
export interface StackPlace {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly otlpPort: number;
  readonly metricsPort: number;
  /** Folder for its data; empty at the start. */
  readonly data: string;
}

/** Base URLs of programs that run already. */
export type StackUrls = Readonly<Record<'loki' | 'jaeger' | 'jaegerOtlp', string>> &
  Readonly<Partial<Record<'tempo' | 'tempoOtlp', string>>>;

/** Text of the configuration of each program. */
export interface StackConfigurations {
  readonly loki: (place: StackPlace) => string;
  readonly tempo: (place: StackPlace) => string;
  readonly jaeger: (place: StackPlace) => string;
  readonly collector: (place: StackPlace, stores: StackUrls) => string;
  /** @param logs folder of the logs of pods, laid out as the kubelet does */
  readonly logAgent: (place: StackPlace, stores: StackUrls, logs: string) => string;
}

export interface StackServers {
  readonly urls: StackUrls;
  /** Base URL of the Collector, for OTLP over HTTP. */
  readonly otlp: string;
  /** Folder from which the log agent reads the logs of pods. */
  readonly podLogs: string;
  /** URLs of the metrics of each program. */
  readonly metrics: Readonly<Record<string, string>>;
  /** By name of the component. */
  readonly servers: Readonly<Record<string, Service>>;
  /** Why there is no Tempo. */
  readonly withoutTempo?: string;
  readonly stop: () => Promise<void>;
}

/**
 * Starts them in the order in which they need each other.
 * @throws Failure with the relevant lines of its log when a program refuses its configuration or is not ready in time
 */
export async function startStack(configurations: StackConfigurations): Promise<StackServers> {
  const launcher = new Launcher(await serverFolder('services'));
  const tempo = findExtra('tempo');
  try {
    const stores = await startStores(launcher, configurations, tempo);
    const collectors = await startCollectors(launcher, configurations, stores.urls);
    return {
      ...collectors,
      urls: stores.urls,
      metrics: { ...stores.metrics, ...collectors.metrics },
      servers: launcher.servers,
      ...('missing' in tempo ? { withoutTempo: tempo.missing } : {}),
      stop: () => launcher.stop(),
    };
  } catch (error) {
    await launcher.stop();
    throw error;
  }
}

async function startStores(
  launcher: Launcher,
  configurations: StackConfigurations,
  extra: Extra,
): Promise<Pick<StackServers, 'urls' | 'metrics'>> {
  const programs = await ensurePrograms(['loki', 'jaeger']);
  const startTempo = async (archive: string): Promise<StackPlace> => {
    const program = await ensureExtra(archive);
    return launcher.start('tempo', configurations.tempo, {
      command: (file) => [program, `-config.file=${file}`],
      ready: ({ httpPort }) => at(httpPort, '/ready'),
    });
  };
  const [loki, jaeger, tempo] = await Promise.all([
    launcher.start('loki', configurations.loki, {
      command: (file) => [programs.loki, `-config.file=${file}`],
      ready: ({ httpPort }) => at(httpPort, '/ready'),
    }),
    launcher.start('jaeger', configurations.jaeger, {
      command: (file) => [programs.jaeger, `--config=${file}`],
      ready: ({ httpPort }) => at(httpPort, '/api/services'),
    }),
    'archive' in extra ? startTempo(extra.archive) : undefined,
  ]);
  return {
    urls: {
      loki: at(loki.httpPort),
      jaeger: at(jaeger.httpPort),
      jaegerOtlp: at(jaeger.otlpPort),
      ...(tempo === undefined ? {} : { tempo: at(tempo.httpPort), tempoOtlp: at(tempo.otlpPort) }),
    },
    metrics: {
      loki: at(loki.httpPort, '/metrics'),
      jaeger: at(jaeger.metricsPort, '/metrics'),
      ...(tempo === undefined ? {} : { tempo: at(tempo.httpPort, '/metrics') }),
    },
  };
}

/** The gateway and the log agent are the same program. */
async function startCollectors(
  launcher: Launcher,
  configurations: StackConfigurations,
  urls: StackUrls,
): Promise<Pick<StackServers, 'otlp' | 'podLogs' | 'metrics'>> {
  const { 'otelcol-contrib': program } = await ensurePrograms(['otelcol-contrib']);
  const podLogs = join(launcher.folder, 'pods');
  await mkdir(podLogs);
  const options: Launch = {
    command: (file) => [program, `--config=${file}`],
    ready: ({ metricsPort }) => at(metricsPort, '/metrics'),
  };
  const [collector, agent] = await Promise.all([
    launcher.start('collector', (place) => configurations.collector(place, urls), options),
    launcher.start('log-agent', (place) => configurations.logAgent(place, urls, podLogs), options),
  ]);
  return {
    otlp: at(collector.otlpPort),
    podLogs,
    metrics: { collector: at(collector.metricsPort, '/metrics'), 'log-agent': at(agent.metricsPort, '/metrics') },
  };
}

interface Launch {
  /** @param file path of its configuration */
  readonly command: (file: string) => readonly string[];
  /** URL that answers 200 when the program serves. */
  readonly ready: (place: StackPlace) => string;
}

/** Starts programs, each with a folder of its own, and ends them all. */
class Launcher {
  readonly folder: string;
  readonly servers: Record<string, Service> = {};

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Resolves when the program serves. */
  async start(name: string, configuration: (place: StackPlace) => string, { command, ready }: Launch): Promise<StackPlace> {
    const [httpPort = 0, grpcPort = 0, otlpPort = 0, metricsPort = 0] = await freePorts(4);
    const folder = join(this.folder, name);
    const place = { httpPort, grpcPort, otlpPort, metricsPort, data: join(folder, 'data') };
    await mkdir(place.data, { recursive: true });
    const file = join(folder, 'config.yml');
    await writeFile(file, configuration(place));
    const probe = (): Promise<boolean> => succeeds(ready(place));
    const server = new ServerProcess({ name, command: command(file), logFile: join(folder, 'log'), port: httpPort, probe });
    this.servers[name] = server;
    await server.start();
    return place;
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.servers).map((server) => server.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function succeeds(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

const at = (port: number, path = ''): string => `http://127.0.0.1:${port}${path}`;
