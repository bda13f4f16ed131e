import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { run, start } from '../base/index.ts';
import { pathsOf, prepareMachine } from '../driver-vm/index.ts';
import { link } from '../init/index.ts';

const servicePort = 9001;

/** What a guest does whose root was taken over, past its own fence: straight from its own network namespace. */
const attack = `
(
	tries=0
	while [ "$tries" -lt 3 ]; do
		for address in ${link.hostIpv4} ${link.hostIpv6} fe80::1%eth0; do
			nc -w 1 "$address" ${servicePort} </dev/null
		done
		nc -w 1 192.0.2.1 80 </dev/null
		/usr/sbin/ip addr add 10.0.128.99/32 dev eth0
		/usr/sbin/ip route replace ${link.hostIpv4} dev eth0 src 10.0.128.99
		nc -w 1 ${link.hostIpv4} ${link.gatewayPort} </dev/null
		/usr/sbin/ip route replace ${link.hostIpv4} dev eth0 src ${link.guestIpv4}
		tries=$((tries + 1))
	done
) >/dev/null 2>&1 &
`;

const service = `
const server = require('node:net').createServer((socket) => { process.stdout.write('reached\\n'); socket.destroy(); });
server.listen(${servicePort}, '::', () => process.stdout.write('listening\\n'));
`;

test("slot: a guest's root reaches no service of the host, and what it tries is counted", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapwarden-boundary-'));
  const id = `boundary-${process.pid}`;
  const eventsFile = join(folder, 'events.jsonl');
  try {
    await makeHostileGuest(folder);
    const tapwarden = start(
      [process.execPath, 'bin/tapwarden.js', 'run', '--quiet', '--id', id, '--events', eventsFile, '--', 'sleep', '6'],
      { env: { ...definedEnvironment(), TAPWARDEN_GUEST_DIR: folder } },
    );
    const listener = await startListener(`tw-${id}`);
    t.deepEqual(await tapwarden.ended, { status: 0, signal: null });
    listener.stop();
    t.is(listener.said(), 'listening\n', 'nobody reached the service in the slot');
    const stopped = JSON.parse((await readFile(eventsFile, 'utf8')).trimEnd().split('\n').at(-1) ?? '');
    t.is(stopped.metadata.event_code, 'sandbox-stopped');
    for (const counter of ['spoofed', 'ipv6', 'denied_input', 'denied_forward']) {
      t.true(stopped.unmapped.slot[counter] > 0, `${counter}: ${JSON.stringify(stopped.unmapped.slot)}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** The guest of this build, with the attack in its init. */
async function makeHostileGuest(folder: string): Promise<void> {
  const { stateDir } = pathsOf(process.env);
  const { guest } = await prepareMachine({ stateDir, run, onProgress: () => undefined });
  await Promise.all([
    copyFile(guest.kernel, join(folder, 'vmlinux')),
    copyFile(guest.initrd, join(folder, 'initrd')),
    copyFile(guest.root, join(folder, 'root.ext4')),
  ]);
  const init = await readFile('init/guest/init.sh', 'utf8');
  await writeFile(join(folder, 'init'), init.replace('\nenv -i ', `${attack}\nenv -i `));
  const commands = ['rm /usr/sbin/init', `write ${folder}/init /usr/sbin/init`, 'sif /usr/sbin/init mode 0100755'];
  await writeFile(join(folder, 'commands'), `${commands.join('\n')}\n`);
  await run(['debugfs', '-w', '-f', join(folder, 'commands'), join(folder, 'root.ext4')]);
  // QEMU runs as a user of its own and must be able to read them.
  await run(['chmod', '-R', 'a+rX', folder]);
}

/** A service of the host in the sandbox's slot, on all addresses, as soon as the slot is there. */
async function startListener(namespace: string): Promise<{ readonly said: () => string; readonly stop: () => void }> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const { stdout } = await run(['ip', 'netns', 'list']);
    if (stdout.split(/\s/).includes(namespace)) break;
    await sleep(50);
  }
  const listener = start(['ip', 'netns', 'exec', namespace, process.execPath, '-e', service], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  listener.process.stdout?.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  return { said: () => said, stop: () => listener.process.kill('SIGKILL') };
}

function definedEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
