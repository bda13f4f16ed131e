import test from 'ava';
import { readCaptions } from '../../e2e/support/ocsf-schema.ts';
import { skipWithoutSchemas } from '../../e2e/support/ocsf-shared.ts';
import { type EventClassUid, eventClasses } from './classes.ts';
import { dictionary } from './dictionary.ts';
import { enums } from './enums.ts';
import { parseEnum, parseNotes, wordsOf } from './notation.ts';
import { type ObjectName, objects } from './objects.ts';
import { profiles } from './profiles.ts';
import { type Attribute, type Members, membersOfClass, membersOfObject } from './table.ts';
import { schemaVersions } from './versions.ts';

/** The profiles that the shared schemas were made with. Attributes of any other are ours alone. */
const sharedProfiles = ['host', 'security_control', 'container', 'network_proxy', 'datetime'];

/** One of our classes has no shared schema. */
const sharedClasses = (Object.keys(eventClasses).map(Number) as EventClassUid[]).filter((uid) => uid !== 1008);

/** A class or object of `_captions.json`. */
type SharedMembers = {
  readonly uid?: number;
  readonly category_uid?: number;
  readonly caption?: string;
  readonly c?: Readonly<Record<string, readonly string[]>>;
  readonly a: Readonly<Record<string, SharedAttribute>>;
};

/** Type (`@` before an object), list, requirement 2, 1 or none, profiles, sibling, enum. */
type SharedAttribute = {
  readonly t: string;
  readonly a?: number;
  readonly r?: number;
  readonly p?: readonly string[];
  readonly s?: string;
  readonly e?: Readonly<Record<string, string>>;
};

const requirements = ['optional', 'recommended', 'required'];

/** Both sides, brought into the same words. An enum attribute without a sibling attribute beside it has none. */
function wordsOfShared(attribute: SharedAttribute, beside: SharedMembers['a']) {
  return {
    type: attribute.t.replace(/^@(win\/)?/, ''),
    isList: attribute.a === 1,
    requirement: requirements[attribute.r ?? 0],
    profile: attribute.p?.join(),
    sibling: attribute.s !== undefined && attribute.s in beside ? attribute.s : undefined,
    values: attribute.e === undefined ? undefined : sorted(Object.entries(attribute.e)),
  };
}

function wordsOfOurs(attribute: Attribute, members: Members) {
  const { type, isList, requirement, profile, sibling, values } = attribute;
  return {
    type,
    isList,
    requirement,
    profile,
    sibling: sibling !== undefined && members.attributes.has(sibling) ? sibling : undefined,
    values: values === undefined ? undefined : sorted([...values].map(([id, caption]) => [String(id), caption])),
  };
}

function ours(members: Members): readonly Attribute[] {
  const isShared = ({ profile }: Attribute) => profile === undefined || sharedProfiles.includes(profile);
  return [...members.attributes.values()].filter(isShared);
}

for (const version of ['1.7.0', '1.8.0'] as const) {
  for (const uid of sharedClasses) {
    const { name, caption, category } = eventClasses[uid];
    test(`table: class ${name} of ${version} is that of the schema, attribute by attribute`, (t) => {
      if (skipWithoutSchemas(t)) return;
      const shared = sharedOf(version).classes[name];
      t.like(shared, { uid, category_uid: category, caption });
      if (shared !== undefined) t.deepEqual(ourWords(membersOfClass(uid, version)), sharedWords(shared));
    });
  }

  test(`table: every object that a class of ${version} reaches is that of the schema, attribute by attribute`, (t) => {
    if (skipWithoutSchemas(t)) return;
    const shared = sharedOf(version);
    const reached = reachedFrom(
      sharedClasses.map((uid) => shared.classes[eventClasses[uid].name]),
      shared.objects,
    );
    t.true(reached.size > 100);
    for (const full of reached) {
      const [name, theirs] = [full.replace(/^win\//, ''), shared.objects[full]];
      if (name === 'object' || theirs === undefined) continue;
      t.true(Object.hasOwn(objects, name), `the table has ${name}`);
      t.deepEqual(ourWords(membersOfObject(name as ObjectName, version)), sharedWords(theirs), name);
    }
  });
}

function sharedOf(version: string) {
  return readCaptions(version) as unknown as {
    readonly classes: Readonly<Record<string, SharedMembers>>;
    readonly objects: Readonly<Record<string, SharedMembers>>;
  };
}

function ourWords(members: Members) {
  return {
    attributes: sorted(ours(members).map((attribute) => [attribute.name, wordsOfOurs(attribute, members)])),
    constraints: members.constraints.map(({ kind, names }) => `${kind} ${[...names].sort()}`),
  };
}

function sharedWords(shared: SharedMembers) {
  return {
    attributes: sorted(Object.entries(shared.a).map(([name, attribute]) => [name, wordsOfShared(attribute, shared.a)])),
    constraints: Object.entries(shared.c ?? {}).map(([kind, names]) => `${kind} ${[...names].sort()}`),
  };
}

function sorted(entries: readonly (readonly [string, unknown])[]) {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function reachedFrom(starts: readonly (SharedMembers | undefined)[], all: Readonly<Record<string, SharedMembers>>) {
  const reached = new Set<string>();
  const visit = (members: SharedMembers | undefined): void => {
    for (const { t: type } of Object.values(members?.a ?? {})) {
      const name = type.startsWith('@') ? type.slice(1) : undefined;
      if (name === undefined || reached.has(name)) continue;
      reached.add(name);
      visit(all[name]);
    }
  };
  starts.forEach(visit);
  return reached;
}

test('table: every word of every line is used, and no attribute or enum stands twice', (t) => {
  const lines = [...Object.values(objects), ...Object.values(profiles).map(({ attributes }) => attributes)];
  const holders: Members[] = schemaVersions.flatMap((version) => [
    ...(Object.keys(objects) as ObjectName[]).map((name) => membersOfObject(name, version)),
    ...(Object.keys(eventClasses).map(Number) as EventClassUid[]).map((uid) => membersOfClass(uid, version)),
  ]);
  const used = new Set(holders.flatMap(({ attributes }) => [...attributes.keys()]));
  const listed = Object.values(dictionary).flatMap(wordsOf);
  t.deepEqual(
    listed.filter((name) => !used.has(name)),
    [],
    'the dictionary has no attribute that nobody uses',
  );
  t.is(new Set(listed).size, listed.length);
  for (const line of lines) {
    for (const version of schemaVersions) {
      const names = parseNotes(line, version).attributes.map(({ name }) => name);
      t.is(new Set(names).size, names.length, line);
    }
  }
  for (const { name, attributes, constraints } of holders) {
    for (const { names } of constraints) {
      for (const member of names) t.true(attributes.has(member), `${name} is constrained by ${member}`);
    }
  }
  const places = new Set(
    holders.flatMap(({ name, attributes }) => [...attributes.keys()].map((key) => `${name}.${key}`)),
  );
  for (const key of Object.keys(enums)) t.true(key.includes('.') ? places.has(key) : used.has(key), key);
});

test('table: every attribute that ends in _id or _ids is an enum', (t) => {
  for (const name of Object.keys(objects) as ObjectName[]) {
    for (const attribute of membersOfObject(name, '1.8.0').attributes.values()) {
      if (/_ids?$/.test(attribute.name)) t.truthy(attribute.values, `${name}.${attribute.name}`);
    }
  }
});

test('table: 1.9.0 differs from 1.8.0 in what is stated of it and in nothing else', (t) => {
  const differences: string[] = [];
  const compare = (was: Members, is: Members): void => {
    for (const name of new Set([...was.attributes.keys(), ...is.attributes.keys()])) {
      const [before, after] = [was.attributes.get(name), is.attributes.get(name)];
      if (before === undefined) differences.push(`${is.name}: + ${after?.requirement} ${name}`);
      else if (after === undefined) differences.push(`${is.name}: - ${name}`);
      else if (before.requirement !== after.requirement) differences.push(`${is.name}: ${after.requirement} ${name}`);
      const added = [...(after?.values?.keys() ?? [])].filter((id) => before?.values?.has(id) === false);
      if (added.length > 0) differences.push(`${is.name}: ${name} + ${added[0]} to ${added.at(-1)}`);
    }
    const constraintsOf = (members: Members) => members.constraints.map(({ names }) => names.join('|')).join(' ');
    if (constraintsOf(was) !== constraintsOf(is)) differences.push(`${is.name}: ${constraintsOf(is)}`);
  };
  for (const uid of Object.keys(eventClasses).map(Number) as EventClassUid[]) {
    compare(membersOfClass(uid, '1.8.0'), membersOfClass(uid, '1.9.0'));
  }
  for (const name of Object.keys(objects) as ObjectName[]) {
    compare(membersOfObject(name, '1.8.0'), membersOfObject(name, '1.9.0'));
  }
  const everywhere = Object.values(eventClasses).map(({ name }) => `${name}: + optional attestation_list`);
  const modelled = ['network_activity', 'http_activity', 'dns_activity'].flatMap((name) => [
    `${name}: + optional ai_model`,
    `${name}: + optional message_context`,
  ]);
  t.deepEqual(
    [...new Set(differences)].sort(),
    [
      ...everywhere,
      ...modelled,
      'network_activity: + optional initiator',
      'network_activity: + recommended initiator_id',
      'http_activity: activity_id + 10 to 40',
      'dns_activity: + optional opcode',
      'dns_activity: + recommended opcode_id',
      'dns_activity: + optional flags',
      'dns_activity: + recommended flag_ids',
      'dns_activity: + recommended transaction_id',
      'application_lifecycle: optional app',
      'application_lifecycle: + recommended application',
      'application_lifecycle: app|application',
      'actor: + optional application',
      'actor: + optional iam_role',
      'actor: process|user|invoked_by|session|app_name|app_uid|application|iam_role',
      'observable: type_id + 49 to 50',
    ].sort(),
  );
});

test('parseNotes and parseEnum: marks, types, constraints and versions', (t) => {
  const line = 'a|b c^d+1.9 ?a !b:ip_t c-1.9 d+1.8';
  t.deepEqual(parseNotes(line, '1.8.0'), {
    attributes: [
      { name: 'a', requirement: 'recommended' },
      { name: 'b', requirement: 'required', type: 'ip_t' },
      { name: 'c', requirement: 'optional' },
      { name: 'd', requirement: 'optional' },
    ],
    constraints: [{ kind: 'at_least_one', names: ['a', 'b'] }],
  });
  t.is(parseNotes(line, '1.7.0').attributes.length, 3);
  t.deepEqual(parseNotes(line, '1.9.0').constraints[1], { kind: 'just_one', names: ['c', 'd'] });
  t.deepEqual(parseEnum('0 Unknown | 1+1.8 A b |\n 3..4 | GET Get', '1.8.0'), [
    { id: 0, caption: 'Unknown' },
    { id: 1, caption: 'A b' },
    { id: 3 },
    { id: 4 },
    { id: 'GET', caption: 'Get' },
  ]);
  t.is(parseEnum('0 Unknown | 1+1.8 A', '1.7.0').length, 1);
});
