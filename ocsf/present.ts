type OptionalKeys<T> = { [Key in keyof T]-?: undefined extends T[Key] ? Key : never }[keyof T];

/** `T` with every property that may be `undefined` made one that may be absent. */
export type Present<T> = { readonly [Key in Exclude<keyof T, OptionalKeys<T>>]: T[Key] } & {
  readonly [Key in OptionalKeys<T>]?: Exclude<T[Key], undefined>;
};

/**
 * Leaves out the properties that are `undefined`, which `exactOptionalPropertyTypes` tells from absent ones.
 * Example: `present({ip: '192.0.2.1', port: undefined})` is `{ip: '192.0.2.1'}`.
 */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Present<T>;
}
