import type { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Child, messageOf, sanitizeText, start, TapwardenError } from '../base/index.ts';
import { programCommand } from '../base/program.ts';
import { plainEnvironment } from './environment.ts';
import type { EventsFile } from './events-file.ts';
import {
  type ChannelConfig,
  type ChildMessage,
  type ParentMessage,
  parseChildMessage,
  type RunSummary,
} from './shared/ipc.ts';

const program = fileURLToPath(new URL('../driver-vm/unprivileged/main.cjs', import.meta.url));

/** What {@link startChannelHost} works from. */
export type ChannelHostOptions = {
  readonly uid: number;
  /** What the process is told, but for what follows from the log. */
  readonly config: Omit<ChannelConfig, keyof ReturnType<typeof configOf>>;
  /** The event log, which is handed over to the process. */
  readonly events: EventsOfChild;
  /** Takes what a person should know and what ends nothing. One line, escaped. */
  readonly onWarning?: (line: string) => void;
};

/** What the channel process needs of an event log. */
export type EventsOfChild = Pick<
  EventsFile,
  | 'path'
  | 'rotation'
  | 'nextSequence'
  | 'firstSequence'
  | 'fd'
  | 'folderFd'
  | 'allow'
  | 'handOver'
  | 'makeNext'
  | 'putNext'
>;

type Kind = ChildMessage['kind'];
type MessageOf<K extends Kind> = Extract<ChildMessage, { readonly kind: K }>;

/** The privileged side's handle of the channel process. */
export class ChannelHost {
  readonly #child: Child;
  readonly #options: ChannelHostOptions;
  readonly #inbox: ChildMessage[] = [];
  #waiting: (() => void) | undefined;
  #over: TapwardenError | undefined;

  constructor(child: Child, options: ChannelHostOptions) {
    this.#child = child;
    this.#options = options;
    child.process.on('message', (value) => {
      try {
        const message = parseChildMessage(value);
        if (!this.#isOfLog(message)) this.#inbox.push(message);
      } catch (error) {
        this.#over = error as TapwardenError;
      }
      this.#wake();
    });
    void child.ended.then(({ status, signal }) => {
      this.#over ??= new TapwardenError('CHANNEL_CLOSED', {
        message: `The channel process ended with ${signal ?? `status ${String(status)}`}`,
      });
      this.#wake();
    });
  }

  /**
   * Sends a message, and with it a listening socket, which is the other process's alone from then on. A message to a
   * process that has ended is dropped, and its end is what the next wait sees.
   */
  send(message: ParentMessage, handle?: Server): void {
    if (this.#child.process.connected) this.#child.process.send(message, handle, {}, () => handle?.close());
    else handle?.close();
  }

  /**
   * The next message of one of the kinds, passing over others. One call waits at a time: a later call takes the place of
   * an earlier one, whose promise then stays open.
   *
   * @throws the guest's or the channel's failure, when `failed` or `lost` comes instead
   * @throws CHANNEL_CLOSED when the process ends instead
   */
  async next<K extends Kind>(...kinds: readonly K[]): Promise<MessageOf<K>> {
    for (;;) {
      for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift()) {
        if ((kinds as readonly Kind[]).includes(message.kind)) return message as MessageOf<K>;
        if (message.kind === 'failed') throw guestFailure(message);
        if (message.kind === 'lost') throw channelFailure(message);
      }
      if (this.#over !== undefined) throw this.#over;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  /**
   * Gives up the guest that is there, or was to come: the next that connects is another one. Returns what it wrote on its console.
   *
   * @throws CHANNEL_CLOSED when the process ends instead
   */
  async reset(): Promise<string> {
    this.send({ kind: 'reset' });
    for (;;) {
      try {
        return (await this.next('console')).text;
      } catch (error) {
        // That the one that is given up is gone, or failed, may be told before.
        if (this.#over !== undefined) throw error;
      }
    }
  }

  /**
   * Closes the record: writes the last event and waits until the log is on the disk. That the guest is gone by now is no
   * failure any more.
   *
   * @throws CHANNEL_CLOSED when the process ends without having closed it
   */
  async finish(message: Extract<ParentMessage, { readonly kind: 'finish' }>): Promise<RunSummary> {
    this.send(message);
    for (;;) {
      try {
        return (await this.next('finished')).summary;
      } catch (error) {
        if (this.#over !== undefined) throw error;
      }
    }
  }

  /** Whether the process has ended. */
  get gone(): boolean {
    return this.#child.process.exitCode !== null || this.#child.process.signalCode !== null;
  }

  /** Ends the process, if it has not ended by itself. */
  async kill(): Promise<void> {
    this.#child.process.kill('SIGKILL');
    await this.#child.ended;
  }

  /** Does what a message on the log asks for, at once and whatever else is waited for; `false` for any other. */
  #isOfLog(message: ChildMessage): boolean {
    if (message.kind === 'log') this.#warnOfLog(message);
    else if (message.kind === 'rotate' || message.kind === 'opened') this.#rotate(message);
    else return false;
    return true;
  }

  #rotate(message: MessageOf<'rotate' | 'opened'>): void {
    const { events } = this.#options;
    try {
      if (message.kind === 'rotate') events.makeNext(message.firstSequence);
      else events.putNext();
      this.send({ kind: message.kind === 'rotate' ? 'next' : 'rotated' });
    } catch (error) {
      this.send({ kind: 'unrotated', message: messageOf(error) });
    }
  }

  #warnOfLog({ problem, rotationProblem, held, dropped }: MessageOf<'log'>): void {
    const { onWarning = () => undefined } = this.#options;
    const lost = dropped === 0 ? '' : `; ${dropped} were too many to be held, and are lost`;
    if (problem !== null)
      onWarning(`${sanitizeText(problem, 1024)}: ${held} events of the log wait to be written${lost}`);
    else if (rotationProblem !== null)
      onWarning(`the event log goes on in one file: ${sanitizeText(rotationProblem, 1024)}`);
    else onWarning(`the event log is written again${lost}`);
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

/**
 * Starts the channel process as a user of its own, with the caller's standard streams, and waits until it listens.
 *
 * @throws CHANNEL_CLOSED, EVENTS_UNWRITABLE when it cannot start
 */
export async function startChannelHost(options: ChannelHostOptions): Promise<ChannelHost> {
  const { uid, events, config } = options;
  events.allow(uid);
  const child = start(
    [
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--inh-caps=-all',
      ...programCommand(program),
    ],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc', events.fd, events.folderFd],
      env: plainEnvironment,
      detached: true,
    },
  );
  const host = new ChannelHost(child, options);
  host.send({ kind: 'start', config: { ...config, ...configOf(events) } });
  await host.next('listening');
  events.handOver();
  return host;
}

/** What the process is told of the log. The descriptors are those of its `stdio`. */
function configOf({ path, nextSequence, firstSequence, rotation }: EventsOfChild) {
  return { eventsFd: 4, handOverFd: 5, eventsFile: path, startSequence: nextSequence, firstSequence, rotation };
}

/** What the guest said of its own failure. Its words are shown as such, and its code only where it is one of ours. */
function guestFailure(message: MessageOf<'failed'>): TapwardenError {
  const known = guestCodes.find((code) => code === message.code);
  return new TapwardenError(known ?? 'GUEST_SETUP_FAILED', {
    message: `The sandbox is not ready: ${sanitizeText(message.message, 8192)}`,
    ...(message.hint === null ? {} : { hint: sanitizeText(message.hint, 2048) }),
  });
}

const guestCodes = [
  'NFT_MISSING',
  'NFT_REJECTED',
  'NFT_FEATURE_MISSING',
  'LOG_UNAVAILABLE',
  'CANARY_MISSED',
  'NAMESPACE_FAILED',
  'GUEST_SETUP_FAILED',
  'CHANNEL_PROTOCOL',
] as const;

function channelFailure(message: MessageOf<'lost'>): TapwardenError {
  const codes = ['CHANNEL_PROTOCOL', 'CHANNEL_CLOSED', 'EVENTS_UNWRITABLE'] as const;
  return new TapwardenError(codes.find((code) => code === message.code) ?? 'BUG', {
    message: sanitizeText(message.message, 8192),
    details: { console: message.console },
  });
}
