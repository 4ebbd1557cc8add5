/** The load tests of k6: their names, and the command that runs one against a gateway on loopback. */
import { readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ensurePrograms, K6_VERSION } from '../build/programs.ts';
import { Failure } from '../failure.ts';
import { PROJECT_DIR } from '../paths.ts';

const SCENARIOS = join(PROJECT_DIR, 'k6', 'scenarios');
const GIB = 1024 ** 3;

/** Variables with which a person changes a run; k6/README.md explains them. */
const SETTINGS = ['EVENTS', 'WAIT_SECONDS', 'DURATION_FACTOR'];

/** k6 sends no statistics about its use, and downloads no extensions. */
const QUIET = { K6_NO_USAGE_REPORT: 'true', K6_AUTO_EXTENSION_RESOLUTION: 'false' };

export interface LoadTest {
  readonly scenario: string;
  /** Base URL of the gateway. */
  readonly url: string;
  /** It reaches k6 by its environment: other users can read the arguments of a process. */
  readonly apiKey: string;
  /** Folder of the page and its data. */
  readonly results: string;
  /** What the page says about the platform, such as `platform 0.1.0`. */
  readonly versions: readonly string[];
}

/** Names of the files in k6/scenarios. */
export function scenarioNames(): string[] {
  return readdirSync(SCENARIOS)
    .filter((file) => /^[a-z-]+\.ts$/.test(file))
    .map((file) => file.replace('.ts', ''))
    .toSorted();
}

/** @throws Failure when there is no scenario of this name */
export function requireScenario(name: string): void {
  if (!scenarioNames().includes(name))
    throw new Failure(`There is no load test "${name}".`, { tryNext: scenarioNames().map((known) => `make load SCENARIO=${known}`) });
}

/**
 * The environment of k6: that of this process without its own settings of k6, and what the scenarios read. Pure.
 * @param versions text for the page
 */
export function loadEnvironment(test: LoadTest, versions: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = Object.entries(env).filter(([name]) => !name.startsWith('K6_'));
  return {
    ...Object.fromEntries(inherited),
    ...QUIET,
    BASE_URL: test.url,
    API_KEY: test.apiKey,
    RESULTS_FOLDER: test.results,
    RUN_COMMAND: loadCommand(test.scenario, env),
    RUN_MACHINE: `${availableParallelism()} processors, ${Math.round(totalmem() / GIB)} GiB`,
    RUN_VERSIONS: versions,
  };
}

/** The command that repeats a run. Pure. */
export function loadCommand(scenario: string, env: NodeJS.ProcessEnv): string {
  const given = SETTINGS.filter((name) => env[name]).map((name) => `${name}=${env[name]}`);
  return ['make load', `SCENARIO=${scenario}`, ...given].join(' ');
}

/** A command line with its environment. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The command of a load test. It ends with code 0 when every target is met, and with 99 when one is missed.
 * @throws Failure when there is no such scenario, or k6 cannot be built
 */
export async function loadTest(test: LoadTest, env: NodeJS.ProcessEnv = process.env): Promise<Command> {
  requireScenario(test.scenario);
  const { k6 } = await ensurePrograms(['k6'], (note) => console.log(note));
  const versions = [`k6 ${K6_VERSION}`, ...test.versions].join(', ');
  // An empty address: k6 opens no port for its REST API.
  const args = ['run', '--address', '', join(SCENARIOS, `${test.scenario}.ts`)];
  return { program: k6, args, env: loadEnvironment(test, versions, env) };
}
