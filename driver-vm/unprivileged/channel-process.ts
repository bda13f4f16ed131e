import { randomBytes } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { isTapwardenError, messageOf, TapwardenError } from '../../base/index.ts';
import { Connection, channelVersion, type GuestMessage, parseGuestMessage } from '../../channel/index.ts';
import { JsonlWriter, type LogStatus } from '../../ocsf/index.ts';
import type { ChannelConfig, ChildMessage, CompiledRulesets, ExecRequest, ParentMessage } from '../shared/ipc.ts';
import { CanaryWatch } from './canary-watch.ts';
import { summaryOfClosed } from './completeness.ts';
import { ConsoleTail } from './console-tail.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { listenForVmm } from './guest-link.ts';
import { NextFile } from './next-file.ts';
import { Recorder } from './recorder.ts';
import { Stdio, theExec } from './stdio.ts';

/** Milliseconds between two looks at what is over. */
const tickMs = 5000;
/** How much later than its interval a round of canaries may come: an emulated guest is slow, and its host may be busy. */
const canaryGraceMs = { usual: 5000, emulated: 20_000 } as const;

/** How the channel process talks to the privileged one. */
export type ParentLink = {
  readonly send: (message: ChildMessage) => void;
  /** Ends this process. */
  readonly exit: (status: number) => void;
};

/**
 * The part of the driver that reads what a guest wrote: the channel, the serial console, the gateway's requests. It runs
 * as a user of its own without any privilege, holds the event log and the caller's standard streams, and knows nothing
 * of slots and virtual machines.
 */
export class ChannelProcess {
  readonly #parent: ParentLink;
  readonly #console = new ConsoleTail();
  #config: ChannelConfig | undefined;
  #recorder: Recorder | undefined;
  #log: JsonlWriter | undefined;
  #nextFile: NextFile | undefined;
  /** Events that the log dropped, as far as an event of it tells of them. */
  #toldDropped = 0;
  #gateway: Gateway | undefined;
  #canaries: CanaryWatch | undefined;
  #connection: Connection | undefined;
  #stdio: Stdio | undefined;
  #exec: ExecRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #kernelRelease = '';
  /** The guest's rulesets; `undefined` as long as the privileged process has not said. A jail makes its own. */
  #compiled: CompiledRulesets | null | undefined;
  /** Whether a guest said hello and was not told of its run yet. */
  #isGreeted = false;
  /** What the guest may say next, once each: every one of these is an event, or a message to the privileged process. */
  readonly #expected = new Set<GuestMessage['kind']>();

  constructor(parent: ParentLink) {
    this.#parent = parent;
  }

  /** Takes a message of the privileged process. */
  async onParentMessage(message: ParentMessage, handle?: Server): Promise<void> {
    switch (message.kind) {
      case 'start':
        return await this.#start(message.config);
      case 'gateway':
        return await this.#openGateway(handle);
      case 'compiled':
        this.#compiled = message.compiled;
        return this.#configure();
      case 'reset':
        this.#isGreeted = false;
        this.#canaries?.stop();
        this.#connection?.close();
        this.#connection = undefined;
        this.#parent.send({ kind: 'console', text: this.#console.text() });
        this.#console.clear();
        return;
      case 'exec':
        this.#exec = { argv: message.argv, env: message.env, workdir: message.workdir };
        this.#expected.add('started').add('refused');
        return await this.#send({ kind: 'exec', exec: theExec, ...this.#exec });
      case 'signal':
        return await this.#send({ kind: 'signal', exec: theExec, signal: message.signal });
      case 'settle':
        this.#expected.add('counts');
        return await this.#send({ kind: 'settle' });
      case 'next':
      case 'rotated':
      case 'unrotated':
        return this.#nextFile?.onMessage(message);
      case 'drops':
        return this.#recorder?.hostDrops(message.slot);
      case 'changed':
        return this.#recorder?.rulesetChanged({ ...message, where: 'slot' });
      case 'finish':
        return await this.#finish(message);
    }
  }

  /** Writes what it still has of the log, when nobody is there any more to close it. */
  abandon(): void {
    this.#log?.flush();
  }

  /** Says that this process itself failed. */
  fail(error: unknown): void {
    const known = isTapwardenError(error) ? error : undefined;
    this.#parent.send({
      kind: 'lost',
      code: known?.code ?? 'BUG',
      message: messageOf(error).slice(0, 16_384),
      console: this.#console.text(),
    });
  }

  async #start(config: ChannelConfig): Promise<void> {
    this.#config = config;
    const nextFile = new NextFile(config.handOverFd, this.#parent.send);
    this.#nextFile = nextFile;
    this.#log = JsonlWriter.fromFd(config.eventsFd, {
      startSequence: config.startSequence,
      firstSequence: config.firstSequence,
      name: config.eventsFile,
      now: Date.now,
      randomBytes,
      fsync: config.fsync,
      rotation: config.rotation,
      rotate: nextFile.rotate,
      onStatus: (status) => this.#onLogStatus(status),
    });
    const recorder = new Recorder({
      context: config.context,
      log: this.#log,
      accelerator: config.accelerator,
      workloadUid: config.workloadUid,
      now: Date.now,
    });
    this.#recorder = recorder;
    this.#timer = setInterval(() => this.#guarded(() => recorder.tick()), tickMs);
    await listenForVmm(config.channelSocket, (socket) => this.#connect(socket));
    await listenForVmm(config.consoleSocket, (socket) => {
      socket.on('data', (piece) => this.#console.push(piece));
      socket.on('error', () => socket.destroy());
    });
    this.#parent.send({ kind: 'listening' });
  }

  async #openGateway(server: Server | undefined): Promise<void> {
    const [config, recorder] = [this.#config, this.#recorder];
    if (config === undefined || recorder === undefined || server === undefined) {
      throw new TapwardenError('BUG', { message: 'The gateway has no configuration, or no listening socket' });
    }
    const onOutcome = (outcome: Parameters<Recorder['request']>[0]): void => {
      this.#guarded(() => recorder.request(outcome));
    };
    this.#gateway = await startGateway({ policy: config.policy, server, onOutcome });
  }

  #connect(socket: Socket): void {
    // One guest, one connection: whoever else comes is not it.
    if (this.#connection !== undefined) {
      socket.destroy();
      return;
    }
    const connection: Connection = new Connection(socket, {
      onMessage: (payload) => this.#guarded(() => this.#onGuestMessage(parseGuestMessage(payload))),
      onData: (exec, stream, payload) =>
        this.#guarded(() => {
          if (exec === theExec && this.#stdio?.onData(stream, payload) === true) return;
          throw new TapwardenError('CHANNEL_PROTOCOL', { message: 'The guest sent output that nobody asked for' });
        }),
      onClose: (reason) => {
        if (this.#connection === connection) this.fail(reason);
      },
    });
    this.#connection = connection;
    this.#expected.clear();
    this.#expected.add('hello').add('failed');
    void this.#send({ kind: 'wake', seed: randomBytes(64).toString('base64') });
  }

  /** @throws CHANNEL_PROTOCOL when the guest says again, or unasked, what it says once at its time */
  #checkOrder({ kind }: GuestMessage): void {
    if (kind === 'end' || kind === 'window' || kind === 'fact' || kind === 'canary') return;
    if (!this.#expected.delete(kind)) {
      throw new TapwardenError('CHANNEL_PROTOCOL', { message: `The guest sent '${kind}' when nobody asked for it` });
    }
    if (kind === 'hello') this.#expected.add('ready');
    if (kind === 'started') this.#expected.add('exited').delete('refused');
    if (kind === 'refused') this.#expected.delete('started');
  }

  #onGuestMessage(message: GuestMessage): void {
    const recorder = this.#recorder;
    this.#checkOrder(message);
    switch (message.kind) {
      case 'hello':
        return this.#onHello(message);
      case 'ready':
        recorder?.started(this.#kernelRelease, message);
        this.#canaries?.start();
        return this.#parent.send({
          kind: 'ready',
          logging: message.logging,
          compiled: message.compiled,
          setupMs: message.setupMs,
        });
      case 'failed':
        return this.#parent.send(message);
      case 'started':
        if (this.#exec !== undefined) recorder?.launched(this.#exec, message.pid);
        if (this.#connection !== undefined) this.#stdio = new Stdio(this.#connection, process);
        return this.#parent.send({ kind: 'started' });
      case 'refused':
        return this.#parent.send({ kind: 'refused', code: message.code, message: message.message });
      case 'exited':
        recorder?.exited(message);
        void this.#stdio?.drained().then(() => {
          this.#parent.send({ kind: 'exited', status: message.status, signal: message.signal });
        });
        return;
      case 'end':
        return this.#stdio?.onEnd(message.stream);
      case 'window':
        return this.#stdio?.onWindow(message.stream, message.bytes);
      case 'fact':
        return recorder?.fact(message.fact);
      case 'canary':
        this.#canaries?.report(message);
        return void this.#send({ kind: 'canary-seen', number: message.number });
      case 'counts':
        recorder?.counts(message.counts);
        return this.#parent.send({ kind: 'settled' });
    }
  }

  #onHello(message: Extract<GuestMessage, { kind: 'hello' }>): void {
    const { kernelRelease, bootMs } = message;
    const config = this.#config;
    if (config === undefined) return;
    if (message.version !== channelVersion) {
      throw new TapwardenError('CHANNEL_PROTOCOL', {
        message: `The guest speaks version ${message.version} of the channel, the host ${channelVersion}`,
      });
    }
    this.#kernelRelease = kernelRelease;
    this.#watchCanaries(config);
    this.#parent.send({ kind: 'hello', kernelRelease, bootMs });
    this.#isGreeted = true;
    this.#configure();
  }

  /** Tells a guest that is there of its run, once all of it is known. */
  #configure(): void {
    const config = this.#config;
    const compiled = config?.accelerator === null ? null : this.#compiled;
    if (!this.#isGreeted || config === undefined || compiled === undefined) return;
    this.#isGreeted = false;
    void this.#send({
      kind: 'configure',
      version: channelVersion,
      sandbox: config.context.sandboxId,
      tag: config.tag,
      time: Date.now(),
      policy: config.policy,
      direct: config.direct,
      allowUnlogged: config.allowUnlogged,
      emulated: config.accelerator === 'tcg',
      compiled,
      canaryMs: config.canaryMs,
      audit: config.audit,
    });
  }

  /** A guest that is booted anew numbers its rounds anew. */
  #watchCanaries({ canaryMs, accelerator, context }: ChannelConfig): void {
    this.#canaries?.stop();
    this.#canaries = new CanaryWatch({
      intervalMs: canaryMs,
      graceMs: accelerator === 'tcg' ? canaryGraceMs.emulated : canaryGraceMs.usual,
      now: Date.now,
      uid: `canary/${context.sandboxId}/${context.runId}`,
      onFinding: (finding) => this.#guarded(() => this.#recorder?.canaryMissed(finding)),
    });
  }

  async #finish(message: Extract<ParentMessage, { kind: 'finish' }>): Promise<void> {
    clearInterval(this.#timer);
    this.#canaries?.stop();
    this.#connection?.close();
    this.#connection = undefined;
    await this.#gateway?.close();
    const record = this.#recorder?.stopped(message.reason, message.failed, message.slot);
    if (record !== undefined) {
      this.#parent.send({ kind: 'finished', summary: summaryOfClosed(record, this.#closeLog()) });
    }
    this.#parent.exit(0);
  }

  #closeLog(): { readonly unwritten: number; readonly problem: string | null } {
    const log = this.#log;
    let problem: string | null = null;
    try {
      log?.close();
    } catch (error) {
      problem = messageOf(error).slice(0, 4096);
    }
    return { unwritten: (log?.status.held ?? 0) + (log?.status.dropped ?? 0), problem };
  }

  #onLogStatus({ state, problem, rotationProblem, held, dropped }: LogStatus): void {
    if (state === 'writing' && dropped > this.#toldDropped) {
      this.#recorder?.dropped(dropped - this.#toldDropped);
      this.#toldDropped = dropped;
    }
    this.#parent.send({
      kind: 'log',
      problem: problem?.slice(0, 4096) ?? null,
      rotationProblem: rotationProblem?.slice(0, 4096) ?? null,
      held,
      dropped,
    });
  }

  /** Ends the connection of a guest that broke the protocol, and tells the parent of what failed here. */
  #guarded(body: () => void): void {
    try {
      body();
    } catch (error) {
      this.#connection?.close();
      this.#connection = undefined;
      this.fail(error);
    }
  }

  async #send(message: unknown): Promise<void> {
    await this.#connection?.send(message);
  }
}
