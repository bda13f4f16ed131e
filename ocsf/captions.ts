import { eventClasses } from './schema/classes.ts';
import { enums } from './schema/enums.ts';
import { parseEnum } from './schema/notation.ts';

/** A class of the table, for whoever looks it up by a word. */
export type ClassName = {
  readonly uid: number;
  /** The schema's name. Example: `network_activity`. */
  readonly name: string;
  readonly caption: string;
  /** What stands before the activity in the shorthand, and what a person may call it. Example: `network`. */
  readonly short: string;
};

const shortNames: Readonly<Record<keyof typeof eventClasses, string>> = {
  0: 'base',
  1007: 'process',
  1008: 'log',
  2004: 'finding',
  4001: 'network',
  4002: 'http',
  4003: 'dns',
  5019: 'config',
  6002: 'sandbox',
};

/** Our classes and their names, by `class_uid`. */
export const classNames: ReadonlyMap<number, ClassName> = new Map(
  Object.entries(eventClasses).map(([key, { name, caption }]) => [
    Number(key),
    { uid: Number(key), name, caption, short: shortNames[Number(key) as keyof typeof eventClasses] },
  ]),
);

/** The captions of ids, by id. Events of others need not have them beside the ids. */
export const captions = {
  severity: captionsOf(enums.severity_id),
  action: captionsOf(enums.action_id),
  status: captionsOf(enums.status_id),
} as const;

/** The captions of the activities of our classes, by `class_uid` and `activity_id`. */
export const activityCaptions: ReadonlyMap<number, ReadonlyMap<number, string>> = new Map(
  Object.entries(eventClasses).map(([uid, { activities }]) => [Number(uid), captionsOf(activities)]),
);

function captionsOf(values: string): ReadonlyMap<number, string> {
  return new Map(
    parseEnum(values, '1.9.0').flatMap(({ id, caption }) =>
      typeof id === 'number' && caption !== undefined ? [[id, caption] as const] : [],
    ),
  );
}
