import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { Qmp } from './qmp.ts';

/** Lines as QEMU 7.2 writes them. */
const greeting = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}';
const opened =
  '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "VSERPORT_CHANGE", "data": {"open": true, "id": "p"}}';

type Answer = (command: string, socket: Socket) => string | undefined;

/** One end of the protocol, and on the other a QEMU that greets, and answers each command with what `answer` says. */
async function qmpOf(t: ExecutionContext, answer: Answer): Promise<Qmp> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-qmp-', unsafeCleanup: true });
  const server = createServer();
  server.listen(join(path, 'control'));
  const vmm = connect(join(path, 'control'));
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.teardown(async () => {
    vmm.destroy();
    socket.destroy();
    server.close();
    await cleanup();
  });
  vmm.write(`${greeting}\r\n`);
  vmm.on('data', (piece) => {
    const { execute } = JSON.parse(piece.toString()) as { readonly execute: string };
    if (execute === 'qmp_capabilities') return void vmm.write('{"return": {}}\r\n');
    const said = answer(execute, vmm);
    if (said !== undefined) vmm.write(`${said}\r\n`);
  });
  return await Qmp.open(socket);
}

test('Qmp.command() returns what QEMU answers, past events', async (t) => {
  const qmp = await qmpOf(t, () => `${opened}\r\n{"return": {"status": "completed"}}`);
  t.deepEqual(await qmp.command('query-migrate'), { status: 'completed' });
});

test('Qmp.command() fails with the reason when QEMU refuses', async (t) => {
  const qmp = await qmpOf(t, () => '{"error": {"class": "GenericError", "desc": "State blocked"}}');
  await t.throwsAsync(qmp.command('migrate', { uri: 'unix:/x' }), {
    code: 'VMM_FAILED',
    message: 'QEMU does not carry out migrate: State blocked',
  });
});

test('Qmp.command() fails when QEMU ends instead, and so does the next', async (t) => {
  const qmp = await qmpOf(t, (_, socket) => void socket.destroy());
  const ended = { code: 'VMM_FAILED', message: /it has ended/ };
  await t.throwsAsync(qmp.command('migrate'), ended);
  await t.throwsAsync(qmp.command('quit'), ended);
});

test('Qmp.event() knows an event that came before, passes over others, and fails when QEMU ends', async (t) => {
  const qmp = await qmpOf(t, (command, socket) => {
    if (command === 'quit') return void socket.destroy();
    return `{"event": "STOP", "timestamp": {}}\r\n${opened}\r\n{"return": {}}`;
  });
  await qmp.command('cont');
  await qmp.event((name, data) => name === 'VSERPORT_CHANGE' && data['open'] === true);
  const never = qmp.event((name) => name === 'RESUME');
  await t.throwsAsync(qmp.command('quit'), { code: 'VMM_FAILED' });
  await t.throwsAsync(never, { code: 'VMM_FAILED', message: /ended before its guest was ready/ });
});
