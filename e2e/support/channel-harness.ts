import { openSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { isTapwardenError } from '../../base/index.ts';
import { type ChannelHostOptions, startChannelHost } from '../../driver-vm/channel-host.ts';
import { openEventsFile } from '../../driver-vm/events-file.ts';
import type { ChildMessage, ParentMessage } from '../../driver-vm/shared/ipc.ts';

/**
 * A program of its own, for tests: the privileged side of a channel process, driven by messages of the test. It is a
 * process because the channel process takes over the standard streams of whoever starts it.
 */
export type HarnessCommand =
  | {
      readonly kind: 'start';
      readonly uid: number;
      readonly config: Omit<ChannelHostOptions['config'], 'startSequence'>;
    }
  | { readonly kind: 'send'; readonly message: ParentMessage }
  | { readonly kind: 'next'; readonly kinds: readonly ChildMessage['kind'][] }
  | { readonly kind: 'finish'; readonly message: Parameters<Host['finish']>[0] }
  | { readonly kind: 'kill' };

/** The answer to a command: what the call returned, or how it failed. */
export type HarnessAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

type Host = Awaited<ReturnType<typeof startChannelHost>>;

let host: Host | undefined;

async function carryOut(command: HarnessCommand): Promise<unknown> {
  if (command.kind === 'start') {
    const { uid, config } = command;
    const full = config.eventsFile === '/dev/full';
    const events = full ? { fd: openSync('/dev/full', 'a'), nextSequence: 1 } : await openEventsFile(config.eventsFile);
    host = await startChannelHost({
      uid,
      eventsFd: events.fd,
      config: { ...config, startSequence: events.nextSequence },
    });
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
    case 'kill':
      return await host.kill();
  }
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
