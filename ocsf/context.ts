import type { MetadataInput } from './event.ts';
import { present } from './present.ts';
import type { ObjectOf } from './schema/types.ts';
import type { SchemaVersion } from './schema/versions.ts';

/** What all events of one sandbox have in common. The host fills it in; what it has from the guest is bounded later. */
export type EventContext = {
  readonly ocsfVersion: SchemaVersion;
  /** The version of tapwarden. */
  readonly productVersion: string;
  readonly logName: string;
  readonly sandboxId: string;
  /** A UUID, new at each start of the sandbox. */
  readonly runId: string;
  /** The sandbox's own host name. */
  readonly hostname: string;
  /** What runs the sandbox's virtual machine; a jail has none. */
  readonly hypervisor?: 'qemu';
  /** The guest kernel's boot id. Source: random(4), /proc/sys/kernel/random/boot_id. */
  readonly bootUid?: string;
  readonly kernelRelease?: string;
  readonly image?: { readonly name: string; readonly uid: string };
  /** `version` is the SHA-256 of the policy's text. */
  readonly policy: { readonly uid: string; readonly name: string; readonly version: string };
};

/** The part of tapwarden that saw what an event tells. */
export type Feature = 'fence' | 'guest-proxy' | 'gateway' | 'supervisor' | 'driver';

/** What a builder says of the origin of its event, beside its code. */
export type MetadataParts = Partial<
  Pick<MetadataInput, 'log_provider' | 'log_source' | 'log_format' | 'original_event_uid' | 'original_time' | 'labels'>
>;

/** OCSF `product` for tapwarden itself. */
export function productOf(context: EventContext, feature?: Feature): ObjectOf<'product'> {
  return present({
    name: 'tapwarden',
    vendor_name: 'tapwarden',
    version: context.productVersion,
    feature: feature === undefined ? undefined : { name: feature },
  });
}

/** OCSF `metadata` as far as a builder knows it. */
export function metadataOf(context: EventContext, feature: Feature, code: string, parts: MetadataParts = {}) {
  return {
    version: context.ocsfVersion,
    product: productOf(context, feature),
    correlation_uid: context.runId,
    event_code: code,
    log_name: context.logName,
    ...parts,
  };
}

/** OCSF `device`: the sandbox as a virtual machine, or as a jail, for which OCSF has no word. */
export function deviceOf(context: EventContext): ObjectOf<'device'> {
  return present({
    ...(context.hypervisor === undefined ? ({ type_id: 99, type: 'Jail' } as const) : ({ type_id: 6 } as const)),
    uid: context.sandboxId,
    hostname: context.hostname,
    hypervisor: context.hypervisor,
    boot_uid: context.bootUid,
    image: context.image === undefined ? undefined : { uid: context.image.uid, name: context.image.name },
    os: present({ name: 'Linux', type_id: 200 as const, kernel_release: context.kernelRelease }),
  });
}

/** OCSF `policy`: the one in force. */
export function policyOf(context: EventContext): ObjectOf<'policy'> {
  return {
    uid: context.policy.uid,
    name: context.policy.name,
    version: context.policy.version,
    is_applied: true,
  };
}
