/**
 * Every way in which tapwarden refuses or fails, by code. Callers test `code`, never the text.
 * `docs/errors.md` lists the same codes; a test keeps the two equal.
 */
export const errorCodes = {
  USAGE_INVALID: 'The command line has an unknown command or option, or an option has a bad value.',
  POLICY_INVALID: 'The policy file does not parse, or says something that a policy cannot say.',
  POLICY_UNREADABLE: 'The policy file cannot be read.',
  NAME_INVALID: 'A sandbox id, interface name, address or port does not have the form that it must have.',
  RULESET_INVALID: 'A ruleset holds a name, prefix, comment or reference that nft or the kernel would refuse.',
  NFT_MISSING: 'The nft program is not there.',
  NFT_REJECTED: 'nft or the kernel refused a ruleset; the old state stands.',
  NFT_NOT_FOUND: 'A table, chain, set or counter that was asked for does not exist.',
  NFT_UNREADABLE: 'The kernel does not give out counters or sets of a table in a form that can be read.',
  NFT_FEATURE_MISSING: 'The kernel lacks a netfilter feature without which no workload may start.',
  LOG_UNAVAILABLE: 'The kernel cannot log refused packets, and --allow-unlogged was not given.',
  COMMAND_FAILED: 'A program that tapwarden calls ended with an error.',
  COMMAND_TIMEOUT: 'A program that tapwarden calls did not end in time.',
  PROGRAM_MISSING: 'A program that tapwarden calls is not installed.',
  NOT_ROOT: 'The command needs root.',
  TUN_MISSING: 'The host has no usable /dev/net/tun.',
  SANDBOX_EXISTS: 'A sandbox with this id exists already.',
  CANARY_MISSED: 'A packet by which the fence is tried was not refused, logged and told of; no workload ran.',
  NAMESPACE_FAILED: 'A network namespace cannot be entered.',
  SLOT_FAILED: 'The network namespace of a sandbox could not be built.',
  PORT_IN_USE: 'An address and port that tapwarden must listen on is taken.',
  LISTEN_FAILED: 'An address or descriptor cannot be listened on, for a reason other than that it is taken.',
  DIRECT_BLOCKED: 'Another table of the host would drop traffic that a direct rule allows.',
  FORWARDING_UNSAFE: 'The host would lose routes of its own if it forwarded what a direct rule allows.',
  ROUTE_CONFLICT: 'The host sends what is for a sandbox with direct rules somewhere else.',
  POOL_EXHAUSTED: 'No free address pair, uid or index is left for another sandbox.',
  IMAGE_NOT_FOUND: 'The named image does not exist.',
  IMAGE_BUILD_FAILED: 'An image could not be built.',
  LOCK_TIMEOUT: 'Another tapwarden process holds a lock for too long.',
  DISK_FULL: 'There is not enough free disk space.',
  VMM_MISSING: 'QEMU is not installed.',
  VMM_PRIVILEGED: 'The virtual machine monitor would run as root.',
  VMM_FAILED: 'The virtual machine monitor ended before the guest was up, or while it ran.',
  JAIL_UNSUPPORTED: 'The host lacks what a jail needs, or cannot keep a limit that was asked for.',
  JAIL_FAILED: 'The supervisor of a jail ended by itself, or processes of a jail do not end.',
  VM_BOOT_TIMEOUT: 'The guest did not report in time, at the second boot either.',
  GUEST_SETUP_FAILED: 'The guest could not build its half of the fence or its workload environment; no workload ran.',
  CHANNEL_PROTOCOL: 'A message on the channel between host and guest breaks the protocol.',
  CHANNEL_CLOSED: 'The channel between host and guest closed while the sandbox was in use.',
  COMMAND_NOT_FOUND: 'The command to run does not exist in the image.',
  COMMAND_NOT_EXECUTABLE: 'The command to run exists in the image but cannot be executed.',
  EVENT_INVALID: 'An event holds a value that its OCSF class does not allow.',
  EVENTS_UNWRITABLE: 'The event log cannot be written.',
  SINK_INVALID: 'An address or setting of a receiver of events is none that can be used.',
  SINK_UNAVAILABLE: 'A receiver of events could not be reached, or would not take them, for as long as it was tried.',
  SINK_REFUSED: 'A receiver of events refuses them for good.',
  CURSOR_INVALID: 'The file that says how far a log was shipped is none, or belongs to another receiver.',
  STATE_ILLEGAL: 'An operation was called in a lifecycle state that does not allow it.',
  FILE_UNREADABLE: 'A file that was named cannot be read or written.',
  BUG: 'tapwarden broke one of its own rules; please report it.',
} as const satisfies Readonly<Record<string, string>>;

/** A code of {@link errorCodes}, for example `'NFT_REJECTED'`. */
export type ErrorCode = keyof typeof errorCodes;

/** Plain data that goes with an error: numbers, strings, lists of these. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** What {@link TapwardenError} is made of. */
export type ErrorParts = {
  /** What failed, on what, and what was found instead. One sentence, no code. */
  readonly message: string;
  /** What the reader can do about it. One sentence. */
  readonly hint?: string;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
};

/**
 * The one error class of tapwarden.
 *
 * `message` is complete text for a person: what failed, on what, what was found, then the hint.
 * Example: `new TapwardenError('NOT_ROOT', {message: 'tapwarden run needs root', hint: 'Use sudo.'})`.
 */
export class TapwardenError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(parts.hint === undefined ? parts.message : `${parts.message}\n${parts.hint}`, { cause: parts.cause });
    this.name = 'TapwardenError';
    this.code = code;
    this.hint = parts.hint;
    this.details = parts.details ?? {};
  }
}

/** Says whether `value` is a {@link TapwardenError}, of code `code` where one is given. */
export function isTapwardenError(value: unknown, code?: ErrorCode): value is TapwardenError {
  return value instanceof TapwardenError && (code === undefined || value.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `errno` name of a system error, for example `'ENOENT'`, or `undefined`. */
export function errnoOf(thrown: unknown): string | undefined {
  if (thrown === null || typeof thrown !== 'object' || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * Ends a `switch` over a union: the compiler refuses the call while a member is unhandled.
 *
 * @throws BUG when it is reached at run time all the same
 */
export function assertNever(value: never): never {
  throw new TapwardenError('BUG', { message: `Unhandled variant: ${JSON.stringify(value)}` });
}
