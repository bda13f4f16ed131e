/**
 * Waits for `promise`, but no longer than until `signal` fires; then it throws the signal's reason. A value that comes
 * after that goes to `discard`, so that a socket that nobody waits for is not left open.
 */
export function unlessAborted<T>(
  signal: AbortSignal,
  promise: Promise<T>,
  discard: (late: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    promise.then(
      (value) => {
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) discard(value);
        else resolve(value);
      },
      (thrown: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(thrown);
      },
    );
  });
}
