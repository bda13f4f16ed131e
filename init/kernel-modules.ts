import { TapwardenError } from '../base/errors.ts';

/** Modules that the first root filesystem loads to find the root disk. Without them there is no guest. */
export const bootModules: readonly string[] = ['virtio_mmio', 'virtio_blk'];

/**
 * Modules that the guest's init loads from the root disk, after which it forbids loading. What they are for stands in
 * the order in which they are loaded; dependencies come by themselves.
 */
export const guestModules: readonly string[] = [
  // Devices: the TAP's other end, the channel, randomness.
  ...['virtio_net', 'virtio_console', 'virtio_rng'],
  // The fence: what its ruleset says. nft_objref is the named counters.
  ...['nf_tables', 'nft_ct', 'nft_reject_inet', 'nf_log_syslog', 'nft_log', 'nft_limit', 'nft_objref', 'nft_quota'],
  // Attribution: `socket cgroupv2`.
  'nft_socket',
  // Direct rules: translated addresses.
  ...['nft_chain_nat', 'nft_masq'],
  // The workload's network namespace and its writable root.
  ...['veth', 'overlay'],
  // A protocol that a workload may try, so that the fence is seen to refuse it. UDP-Lite is part of every kernel.
  'sctp',
];

/** A module as its file describes it. Names have underscores, as `lsmod` prints them. */
export type ModuleInfo = { readonly name: string; readonly dependencies: readonly string[] };

/** What to load, in order, and what the package does not hold. */
export type LoadOrder = { readonly modules: readonly string[]; readonly absent: readonly string[] };

/**
 * The order in which to load `wanted` so that each module finds what it depends on; each name stands once.
 *
 * A wanted module that `lookup` does not know is reported as absent: it may be built into the kernel, or be gone in
 * another version. A dependency that is not there is an error of the package.
 *
 * @throws IMAGE_BUILD_FAILED when a module depends on itself or on one that is not there
 */
export function planLoadOrder(
  wanted: readonly string[],
  lookup: (name: string) => ModuleInfo | undefined,
  loaded: readonly string[] = [],
): LoadOrder {
  const order: string[] = [];
  const absent: string[] = [];
  const done = new Set(loaded);
  const visit = (name: string, path: readonly string[]): void => {
    if (done.has(name)) return;
    if (path.includes(name)) throw broken(`the modules ${[...path, name].join(' → ')} depend on each other`);
    const module = lookup(name);
    if (module === undefined) {
      if (path.length > 0) throw broken(`module '${path.at(-1)}' depends on '${name}', which is not there`);
      absent.push(name);
      return;
    }
    for (const dependency of module.dependencies) visit(dependency, [...path, name]);
    done.add(name);
    order.push(name);
  };
  for (const name of wanted) visit(name, []);
  return { modules: order, absent };
}

/**
 * The names of the modules that the module file `ko` depends on, read from its `.modinfo` section's `depends=`, which
 * the kernel's build writes and from which depmod(8) makes modules.dep. Example: `['nf_tables', 'nf_conntrack']`.
 */
export function parseModuleDependencies(ko: Uint8Array): readonly string[] {
  const bytes = Buffer.from(ko.buffer, ko.byteOffset, ko.byteLength);
  const key = Buffer.from('\0depends=');
  const at = bytes.indexOf(key);
  if (at < 0) return [];
  const start = at + key.length;
  const text = bytes.toString('latin1', start, bytes.indexOf(0, start));
  return text === '' ? [] : text.split(',').map(moduleName);
}

/**
 * The module file `ko` without the signature at its end; a file without one is returned as it is.
 *
 * Checking the signatures takes 0.15 s of each boot under emulation and proves nothing here: apt checked the package,
 * the guest's root is read-only, and no module is loaded after init. The kernel notes once that it is tainted.
 * Source: include/linux/module_signature.h, Linux 6.1
 */
export function stripSignature(ko: Uint8Array): Uint8Array {
  const bytes = Buffer.from(ko.buffer, ko.byteOffset, ko.byteLength);
  const end = bytes.length - signatureMarker.length;
  if (end < signatureInfoBytes || !bytes.subarray(end).equals(signatureMarker)) return ko;
  const length = bytes.readUInt32BE(end - 4);
  const start = end - signatureInfoBytes - length;
  if (start < 0) throw broken('a signature is longer than its module');
  return ko.subarray(0, start);
}

const signatureMarker = Buffer.from('~Module signature appended~\n');

/** `struct module_signature`: five bytes, three of padding, and the length of the signature as a big-endian 32 bits. */
const signatureInfoBytes = 12;

/** The name under which the kernel knows the module in `file`. Example: `virtio-rng.ko.xz` is `virtio_rng`. */
export function moduleName(file: string): string {
  return file.replace(/\.ko(\.[a-z0-9]+)?$/, '').replaceAll('-', '_');
}

function broken(what: string): TapwardenError {
  return new TapwardenError('IMAGE_BUILD_FAILED', { message: `The kernel package's modules cannot be used: ${what}` });
}
