import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { openTransport, type SinkSettings } from './open-transport.ts';
import { parseSinkAddress } from './sink-address.ts';

const opened = async (to: string, settings: SinkSettings): Promise<string> => {
  const output = { stream: new PassThrough(), onGone: () => undefined };
  const transport = await openTransport(parseSinkAddress(to), settings, output);
  await transport.close();
  return transport.name;
};

async function fileOf(t: ExecutionContext, content: string): Promise<string> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-sink-', unsafeCleanup: true });
  t.teardown(cleanup);
  await writeFile(join(path, 'file'), content);
  return join(path, 'file');
}

const refusals: readonly (readonly [string, SinkSettings, RegExp])[] = [
  ['syslog+tcp://a', { tokenFile: '/x' }, /no use for the setting 'tokenFile'/],
  ['nats://a', { format: 'bundle' }, /no use for the setting 'format'/],
  ['https://a', { createStream: 'OCSF' }, /no use for the setting 'createStream'/],
  ['-', { gzip: false }, /no use for the setting 'gzip'/],
  ['http://a', { ca: '/x' }, /'ca' needs TLS/],
  ['syslog+tcp://a', { ca: '/x' }, /'ca' needs TLS/],
  ['nats://a', { cert: '/x', key: '/x' }, /'cert' needs TLS/],
  ['https://a', { cert: '/x' }, /'cert' and 'key' go together/],
  ['nats://a', { tokenFile: '/x', credsFile: '/y' }, /exclude each other/],
  ['https://a', { tokenScheme: 'a b' }, /one word/],
  ['nats://a', { createStream: 'a.b' }, /1 to 64 letters/],
];
for (const [to, settings, message] of refusals) {
  test(`openTransport refuses ${JSON.stringify(settings)} for ${to}`, async (t) => {
    await t.throwsAsync(opened(to, settings), { code: 'SINK_INVALID', message });
  });
}

test('openTransport: files that are wrong show before anything is sent', async (t) => {
  await t.throwsAsync(opened('https://a', { tokenFile: '/nonexistent' }), { code: 'FILE_UNREADABLE' });
  await t.throwsAsync(opened('syslog+tls://a', { ca: '/nonexistent' }), { code: 'FILE_UNREADABLE' });
  await t.throwsAsync(opened('nats+tls://a', { ca: '/nonexistent' }), { code: 'FILE_UNREADABLE' });
  for (const content of ['', ' \n', 'two words', 'a\nb', 'ü']) {
    const tokenFile = await fileOf(t, content);
    await t.throwsAsync(opened('https://a', { tokenFile }), { code: 'SINK_INVALID', message: /one word/ });
  }
});

test('openTransport: a receiver may be away when it is opened', async (t) => {
  const tokenFile = await fileOf(t, 'token\n');
  t.is(await opened('https://192.0.2.1/x', { tokenFile, tokenScheme: 'Splunk', gzip: false }), 'https://192.0.2.1/x');
  t.is(await opened('nats+tls://192.0.2.1', { tokenFile, createStream: 'OCSF' }), 'nats+tls://192.0.2.1:4222');
  t.is(await opened('syslog+tls://192.0.2.1', {}), 'syslog+tls://192.0.2.1:6514');
  t.is(await opened('-', {}), 'stdout');
});
