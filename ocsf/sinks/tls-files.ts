import { readFile } from 'node:fs/promises';
import { messageOf, TapwardenError } from '../../base/index.ts';
import type { Credentials } from './model.ts';

/** The files of certificates for connections by TLS, read when a connection needs them. */
export type TlsFiles = {
  /** @throws FILE_UNREADABLE when one of them cannot be read */
  readonly read: () => Promise<TlsMaterial>;
};

/** PEM texts, under the names that Node uses. */
export type TlsMaterial = { readonly ca?: string; readonly cert?: string; readonly key?: string };

/** The files that credentials name. */
export function tlsFiles({ ca, cert, key }: Credentials): TlsFiles {
  return {
    read: async () => ({
      ...(ca === undefined ? {} : { ca: await pem(ca) }),
      ...(cert === undefined ? {} : { cert: await pem(cert) }),
      ...(key === undefined ? {} : { key: await pem(key) }),
    }),
  };
}

async function pem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TapwardenError('FILE_UNREADABLE', { message: `Cannot read ${path}: ${messageOf(cause)}`, cause });
  }
}
