/** The OCSF versions that the table knows. Each has the differences that the lines of the table mark with `+` and `-`. */
export const schemaVersions = ['1.7.0', '1.8.0', '1.9.0'] as const;

/** One of {@link schemaVersions}. */
export type SchemaVersion = (typeof schemaVersions)[number];

/** The version that is written, and by which is judged what names none. */
export const defaultVersion = '1.8.0' satisfies SchemaVersion;

/** Whether `value` names a version of the table. */
export function isSchemaVersion(value: unknown): value is SchemaVersion {
  return value === '1.7.0' || value === '1.8.0' || value === '1.9.0';
}
