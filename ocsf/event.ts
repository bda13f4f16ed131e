import type { ActivityId, ClassUid } from './classes.ts';
import type { EnumId } from './enums.ts';

/** What `JSON.parse` may return, `null` apart: OCSF says absent by leaving out. */
export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonObject;

/** A JSON object without `null`. `undefined` means absent. */
export type JsonObject = { readonly [key: string]: JsonValue | undefined };

/** The OCSF versions at which tests prove that our events are valid. */
export type OcsfVersion = '1.7.0' | '1.8.0';

// The types below name the OCSF objects and list the attributes that tapwarden writes, ids only: `finish` puts the
// caption beside each id. Source: https://schema.ocsf.io/1.8.0/objects

/** OCSF `product`. */
export type Product = {
  readonly name: string;
  readonly vendor_name: string;
  readonly version: string;
  readonly feature?: { readonly name: string };
};

/** OCSF `metadata`, as a builder writes it: {@link Finished} and {@link Logged} tell what is added. */
export type Metadata = {
  readonly version: OcsfVersion;
  readonly product: Product;
  /** The run: equal in all events of one sandbox from its start to its stop. */
  readonly correlation_uid: string;
  /** What tapwarden calls the event, for example `egress-denied`. */
  readonly event_code: string;
  readonly log_name: string;
  readonly log_provider?: string;
  readonly log_source?: string;
  readonly log_format?: string;
  /** The id of the record that the event was made from, for example the kernel's sequence number. */
  readonly original_event_uid?: string;
  /** The time that the source of the record gives, in its own form. Not to be trusted above `time`. */
  readonly original_time?: string;
  readonly labels?: readonly string[];
};

/** OCSF `os`. */
export type Os = {
  readonly name: string;
  readonly type_id: EnumId<'os.type_id'>;
  readonly kernel_release?: string;
};

/** OCSF `device`: the sandbox. */
export type Device = {
  readonly type_id: EnumId<'device.type_id'>;
  readonly uid: string;
  readonly hostname: string;
  readonly hypervisor: string;
  readonly boot_uid?: string;
  readonly image?: { readonly uid: string; readonly name: string };
  readonly os: Os;
};

/** OCSF `user`. Numbers are text, as everywhere in OCSF. */
export type User = {
  readonly uid: string;
  readonly name?: string;
  readonly groups?: readonly { readonly uid: string }[];
};

/** OCSF `actor`: a user where one is known, or the program that acted. */
export type Actor = { readonly user: User } | { readonly app_name: string };

/** OCSF `network_endpoint` and `network_proxy`. An endpoint needs one of the names; a port alone is refused. */
export type Endpoint = {
  readonly ip?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly interface_name?: string;
};

/** OCSF `network_connection_info`. */
export type ConnectionInfo = {
  readonly direction_id: EnumId<'direction_id'>;
  readonly boundary_id?: EnumId<'boundary_id'>;
  /** IANA protocol number. */
  readonly protocol_num?: number;
  readonly protocol_name?: string;
  readonly protocol_ver_id?: EnumId<'protocol_ver_id'>;
  /** The flag bits of the TCP header. */
  readonly tcp_flags?: number;
};

/** OCSF `network_traffic`. `in` and `out` are as the source sees them. */
export type Traffic = {
  readonly packets?: number;
  readonly packets_out?: number;
  readonly bytes?: number;
  readonly bytes_in?: number;
  readonly bytes_out?: number;
};

/** OCSF `process`. */
export type Process = {
  readonly uid: string;
  readonly pid?: number;
  readonly name: string;
  readonly cmd_line: string;
  readonly working_directory: string;
  readonly user: User;
  /** The name of the containment jail: the sandbox id. */
  readonly sandbox: string;
  readonly created_time?: number;
  readonly terminated_time?: number;
};

/** OCSF `firewall_rule`. */
export type FirewallRule = {
  readonly name: string;
  readonly uid?: string;
  readonly desc?: string;
  /** What the rule does: `reject`, `drop`, `allow` or `deny`. */
  readonly type: string;
  readonly category: 'egress';
  readonly version: string;
};

/** OCSF `policy`. */
export type Policy = {
  readonly uid: string;
  readonly name: string;
  readonly version: string;
  readonly is_applied: boolean;
};

/** OCSF `tactic`, `technique` and `sub_technique`. Example: `{uid: 'T1095', name: 'Non-Application Layer Protocol'}`. */
export type AttackItem = { readonly uid: string; readonly name: string };

/** OCSF `attack`: a reference into MITRE ATT&CK. */
export type Attack = {
  /** The ATT&CK release. */
  readonly version: string;
  readonly tactic: AttackItem;
  readonly technique: AttackItem;
  readonly sub_technique?: AttackItem;
};

/** OCSF `observable`: a value that a search starts from, and where it stands in the event. */
export type Observable = {
  readonly name: string;
  readonly type_id: EnumId<'observables.type_id'>;
  readonly type: string;
  readonly value: string;
};

type Common<Uid extends ClassUid> = {
  /** Epoch milliseconds, by the host's clock. */
  readonly time: number;
  readonly class_uid: Uid;
  readonly activity_id: ActivityId<Uid>;
  /** Given for activity 99 only; otherwise the caption of `activity_id` is filled in. */
  readonly activity_name?: string;
  readonly severity_id: EnumId<'severity_id'>;
  readonly message: string;
  readonly status_id: EnumId<'status_id'>;
  readonly status_code?: string;
  readonly status_detail?: string;
  /** `count` and the three times stand on aggregates alone, where `time` equals `start_time`. */
  readonly count?: number;
  readonly start_time?: number;
  readonly end_time?: number;
  /** Milliseconds. */
  readonly duration?: number;
  readonly raw_data?: string;
  /** Bytes of the raw data before any shortening. */
  readonly raw_data_size?: number;
  readonly metadata: Metadata;
  readonly device: Device;
  /** What OCSF has no attribute for. */
  readonly unmapped?: JsonObject;
};

type SecurityControl = {
  readonly action_id?: EnumId<'action_id'>;
  readonly disposition_id?: EnumId<'disposition_id'>;
  readonly confidence_id?: EnumId<'confidence_id'>;
  readonly is_alert?: boolean;
  readonly firewall_rule?: FirewallRule;
  readonly policy?: Policy;
  readonly attacks?: readonly Attack[];
};

/** OCSF class 4001. Source: https://schema.ocsf.io/1.8.0/classes/network_activity */
export type NetworkActivity = Common<4001> &
  SecurityControl & {
    readonly observation_point_id?: EnumId<'observation_point_id'>;
    readonly actor?: Actor;
    readonly src_endpoint: Endpoint;
    readonly dst_endpoint?: Endpoint;
    readonly connection_info: ConnectionInfo;
    readonly traffic?: Traffic;
    readonly proxy_endpoint?: Endpoint;
  };

/** OCSF class 1007. Source: https://schema.ocsf.io/1.8.0/classes/process_activity */
export type ProcessActivity = Common<1007> & {
  readonly launch_type_id?: EnumId<'launch_type_id'>;
  readonly exit_code?: number;
  readonly actor: Actor;
  readonly process: Process;
};

/** OCSF class 6002. Source: https://schema.ocsf.io/1.8.0/classes/application_lifecycle */
export type ApplicationLifecycle = Common<6002> & SecurityControl & { readonly app: Product };

/** OCSF class 0. Source: https://schema.ocsf.io/1.8.0/classes/base_event */
export type BaseEvent = Common<0> & SecurityControl;

/** What a builder writes before `finish` adds what follows from it. */
export type EventDraft = NetworkActivity | ProcessActivity | ApplicationLifecycle | BaseEvent;

type Finished = {
  readonly class_name: string;
  readonly category_uid: number;
  readonly category_name: string;
  readonly activity_name: string;
  /** `class_uid * 100 + activity_id`. */
  readonly type_uid: number;
  readonly type_name: string;
  readonly severity: string;
  readonly status: string;
  readonly observables: readonly Observable[];
  readonly metadata: {
    readonly profiles: readonly string[];
    /** Set when a text was shortened. */
    readonly is_truncated?: true;
    /** Kilobytes (1024 bytes) before the shortening, rounded up. */
    readonly untruncated_size?: number;
  };
};

type Logged = {
  readonly metadata: {
    /** Unique and sortable by time. */
    readonly uid: string;
    /** Contiguous in a log, from 1. */
    readonly sequence: number;
    /** Epoch milliseconds. */
    readonly logged_time: number;
  };
};

/** A whole event but for what only the log knows: its uid, its sequence number and when it was written. */
export type EventBody<Draft extends EventDraft = EventDraft> = Draft & Finished;

/** An event as it stands in the log. */
export type LoggedEvent<Draft extends EventDraft = EventDraft> = EventBody<Draft> & Logged;
