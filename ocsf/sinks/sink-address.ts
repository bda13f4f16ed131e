import { isIPv6 } from 'node:net';
import { escapeText } from '../../base/index.ts';
import { invalid } from './refusal.ts';

/** Where events go. `name` is the address as messages and cursors call it: complete, and without secrets. */
export type SinkAddress =
  | { readonly kind: 'http'; readonly name: string; readonly url: URL }
  | {
      readonly kind: 'syslog' | 'nats';
      readonly name: string;
      /** A name or an address; an IPv6 address without brackets. */
      readonly host: string;
      readonly port: number;
      readonly secure: boolean;
    }
  | { readonly kind: 'stdout'; readonly name: string };

/**
 * The schemes of hosts and ports. Syslog over plain TCP has no port of its own; 514 is what receivers take by custom.
 * Source: RFC 5425, section 4.1 (6514)
 */
const hosts: Readonly<Record<string, { kind: 'syslog' | 'nats'; secure: boolean; port: number }>> = {
  'syslog+tcp:': { kind: 'syslog', secure: false, port: 514 },
  'syslog+tls:': { kind: 'syslog', secure: true, port: 6514 },
  'nats:': { kind: 'nats', secure: false, port: 4222 },
  'nats+tls:': { kind: 'nats', secure: true, port: 4222 },
};

const forms =
  'https://HOST/PATH, http://…, syslog+tls://HOST, syslog+tcp://…, nats+tls://HOST, nats://…, or - for stdout';

/**
 * Parses the address of a receiver. Example: `'syslog+tls://logs.example'` is
 * `{kind: 'syslog', name: 'syslog+tls://logs.example:6514', host: 'logs.example', port: 6514, secure: true}`.
 *
 * @throws SINK_INVALID when it is none, or holds a user or a password, which would show in the list of processes
 */
export function parseSinkAddress(text: string): SinkAddress {
  if (text === '-' || text === 'stdout:') return { kind: 'stdout', name: 'stdout' };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // The text is not repeated before it is known to hold no password.
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw invalid(
      'An address of a receiver cannot hold a user or a password',
      'Put a token into a file: --token-file.',
    );
  }
  if (url?.protocol === 'http:' || url?.protocol === 'https:') {
    return { kind: 'http', name: `${url.origin}${url.pathname}`, url };
  }
  const form = hosts[url?.protocol ?? ''];
  if (url === undefined || form === undefined)
    throw invalid(`'${shown(text)}' is no receiver's address`, `Forms: ${forms}.`);
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (!/^[A-Za-z0-9._-]+$/.test(host) && !isIPv6(host)) throw invalid(`'${shown(text)}' names no host`);
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
    throw invalid(`'${shown(text)}' has more than a host and a port`);
  }
  const port = url.port === '' ? form.port : Number(url.port);
  if (port === 0) throw invalid(`'${shown(text)}' has a port that nobody listens on`);
  const name = `${url.protocol}//${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return { kind: form.kind, name, host, port, secure: form.secure };
}

function shown(text: string): string {
  return escapeText(text, 200);
}
