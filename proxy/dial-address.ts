import { connect, isIP, type Socket } from 'node:net';
import { TapwardenError } from '../base/index.ts';

/**
 * Connects to `address` and `port`. A name is refused, because Node would resolve it, and it could then be another
 * address than the one that was checked.
 *
 * The socket allows half-open connections and has an error listener, so that an error on it never throws.
 *
 * @throws NAME_INVALID when `address` is not an IP address or has a zone id
 * @throws the system error of connect(2), or the reason of `signal`
 */
export async function dialAddress(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  if (isIP(address) === 0 || address.includes('%')) {
    throw new TapwardenError('NAME_INVALID', {
      message: 'Only an IP address without a zone can be dialled',
      details: { address },
    });
  }
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false });
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
  });
}
