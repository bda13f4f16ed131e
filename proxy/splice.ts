import type { Socket } from 'node:net';

/** Two ends of a tunnel, with what each has sent already. */
export type Ends = {
  readonly client: Socket;
  readonly clientHead: Buffer;
  readonly upstream: Socket;
  readonly upstreamHead: Buffer;
};

/** What passed through a tunnel. `complete` is `true` when both sides ended with all bytes delivered. */
export type Spliced = { readonly bytesUp: number; readonly bytesDown: number; readonly complete: boolean };

/**
 * Joins two sockets until both have closed, or `signal` fires.
 *
 * The end of one side is passed on as the end of that direction alone; the other goes on. A side that breaks off, so
 * that bytes may be missing, is passed on as a reset, which cannot be mistaken for an end.
 */
export async function splice(ends: Ends, signal: AbortSignal): Promise<Spliced> {
  const { client, clientHead, upstream, upstreamHead } = ends;
  const clientBase = client.bytesRead - clientHead.length;
  const upstreamBase = upstream.bytesRead - upstreamHead.length;
  const breakOff = (): void => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  signal.addEventListener('abort', breakOff, { once: true });
  if (signal.aborted) breakOff();
  if (clientHead.length > 0) upstream.write(clientHead);
  if (upstreamHead.length > 0) client.write(upstreamHead);
  const closed = Promise.all([closeOf(client, upstream), closeOf(upstream, client)]);
  client.pipe(upstream);
  upstream.pipe(client);
  const complete = (await closed).every((clean) => clean);
  signal.removeEventListener('abort', breakOff);
  return { bytesUp: client.bytesRead - clientBase, bytesDown: upstream.bytesRead - upstreamBase, complete };
}

/** Waits for `socket` to close and says whether it closed with both directions done; otherwise `other` is reset. */
function closeOf(socket: Socket, other: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => {
      const clean = socket.readableEnded && socket.writableFinished;
      if (!clean) other.resetAndDestroy();
      resolve(clean);
    };
    if (socket.closed) onClose();
    else socket.once('close', onClose);
  });
}
