import type { EventClassUid } from './schema/classes.ts';
import type { ActivityOf, EventOf, IdOf, ObjectOf } from './schema/types.ts';
import type { SchemaVersion } from './schema/versions.ts';

/** What `JSON.parse` may return, `null` apart: OCSF says absent by leaving out. */
export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonObject;

/** A JSON object without `null`. `undefined` means absent. */
export type JsonObject = { readonly [key: string]: JsonValue | undefined };

// The types of events are those of the table in schema/: what follows is what a caller of a builder need not write, and
// what a builder and the log add.

/** `metadata` as a caller writes it: version and profiles are filled in where they are absent. */
export type MetadataInput = Omit<ObjectOf<'metadata'>, 'version' | 'profiles'> & {
  /** @default '1.8.0' */
  readonly version?: SchemaVersion;
  /** Profiles whose attributes the event has are added. */
  readonly profiles?: readonly string[];
};

/** Activity 99 is one that the class has no name for, so it demands `activity_name`. */
type Activity<Uid extends EventClassUid> =
  | { readonly activity_id: Exclude<ActivityOf<Uid>, 99>; readonly activity_name?: string }
  | { readonly activity_id: 99; readonly activity_name: string };

/**
 * An event of a class as a caller writes it: its attributes, ids without their captions. Category, type and the names
 * of class and type are filled in. Example: `EventInput<4001>`.
 */
export type EventInput<Uid extends EventClassUid = EventClassUid> = Uid extends EventClassUid
  ? Omit<EventOf<Uid>, 'category_uid' | 'type_uid' | 'metadata' | 'activity_id' | 'activity_name'> &
      Activity<Uid> & { readonly metadata: MetadataInput }
  : never;

/** OCSF `network_endpoint`. It needs one of the names; a port alone is refused. */
export type Endpoint = ObjectOf<'network_endpoint'>;

/** OCSF `observable`: a value that a search starts from, and where it stands in the event. */
export type Observable = {
  readonly name: string;
  readonly type_id: IdOf<'observable.type_id'>;
  readonly type: string;
  readonly value: string;
};

/** What every event of tapwarden has, beside what the schema requires. */
type Ours = {
  readonly message: string;
  readonly status_id: IdOf<'status_id'>;
  readonly device: ObjectOf<'device'>;
  readonly metadata: {
    readonly version: SchemaVersion;
    /** The run: equal in all events of one sandbox from its start to its stop. */
    readonly correlation_uid: string;
    /** What tapwarden calls the event, for example `egress-denied`. */
    readonly event_code: string;
    readonly log_name: string;
  };
};

// Events of tapwarden, by class. Source: https://schema.ocsf.io/1.8.0/classes

/** OCSF `network_activity`: a packet, or packets, that the fence refused. */
export type NetworkActivity = EventInput<4001> & Ours;
/** OCSF `http_activity`: a request that a proxy decided. */
export type HttpActivity = EventInput<4002> & Ours;
/** OCSF `process_activity`: a command that was started or ended. */
export type ProcessActivity = EventInput<1007> &
  Ours & { readonly process: { readonly name: string; readonly cmd_line: string } };
/** OCSF `detection_finding`: what follows from several events, or from one that is grave. Its status is of its own kind. */
export type DetectionFinding = EventInput<2004> & Omit<Ours, 'status_id'>;
/** OCSF `device_config_state_change`: what protects a sandbox is otherwise than it was. */
export type DeviceConfigStateChange = EventInput<5019> & Ours;
/** OCSF `event_log_actvity`, spelt so in the schema: what became of a log. */
export type EventLogActivity = EventInput<1008> & Ours;
/** OCSF `application_lifecycle`: a sandbox that started or stopped. */
export type ApplicationLifecycle = EventInput<6002> & Ours;
/** OCSF `base_event`: what no other class is for. */
export type BaseEvent = EventInput<0> & Ours;

/** What a builder writes before `finish` adds what follows from it. */
export type EventDraft = EventInput;

type Finished = {
  readonly class_name: string;
  readonly category_uid: number;
  readonly category_name: string;
  readonly activity_name: string;
  /** `class_uid * 100 + activity_id`. */
  readonly type_uid: number;
  readonly type_name: string;
  readonly severity: string;
  readonly observables: readonly Observable[];
  readonly metadata: {
    readonly version: SchemaVersion;
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
