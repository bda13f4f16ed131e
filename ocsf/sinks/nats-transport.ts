import { readFile } from 'node:fs/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { isTapwardenError, messageOf, TapwardenError } from '../../base/index.ts';
import type { BatchSize, Transport } from './model.ts';
import { subjectOf } from './nats-subject.ts';
import type { OutgoingEvent } from './outgoing-event.ts';
import { refused, unavailable } from './refusal.ts';
import type { SecretFile } from './secret-file.ts';
import type { TlsFiles } from './tls-files.ts';

/** How a NATS server with JetStream is reached. */
export type NatsOptions = {
  /** The server as messages call it. Example: `'nats://127.0.0.1:4222'`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The files of certificates; where it is absent, TLS is used if the server demands it. */
  readonly tls?: TlsFiles;
  readonly token?: SecretFile;
  /** A file of credentials, as `nsc` writes it. */
  readonly credsFile?: string;
  /** A stream that is made, for the subjects `ocsf.>`, where the server has none of that name. */
  readonly createStream?: string;
  /** Milliseconds for connecting, and for an acknowledgement. @default 10000 */
  readonly timeoutMs?: number;
  /** All events of a batch are on their way at once. @default 256 events, 4 MiB, 100 ms */
  readonly batch?: BatchSize;
};

/** The message id stands in a header. Its size counts as payload. */
const headerBytes = 1024;
/** Source: the error codes of nats-server, errors.json: JSStreamMessageExceedsMaximumErr */
const messageTooLarge = 10054;

/**
 * A transport to a stream of NATS JetStream. Each event is a message of its own on the subject `ocsf.<class>.<device>`,
 * with `metadata.uid` as its id, by which the stream tells duplicates; the stream's acknowledgement is awaited. After any
 * failure the connection is given up and a new one made, so that messages reach the stream in the order of the log.
 */
export function openNats(options: NatsOptions): Transport {
  let connected: Promise<Connected> | undefined;
  const close = async (): Promise<void> => {
    const before = connected;
    connected = undefined;
    await before?.then(
      async ({ connection }) => await connection.close(),
      () => undefined,
    );
  };
  return {
    name: options.name,
    batch: options.batch ?? { maxEvents: 256, maxBytes: 4 * 1024 * 1024, lingerMs: 100 },
    send: async (events, signal) => {
      try {
        connected ??= connect(options);
        await publish(events, await unlessAborted(connected, signal), options, signal);
      } catch (error) {
        if (isTapwardenError(error, 'SINK_REFUSED')) throw error;
        await close();
        throw isTapwardenError(error) ? error : unavailable(options.name, reasonOf(error), { cause: error });
      }
    },
    close,
  };
}

type Connected = { readonly connection: NatsConnection; readonly stream: JetStreamClient };

async function connect(options: NatsOptions): Promise<Connected> {
  // The client takes a while to load, and other sinks do without it.
  const { connect: dial, credsAuthenticator } = await import('@nats-io/transport-node');
  const { jetstream } = await import('@nats-io/jetstream');
  const { name, host, port, tls, token, credsFile, timeoutMs = 10_000 } = options;
  const settings: NodeConnectionOptions = {
    servers: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    name: 'tapwarden',
    reconnect: false,
    timeout: timeoutMs,
    ...(tls === undefined ? {} : { tls: { ...(await tls.read()), ...identityOf(host) } }),
    ...(token === undefined ? {} : { token: await token.read() }),
    ...(credsFile === undefined ? {} : { authenticator: credsAuthenticator(await credentialsIn(credsFile)) }),
  };
  const connection = await dial(settings);
  try {
    if (options.createStream !== undefined) await ensureStream(connection, options.createStream);
    return { connection, stream: jetstream(connection, { timeout: timeoutMs }) };
  } catch (cause) {
    await connection.close();
    throw unavailable(name, reasonOf(cause), { cause });
  }
}

/** The client has no name to check where the host is an address: Node would then ask the certificate for `localhost`. */
function identityOf(host: string): object {
  return { checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate) };
}

async function credentialsIn(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot read ${path}: ${messageOf(cause)}`, cause });
  }
}

async function ensureStream(connection: NatsConnection, name: string): Promise<void> {
  const { jetstreamManager, JetStreamApiCodes } = await import('@nats-io/jetstream');
  const manager = await jetstreamManager(connection);
  try {
    await manager.streams.info(name);
  } catch (error) {
    if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error;
    await manager.streams.add({ name, subjects: ['ocsf.>'] });
  }
}

async function publish(
  events: readonly OutgoingEvent[],
  { connection, stream }: Connected,
  options: NatsOptions,
  signal: AbortSignal,
): Promise<void> {
  const room = (connection.info?.max_payload ?? 1024 * 1024) - headerBytes;
  const large = events.find(({ json }) => json.length > room);
  if (large !== undefined) {
    throw refused(
      options.name,
      `an event of ${large.json.length} bytes is larger than the server's max_payload allows`,
    );
  }
  const acknowledged = Promise.all(
    events.map(async (event) => {
      const { uid } = event;
      await stream.publish(subjectOf(event), event.json, uid === undefined ? {} : { msgID: uid });
    }),
  );
  const closed = connection.closed().then((error): never => {
    throw error instanceof Error ? error : new Error('the connection was closed');
  });
  // Whichever comes second has nobody waiting for it.
  acknowledged.catch(() => undefined);
  closed.catch(() => undefined);
  try {
    await unlessAborted(Promise.race([acknowledged, closed]), signal);
  } catch (error) {
    if (codeOf(error) === messageTooLarge) throw refused(options.name, messageOf(error));
    throw error;
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Error('it was stopped'));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

function codeOf(error: unknown): unknown {
  return error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'JetStreamNotEnabled') {
    return "no stream takes the subjects 'ocsf.>', or JetStream is off; --create-stream makes a stream";
  }
  return messageOf(error) || name || 'the connection failed';
}
