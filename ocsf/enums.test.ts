import test, { type ExecutionContext } from 'ava';
import { type OcsfCaptions, readCaptions, schemaAvailable } from '../e2e/support/ocsf-schema.ts';
import { categories, classes, profiles } from './classes.ts';
import { type EnumName, enums } from './enums.ts';

/** Where the schema holds each of our enums. */
const places: Readonly<Record<EnumName, readonly ['classes' | 'objects', string, string]>> = {
  severity_id: ['classes', 'network_activity', 'severity_id'],
  status_id: ['classes', 'network_activity', 'status_id'],
  action_id: ['classes', 'network_activity', 'action_id'],
  disposition_id: ['classes', 'network_activity', 'disposition_id'],
  confidence_id: ['classes', 'network_activity', 'confidence_id'],
  observation_point_id: ['classes', 'network_activity', 'observation_point_id'],
  launch_type_id: ['classes', 'process_activity', 'launch_type_id'],
  direction_id: ['objects', 'network_connection_info', 'direction_id'],
  boundary_id: ['objects', 'network_connection_info', 'boundary_id'],
  protocol_ver_id: ['objects', 'network_connection_info', 'protocol_ver_id'],
  'device.type_id': ['objects', 'device', 'type_id'],
  'os.type_id': ['objects', 'os', 'type_id'],
  'observables.type_id': ['objects', 'observable', 'type_id'],
};

function captionsOrSkip(t: ExecutionContext): OcsfCaptions | undefined {
  const reason = schemaAvailable();
  if (reason === undefined) return readCaptions();
  if (process.env['REQUIRE'] !== undefined) t.fail(reason);
  t.log(`skipped: ${reason}`);
  t.pass();
  return undefined;
}

test('enums: every caption and its attribute is that of the schema', (t) => {
  const captions = captionsOrSkip(t);
  if (captions === undefined) return;
  for (const [name, { caption, values }] of Object.entries(enums)) {
    const [kind, holder, attribute] = places[name as EnumName];
    const found = captions[kind][holder]?.a[attribute];
    t.is(found?.s, caption, name);
    for (const [id, text] of Object.entries(values)) t.is(found?.e?.[id], text, `${name} ${id}`);
  }
});

test('classes: uid, caption, category and activities are those of the schema', (t) => {
  const captions = captionsOrSkip(t);
  if (captions === undefined) return;
  for (const [uid, { name, caption, category, activities }] of Object.entries(classes)) {
    const found = captions.classes[name];
    t.is(found?.uid, Number(uid));
    t.is(found?.caption, caption);
    t.deepEqual(found?.a['category_uid']?.e, { [category]: categories[category] });
    t.deepEqual(found?.a['activity_id']?.e, activities);
  }
});

test('profiles: every attribute belongs to its profile, but for those that a class has of its own', (t) => {
  const captions = captionsOrSkip(t);
  if (captions === undefined) return;
  for (const { name, ownAttributes } of Object.values(classes)) {
    const own: readonly string[] = ownAttributes;
    for (const [profile, attributes] of Object.entries(profiles)) {
      for (const attribute of attributes) {
        const found = captions.classes[name]?.a[attribute];
        if (found === undefined) continue;
        t.deepEqual(found.p ?? [], own.includes(attribute) ? [] : [profile], `${name}.${attribute}`);
      }
    }
  }
});
