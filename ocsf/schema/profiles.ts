import type { EventClassUid } from './classes.ts';
import type { ObjectName } from './objects.ts';
import type { SchemaVersion } from './versions.ts';

/** Where a profile adds its attributes, and which: they may be used only if `metadata.profiles` lists the profile. */
export type Profile = {
  readonly classes: readonly EventClassUid[];
  readonly objects: readonly ObjectName[];
  /** From which version on a class has the profile, where it is not the first. */
  readonly since?: Readonly<Partial<Record<EventClassUid, SchemaVersion>>>;
  /** In the notation of `notation.ts`. Required attributes are required of an event that lists the profile. */
  readonly attributes: string;
};

const everyClass = [0, 1007, 1008, 2004, 4001, 4002, 4003, 5019, 6002] as const;

/**
 * The profiles of our classes. `datetime` is none of them but a rule: beside every timestamp `x` it allows the text
 * `x_dt`, at any depth.
 *
 * The content of the objects of the lower half is not known to the table; they are taken as they are.
 * Source: https://schema.ocsf.io/1.8.0/profiles
 */
export const profiles = {
  host: { classes: everyClass, objects: [], attributes: 'actor ?device' },
  security_control: {
    classes: everyClass,
    objects: [],
    attributes: `
      action ?action_id disposition ?disposition_id ?is_alert confidence ?confidence_id confidence_score firewall_rule
      policy attacks authorizations malware malware_scan_info risk_details risk_level risk_level_id risk_score`,
  },
  network_proxy: {
    classes: [4001, 4002, 4003],
    objects: [],
    attributes: `
      proxy_endpoint ?proxy_connection_info ?proxy_traffic ?proxy_tls proxy_http_request proxy_http_response`,
  },
  container: {
    classes: [],
    objects: ['device', 'network_endpoint', 'network_proxy', 'process'],
    attributes: '?container ?namespace_pid',
  },
  'linux/linux_users': { classes: [], objects: ['process'], attributes: 'auid euid egid group' },
  incident: {
    classes: [2004],
    objects: [],
    attributes: `
      assignee assignee_group impact impact_id impact_score is_suspected_breach priority priority_id src_url ticket
      tickets verdict verdict_id`,
  },
  load_balancer: { classes: [4001, 4002, 4003], objects: [], attributes: '?load_balancer' },
  trace: { classes: [4002], objects: [], attributes: 'trace' },
  cloud: { classes: everyClass, objects: [], attributes: '!cloud api' },
  osint: { classes: everyClass, objects: [], attributes: '!osint' },
  ai_operation: {
    classes: [1007, 4001, 4002, 4003],
    objects: [],
    since: { 1007: '1.8.0', 4001: '1.9.0', 4002: '1.9.0', 4003: '1.9.0' },
    attributes: 'ai_model message_context',
  },
  record_integrity: { classes: everyClass, objects: [], attributes: 'attestation_list+1.9' },
} as const satisfies Readonly<Record<string, Profile>>;

/** The name of a profile. */
export type ProfileName = keyof typeof profiles | 'datetime';
