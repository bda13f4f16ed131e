import { openSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { isTapwardenError } from '../../base/index.ts';
import { type ChannelHostOptions, type EventsOfChild, startChannelHost } from '../../driver-vm/channel-host.ts';
import { defaultRotation, type EventsFile, openEventsFile } from '../../driver-vm/events-file.ts';
import type { ChildMessage, ParentMessage } from '../../driver-vm/shared/ipc.ts';

/**
 * A program of its own, for tests: the privileged side of a channel process, driven by messages of the test. It is a
 * process because the channel process takes over the standard streams of whoever starts it.
 */
export type HarnessCommand =
  | {
      readonly kind: 'start';
      readonly uid: number;
      readonly eventsFile: string;
      readonly config: ChannelHostOptions['config'];
      /** Bytes from which on the log is rotated. */
      readonly maxBytes?: number;
      /** The log is on a disk that takes nothing. */
      readonly full?: boolean;
    }
  | { readonly kind: 'send'; readonly message: ParentMessage }
  | { readonly kind: 'next'; readonly kinds: readonly ChildMessage['kind'][] }
  | { readonly kind: 'finish'; readonly message: Parameters<Host['finish']>[0] }
  /** What a person was warned of. */
  | { readonly kind: 'warnings' }
  | { readonly kind: 'kill' };

/** The answer to a command: what the call returned, or how it failed. */
export type HarnessAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

type Host = Awaited<ReturnType<typeof startChannelHost>>;

let host: Host | undefined;
const warnings: string[] = [];

async function carryOut(command: HarnessCommand): Promise<unknown> {
  if (command.kind === 'start') {
    const { uid, eventsFile, config, maxBytes } = command;
    const rotation = maxBytes === undefined ? defaultRotation : { maxBytes, retention: { files: 5 } };
    const opened = await openEventsFile(eventsFile, rotation);
    const events = command.full === true ? onFullDisk(opened) : opened;
    host = await startChannelHost({ uid, events, config, onWarning: (line) => warnings.push(line) });
    const gateway = createServer();
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    const { port } = gateway.address() as AddressInfo;
    host.send({ kind: 'gateway' }, gateway);
    return port;
  }
  if (host === undefined) throw new Error('not started');
  switch (command.kind) {
    case 'send':
      return host.send(command.message);
    case 'next':
      return await host.next(...command.kinds);
    case 'finish':
      return await host.finish(command.message);
    case 'warnings':
      return warnings;
    case 'kill':
      return await host.kill();
  }
}

function onFullDisk(events: EventsFile): EventsOfChild {
  const { path, rotation, nextSequence, firstSequence, folderFd } = events;
  return {
    ...{ path, rotation, nextSequence, firstSequence, folderFd },
    fd: openSync('/dev/full', 'a'),
    allow: (gid) => events.allow(gid),
    handOver: () => events.handOver(),
    makeNext: (first) => events.makeNext(first),
    putNext: () => events.putNext(),
  };
}

process.on('message', (command: HarnessCommand) => {
  carryOut(command).then(
    (value) => process.send?.({ kind: 'value', value } satisfies HarnessAnswer),
    (error: unknown) =>
      process.send?.({
        kind: 'error',
        code: isTapwardenError(error) ? error.code : 'none',
        message: String(error),
      } satisfies HarnessAnswer),
  );
});
process.once('disconnect', () => process.exit());
