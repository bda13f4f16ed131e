/**
 * The OCSF data types: what a value is in JSON, what bounds it, and the form of its text. Where the type has a `form`
 * it is a form that one can decide by looking at the text alone; `ocsf/validate/forms.ts` decides it.
 *
 * Integers are safe ones (up to 2^53 - 1), for a JSON reader may hold no others. A timestamp is in epoch milliseconds,
 * up to the last that a date can name.
 * Source: OCSF 1.8.0 data types, https://schema.ocsf.io/1.8.0/data_types
 */
export const dataTypes = {
  boolean_t: { json: 'boolean' },
  float_t: { json: 'number' },
  integer_t: { json: 'integer' },
  long_t: { json: 'integer' },
  port_t: { json: 'integer', min: 0, max: 65535 },
  timestamp_t: { json: 'integer', min: 0, max: 8.64e15 },
  json_t: { json: 'any' },
  string_t: { json: 'string' },
  bytestring_t: { json: 'string', form: 'base64' },
  datetime_t: { json: 'string', form: 'datetime' },
  email_t: { json: 'string', form: 'email' },
  file_hash_t: { json: 'string' },
  file_name_t: { json: 'string' },
  file_path_t: { json: 'string' },
  hostname_t: { json: 'string' },
  ip_t: { json: 'string', form: 'ip' },
  mac_t: { json: 'string', form: 'mac' },
  process_name_t: { json: 'string' },
  reg_key_path_t: { json: 'string' },
  resource_uid_t: { json: 'string' },
  subnet_t: { json: 'string', form: 'subnet' },
  url_t: { json: 'string', form: 'url' },
  username_t: { json: 'string' },
  uuid_t: { json: 'string', form: 'uuid' },
} as const;

/** A key of {@link dataTypes}, for example `ip_t`. */
export type DataTypeName = keyof typeof dataTypes;

/** What {@link dataTypes} says of one type. */
export type DataType = {
  readonly json: 'boolean' | 'number' | 'integer' | 'string' | 'any';
  readonly min?: number;
  readonly max?: number;
  readonly form?: FormName;
};

/** The forms of text that a data type may ask for. */
export type FormName = 'base64' | 'datetime' | 'email' | 'ip' | 'mac' | 'subnet' | 'url' | 'uuid';
