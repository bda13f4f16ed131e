import test from 'ava';
import { subjectOf } from './nats-subject.ts';
import { outgoingEvent } from './outgoing-event.ts';

const json = Buffer.from('{}');

test('outgoingEvent: what transports need to know of an event', (t) => {
  const event = {
    time: 1,
    class_uid: 6002,
    class_name: 'Application Lifecycle',
    severity_id: 4,
    metadata: { uid: 'u' },
    device: { uid: 'vm1' },
  };
  t.deepEqual(outgoingEvent(event, json), {
    ...{ json, uid: 'u', className: 'application_lifecycle', deviceUid: 'vm1', severityId: 4, time: 1 },
  });
});

test('outgoingEvent: what is missing or of another type is left out', (t) => {
  for (const event of [
    {},
    { time: 'x', class_name: 7, severity_id: '1', metadata: null, device: 'x' },
    { time: 1.5, class_name: '!!', metadata: { uid: '' }, device: { uid: 7 } },
  ]) {
    t.deepEqual(outgoingEvent(event, json), { json, className: 'unknown', severityId: 0 });
  }
  t.is(outgoingEvent({ class_uid: 4001 }, json).className, '4001');
});

test('subjectOf: three words, whatever is in them', (t) => {
  const subject = (className: string, deviceUid?: string): string =>
    subjectOf({ json, className, severityId: 0, ...(deviceUid === undefined ? {} : { deviceUid }) });
  t.is(subject('network_activity', 'vm1'), 'ocsf.network_activity.vm1');
  t.is(subject('dns_activity'), 'ocsf.dns_activity.unknown');
  t.is(subject('x', 'a.b*>\r\n ü'), 'ocsf.x.a%2Eb%2A%3E%0D%0A%20%C3%BC');
  t.true(subject('x', '.'.repeat(10_000)).length < 400);
});
