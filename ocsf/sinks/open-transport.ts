import { hostname } from 'node:os';
import type { Writable } from 'node:stream';
import type { HttpFormat } from './http-body.ts';
import { openHttp } from './http-transport.ts';
import type { BatchSize, Credentials, Transport } from './model.ts';
import { openNats } from './nats-transport.ts';
import { invalid } from './refusal.ts';
import { SecretFile } from './secret-file.ts';
import type { SinkAddress } from './sink-address.ts';
import { openStream } from './stream-transport.ts';
import { openSyslog } from './syslog-transport.ts';
import { tlsFiles } from './tls-files.ts';

/** What a transport is told beside its address. What a receiver of the kind has no use for is refused. */
export type SinkSettings = Credentials & {
  /** HTTP. @default 'jsonl' */
  readonly format?: HttpFormat;
  /** HTTP. @default true */
  readonly gzip?: boolean;
  /** HTTP: the word before the token in `Authorization`. @default 'Bearer' */
  readonly tokenScheme?: string;
  /** NATS: a file of credentials, as `nsc` writes it. */
  readonly credsFile?: string;
  /** NATS: a stream that is made for the subjects `ocsf.>` where there is none of that name. */
  readonly createStream?: string;
  readonly batch?: BatchSize;
};

/** The stream of this process for `stdout:`, and who is told when its reader has gone. */
export type SinkStream = { readonly stream: Writable; readonly onGone: () => void };

const certificates = ['ca', 'cert', 'key'] as const;

/** The settings that each kind has a use for, beside `batch`. */
const uses: Readonly<Record<SinkAddress['kind'], readonly string[]>> = {
  http: ['tokenFile', 'tokenScheme', 'format', 'gzip', ...certificates],
  syslog: certificates,
  nats: ['tokenFile', 'credsFile', 'createStream', ...certificates],
  stdout: [],
};

/**
 * Opens a transport to an address. Nothing is connected yet, so that a receiver may be away; files of certificates are
 * read, so that a wrong path shows at once.
 *
 * @throws SINK_INVALID when a setting does not go with the address or with another, or a token file holds no token
 * @throws FILE_UNREADABLE when a file that is named cannot be read
 */
export async function openTransport(
  address: SinkAddress,
  settings: SinkSettings,
  output: SinkStream,
): Promise<Transport> {
  check(address, settings);
  const { tokenFile, tokenScheme, format, gzip, credsFile, createStream, batch } = settings;
  const token = tokenFile === undefined ? {} : { token: new SecretFile(tokenFile) };
  const shared = batch === undefined ? {} : { batch };
  const tls = tlsFiles(settings);
  await token.token?.read();
  const material = await tls.read();
  switch (address.kind) {
    case 'http':
      return await openHttp({
        url: address.url,
        ...token,
        ...shared,
        ...(address.url.protocol === 'https:' ? { tls } : {}),
        ...(tokenScheme === undefined ? {} : { tokenScheme }),
        ...(format === undefined ? {} : { format }),
        ...(gzip === undefined ? {} : { gzip }),
      });
    case 'syslog': {
      const { name, host, port, secure } = address;
      return openSyslog({ name, host, port, hostname: hostname(), ...shared, ...(secure ? { tls: material } : {}) });
    }
    case 'nats': {
      const { name, host, port, secure } = address;
      return openNats({
        ...{ name, host, port, ...token, ...shared },
        ...(secure ? { tls } : {}),
        ...(credsFile === undefined ? {} : { credsFile }),
        ...(createStream === undefined ? {} : { createStream }),
      });
    }
    case 'stdout':
      return openStream({ ...output, ...shared });
  }
}

function check(address: SinkAddress, settings: SinkSettings): void {
  const useful = uses[address.kind];
  for (const [name, value] of Object.entries(settings)) {
    if (value !== undefined && name !== 'batch' && !useful.includes(name)) {
      throw invalid(`A receiver at ${address.name} has no use for the setting '${name}'`);
    }
  }
  if (!isSecure(address)) {
    const named = certificates.find((name) => settings[name] !== undefined);
    if (named !== undefined) throw invalid(`'${named}' needs TLS, and ${address.name} is plain`);
  }
  if ((settings.cert === undefined) !== (settings.key === undefined)) throw invalid("'cert' and 'key' go together");
  if (settings.tokenFile !== undefined && settings.credsFile !== undefined) {
    throw invalid("'tokenFile' and 'credsFile' exclude each other");
  }
  if (settings.tokenScheme !== undefined && !/^[A-Za-z][A-Za-z0-9-]*$/.test(settings.tokenScheme)) {
    throw invalid("'tokenScheme' must be one word");
  }
  if (settings.createStream !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(settings.createStream)) {
    throw invalid("'createStream' must be 1 to 64 letters, digits, '-' and '_'");
  }
}

/** Whether what is sent to an address goes by TLS. */
export function isSecure(address: SinkAddress): boolean {
  if (address.kind === 'http') return address.url.protocol === 'https:';
  return address.kind !== 'stdout' && address.secure;
}
