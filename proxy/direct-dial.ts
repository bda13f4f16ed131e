import { isIP, type Socket } from 'node:net';
import { errnoOf, escapeText, messageOf } from '../base/index.ts';
import { dialAddress } from './dial-address.ts';
import { type Denial, type Dial, DialError, type DialFailure } from './model.ts';
import { unlessAborted } from './unless-aborted.ts';

/** What the policy says of one address that a name resolved to. */
export type AddressVerdict = { readonly kind: 'allow' } | ({ readonly kind: 'deny' } & Denial);

/** What a direct dial is made of. */
export type DirectDialOptions = {
  /** All addresses of a name, for example `['203.0.113.7', '2001:db8::7']`. It is not called for IP addresses. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly checkAddress: (address: string, port: number) => AddressVerdict;
  /** Milliseconds for all addresses together; each gets an equal share. */
  readonly connectTimeoutMs: number;
  /** Connects to an address. @default dialAddress */
  readonly connect?: (address: string, port: number, signal: AbortSignal) => Promise<Socket>;
};

/** Addresses that are tried at most. More are checked all the same. */
const maxTried = 8;

/**
 * Makes the dial of the gateway, which resolves a name once, checks every answer and connects to an address that it
 * checked, in the resolver's order.
 *
 * One forbidden answer denies the whole request: a name with public and private addresses at once is how DNS rebinding
 * looks. The name itself never reaches connect.
 *
 * The dial throws DialError `denied`, `unresolved`, `unreachable` (all addresses failed; the last error) or `timeout`.
 */
export function createDirectDial(options: DirectDialOptions): Dial {
  const connect = options.connect ?? dialAddress;
  return async ({ host, port }, signal) => {
    const addresses = await resolveOnce(options, host, signal);
    for (const address of addresses) checkOne(options, host, address, port, addresses.length);
    const tried = addresses.slice(0, maxTried);
    const shareMs = Math.ceil(options.connectTimeoutMs / tried.length);
    let last: DialFailure = { kind: 'unresolved', message: `The name ${host} has no address` };
    for (const address of tried) {
      const attempt = await tryAddress(connect, address, port, shareMs, signal);
      if (attempt.kind === 'connected') return { socket: attempt.socket, address };
      last = attempt;
    }
    throw new DialError(last);
  };
}

async function resolveOnce(options: DirectDialOptions, host: string, signal: AbortSignal): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  let answers: readonly string[];
  try {
    answers = await unlessAborted(signal, options.resolve(host));
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof DialError) throw cause;
    const errno = errnoOf(cause);
    const message = `The name ${host} does not resolve: ${errno ?? escapeText(messageOf(cause), 200)}`;
    throw new DialError({ kind: 'unresolved', message, ...(errno === undefined ? {} : { errno }) }, { cause });
  }
  const odd = answers.find((answer) => isIP(answer) === 0 || answer.includes('%'));
  if (odd !== undefined) {
    const message = `The name ${host} resolves to '${escapeText(odd, 80)}', which is no address`;
    throw new DialError({ kind: 'unresolved', message });
  }
  return [...new Set(answers)];
}

function checkOne(options: DirectDialOptions, host: string, address: string, port: number, total: number): void {
  const verdict = options.checkAddress(address, port);
  if (verdict.kind === 'allow') return;
  const { code, hint } = verdict;
  const reason = total === 1 ? verdict.reason : `${verdict.reason} (one of ${total} addresses of ${host})`;
  throw new DialError({ kind: 'denied', denial: { code, reason, hint }, address });
}

type Attempt = { readonly kind: 'connected'; readonly socket: Socket } | DialFailure;

async function tryAddress(
  connect: NonNullable<DirectDialOptions['connect']>,
  address: string,
  port: number,
  shareMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const share = new AbortController();
  const timer = setTimeout(() => share.abort(), shareMs);
  const either = AbortSignal.any([signal, share.signal]);
  try {
    const socket = await unlessAborted(either, connect(address, port, either), (late) => late.destroy());
    return { kind: 'connected', socket };
  } catch (thrown) {
    signal.throwIfAborted();
    if (share.signal.aborted) return { kind: 'timeout', message: `${address} did not answer within ${shareMs} ms` };
    const errno = errnoOf(thrown);
    const message = `${address} port ${port} cannot be reached: ${errno ?? escapeText(messageOf(thrown), 200)}`;
    return { kind: 'unreachable', message, ...(errno === undefined ? {} : { errno }) };
  } finally {
    clearTimeout(timer);
  }
}
