import type { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Child, sanitizeText, start, TapwardenError } from '../base/index.ts';
import { plainEnvironment } from './environment.ts';
import {
  type ChannelConfig,
  type ChildMessage,
  type ParentMessage,
  parseChildMessage,
  type RunSummary,
} from './shared/ipc.ts';

const program = fileURLToPath(new URL('../driver-vm/unprivileged/main.js', import.meta.url));

/** What {@link startChannelHost} works from. */
export type ChannelHostOptions = {
  readonly uid: number;
  readonly config: ChannelConfig;
  /** Descriptor of the event log; the child has it as `config.eventsFd`, which is 4. */
  readonly eventsFd: number;
};

/** The descriptor under which the channel process finds the event log. */
export const childEventsFd = 4;

type Kind = ChildMessage['kind'];
type MessageOf<K extends Kind> = Extract<ChildMessage, { readonly kind: K }>;

/** The privileged side's handle of the channel process. */
export class ChannelHost {
  readonly #child: Child;
  readonly #inbox: ChildMessage[] = [];
  #waiting: (() => void) | undefined;
  #over: TapwardenError | undefined;

  constructor(child: Child) {
    this.#child = child;
    child.process.on('message', (value) => {
      try {
        this.#inbox.push(parseChildMessage(value));
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
  const { uid } = options;
  const child = start(
    [
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--inh-caps=-all',
      process.execPath,
      program,
    ],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc', options.eventsFd],
      env: plainEnvironment,
      detached: true,
    },
  );
  const host = new ChannelHost(child);
  host.send({ kind: 'start', config: options.config });
  await host.next('listening');
  return host;
}

/** What the guest said of its own failure. Its words are shown as such, and its code only where it is one of ours. */
function guestFailure(message: MessageOf<'failed'>): TapwardenError {
  const known = guestCodes.find((code) => code === message.code);
  return new TapwardenError(known ?? 'GUEST_SETUP_FAILED', {
    message: `The guest is not ready: ${sanitizeText(message.message, 8192)}`,
    ...(message.hint === null ? {} : { hint: sanitizeText(message.hint, 2048) }),
  });
}

const guestCodes = [
  'NFT_MISSING',
  'NFT_REJECTED',
  'NFT_FEATURE_MISSING',
  'LOG_UNAVAILABLE',
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
