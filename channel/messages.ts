import {
  dictionary,
  flag,
  integer,
  list,
  nullable,
  object,
  oneOf,
  readShape,
  type Shape,
  type ShapeOf,
  text,
  unchecked,
  union,
} from '../base/index.ts';
import { originShape } from './origin.ts';

/** The version of the messages below. Host and guest come from one build, so any difference is an error. */
export const channelVersion = 2;

const exec = integer(1, 65_535);
const stream = integer(0, 2) as Shape<0 | 1 | 2>;
const port = integer(0, 65_535);
const address = text(45, /^[0-9a-f:.]+$/);
const hostname = text(255);

/** A destination past the proxy; see `DirectDestination` in nft/direct.ts. */
const direct = object({
  rule: text(63),
  protocol: integer(0, 255),
  cidr: text(49, /^[0-9a-f:./]+$/),
  ports: nullable((value, path) => {
    const [from, to] = list(integer(1, 65_535), 2)(value, path);
    return [from ?? 0, to ?? from ?? 0] as const;
  }),
});

/** A ruleset's messages to the kernel, in Base64; see `CompiledRuleset` in nft/compiled-ruleset.ts. */
const compiled = text(1_048_576, /^[A-Za-z0-9+/]+=*$/);

const hostShapes = {
  /**
   * The first message, which the guest waits for and answers with `hello`. A guest that was restored has the random numbers of all
   * others that were; the seed, 64 bytes in Base64, makes them its own before it does anything.
   */
  wake: object({ kind: oneOf('wake'), seed: text(88, /^[A-Za-z0-9+/]{86}==$/) }),
  /** What this run is. The guest answers `ready` or `failed`. */
  configure: object({
    kind: oneOf('configure'),
    version: integer(1),
    sandbox: text(32),
    /** The run's secret in the log prefix. */
    tag: text(32, /^[a-z0-9]{8,32}$/),
    /** The host's clock, epoch milliseconds. */
    time: integer(0),
    /** The policy's model, which the policy layer parses again. */
    policy: unchecked,
    direct: list(direct, 4096),
    allowUnlogged: flag,
    /** Whether an emulator runs the guest's code. */
    emulated: flag,
    /** The guest's own ruleset and the fence, where the host has compiled them; else the guest's nft does. */
    compiled: nullable(object({ guest: compiled, fence: compiled })),
    /** How often the guest tries its fence with canaries. */
    canaryMs: integer(1000, 3_600_000),
    /** Whether processes are looked for by the kernel's audit records. */
    audit: flag,
  }),
  /** Start a command. The guest answers `started` or `refused`, and `exited` at the end. */
  exec: object({
    kind: oneOf('exec'),
    exec,
    argv: list(text(131_072), 4096),
    env: dictionary(text(131_072), 1024),
    /** `null`: the workload's home. */
    workdir: nullable(text(4096)),
  }),
  signal: object({ kind: oneOf('signal'), exec, signal: integer(1, 64) }),
  /** No more standard input will come, or nobody reads this output any more. */
  end: object({ kind: oneOf('end'), exec, stream }),
  /** The other side may send this many bytes more on a stream. */
  window: object({ kind: oneOf('window'), exec, stream, bytes: integer(1) }),
  /** The host has taken what came of this round of canaries. */
  'canary-seen': object({ kind: oneOf('canary-seen'), number: integer(1) }),
  /** Give the counts up to now. The guest answers `counts`, after every denied packet up to then. */
  settle: object({ kind: oneOf('settle') }),
};

/** A refused packet as the guest's kernel logged it. */
const deniedPacket = object({
  kind: oneOf('denied-packet'),
  /** Seconds since the guest's boot, with microseconds, as the kernel wrote them: `12.345678`. */
  monotonic: text(32, /^\d+\.\d{6}$/),
  /** Sequence number of the kernel's record. */
  sequence: integer(0),
  interfaceOut: text(15),
  source: address,
  destination: address,
  protocol: integer(0, 255),
  sourcePort: nullable(port),
  destinationPort: nullable(port),
  icmp: nullable(object({ type: integer(0, 255), code: integer(0, 255) })),
  /** Bytes of the packet with its header, which IPv6 does not count in its own length of up to 65,535. */
  length: integer(0, 65_575),
  tcpFlags: nullable(integer(0, 255)),
  uid: nullable(integer(0, 4_294_967_295)),
  gid: nullable(integer(0, 4_294_967_295)),
  mark: nullable(integer(0, 4_294_967_295)),
  /** The record's text without the prefix. */
  raw: text(1024),
  /** Who sent it; `null` where nobody looked. */
  origin: nullable(originShape),
});

/** Packets, at least one. */
const somePackets = integer(1, 2 ** 50);

/** Refused packets of one exec (mark 0: of none that is known), destination, protocol and port without a line each. */
const deniedGroup = object({
  mark: integer(0, 4_294_967_295),
  destination: address,
  protocol: integer(0, 255),
  port: nullable(port),
  packets: somePackets,
});

/** Refused packets that the fence counted and no line told of. */
const deniedPackets = object({
  kind: oneOf('denied-packets'),
  /** Milliseconds since the reading before, in which they were refused. */
  sinceMs: integer(0, 2 ** 40),
  groups: list(deniedGroup, 256),
});

/** Lines of the kernel log that were made to look like those of the fence, and are none. */
const forgedLines = object({
  kind: oneOf('forged-lines'),
  /**
   * Who made them: a `program` that wrote to the log, the `kernel` about a program that has the beginning of the prefix for its
   * name, or a log `rule` beside the fence.
   */
  by: oneOf('program', 'kernel', 'rule'),
  lines: somePackets,
});

/** A request that the guest's proxy refused by itself. What it passed on, the gateway reports. */
const deniedRequest = object({
  kind: oneOf('denied-request'),
  method: text(32),
  host: hostname,
  port,
  /** Of the URL, what follows host and port, cut; `null` for a CONNECT. */
  path: nullable(text(1024)),
  client: object({ address: text(45), port }),
  code: text(64, /^[A-Z_]+$/),
  reason: text(1024),
  hint: text(1024),
});

/** Records of the guest's kernel log that the reader never saw. */
const gap = object({ kind: oneOf('gap'), missing: integer(1), first: integer(0), last: integer(0) });

/**
 * The reader of the guest's kernel log ended, and another one went on where it had stopped. Records that were overwritten
 * between are a gap of its own.
 */
const restart = object({
  kind: oneOf('restart'),
  /** Sequence number of the last record before, and of the first that came after. */
  last: integer(0),
  next: integer(0),
  /** Milliseconds without a reader. */
  downMs: integer(0, 2 ** 40),
});

/** Somebody changed what fences the workload, and it was put right, or could not be (`restoredMs` is null). */
const rulesetChanged = object({
  kind: oneOf('ruleset-changed'),
  where: oneOf('fence', 'guest', 'log-switch'),
  difference: list(text(400), 24),
  differences: integer(0, 2 ** 32),
  restoredMs: nullable(integer(0, 2 ** 40)),
});

/** What the guest saw. The host makes events of these, with its own clock and ids. */
export const factShape = union({
  'denied-packet': deniedPacket,
  'denied-packets': deniedPackets,
  'denied-request': deniedRequest,
  gap,
  restart,
  'ruleset-changed': rulesetChanged,
  'forged-lines': forgedLines,
});

const count = integer(0);
/** Packets. The sum of several is a whole number still. */
const packets = integer(0, 2 ** 50);

const guestShapes = {
  hello: object({ kind: oneOf('hello'), version: integer(1), kernelRelease: text(64), bootMs: count }),
  /** The fence stands, and a workload may start. */
  /** `marks`: whether the kernel tells which exec a packet is of; `compiled`: whether the fence is as the host compiled it. */
  ready: object({ kind: oneOf('ready'), logging: flag, marks: flag, compiled: flag, setupMs: count }),
  /** The guest cannot be made ready, or broke down. No workload runs. */
  failed: object({
    kind: oneOf('failed'),
    code: text(64, /^[A-Z_]+$/),
    message: text(8192),
    hint: nullable(text(2048)),
  }),
  started: object({ kind: oneOf('started'), exec, pid: integer(1) }),
  /** The command cannot be executed. */
  refused: object({
    kind: oneOf('refused'),
    exec,
    code: oneOf('COMMAND_NOT_FOUND', 'COMMAND_NOT_EXECUTABLE', 'GUEST_SETUP_FAILED'),
    message: text(8192),
  }),
  /** The command ended: with a status, or by a signal. All its output was sent before. */
  exited: object({
    kind: oneOf('exited'),
    exec,
    status: nullable(integer(0, 255)),
    signal: nullable(integer(1, 127)),
  }),
  end: object({ kind: oneOf('end'), exec, stream }),
  window: object({ kind: oneOf('window'), exec, stream, bytes: integer(1) }),
  fact: object({ kind: oneOf('fact'), fact: factShape }),
  /** What came of a round of canaries. The host answers `canary-seen`; without that for the first, no workload runs. */
  canary: object({
    kind: oneOf('canary'),
    /** From 1. */
    number: integer(1),
    broken: nullable(oneOf('sent', 'refused', 'logged', 'read')),
    /** The packet that it was seen by, where it was one. */
    packet: nullable(oneOf('tcp4', 'tcp6', 'udp4', 'udp6')),
  }),
  /** Packets, by the fence's counters; `null` when the counters could not be read. */
  counts: object({
    kind: oneOf('counts'),
    counts: nullable(
      object({
        deniedTcp: packets,
        deniedUdp: packets,
        deniedOther: packets,
        logged: packets,
        unlogged: packets,
        direct: packets,
        /** Refused packets that no set had a place for: counted by kind alone. */
        overflow: packets,
        /** Whether a set of ports was full, so that ports beyond were counted without their number. */
        portsFull: flag,
        /** Lines that the kernel logged and the reader never saw. */
        unread: packets,
        /** What is not known of the time between two readings of the fence. */
        unknown: list(text(300), 8),
        /** What was lost of the kernel's audit records, by which processes are known; `null` where nothing was. */
        auditLoss: nullable(text(300)),
      }),
    ),
  }),
};

/** A message from the host to the guest. */
export type HostMessage = ShapeOf<(typeof hostShapes)[keyof typeof hostShapes]>;
/** A message from the guest to the host. */
export type GuestMessage = ShapeOf<(typeof guestShapes)[keyof typeof guestShapes]>;
/** What the guest saw: refused packets, a refused request, a gap in its kernel log, or what somebody changed or forged. */
export type Fact = ShapeOf<typeof factShape>;
/** A refused packet. */
export type DeniedPacketFact = ShapeOf<typeof deniedPacket>;
/** Lines that were made to look like those of the fence. */
export type ForgedLinesFact = ShapeOf<typeof forgedLines>;
/** Refused packets of one exec and destination. */
export type DeniedGroup = ShapeOf<typeof deniedGroup>;
/** A link on the way from a refused packet to its record that a canary found broken. */
export type BrokenLink = NonNullable<Extract<GuestMessage, { kind: 'canary' }>['broken']>;
/** The packet that a canary was. */
export type CanaryPacket = NonNullable<Extract<GuestMessage, { kind: 'canary' }>['packet']>;
/** The fence's counters. */
export type FenceCounts = NonNullable<Extract<GuestMessage, { kind: 'counts' }>['counts']>;

const hostMessage = union(hostShapes);
const guestMessage = union(guestShapes);

/**
 * Parses a message that a host sent.
 *
 * @throws CHANNEL_PROTOCOL when it is not one
 */
export function parseHostMessage(payload: Buffer): HostMessage {
  return readShape(hostMessage, parseJson(payload), 'A message from the host', 'CHANNEL_PROTOCOL');
}

/**
 * Parses a message that a guest sent. The guest may be hostile: what comes out has exactly the typed keys, and text of
 * bounded length, which is not yet fit to be printed.
 *
 * @throws CHANNEL_PROTOCOL when it is not one
 */
export function parseGuestMessage(payload: Buffer): GuestMessage {
  return readShape(guestMessage, parseJson(payload), 'A message from the guest', 'CHANNEL_PROTOCOL');
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
