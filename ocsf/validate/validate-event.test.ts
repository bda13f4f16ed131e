import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { schemaAvailable, validateBySchema } from '../../e2e/support/ocsf-schema.ts';
import { samples } from '../../e2e/support/sample-events.ts';
import { seeded } from '../../e2e/support/seeded.ts';
import { isRequired } from '../../e2e/support/tier.ts';
import { type EventClassUid, eventClasses } from '../schema/classes.ts';
import { type SchemaVersion, schemaVersions } from '../schema/versions.ts';
import type { Rule } from './problem.ts';
import { validateEvent } from './validate-event.ts';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type Parts = { [key: string]: Json };
type Path = readonly (string | number)[];

/** One way to break an event, and what must be said of it. */
type Break = { readonly path: string; readonly rule: Rule; readonly event: Json };

/** What the rules find that the JSON Schemas do not say: docs/ocsf-validator.md has the reasons. */
const beyondSchema: readonly Rule[] = [
  ...(['caption', 'label', 'type_uid', 'observable', 'aggregate', 'range', 'form'] as const),
];

const plain = (event: unknown): Parts => JSON.parse(JSON.stringify(event)) as Parts;

/** A rich event of each class, as a log has it. */
const byClass = new Map<EventClassUid, Parts>();
for (const event of Object.values(samples).map(plain)) {
  const uid = event['class_uid'] as EventClassUid;
  if (JSON.stringify(event).length > JSON.stringify(byClass.get(uid) ?? {}).length) byClass.set(uid, event);
}

test('validateEvent(): there is a sample of every class, and all samples are valid at every version', (t) => {
  t.deepEqual([...byClass.keys()].sort(), Object.keys(eventClasses).map(Number).sort());
  for (const [name, event] of Object.entries(samples)) {
    for (const version of schemaVersions) t.deepEqual(validateEvent(at(plain(event), version)).errors, [], name);
  }
});

for (const [uid, event] of byClass) {
  const breaks = [...breaksOf(event)];
  test(`validateEvent(): each of ${breaks.length} ways to break an event of class ${uid} is refused, where it is`, (t) => {
    t.true(breaks.length >= 60);
    for (const { path, rule, event: broken } of breaks) {
      const { errors } = validateEvent(broken);
      t.deepEqual(errorsAfter(event, broken), errors, `${rule} at ${path}, after the valid one`);
      const found = errors.some((error) => error.path === path && error.rule === rule);
      t.true(found, `${rule} at ${path}: ${JSON.stringify(errors.slice(0, 3))}`);
    }
  });
}

for (const version of ['1.7.0', '1.8.0'] as const) {
  for (const [uid, event] of byClass) {
    // There is no JSON Schema of 1008.
    if (uid === 1008) continue;
    test(`validateEvent(): its verdict on events of class ${uid} is that of the JSON Schema of ${version}`, (t) => {
      const missing = schemaAvailable();
      if (missing !== undefined) {
        t.log(`skipped: ${missing}`);
        if (isRequired('kernel')) t.fail(missing);
        else t.pass();
        return;
      }
      let compared = 0;
      for (const { event: broken } of [{ event }, ...breaksOf(event), ...randomBreaksOf(event, uid)]) {
        if (typeof (broken as Parts)['metadata'] !== 'object' || (broken as Parts)['class_uid'] !== uid) continue;
        compare(t, at(broken as Parts, version));
        compared += 1;
      }
      t.true(compared > 150, `${compared} events compared`);
    });
  }
}

/** The errors of a broken event when a valid one has gone before, with which the validator then compares it. */
function errorsAfter(valid: Parts, broken: Json) {
  for (const event of [valid, plain(valid)]) validateEvent(event, { warnings: false });
  return validateEvent(broken, { warnings: false }).errors;
}

function compare(t: ExecutionContext, event: Parts): void {
  const ours = validateEvent(event).errors;
  t.deepEqual(validateEvent(event, { warnings: false }).errors, ours);
  const theirs = validateBySchema(event);
  if (theirs.length > 0) {
    if (ours.length === 0) t.fail(`only the schema refuses: ${theirs.slice(0, 2).join('; ')}`);
  } else {
    const stricter = ours.filter(({ rule }) => !beyondSchema.includes(rule));
    if (stricter.length > 0) t.fail(`only we refuse: ${JSON.stringify(stricter.slice(0, 2))}`);
  }
}

test('validateEvent(): versions differ where the schema does', (t) => {
  const http = byClass.get(4002) ?? t.fail();
  const valid = (event: Parts, version: SchemaVersion): boolean =>
    validateEvent(at(event, version)).errors.length === 0;
  const method = without(http, ['activity_name'], { activity_id: 10, type_uid: 400210 });
  delete method['type_name'];
  t.deepEqual(
    schemaVersions.map((version) => valid(method, version)),
    [false, false, true],
    'HTTP activities from 10 on are of 1.9.0',
  );
  const network = { ...(byClass.get(4001) ?? t.fail()), initiator_id: 1 };
  t.deepEqual(
    schemaVersions.map((version) => valid(network, version)),
    [false, false, true],
    'initiator_id is of 1.9.0',
  );
  const { app, ...lifecycle } = byClass.get(6002) ?? t.fail();
  t.deepEqual(
    schemaVersions.map((version) => valid(lifecycle, version)),
    [false, false, false],
    'an application is named at every version',
  );
  t.true(app !== undefined);
  t.is(validateEvent(http, { version: '1.7.0' }).errors.length, 0);
  t.is(validateEvent(at(http, '2.0.0' as SchemaVersion)).errors[0]?.rule, 'version');
});

test('validateEvent(): what no JSON has, and what was made to hurt, is an error in bounded time', (t) => {
  const event = byClass.get(4001) ?? t.fail();
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const hostile = JSON.parse(JSON.stringify(event).replace('{', `{"${key}":{"a":1},`)) as Parts;
    t.true(validateEvent(hostile).errors.some(({ path, rule }) => path === key && rule === 'unknown'));
  }
  let deep: Json = {};
  for (let level = 0; level < 5000; level += 1) deep = { a: deep };
  t.true(validateEvent({ ...event, unmapped: deep }).errors.some(({ rule }) => rule === 'depth'));
  const wide = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, 1]));
  const found = validateEvent({ ...event, unmapped: wide }).errors;
  t.true(found.some(({ rule }) => rule === 'size'));
  t.true(validateEvent({ ...event, ...wide }).errors.length <= 64, 'findings are bounded');
  for (const value of [undefined, null, 7, 'x', [], () => 1, Number.NaN]) {
    t.is(validateEvent(value).errors.length, 1);
  }
  for (const value of [undefined, Number.POSITIVE_INFINITY, 2 ** 60, Symbol('x'), 10n]) {
    t.true(validateEvent({ ...event, unmapped: { value }, time: value }).errors.length > 0);
  }
});

test('validateEvent(): it never throws on events with bytes changed at random', (t) => {
  const random = seeded(41);
  for (const file of ['denied-tcp', 'connect-denied', 'generic-detection-finding']) {
    const text = readFileSync(`ocsf/testdata/${file}.ocsf.json`, 'utf8');
    for (let round = 0; round < 300; round += 1) {
      const event = shuffled(random, JSON.parse(text) as Json);
      t.notThrows(() => validateEvent(event));
    }
  }
});

/** The event at another version. */
function at(event: Parts, version: SchemaVersion): Parts {
  return { ...event, metadata: { ...(event['metadata'] as Parts), version } };
}

function without(event: Parts, keys: readonly string[], changes: Parts): Parts {
  return Object.fromEntries(Object.entries({ ...event, ...changes }).filter(([key]) => !keys.includes(key)));
}

/** Every single way of some kinds to break an event: at each of its attributes, and of it as a whole. */
function* breaksOf(event: Parts): Generator<Break> {
  for (const { path, value } of placesOf(event, [])) {
    const name = nameOf(path);
    const isFree = name.startsWith('unmapped.') || /(?:^|\.)data(?:\.|$)/.test(name) || name.endsWith('.value');
    const rule = name === 'class_uid' ? 'class' : name === 'metadata.version' ? 'version' : 'type';
    if (!isFree && name !== 'metadata') {
      yield { path: name, rule, event: replaced(event, path, typeof value === 'string' ? 7 : 'x') };
      if (rule === 'type') yield { path: name, rule: 'null', event: replaced(event, path, null) };
    }
    if (!isFree && name !== 'unmapped' && isObject(value)) {
      const more = { ...value, no_such_attribute: 1 };
      yield { path: `${name}.no_such_attribute`, rule: 'unknown', event: replaced(event, path, more) };
    }
  }
  for (const key of ['category_uid', 'activity_id', 'severity_id', 'time', 'metadata', 'type_uid']) {
    const rest = without(event, [key], {});
    if (key === 'metadata') yield { path: 'metadata.version', rule: 'version', event: rest };
    else yield { path: key, rule: 'required', event: rest };
  }
  yield { path: 'no_such_attribute', rule: 'unknown', event: { ...event, no_such_attribute: 1 } };
  yield { path: 'type_uid', rule: 'type_uid', event: { ...event, type_uid: Number(event['type_uid']) + 1 } };
  yield { path: 'category_uid', rule: 'enum', event: { ...event, category_uid: 3 } };
  yield { path: 'severity_id', rule: 'enum', event: { ...event, severity_id: 7 } };
  yield { path: 'severity', rule: 'caption', event: { ...event, severity_id: 1, severity: 'Fatal' } };
  yield { path: 'severity', rule: 'label', event: without(event, ['severity'], { severity_id: 99 }) };
  // What another activity is called is for its source to say.
  if (event['activity_id'] !== 99) {
    yield { path: 'type_name', rule: 'caption', event: { ...event, type_name: 'Something Else: Entirely' } };
  }
  yield { path: 'time', rule: 'type', event: { ...event, time: 1.5 } };
  yield { path: 'time', rule: 'range', event: { ...event, time: 2 ** 60 } };
  yield {
    path: 'end_time',
    rule: 'aggregate',
    event: { ...event, count: 2, start_time: event['time'] ?? 0, end_time: 0 },
  };
  yield { path: 'start_time', rule: 'aggregate', event: without(event, ['start_time'], { count: 2 }) };
  const stray = { name: 'no.such.path', type_id: 2, type: 'IP Address', value: 'x' };
  yield { path: 'observables[0].name', rule: 'observable', event: { ...event, observables: [stray] } };
  const valued = { name: 'metadata', type_id: 20, type: 'Endpoint', value: 'x' };
  yield { path: 'observables[0].value', rule: 'observable', event: { ...event, observables: [valued] } };
  if (event['class_uid'] !== 1008) {
    yield { path: 'cloud', rule: 'profile', event: { ...event, cloud: { provider: 'none', region: 'x' } } };
  }
  const product = { ...((event['metadata'] as Parts)['product'] as Parts) };
  delete product['name'];
  delete product['uid'];
  yield { path: 'metadata.product', rule: 'at_least_one', event: replaced(event, ['metadata', 'product'], product) };
}

/** Values that stand at one attribute, put at another, and attributes taken away: a fixed sequence for each class. */
function* randomBreaksOf(event: Parts, seed: number): Generator<{ readonly event: Json }> {
  const random = seeded(seed);
  for (let round = 0; round < 120; round += 1) yield { event: shuffled(random, event) };
}

function shuffled(random: () => number, event: Json): Json {
  const places = [...placesOf(event, [])];
  const pick = () => places[Math.floor(random() * places.length)];
  const [to, from] = [pick(), pick()];
  if (to === undefined || from === undefined) return event;
  return random() < 0.3 ? removed(event, to.path) : replaced(event, to.path, from.value);
}

function* placesOf(value: Json, path: Path): Generator<{ readonly path: Path; readonly value: Json }> {
  if (path.length > 0) yield { path, value };
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* placesOf(item, [...path, index]);
  else if (isObject(value)) for (const [key, item] of Object.entries(value)) yield* placesOf(item, [...path, key]);
}

function isObject(value: Json): value is Parts {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1);
}

function replaced(value: Json, [step, ...rest]: Path, put: Json): Json {
  if (step === undefined) return put;
  if (Array.isArray(value)) return value.map((item, index) => (index === step ? replaced(item, rest, put) : item));
  if (!isObject(value)) return value;
  return { ...value, [step]: replaced(value[step] ?? null, rest, put) };
}

function removed(value: Json, [step, ...rest]: Path): Json {
  if (step === undefined) return value;
  if (rest.length > 0) {
    const inner = (value as Parts)[step as string] ?? null;
    return replaced(value, [step], removed(inner, rest));
  }
  if (Array.isArray(value)) return value.filter((_, index) => index !== step);
  return Object.fromEntries(Object.entries(value as Parts).filter(([key]) => key !== step));
}
