/**
 * The OCSF categories of the classes that tapwarden writes, by `category_uid`.
 * Source: https://schema.ocsf.io/1.8.0/categories
 */
export const categories = {
  0: 'Uncategorized',
  1: 'System Activity',
  4: 'Network Activity',
  6: 'Application Activity',
} as const;

const networkActivities = {
  0: 'Unknown',
  1: 'Open',
  2: 'Close',
  3: 'Reset',
  4: 'Fail',
  5: 'Refuse',
  6: 'Traffic',
  7: 'Listen',
  99: 'Other',
} as const;

const processActivities = {
  0: 'Unknown',
  1: 'Launch',
  2: 'Terminate',
  3: 'Open',
  4: 'Inject',
  5: 'Set User ID',
  99: 'Other',
} as const;

const lifecycleActivities = {
  0: 'Unknown',
  1: 'Install',
  2: 'Remove',
  3: 'Start',
  4: 'Stop',
  5: 'Restart',
  6: 'Enable',
  7: 'Disable',
  8: 'Update',
  99: 'Other',
} as const;

/**
 * The OCSF classes that tapwarden writes, by `class_uid`: schema name, caption, category, activities, and the
 * attributes of a profile that the class has of its own, so that the profile is not in use because of them.
 * A test compares the table with the schema. Source: https://schema.ocsf.io/1.8.0/classes
 */
export const classes = {
  0: {
    name: 'base_event',
    caption: 'Base Event',
    category: 0,
    activities: { 0: 'Unknown', 99: 'Other' },
    ownAttributes: [],
  },
  1007: {
    name: 'process_activity',
    caption: 'Process Activity',
    category: 1,
    activities: processActivities,
    ownAttributes: ['actor', 'device'],
  },
  4001: {
    name: 'network_activity',
    caption: 'Network Activity',
    category: 4,
    activities: networkActivities,
    ownAttributes: [],
  },
  6002: {
    name: 'application_lifecycle',
    caption: 'Application Lifecycle',
    category: 6,
    activities: lifecycleActivities,
    ownAttributes: [],
  },
} as const;

/** A key of {@link classes}, for example `4001`. */
export type ClassUid = keyof typeof classes;

/** The activities of a class, for example `ActivityId<0>` is `0 | 99`. */
export type ActivityId<Uid extends ClassUid> = keyof (typeof classes)[Uid]['activities'];

/**
 * The profiles that tapwarden uses, each with the event attributes that bring it into use. An event that has one of
 * them must list the profile in `metadata.profiles`. Source: https://schema.ocsf.io/1.8.0/profiles
 */
export const profiles = {
  host: ['actor', 'device'],
  security_control: ['action_id', 'attacks', 'confidence_id', 'disposition_id', 'firewall_rule', 'is_alert', 'policy'],
  network_proxy: ['proxy_endpoint'],
} as const;
