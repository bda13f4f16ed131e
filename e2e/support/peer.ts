import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { type Argv, type Child, run, start, systemPath } from '../../base/index.ts';
import { kernelTest } from './kernel-tier.ts';
import { isRequired } from './tier.ts';

/**
 * Declares a test of the kernel tier against programs that scripts/test.sh installs. Where one is not there it is skipped
 * with its reason in the log, and fails where `REQUIRE` names the tier.
 */
export function peerTest(
  programs: readonly string[],
  title: string,
  body: (t: ExecutionContext) => Promise<void>,
): void {
  const missing = programs.filter((name) => !systemPath.split(':').some((folder) => isProgram(join(folder, name))));
  if (missing.length === 0) {
    kernelTest(title, body);
    return;
  }
  const reason = `not installed: ${missing.join(', ')}`;
  test.serial(title, (t) => {
    t.log(`skipped: ${reason}`);
    if (isRequired('kernel')) t.fail(reason);
    else t.pass();
  });
}

/** A receiver in a process of its own, on a port of loopback. */
export type Peer = {
  /** Ends it with SIGKILL, and is done when it is gone. */
  readonly kill: () => Promise<void>;
  /** Starts it again as it was, and is done when it listens. */
  readonly restart: () => Promise<void>;
};

/** Starts a receiver that listens on `port` and stays in the foreground. It is killed when the test ends. */
export async function startPeer(t: ExecutionContext, argv: Argv, port: number): Promise<Peer> {
  let child: Child | undefined;
  const kill = async (): Promise<void> => {
    child?.process.kill('SIGKILL');
    await child?.ended;
    child = undefined;
  };
  const restart = async (): Promise<void> => {
    const begun = start(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    child = begun;
    let output = '';
    for (const stream of [begun.process.stdout, begun.process.stderr]) {
      stream?.on('data', (piece: Buffer) => {
        output = `${output}${piece.toString()}`.slice(-4000);
      });
    }
    let over = false;
    void begun.ended.then(() => {
      over = true;
    });
    for (const deadline = Date.now() + 10_000; !(await listens(port)); await sleep(20)) {
      if (over || Date.now() > deadline) throw new Error(`${argv.join(' ')} does not listen on ${port}: ${output}`);
    }
  };
  t.teardown(kill);
  await restart();
  return { kill, restart };
}

/** A folder that is gone when the test is over. */
export async function scratchFolder(t: ExecutionContext): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-peer-', unsafeCleanup: true });
  t.teardown(cleanup);
  return path;
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Files of a key and of a certificate for 127.0.0.1 that signs itself, so that it is its own authority. */
export async function makeCertificate(folder: string, name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1'];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert];
  await run(['openssl', 'req', '-x509', ...made, ...subject]);
  return { cert, key };
}

/** The text of a file; empty where there is none yet. */
export async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
