import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTapwardenError, messageOf, type Run, sanitizeText, TapwardenError, UndoStack } from '../base/index.ts';
import type { DirectDestination } from '../nft/index.ts';
import type { EventContext, FsyncPolicy } from '../ocsf/index.ts';
import type { Policy } from '../policy/index.ts';
import {
  type Carrier,
  type CarrierAttempt,
  type CarrierPlace,
  CarrierProcess,
  type PreparedCarrier,
} from './carrier.ts';
import { type ChannelHost, startChannelHost } from './channel-host.ts';
import { consoleLinesOf } from './console-lines.ts';
import { defaultPool, type Pool } from './direct/pool.ts';
import { openUplink } from './direct/uplink.ts';
import type { EventsFile } from './events-file.ts';
import { compileFence, type GuestRulesets } from './fence-compiler.ts';
import { openGatewaySocket } from './gateway-socket.ts';
import { type JailOptions, jail } from './jail/jail.ts';
import { nextState, type State } from './lifecycle.ts';
import type { Paths } from './paths.ts';
import { endProcessesOf } from './processes.ts';
import { claimSandbox, releaseSandbox, sandboxFolder, usersOf } from './sandbox-record.ts';
import type { CompiledRulesets, ExecRequest, RunSummary } from './shared/ipc.ts';
import type { Slot } from './slot.ts';
import { type VirtualMachineOptions, virtualMachine } from './virtual-machine.ts';

/** What a sandbox is made of: what carries it, a virtual machine or a jail, and all that is the same for both. */
export type SandboxOptions = CommonOptions &
  (Omit<VirtualMachineOptions, keyof CommonOptions> | { readonly jail: Omit<JailOptions, keyof CommonOptions> });

type CommonOptions = {
  readonly id: string;
  readonly paths: Paths;
  readonly run: Run;
  readonly policy: Policy;
  readonly direct: readonly DirectDestination[];
  /** Where the addresses of a sandbox with direct rules come from. @default {@link defaultPool} */
  readonly pool?: Pool;
  readonly context: EventContext;
  /** The run's secret in the log prefix. */
  readonly tag: string;
  /** What the guest loads, for the host to compile, which spares the guest the start of nft. @default the guest makes them */
  readonly rulesets?: GuestRulesets;
  /** The sandbox's from then on, which closes it. */
  readonly events: EventsFile;
  /** @default 'interval' */
  readonly fsync?: FsyncPolicy;
  readonly allowUnlogged: boolean;
  /** How often the guest tries its fence, in milliseconds, 1000 to 3,600,000. @default {@link defaultCanaryMs} */
  readonly canaryMs?: number;
  /** Whether the kernel's audit records may be used: the guest's own kernel, in a jail the host's. @default true */
  readonly audit?: boolean;
  readonly onProgress?: (line: string) => void;
  /** Takes what a person should know and what does not keep the sandbox from starting. */
  readonly onWarning?: (line: string) => void;
  /** @default {@link defaultTimeouts} */
  readonly timeouts?: Timeouts;
};

/** Twice a minute: a fence that was broken is known soon, and an emulated guest does not notice the work. */
export const defaultCanaryMs = 30_000;

/** Milliseconds that each step of a start may take. */
export type Timeouts = { readonly helloMs: number; readonly readyMs: number };

/** Under emulation, with more guests than cores, a boot takes several times its usual three seconds. */
export const defaultTimeouts: Timeouts = { helloMs: 45_000, readyMs: 45_000 };

/** How a command ended: with a status, or by a signal. */
export type ExecEnd = { readonly status: number | null; readonly signal: number | null };

/** Epoch milliseconds at which each step was done, and the guest's own figures, for the benchmarks. */
export type Timings = { readonly [step: string]: number };

/**
 * A sandbox's life: create, start, exec, stop, delete. `delete` is legal in every state and takes everything away, after
 * a failure at any step too; whoever creates a sandbox calls it in the end.
 */
export class Sandbox {
  readonly #options: CommonOptions;
  readonly #carrier: Carrier;
  readonly #process: CarrierProcess;
  readonly #undo = new UndoStack();
  readonly #timings: Record<string, number> = {};
  #state: State = 'created';
  #prepared: PreparedCarrier | undefined;
  #channel: ChannelHost | undefined;
  #users = { vmm: 0, channel: 0 };
  #settles = false;
  #claimed = false;
  #logging = true;

  private constructor(options: SandboxOptions) {
    this.#options = options;
    this.#carrier =
      'jail' in options
        ? jail({ ...options, ...options.jail, onWarning: (line) => options.onWarning?.(line) })
        : virtualMachine(options);
    this.#process = new CarrierProcess(this.#carrier);
  }

  /**
   * Makes a sandbox: its record, slot, gateway and event log. Nothing of it stays when it fails.
   *
   * @throws NAME_INVALID, SANDBOX_EXISTS, POOL_EXHAUSTED, SLOT_FAILED, TUN_MISSING, NFT_REJECTED, DIRECT_BLOCKED,
   * EVENTS_UNWRITABLE and others
   */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    const sandbox = new Sandbox(options);
    try {
      await sandbox.#create();
      return sandbox;
    } catch (error) {
      await sandbox.delete();
      throw error;
    }
  }

  /** Where the sandbox is in its life. */
  get state(): State {
    return this.#state;
  }

  /** Whether the guest logs refused packets; `false` only where `allowUnlogged` let it start without. */
  get logging(): boolean {
    return this.#logging;
  }

  /** When each step was done. */
  get timings(): Timings {
    return { ...this.#timings };
  }

  /**
   * Restores or boots the guest, or starts the jail's supervisor, and waits until the fence stands. A guest that does not report in
   * time is booted once more: under emulation a boot can hang for no reason of its own.
   *
   * @throws VM_BOOT_TIMEOUT when the second boot does not report either; `details.console` is the end of its console
   * @throws VMM_FAILED, JAIL_FAILED when QEMU, or the supervisor, ends by itself
   * @throws GUEST_SETUP_FAILED, LOG_UNAVAILABLE, NFT_FEATURE_MISSING and others when the guest cannot build its fence
   */
  async start(): Promise<void> {
    const to = nextState(this.#state, 'start');
    const begun = await Promise.allSettled([
      this.#bootAtLast(),
      this.#compileFence(),
      this.#openGateway(),
      this.#watch(),
    ]);
    for (const result of begun) if (result.status === 'rejected') throw result.reason;
    this.#mark('ready');
    this.#state = to;
  }

  /**
   * Runs a command as the workload, joined to this process's standard streams, and waits for its end.
   *
   * @throws COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, GUEST_SETUP_FAILED when it cannot be started
   * @throws CHANNEL_CLOSED, VMM_FAILED, JAIL_FAILED when the guest is gone before the command ended
   */
  async exec(request: ExecRequest, onStarted?: () => void): Promise<ExecEnd> {
    this.#state = nextState(this.#state, 'exec');
    const channel = this.#theChannel();
    channel.send({ kind: 'exec', ...request });
    this.#settles = true;
    const answer = await this.#orEnd(channel.next('started', 'refused'));
    if (answer.kind === 'refused') {
      const codes = ['COMMAND_NOT_FOUND', 'COMMAND_NOT_EXECUTABLE'] as const;
      throw new TapwardenError(codes.find((code) => code === answer.code) ?? 'GUEST_SETUP_FAILED', {
        message: sanitizeText(answer.message, 8192),
        ...(answer.code === 'COMMAND_NOT_FOUND' ? { hint: 'The image has what its name says; see --image.' } : {}),
      });
    }
    this.#mark('started');
    onStarted?.();
    const end = await this.#orEnd(channel.next('exited'));
    this.#mark('exited');
    return { status: end.status, signal: end.signal };
  }

  /** Sends a signal to the command. One that has ended gets none. */
  signal(signal: number): void {
    this.#channel?.send({ kind: 'signal', signal });
  }

  /**
   * Ends the guest, writes the last event and returns what the record of the run says.
   *
   * @throws CHANNEL_CLOSED, EVENTS_UNWRITABLE when the record could not be finished
   */
  async stop(reason: string, failed = false): Promise<RunSummary> {
    this.#state = nextState(this.#state, 'stop');
    const channel = this.#theChannel();
    if (this.#settles) await this.#settle(channel);
    this.#mark('settled');
    await this.#process.end();
    const slot = (await this.#prepared?.readDrops()) ?? {};
    const summary = await channel.finish({ kind: 'finish', reason, failed, slot });
    this.#mark('stopped');
    return summary;
  }

  /**
   * Takes everything of the sandbox away, whatever state it is in.
   *
   * @throws AggregateError when a step failed; the others were carried out
   */
  async delete(): Promise<void> {
    this.#state = nextState(this.#state, 'delete');
    await this.#undo.unwind();
    // Only now: what could not be taken away is found again by its record, which gc reads.
    if (this.#claimed) await releaseSandbox(this.#options.paths, this.#options.id);
    this.#claimed = false;
    this.#mark('deleted');
  }

  async #create(): Promise<void> {
    const options = this.#options;
    this.#mark('create');
    this.#undo.push('close the event log', async () => await options.events.close());
    const record = await claimSandbox(options.paths, options.id);
    this.#claimed = true;
    this.#users = usersOf(record.index);
    this.#undo.push('end the processes of the sandbox', async () => await endProcessesOf(this.#users));
    const place = await this.#makePlace();
    // Neither needs the other. Both are awaited, whatever becomes of one, so that what they made is known to the undo stack.
    const made = await Promise.allSettled([this.#prepare(place, record.index), this.#startChannel(place)]);
    for (const result of made) if (result.status === 'rejected') throw result.reason;
    this.#mark('created');
  }

  async #prepare(place: CarrierPlace, index: number): Promise<void> {
    this.#prepared = await this.#carrier.prepare(place, this.#undo);
    this.#undo.push('end what carries the supervisor', async () => await this.#process.end());
    if (this.#options.direct.length > 0) await this.#openUplink(this.#prepared.slot, index);
    this.#mark('slot');
    const [first] = this.#carrier.attempts;
    if (this.#carrier.startsEarly && first !== undefined) this.#process.start(this.#prepared, first);
  }

  async #startChannel({ channelSocket, consoleSocket }: CarrierPlace): Promise<void> {
    const options = this.#options;
    const channel = await startChannelHost({
      uid: this.#users.channel,
      events: options.events,
      ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
      config: {
        context: options.context,
        accelerator: this.#carrier.accelerator ?? null,
        workloadUid: this.#carrier.workloadUid(this.#users),
        channelSocket,
        consoleSocket,
        fsync: options.fsync ?? 'interval',
        policy: options.policy,
        direct: options.direct,
        tag: options.tag,
        allowUnlogged: options.allowUnlogged,
        canaryMs: options.canaryMs ?? defaultCanaryMs,
        audit: options.audit ?? true,
      },
    });
    this.#channel = channel;
    this.#undo.push('end the channel process', async () => await channel.kill());
    this.#mark('channel');
  }

  /** Compiles the guest's rulesets while it boots. In a jail there is nothing to gain: nft starts in milliseconds. */
  async #compileFence(): Promise<void> {
    if (this.#carrier.accelerator === undefined) return;
    const { run, paths, id, rulesets } = this.#options;
    let compiled: CompiledRulesets | null = null;
    try {
      if (rulesets !== undefined) compiled = await compileFence(run, rulesets, sandboxFolder(paths, id));
    } finally {
      // The guest waits for a word, whatever became of it.
      this.#theChannel().send({ kind: 'compiled', compiled });
    }
    this.#mark('compiled');
  }

  /** Opens the gateway while the guest boots, which takes longer. No workload runs before it is open. */
  async #openGateway(): Promise<void> {
    const server = await openGatewaySocket(this.#thePrepared().slot);
    this.#theChannel().send({ kind: 'gateway' }, server);
    this.#mark('gateway');
  }

  async #openUplink(slot: Slot, index: number): Promise<void> {
    const { run, paths, id, direct, pool = defaultPool, onWarning = () => undefined } = this.#options;
    const folder = sandboxFolder(paths, id);
    await openUplink(run, { paths, pool, slot, index, direct, folder, onWarning }, this.#undo);
  }

  /** From before a workload runs: what the host's own tables drop is told of, and so is whoever changes them. */
  async #watch(): Promise<void> {
    const channel = this.#theChannel();
    await this.#thePrepared().watch?.({
      onDrops: (slot) => channel.send({ kind: 'drops', slot }),
      onChange: (change) => channel.send({ kind: 'changed', ...change }),
    });
  }

  /** A folder in which the channel process makes sockets that the carrier, and nobody else, can connect to. */
  async #makePlace(): Promise<CarrierPlace> {
    const folder = sandboxFolder(this.#options.paths, this.#options.id);
    const sockets = join(folder, 'sockets');
    await mkdir(sockets, { mode: 0o700 });
    await chown(sockets, this.#users.channel, this.#carrier.socketGroup(this.#users));
    // Set-group-id: what is made in it belongs to the carrier's group.
    await chmod(sockets, 0o2750);
    return {
      users: this.#users,
      folder,
      channelSocket: join(sockets, 'channel'),
      consoleSocket: join(sockets, 'console'),
    };
  }

  /** Starts what carries the supervisor, in the ways that it knows, until one succeeds. */
  async #bootAtLast(): Promise<void> {
    const { attempts } = this.#carrier;
    for (const [number, attempt] of attempts.entries()) {
      const next = attempts[number + 1];
      try {
        return await this.#boot(attempt);
      } catch (error) {
        if (next === undefined || !(await this.#mayGoOn(attempt, error))) throw error;
      }
    }
  }

  /** Whether the failure of an attempt may be one of its way: under emulation a boot can hang, and a kept state be of no use. */
  async #mayGoOn(attempt: CarrierAttempt, error: unknown): Promise<boolean> {
    const late = isTapwardenError(error, 'VM_BOOT_TIMEOUT');
    if (!late && !(attempt === 'restore' && isTapwardenError(error, 'VMM_FAILED'))) return false;
    const { onProgress = () => undefined } = this.#options;
    if (attempt === 'boot') {
      onProgress('the guest did not come up in time; booting once more');
      return true;
    }
    onProgress(`the kept state of the guest does not come up; booting one: ${messageOf(error)}`);
    if (!late) await this.#endBoot();
    await this.#thePrepared().discard?.();
    return true;
  }

  async #boot(attempt: CarrierAttempt): Promise<void> {
    const { helloMs, readyMs } = this.#options.timeouts ?? defaultTimeouts;
    if (!this.#process.started) this.#process.start(this.#thePrepared(), attempt);
    this.#mark('vmm');
    const channel = this.#theChannel();
    const hello = await this.#withinBoot(channel.next('hello'), helloMs);
    this.#timings['restored'] = Number(attempt === 'restore');
    this.#timings['guestBootMs'] = hello.bootMs;
    this.#mark('hello');
    const ready = await this.#withinBoot(channel.next('ready'), readyMs);
    this.#timings['guestSetupMs'] = ready.setupMs;
    this.#timings['guestFenceCompiled'] = Number(ready.compiled);
    this.#logging = ready.logging;
  }

  /** The result of a step of the boot, or the error of a boot that took too long or ended by itself. */
  async #withinBoot<T>(step: Promise<T>, limitMs: number): Promise<T> {
    const timer = new AbortController();
    const timeout = sleep(limitMs, 'timeout' as const, { signal: timer.signal }).catch(() => 'timeout' as const);
    try {
      const result = await Promise.race([this.#orEnd(step).then((value) => ({ value })), timeout]);
      if (result !== 'timeout') return result.value;
    } finally {
      timer.abort();
    }
    const text = await this.#endBoot();
    throw new TapwardenError('VM_BOOT_TIMEOUT', {
      message: `The guest did not report within ${limitMs / 1000} s of its boot`,
      hint: `The end of its console:\n${consoleLinesOf(text)}`,
      details: { console: text },
    });
  }

  /** Makes ready for another attempt. Returns what the guest wrote on its console. */
  async #endBoot(): Promise<string> {
    await this.#process.end();
    return await this.#theChannel().reset();
  }

  async #orEnd<T>(step: Promise<T>): Promise<T> {
    return await this.#process.orEnd(step, () => this.#theChannel().gone);
  }

  /** Asks the guest for its counts. A guest that does not answer leaves them unknown. */
  async #settle(channel: ChannelHost): Promise<void> {
    channel.send({ kind: 'settle' });
    const timer = new AbortController();
    await Promise.race([
      this.#orEnd(channel.next('settled')).catch(() => undefined),
      sleep(10_000, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
  }

  #thePrepared(): PreparedCarrier {
    if (this.#prepared !== undefined) return this.#prepared;
    throw new TapwardenError('BUG', { message: 'The sandbox has no slot' });
  }

  #theChannel(): ChannelHost {
    if (this.#channel !== undefined) return this.#channel;
    throw new TapwardenError('BUG', { message: 'The sandbox has no channel process' });
  }

  #mark(step: string): void {
    this.#timings[step] = Date.now();
  }
}
