import test from 'ava';
import { readAuditEvent } from './audit-event.ts';
import {
  type AuditRecord,
  auditField,
  auditTypes,
  parseAuditRecord,
  parseSocketAddress,
  readAuditText,
} from './audit-record.ts';

const record = (type: keyof typeof auditTypes, text: string): AuditRecord => {
  const parsed = parseAuditRecord(auditTypes[type], text);
  if (parsed === undefined) throw new Error(`no record: ${text}`);
  return parsed;
};
const call = (fields: string): AuditRecord => record('syscall', `audit(1795659902.997:17): ${fields}`);
// As Linux 6.18 writes them.
const connect = call(
  'arch=c000003e syscall=42 success=no exit=-111 a0=3 a1=55d0 a2=10 a3=0 items=0 ppid=23301 pid=23318 auid=1953955841 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000 tty=(none) ses=1 comm="perl" exe="/usr/bin/perl" key="tapwarden.1.2"',
);
const address = record('socketAddress', 'audit(1795659902.997:17): saddr=02000063C63364070000000000000000');

test('parseAuditRecord: number, time and fields', (t) => {
  t.is(connect.serial, 17);
  t.is(connect.timeMs, 1_795_659_902_997);
  t.is(auditField(connect, 'pid'), '23318');
  t.is(auditField(connect, 'arch'), 'c000003e');
  t.is(auditField(connect, 'key'), '"tapwarden.1.2"');
  t.is(auditField(connect, 'id'), undefined, 'the end of another name');
  t.is(auditField(call('op=set msg=a\0\0'), 'msg'), 'a', 'some texts end with the NULs of their buffer');
  t.is(auditField(call("msg='a' msg='b'"), 'msg'), "'a'", 'what stands first, the kernel wrote');
  t.is(parseAuditRecord(1300, 'arch=c000003e'), undefined);
  t.is(parseAuditRecord(1300, 'audit(1.1:1): a=b'), undefined, 'milliseconds have three digits');
});

test('readAuditText: what a process chose is in quotes or in hexadecimal, and imitates no field', (t) => {
  t.is(readAuditText('"perl"'), 'perl');
  t.is(readAuditText('2F746D702F612062202864656C6574656429'), '/tmp/a b (deleted)');
  t.is(readAuditText(Buffer.from('x" exe="/bin/su').toString('hex').toUpperCase()), 'x" exe="/bin/su');
  t.is(readAuditText('FFFE'), '\ufffd\ufffd');
  for (const none of ['(null)', '(none)', '', 'ABC', '"', undefined]) t.is(readAuditText(none), undefined, none);
});

test('parseSocketAddress: IPv4, IPv6, mapped, and what is none', (t) => {
  t.deepEqual(parseSocketAddress('02000063C63364070000000000000000'), { address: '198.51.100.7', port: 99 });
  t.deepEqual(parseSocketAddress('0A0001BB0000000020010DB800000000000000000000000700000000'), {
    address: '2001:db8::7',
    port: 443,
  });
  t.deepEqual(parseSocketAddress('0A0001BB0000000000000000000000000000FFFFC633640700000000'), {
    address: '198.51.100.7',
    port: 443,
  });
  // The kernel takes this for IPv4.
  t.deepEqual(parseSocketAddress('00000063C63364070000000000000000'), { address: '198.51.100.7', port: 99 });
  for (const none of ['01002F72756E2F782E736F636B00', '0A0001BB00', '', 'zz', undefined]) {
    t.is(parseSocketAddress(none), undefined, none);
  }
});

test('readAuditEvent: a refused connect', (t) => {
  t.deepEqual(readAuditEvent([connect, address]), {
    serial: 17,
    timeMs: 1_795_659_902_997,
    pid: 23318,
    parent: 23301,
    auid: 1953955841,
    uid: 1000,
    binary: '/usr/bin/perl',
    name: 'perl',
    kind: 'connect',
    exit: -111,
    destination: { address: '198.51.100.7', port: 99 },
  });
});

const fieldsOf = (change: string): AuditRecord =>
  call(`${change} arch=c000003e syscall=44 exit=-1 a0=3 pid=5 ppid=4 auid=9 uid=0 comm="a" exe="/a"`);

test('readAuditEvent: each call by number and architecture, and what is no attempt', (t) => {
  const kindOf = (change: string, more: readonly AuditRecord[] = []): string | undefined =>
    readAuditEvent([fieldsOf(change), ...more])?.kind;
  t.is(kindOf(''), 'send');
  t.is(kindOf('syscall=1'), 'write');
  t.is(kindOf('arch=40000003 syscall=4'), 'write');
  t.is(kindOf('arch=40000003 syscall=362', [address]), 'connect');
  t.is(kindOf('arch=40000003 syscall=102 a0=3', [address]), 'connect');
  t.is(kindOf('arch=40000003 syscall=102 a0=b', [address]), 'send');
  t.is(kindOf('arch=40000003 syscall=102 a0=4'), undefined, 'listen');
  t.is(kindOf('syscall=2'), undefined);
  t.is(kindOf('arch=c00000b7'), undefined, 'another machine');
  t.is(kindOf('exit=5'), undefined, 'it succeeded');
  t.is(kindOf('syscall=42'), undefined, 'a connect names its destination');
  t.is(kindOf('syscall=42 exit=0', [address]), 'connected');
  const local = record('socketAddress', 'audit(1795659902.997:17): saddr=01002F72756E2F782E736F636B00');
  t.is(kindOf('', [local]), undefined, 'to a local socket');
  t.is(kindOf('syscall=42 exit=0', [local]), undefined, 'to a local socket');
  t.is(readAuditEvent([address]), undefined);
  t.is(readAuditEvent([call('arch=c000003e syscall=44 exit=-1 pid=5')]), undefined, 'too little');
});

test('readAuditEvent: the arguments of an execution, whole and in pieces, over several records', (t) => {
  const execute = fieldsOf('syscall=59 exit=0');
  const lines = ['argc=4 a0="sh" a1=2D6320', 'a2_len=6 a2[0]="abc" a2[1]="def"', 'a3="last"'];
  const records = lines.map((text) => record('execArguments', `audit(1795659902.997:17): ${text}`));
  const event = readAuditEvent([execute, ...records]);
  t.is(event?.kind, 'execute');
  t.deepEqual(event?.kind === 'execute' ? event.arguments : undefined, ['sh', '-c ', 'abcdef', 'last']);
  t.is(readAuditEvent([fieldsOf('syscall=59 exit=-2')]), undefined);
  const huge = record('execArguments', `audit(1795659902.997:17): argc=2 a0="${'x'.repeat(9000)}" a99999="y"`);
  const bounded = readAuditEvent([execute, huge]);
  t.is(bounded?.kind === 'execute' ? bounded.arguments.join('').length : 0, 4200);
});
