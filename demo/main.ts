import { createReadStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { dir } from 'tmp-promise';
import { type Argv, isTapwardenError, messageOf, start } from '../base/index.ts';
import { packageRoot } from '../cli/package-info.ts';
import { pathsOf } from '../driver-vm/index.ts';

/** What the demo reads of a run's result. */
type Result = { readonly allowed: number; readonly denied: number; readonly attempts: number };

const tapwarden = [process.execPath, join(packageRoot, 'bin', 'tapwarden.js')] as const;

/** TCP, UDP, IPv6 and ICMP: what the workload tries around the proxy. */
const triedAttempts = 4;

/**
 * `npm run demo`: a server on this machine, a policy that allows it, a workload that reaches it and then tries to go
 * around the proxy, and the events of that. Returns the exit status: 1 when it did not go as it must.
 */
async function main(): Promise<number> {
  if (process.geteuid?.() !== 0) {
    say("The demo makes network namespaces and a TAP device, which takes root: 'sudo npm run demo'.");
    return 1;
  }
  const events = join(pathsOf(process.env).stateDir, 'events', `demo-${timestamp(new Date())}.jsonl`);
  const { path: folder } = await dir({ prefix: 'tapwarden-demo-' });
  const { server, port, requests } = await startUpstream();
  try {
    step(`A server stands on this machine, at 127.0.0.1:${port}. No Internet is needed.`);
    const policy = await writePolicy(folder, port);
    step('The policy allows its name on its port, and nothing else:');
    say(indent(await readFile(policy, 'utf8')));
    step('A microVM boots, and runs demo/workload.py. The first run builds its images, which takes about a minute.');
    const result = join(folder, 'result.json');
    const options = ['--policy', policy, '--events', events, '--result', result];
    const status = await workload(['run', ...options, '--', 'python3', '-', String(port)]);
    if (status !== 0) return fail(`The run ended with status ${status}.`);
    step('Each of these is an event. As a person reads them (tapwarden events):');
    await execute(['events', '--file', events]);
    return judge(JSON.parse(await readFile(result, 'utf8')) as Result, requests(), events);
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function judge({ allowed, denied, attempts }: Result, requests: number, events: string): number {
  if (allowed !== 1 || requests !== 1) return fail(`The server saw ${requests} requests, and ${allowed} were allowed.`);
  if (attempts < triedAttempts) return fail(`Only ${attempts} of ${triedAttempts} attempts were seen.`);
  step(`One request arrived; ${denied} packets in ${attempts} attempts around the proxy were refused and seen.`);
  step(`The events as OCSF, one JSON object a line, stay in ${events}.`);
  say("  Next: 'node bin/tapwarden.js help run', and docs/policy.md for a policy of your own.");
  return 0;
}

/** A server that answers every request with one line, and counts them. */
async function startUpstream(): Promise<{ server: Server; port: number; requests: () => number }> {
  let count = 0;
  const server = createServer((_, response) => {
    count += 1;
    response.end('hello from the host\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return { server, port: (server.address() as AddressInfo).port, requests: () => count };
}

async function writePolicy(folder: string, port: number): Promise<string> {
  const template = await readFile(join(packageRoot, 'demo', 'policy.yaml'), 'utf8');
  const path = join(folder, 'policy.yaml');
  await writeFile(path, template.replace('[PORT]', `[${port}]`));
  return path;
}

/** Runs tapwarden with demo/workload.py on its standard input. */
async function workload(args: readonly string[]): Promise<number> {
  const child = start([...tapwarden, ...args], { stdio: ['pipe', 'inherit', 'inherit'] });
  const { stdin } = child.process;
  if (stdin !== null) {
    // A run that fails early does not read its input; its own message says why.
    stdin.on('error', () => undefined);
    createReadStream(join(packageRoot, 'demo', 'workload.py')).pipe(stdin);
  }
  return (await child.ended).status ?? 1;
}

async function execute(args: readonly string[]): Promise<void> {
  await start([...tapwarden, ...args] as unknown as Argv, { stdio: ['ignore', 'inherit', 'inherit'] }).ended;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const step = (text: string): void => say(`\n== ${text}`);
const indent = (text: string): string => text.trimEnd().replace(/^/gm, '  ');

function fail(why: string): number {
  say(`\nThe demo did not go as it must: ${why} 'node bin/tapwarden.js doctor' says what may be missing.`);
  return 1;
}

/** Example: `20261123-114051`. */
function timestamp(now: Date): string {
  return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = fail(`${isTapwardenError(error) ? `${error.code}: ` : ''}${messageOf(error)}.`);
}
