import test from 'ava';
import { schemaAvailable, validateEvent as validateByAjv } from '../e2e/support/ocsf-schema.ts';
import { context, samples, tcp, time } from '../e2e/support/sample-events.ts';
import { checkEvent, deniedPacket, type EventBody, renderShort } from './index.ts';
import { validateEvent } from './validate/validate-event.ts';

const good = deniedPacket(context, tcp);
const withBad = (change: object): EventBody => ({ ...good, ...change }) as unknown as EventBody;

test('checkEvent: every sample goes on as it is', (t) => {
  for (const [name, event] of Object.entries(samples)) {
    const { body, errors } = checkEvent(event, context, time);
    t.deepEqual(errors, [], name);
    t.is(body, event);
  }
});

const nested = (depth: number): object => (depth === 0 ? {} : { in: nested(depth - 1) });
const broken: Readonly<Record<string, EventBody>> = {
  'a port out of range': withBad({ dst_endpoint: { ip: '192.0.2.1', port: 70_000 } }),
  'no time': withBad({ time: Number.NaN }),
  'a null': withBad({ message: null }),
  'an undefined': withBad({ status_id: undefined }),
  'an unknown class': withBad({ class_uid: 9_999_999 }),
  'hostile keys': withBad({ ['\x1b[31m\ud800'.repeat(50)]: { '\n': 1 } }),
  'very many attributes': withBad(
    Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`a${i}`, 'x'.repeat(5000)])),
  ),
  'very deep': withBad({ surprise: nested(500) }),
  'no JSON at all': withBad({ surprise: [Symbol('s'), () => 1, 1n] }),
  nothing: null as unknown as EventBody,
  'a text': 'event' as unknown as EventBody,
};
for (const [name, event] of Object.entries(broken)) {
  test(`checkEvent: ${name} is carried by a valid Base Event with what is wrong`, (t) => {
    const { body, errors } = checkEvent(event, context, time);
    t.true(errors.length > 0);
    t.like(body, {
      class_uid: 0,
      activity_id: 99,
      activity_name: 'event-invalid',
      status: 'Failure',
      severity: 'High',
    });
    const { invalid, event: carried } = body.unmapped as {
      invalid: { errors: number; first: object[] };
      event: unknown;
    };
    t.is(invalid.errors, errors.length);
    t.like(invalid.first[0], { path: errors[0]?.path, rule: errors[0]?.rule });
    if (typeof event === 'object' && event !== null) t.like(carried, { message: event.message ?? '(null)' });
    const text = JSON.stringify(body);
    t.false(/:null|\[null|\\ud8/i.test(text));
    t.true(Buffer.byteLength(text) < 4_000_000);
    t.deepEqual(validateEvent(body).errors, []);
    if (schemaAvailable() === undefined) t.deepEqual(validateByAjv(body), []);
    t.is(renderShort(body).split('\n').length, 1);
  });
}

test('checkEvent: where the sandbox itself cannot be described, the carrier is valid all the same', (t) => {
  const bad = { ...context, hostname: 7, policy: null, ocsfVersion: '0.0.1', image: { name: 1, uid: null } } as never;
  const { body } = checkEvent(withBad({ surprise: 1 }), bad, time);
  t.deepEqual(validateEvent(body).errors, []);
  t.like(body, { class_uid: 0, device: { uid: 'vm1' }, metadata: { correlation_uid: context.runId } });
});
