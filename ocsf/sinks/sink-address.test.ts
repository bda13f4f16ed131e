import test from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import { parseSinkAddress } from './sink-address.ts';

test('parseSinkAddress: hosts and ports, with the port of the scheme where none is named', (t) => {
  const parts = (text: string): unknown => {
    const address = parseSinkAddress(text);
    if (address.kind !== 'syslog' && address.kind !== 'nats') return address.name;
    return [address.kind, address.name, address.host, address.port, address.secure];
  };
  t.deepEqual(parts('syslog+tcp://a.example'), ['syslog', 'syslog+tcp://a.example:514', 'a.example', 514, false]);
  t.deepEqual(parts('syslog+tls://a:99'), ['syslog', 'syslog+tls://a:99', 'a', 99, true]);
  t.deepEqual(parts('syslog+tls://10.0.0.1'), ['syslog', 'syslog+tls://10.0.0.1:6514', '10.0.0.1', 6514, true]);
  t.deepEqual(parts('nats://[::1]'), ['nats', 'nats://[::1]:4222', '::1', 4222, false]);
  t.deepEqual(parts('nats+tls://n/'), ['nats', 'nats+tls://n:4222', 'n', 4222, true]);
  t.is(parts('HTTPS://Siem.example/a?key=secret'), 'https://siem.example/a', 'without a query, which may be secret');
  t.is(parts('-'), 'stdout');
  t.is(parts('stdout:'), 'stdout');
});

for (const text of [
  '',
  'siem.example',
  'ftp://a',
  'file:///etc/passwd',
  'syslog://a',
  'syslog+tls://',
  'nats://a/b',
  'nats://a?x=1',
  'nats://a:0',
  'nats://a%20b',
  'https://',
]) {
  test(`parseSinkAddress refuses '${text}'`, (t) => {
    t.true(
      isTapwardenError(
        t.throws(() => parseSinkAddress(text)),
        'SINK_INVALID',
      ),
    );
  });
}

test('parseSinkAddress refuses a password, and does not repeat it', (t) => {
  for (const text of ['https://user:secret@a/', 'nats://secret@a', 'foo://:secret@a']) {
    const error = t.throws(() => parseSinkAddress(text));
    t.true(isTapwardenError(error, 'SINK_INVALID'));
    t.notRegex(error?.message ?? '', /secret/);
  }
});
