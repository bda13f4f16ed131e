import { mkdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { isTapwardenError, messageOf, run, setClock, TapwardenError } from '../base/index.ts';
import {
  type Connection,
  channelVersion,
  type DeniedPacketFact,
  type Fact,
  type GuestMessage,
  type HostMessage,
  parseHostMessage,
  ReceiveCredit,
  SendCredit,
  type StreamNumber,
} from '../channel/index.ts';
// Not through the index: the guest reads no YAML, and what its bundle leaves out need not be loaded under emulation.
import { parsePolicyModel } from '../policy/parse-model.ts';
import { withSameAddresses } from './address-randomisation.ts';
import { Canaries } from './canaries.ts';
import { CanaryRounds } from './canary-rounds.ts';
import type { CompiledFence } from './compiled-fence.ts';
import { type Exec, startExec } from './exec.ts';
import { execMark, guestExecMarks } from './exec-marks.ts';
import { FenceAccount } from './fence-account.ts';
import { loadFence, workloadNamespacePath } from './fence-loader.ts';
import type { FenceWatch, FenceWatchOptions } from './fence-watch.ts';
import { type GuestProxy, startGuestProxy } from './guest-proxy.ts';
import { awaitLocalAddress } from './local-address.ts';
import { Monitor } from './monitor.ts';
import { optimizer } from './optimizer.ts';
import { PacketOrigins } from './packet-origins.ts';
import { place } from './place.ts';
import { workloadEnvironment } from './workload-environment.ts';
import { execCgroup, premadeExecs } from './workload-layout.ts';
import { openWorkloadNamespace } from './workload-namespace.ts';

/** After the start of a command. */
const optimizerRestMs = 2000;

type Configuration = Extract<HostMessage, { kind: 'configure' }>;

/** What there is before the host's first word. */
export type SessionStart = {
  readonly kernelRelease: string;
  /** From the guest's boot, or the start of a jail's supervisor, until it was there. */
  readonly bootMs: number;
  /** The workload's environment, made or in the making. */
  readonly prepared: Promise<void>;
  /** Has random numbers follow from the host's seed. A guest that is restored has those of others until then. */
  readonly reseed: (seed: Buffer) => Promise<void>;
};

type RunningExec = {
  readonly exec: Exec;
  readonly credits: readonly [ReceiveCredit, SendCredit, SendCredit];
};

/** What the guest does at the host's word: get ready once, run commands, tell what it saw. */
export class Session {
  readonly #connection: Pick<Connection, 'send' | 'sendData'>;
  readonly #start: SessionStart;
  readonly #execs = new Map<number, RunningExec>();
  #account: FenceAccount | undefined;
  #origins: PacketOrigins | undefined;
  #watching: Promise<void> | undefined;
  #canaries: Canaries | undefined;
  #rounds: CanaryRounds | undefined;
  #emulated = false;
  #marks = false;
  /** From before the first command on; what keeps it from being opened keeps the command from being started. */
  #watch: Promise<FenceWatch> | undefined;
  #proxy: GuestProxy | undefined;

  constructor(connection: Pick<Connection, 'send' | 'sendData'>, start: SessionStart) {
    this.#connection = connection;
    this.#start = start;
  }

  /** Takes a message of the host. What fails in carrying it out is answered, not thrown. */
  onMessage(payload: Buffer): void {
    const message = parseHostMessage(payload);
    this.#handle(message).catch((error: unknown) => this.#fail(error));
  }

  /** Takes bytes for the standard input of an exec. */
  onData(number: number, stream: StreamNumber, payload: Buffer): void {
    const running = this.#execs.get(number);
    if (running === undefined || stream !== 0) return;
    const [credit] = running.credits;
    if (!credit.accept(payload.length)) throw new TapwardenError('CHANNEL_PROTOCOL', { message: 'Too much input' });
    running.exec.stdin.write(payload, () => {
      const bytes = credit.consume(payload.length);
      if (bytes > 0) void this.#send({ kind: 'window', exec: number, stream: 0, bytes });
    });
  }

  async #handle(message: HostMessage): Promise<void> {
    switch (message.kind) {
      case 'wake':
        return await this.#wake(message.seed);
      case 'configure':
        return await this.#configure(message);
      case 'exec':
        return await this.#exec(message);
      case 'signal':
        return await this.#execs.get(message.exec)?.exec.kill(message.signal);
      case 'end':
        return this.#endStream(message.exec, message.stream);
      case 'window': {
        const credit = this.#execs.get(message.exec)?.credits[message.stream];
        if (credit instanceof SendCredit) credit.grant(message.bytes);
        return;
      }
      case 'canary-seen':
        return this.#rounds?.seen(message.number);
      case 'settle':
        return await this.#settle();
    }
  }

  /** Nothing of a run is told before the answer. */
  async #wake(seed: string): Promise<void> {
    const { kernelRelease, bootMs, reseed } = this.#start;
    await reseed(Buffer.from(seed, 'base64'));
    await this.#send({ kind: 'hello', version: channelVersion, kernelRelease, bootMs });
  }

  async #configure(message: Configuration): Promise<void> {
    const begun = process.hrtime.bigint();
    if (message.version !== channelVersion) {
      throw new TapwardenError('CHANNEL_PROTOCOL', {
        message: `The host speaks version ${message.version} of the channel, the guest ${channelVersion}`,
        hint: 'Rebuild the guest image.',
      });
    }
    if (this.#origins !== undefined) throw new TapwardenError('STATE_ILLEGAL', { message: 'Configured already' });
    // A guest's clock is off by seconds after a boot, and by days after it was kept. A jail has the host's.
    if (place.jail === undefined) await setClock(message.time);
    const policy = parsePolicyModel(message.policy);
    const { tag, emulated } = message;
    this.#emulated = emulated;
    const origins = new PacketOrigins(tag, (fact) => this.#fact(fact));
    this.#origins = origins;
    const monitor = await Monitor.open({
      tag,
      onOther: (record) => origins.takeRecord(record),
      onFact: (fact) => (fact.kind === 'denied-packet' ? this.#packet(fact) : this.#fact(fact)),
    });
    this.#watching = origins.open(message.audit);
    const { fence, account } = await withSameAddresses(async () => await this.#buildFence(message, monitor, origins));
    await awaitLocalAddress(workloadNamespacePath);
    const canaries = new Canaries({
      namespace: workloadNamespacePath,
      logging: fence.log,
      settleLog: async () => await monitor.settle(),
    });
    this.#canaries = canaries;
    const send = (round: GuestMessage): void => void this.#send(round);
    this.#rounds = new CanaryRounds({ canaries, intervalMs: message.canaryMs, send });
    // A mark that did not arrive cannot be relied on.
    this.#marks = (await this.#rounds.begin(fence.execs === undefined ? undefined : execCgroup(1))) === 1;
    this.#proxy = await startGuestProxy(policy, (fact) => this.#fact(fact));
    const setupMs = Number((process.hrtime.bigint() - begun) / 1_000_000n);
    await this.#send({
      kind: 'ready',
      logging: fence.log,
      marks: this.#marks,
      compiled: fence.compiled === true,
      setupMs,
    });
    // While the host makes up its mind: under emulation the modules take a while to load.
    this.#watch = openWatch({
      namespace: workloadNamespacePath,
      reload: async (load) => await account.reload(load),
      withLogSwitch: fence.log && place.jail === undefined,
      onFact: (fact) => this.#fact(fact),
    });
    this.#watch.catch(() => undefined);
  }

  /** Makes the workload's environment, and the fence before any packet can pass. */
  async #buildFence(message: Configuration, monitor: Monitor, origins: PacketOrigins) {
    const { tag, direct, allowUnlogged } = message;
    await this.#start.prepared;
    const compiled = fromText(message.compiled);
    const fence = await loadFence(run, { tag, direct, allowUnlogged, execs: guestExecMarks, compiled });
    const account = new FenceAccount({
      run,
      namespace: workloadNamespacePath,
      fence: { tag, direct, ...fence },
      settleLog: async () => await monitor.settle(),
      onFact: (fact) => (fact.kind === 'denied-packet' ? origins.take(fact) : this.#fact(fact)),
    });
    this.#account = account;
    await openWorkloadNamespace(run);
    return { fence, account };
  }

  async #exec(message: Extract<HostMessage, { kind: 'exec' }>): Promise<void> {
    const { exec: number } = message;
    if (this.#proxy === undefined) throw new TapwardenError('STATE_ILLEGAL', { message: 'Not configured yet' });
    let exec: Exec;
    try {
      await Promise.all([this.#watch, this.#watching]);
      if (this.#marks) await this.#mark(number);
      exec = await startExec({ ...message, exec: number, env: workloadEnvironment(message.env) });
    } catch (error) {
      await this.#send({ kind: 'refused', exec: number, ...refusal(error) });
      return;
    }
    const running: RunningExec = { exec, credits: [new ReceiveCredit(), new SendCredit(), new SendCredit()] };
    this.#execs.set(number, running);
    // A command that does not read its input, or has ended, is no error of ours.
    exec.stdin.on('error', () => exec.stdin.destroy());
    exec.stdin.on('close', () => void this.#send({ kind: 'end', exec: number, stream: 0 }));
    await this.#send({ kind: 'started', exec: number, pid: exec.pid });
    // Short commands are over by then. Under emulation only a record that is late is worth compiled code: see PacketOrigins.
    if (place.jail === undefined && !this.#emulated) setTimeout(() => optimizer.work(), optimizerRestMs).unref();
    const outputs = Promise.all([
      this.#pump(number, 1, exec.stdout, running.credits[1]),
      this.#pump(number, 2, exec.stderr, running.credits[2]),
    ]);
    // What it wrote comes before its end, and before the error of one that was not executed.
    const [told] = await Promise.allSettled([exec.ended, outputs]);
    exec.stdin.destroy();
    if (told.status === 'rejected') throw told.reason;
    const end = (await this.#origins?.endOf(exec.pid, told.value)) ?? told.value;
    await this.#account?.settle();
    await (await this.#watch)?.settle();
    await this.#origins?.settle();
    this.#execs.delete(number);
    await this.#send({ kind: 'exited', exec: number, ...end });
  }

  /** A later exec than those the fence was loaded with; one that gets no mark is counted with no exec. */
  async #mark(number: number): Promise<void> {
    if (premadeExecs.includes(number)) return;
    await mkdir(execCgroup(number), { recursive: true });
    const watch = await this.#watch;
    await watch?.addExec(execMark(number)).catch((error: unknown) => {
      process.stderr.write(`tapwarden-supervisor: exec ${number} has no mark: ${messageOf(error)}\n`);
    });
  }

  /** Sends what the command writes, as fast as the host takes it. */
  async #pump(number: number, stream: 1 | 2, source: Socket, credit: SendCredit): Promise<void> {
    try {
      for await (const piece of source as AsyncIterable<Buffer>) {
        for (let at = 0; at < piece.length; ) {
          const size = await credit.take(piece.length - at);
          await this.#connection.sendData(number, stream, piece.subarray(at, at + size));
          at += size;
        }
      }
    } catch {
      // The host closed its end of this output: the pipe is closed, and the command gets SIGPIPE, as in a shell.
    }
    await this.#send({ kind: 'end', exec: number, stream });
  }

  #endStream(number: number, stream: StreamNumber): void {
    const running = this.#execs.get(number);
    if (running === undefined) return;
    if (stream === 0) {
      running.exec.stdin.end();
      return;
    }
    (stream === 1 ? running.exec.stdout : running.exec.stderr).destroy();
    running.credits[stream].grant(Number.MAX_SAFE_INTEGER / 2);
  }

  /** Every packet that was refused up to now has been told of by then. */
  async #settle(): Promise<void> {
    const counts = (await this.#account?.settle()) ?? null;
    await this.#origins?.settle();
    const auditLoss = (await this.#origins?.loss()) ?? null;
    await this.#send({ kind: 'counts', counts: counts === null ? null : { ...counts, auditLoss } });
  }

  /** Before the fence stands there is no line of it. */
  #packet(line: DeniedPacketFact): void {
    if (this.#canaries?.take(line) !== true) this.#account?.take(line);
  }

  #fact(fact: Fact): void {
    void this.#send({ kind: 'fact', fact });
  }

  #fail(error: unknown): void {
    const known = isTapwardenError(error) ? error : undefined;
    void this.#send({
      kind: 'failed',
      code: known?.code ?? 'BUG',
      message: messageOf(error).split('\n')[0]?.slice(0, 8192) ?? '',
      hint: known?.hint?.slice(0, 2048) ?? null,
    });
  }

  /** Takes back what was changed of the machine, where that outlives this process. */
  async close(): Promise<void> {
    await this.#origins?.close();
  }

  async #send(message: GuestMessage): Promise<void> {
    await this.#connection.send(message);
  }
}

/** Not before it is needed: see {@link FenceWatch}. */
async function openWatch(options: FenceWatchOptions): Promise<FenceWatch> {
  return await (await import('./fence-watch.ts')).FenceWatch.open(options);
}

/** What the host compiled, in bytes. */
function fromText(compiled: Configuration['compiled']): CompiledFence | null {
  if (compiled === null) return null;
  return { guest: Buffer.from(compiled.guest, 'base64'), fence: Buffer.from(compiled.fence, 'base64') };
}

function refusal(error: unknown): Pick<Extract<GuestMessage, { kind: 'refused' }>, 'code' | 'message'> {
  const code = isTapwardenError(error) ? error.code : 'GUEST_SETUP_FAILED';
  const message = messageOf(error).slice(0, 8192);
  return code === 'COMMAND_NOT_FOUND' || code === 'COMMAND_NOT_EXECUTABLE'
    ? { code, message }
    : { code: 'GUEST_SETUP_FAILED', message };
}
