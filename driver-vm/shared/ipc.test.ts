import test from 'ava';
import { type ChildMessage, parseChildMessage } from './ipc.ts';

const messages: readonly ChildMessage[] = [
  { kind: 'listening' },
  { kind: 'hello', kernelRelease: '6.1.0', bootMs: 1 },
  { kind: 'ready', logging: true, compiled: true, setupMs: 1 },
  { kind: 'failed', code: 'NFT_MISSING', message: 'm', hint: null },
  { kind: 'started' },
  { kind: 'refused', code: 'COMMAND_NOT_FOUND', message: 'm' },
  { kind: 'exited', status: 0, signal: null },
  { kind: 'settled' },
  { kind: 'console', text: '\x1b[2J' },
  { kind: 'lost', code: 'BUG', message: 'm', console: '' },
  { kind: 'rotate', firstSequence: 1 },
  { kind: 'opened' },
  { kind: 'log', problem: 'ENOSPC', rotationProblem: null, held: 3, dropped: 0 },
  {
    kind: 'finished',
    summary: {
      allowed: 1,
      denied: 2,
      deniedRequests: 3,
      attempts: 4,
      lost: null,
      invalid: 0,
      unwritten: 0,
      problem: null,
      findings: 0,
      bypassed: 0,
      report: ['refused: tcp 192.0.2.1:443, 1 packet'],
      complete: false,
      incomplete: ['log-gap: 1'],
    },
  },
];
for (const message of messages) {
  test(`parseChildMessage() takes '${message.kind}'`, (t) => {
    t.deepEqual(parseChildMessage(message), message);
  });
}

const hostile: Readonly<Record<string, unknown>> = {
  nothing: undefined,
  'a word': 'exited',
  'a message of the other direction': { kind: 'exec', argv: ['id'], env: {}, workdir: null },
  'an extra key': { kind: 'started', uid: 0 },
  'a status of 256': { kind: 'exited', status: 256, signal: null },
  'a count of 2^53': {
    kind: 'finished',
    summary: {
      allowed: 2 ** 53,
      denied: 0,
      deniedRequests: 0,
      attempts: 0,
      lost: 0,
      invalid: 0,
      unwritten: 0,
      problem: null,
      findings: 0,
      bypassed: 0,
      report: [],
    },
  },
  'a report without end': {
    kind: 'finished',
    summary: {
      allowed: 0,
      denied: 0,
      deniedRequests: 0,
      attempts: 0,
      lost: 0,
      invalid: 0,
      unwritten: 0,
      problem: null,
      findings: 0,
      bypassed: 0,
      report: Array.from({ length: 41 }, () => 'x'),
    },
  },
  'a file that begins with event 0': { kind: 'rotate', firstSequence: 0 },
  'a file that begins with half an event': { kind: 'rotate', firstSequence: 1.5 },
  'text without end': { kind: 'console', text: 'x'.repeat(16_385) },
  'a value of great depth': { kind: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) },
};
for (const [what, value] of Object.entries(hostile)) {
  test(`parseChildMessage() refuses ${what}`, (t) => {
    t.throws(() => parseChildMessage(value), { code: 'CHANNEL_PROTOCOL' });
  });
}
