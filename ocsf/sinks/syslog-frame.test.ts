import test from 'ava';
import { outgoingEvent } from './outgoing-event.ts';
import { renderFrame } from './syslog-frame.ts';

const frame = (event: object, hostname = 'host'): string => {
  const json = JSON.stringify(event);
  return renderFrame(outgoingEvent(event, Buffer.from(json)), hostname).toString('utf8');
};

test('renderFrame counts bytes, not characters', (t) => {
  const event = { time: 1_790_000_000_123, class_name: 'Network Activity', severity_id: 4, message: '⛔' };
  const rest = `<131>1 2026-09-21T14:13:20.123Z host tapwarden - network_activity - ${JSON.stringify(event)}`;
  t.is(frame(event), `${Buffer.byteLength(rest)} ${rest}`);
});

test('renderFrame: severities of OCSF, a notice for those that syslog has not', (t) => {
  const priorities = [0, 1, 2, 3, 4, 5, 6, 99].map((severity_id) => /<(\d+)>/.exec(frame({ severity_id }))?.[1]);
  t.deepEqual(priorities, ['133', '134', '133', '132', '131', '130', '129', '133']);
});

test('renderFrame: what an event lacks, or what a header cannot hold, is -', (t) => {
  t.regex(frame({}, ' \u00fc'), /^\d+ <133>1 - - tapwarden - unknown - \{\}$/);
  t.regex(frame({ time: -1, class_uid: 4001 }, 'a b'), /^\d+ <133>1 - ab tapwarden - 4001 - /);
  t.regex(frame({ time: 8e15 }), /^\d+ <133>1 - host /);
  t.regex(frame({ class_name: `${'x y\n'.repeat(30)}` }), /^\d+ <133>1 - host tapwarden - \S{32} - \{/);
});
