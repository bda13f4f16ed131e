import { flag, integer, list, nullable, object, readShape, type ShapeOf, text } from '../base/shape.ts';

/** The variable in which the driver hands a supervisor its {@link JailPlan}. A guest's supervisor has none. */
export const jailVariable = 'TAPWARDEN_JAIL';

const absolutePath = text(4096, /^\/[^\0]*$/);

const shape = object({
  /** The unix socket of the channel. */
  channel: absolutePath,
  /** The host's uid, and gid, of the workload: of no user of the host, and no other sandbox. */
  uid: integer(1, 4_294_967_294),
  /** The sandbox's cgroup, from the root of cgroup v2 on. Example: `/tapwarden-a`. */
  cgroup: text(256, /^\/[A-Za-z0-9._/-]+$/),
  /** The memory of the whole sandbox, in MiB. */
  memoryMiB: integer(1),
  /** The image to run in; `null` is the host's own root, as far as the jail shows it. */
  image: nullable(absolutePath),
  /** The interface of the slot to which direct destinations are forwarded. */
  uplink: text(15, /^[a-z0-9-]+$/),
  /** Whether rules of network namespaces other than the kernel's first log, which only there can be read. */
  logging: flag,
  /** The host's network namespace, where the kernel answers what concerns the whole machine. Example: `/proc/812/ns/net`. */
  hostNetwork: absolutePath,
  /** Folders of the host that the workload must not see, beside those that it never sees. */
  hidden: list(absolutePath, 16),
});

/** What a supervisor is told that runs on the host itself, with no virtual machine. */
export type JailPlan = ShapeOf<typeof shape>;

/**
 * Reads the plan that the driver wrote into {@link jailVariable}.
 *
 * @throws BUG when it is none
 */
export function parseJailPlan(value: string): JailPlan {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    parsed = undefined;
  }
  return readShape(shape, parsed, `The variable ${jailVariable}`, 'BUG');
}
