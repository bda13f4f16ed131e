/**
 * The OCSF enums that tapwarden writes: every `…_id` attribute, the attribute beside it that holds its caption, and
 * the captions. A key is the attribute's name; where the name means different things in different objects it is
 * `object.attribute`, the object being named by the attribute that holds it. Long enums list only the values in use.
 *
 * The activities stand with their classes in `classes.ts`. A test compares every caption with the schema.
 * Source: OCSF 1.8.0 dictionary, https://schema.ocsf.io/1.8.0/dictionary
 */
export const enums = {
  severity_id: {
    caption: 'severity',
    values: {
      0: 'Unknown',
      1: 'Informational',
      2: 'Low',
      3: 'Medium',
      4: 'High',
      5: 'Critical',
      6: 'Fatal',
      99: 'Other',
    },
  },
  status_id: { caption: 'status', values: { 0: 'Unknown', 1: 'Success', 2: 'Failure', 99: 'Other' } },
  action_id: {
    caption: 'action',
    values: { 0: 'Unknown', 1: 'Allowed', 2: 'Denied', 3: 'Observed', 4: 'Modified', 99: 'Other' },
  },
  disposition_id: { caption: 'disposition', values: { 0: 'Unknown', 1: 'Allowed', 2: 'Blocked', 17: 'Logged' } },
  confidence_id: {
    caption: 'confidence',
    values: { 0: 'Unknown', 1: 'Low', 2: 'Medium', 3: 'High', 99: 'Other' },
  },
  direction_id: {
    caption: 'direction',
    values: { 0: 'Unknown', 1: 'Inbound', 2: 'Outbound', 3: 'Lateral', 4: 'Local', 99: 'Other' },
  },
  boundary_id: { caption: 'boundary', values: { 0: 'Unknown', 1: 'Localhost', 2: 'Internal', 3: 'External' } },
  protocol_ver_id: {
    caption: 'protocol_ver',
    values: {
      0: 'Unknown',
      4: 'Internet Protocol version 4 (IPv4)',
      6: 'Internet Protocol version 6 (IPv6)',
      99: 'Other',
    },
  },
  observation_point_id: {
    caption: 'observation_point',
    values: { 0: 'Unknown', 1: 'Source', 2: 'Destination', 3: 'Neither', 4: 'Both', 99: 'Other' },
  },
  launch_type_id: { caption: 'launch_type', values: { 0: 'Unknown', 1: 'Spawn', 2: 'Fork', 3: 'Exec', 99: 'Other' } },
  'device.type_id': { caption: 'type', values: { 0: 'Unknown', 1: 'Server', 6: 'Virtual' } },
  'os.type_id': { caption: 'type', values: { 0: 'Unknown', 200: 'Linux' } },
  'observables.type_id': {
    caption: 'type',
    values: {
      1: 'Hostname',
      2: 'IP Address',
      9: 'Process Name',
      11: 'Port',
      13: 'Command Line',
      15: 'Process ID',
      31: 'User Object: uid',
      47: 'Device Object: uid',
    },
  },
} as const;

/** A key of {@link enums}, for example `'severity_id'` or `'device.type_id'`. */
export type EnumName = keyof typeof enums;

/** The values of an enum, for example `EnumId<'action_id'>` is `0 | 1 | 2 | 3 | 4 | 99`. */
export type EnumId<Name extends EnumName> = keyof (typeof enums)[Name]['values'];
