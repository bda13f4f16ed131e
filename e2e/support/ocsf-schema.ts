import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { validateEvent as validateByTable } from '../../ocsf/index.ts';

const root = join('..', 'shared', 'ocsf');

const schemaFiles: Readonly<Record<number, string>> = {
  0: 'base_event',
  1007: 'process_activity',
  2004: 'detection_finding',
  4001: 'network_activity',
  4002: 'http_activity',
  4003: 'dns_activity',
  4007: 'ssh_activity',
  5019: 'device_config_state_change',
  6002: 'application_lifecycle',
  6003: 'api_activity',
};

// Compiling one schema takes a fifth of a second. The cache holds pure functions, so tests cannot tell it is there.
const compiled = new Map<string, ValidateFunction>();

/** Why the OCSF schemas cannot be used, or `undefined` when they can. They are test data that is not shipped. */
export function schemaAvailable(): string | undefined {
  return existsSync(join(root, '1.8.0', '_captions.json')) ? undefined : `there are no OCSF schemas in ${root}/1.8.0`;
}

/**
 * Validates an event against the OCSF schema of its class and of its `metadata.version`, and with the product's own
 * validator, whose verdict must be the same. Returns what is wrong, a line each; an empty list means valid by both.
 * Example: `['/dst_endpoint/port must be <= 65535']`.
 */
export function validateEvent(event: unknown): string[] {
  const own = validateByTable(event).errors.map(({ path, message }) => `our validator: ${path} ${message}`);
  return [...validateBySchema(event), ...own];
}

/** The same by the schema alone. */
export function validateBySchema(event: unknown): string[] {
  const { class_uid: classUid, metadata } = (event ?? {}) as { class_uid?: unknown; metadata?: { version?: unknown } };
  if (classUid === 1008) return validateBySchema(asBaseEvent(event as Readonly<Record<string, unknown>>));
  const file = typeof classUid === 'number' ? schemaFiles[classUid] : undefined;
  if (file === undefined) return [`class_uid ${String(classUid)} has no schema here`];
  const version = String(metadata?.version);
  if (!/^\d+\.\d+\.\d+$/.test(version) || !existsSync(join(root, version))) return [`no schemas of version ${version}`];
  const validate = validatorOf(join(root, version, `${file}.json`));
  if (validate(event)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${instancePath || '/'} ${message ?? 'is invalid'} ${JSON.stringify(params)}`,
  );
}

/**
 * An Event Log Activity as a Base Event. Of its class there is no JSON Schema: what it has in common with all classes is
 * held against theirs, and its own four attributes are left to the product's validator. `actor` and `device` are its own
 * too, where a Base Event has them of the profile host.
 */
function asBaseEvent(event: Readonly<Record<string, unknown>>): object {
  const { log_name: _name, log_provider: _provider, log_type: _type, log_type_id: _typeId, ...common } = event;
  const metadata = (event['metadata'] ?? {}) as { readonly profiles?: readonly string[] };
  const activity = event['activity_id'] === 99 ? 99 : 0;
  return {
    ...common,
    metadata: { ...metadata, profiles: ['host', ...(metadata.profiles ?? [])] },
    class_uid: 0,
    class_name: 'Base Event',
    category_uid: 0,
    category_name: 'Uncategorized',
    activity_id: activity,
    type_uid: activity,
    type_name: `Base Event: ${activity === 99 ? 'Other' : 'Unknown'}`,
  };
}

/** The captions file of one version: classes and objects, each attribute with `e` (captions) and `p` (profiles). */
export function readCaptions(version = '1.8.0'): OcsfCaptions {
  return JSON.parse(readFileSync(join(root, version, '_captions.json'), 'utf8'));
}

/** The shape of `_captions.json` as far as tests read it. */
export type OcsfCaptions = {
  readonly classes: Readonly<Record<string, OcsfMembers & { readonly uid: number; readonly caption: string }>>;
  readonly objects: Readonly<Record<string, OcsfMembers>>;
};

type OcsfMembers = {
  readonly a: Readonly<
    Record<
      string,
      { readonly e?: Readonly<Record<string, string>>; readonly p?: readonly string[]; readonly s?: string }
    >
  >;
};

function validatorOf(path: string): ValidateFunction {
  const known = compiled.get(path);
  if (known !== undefined) return known;
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  addFormatsModule.default(ajv);
  const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8')));
  compiled.set(path, validate);
  return validate;
}
