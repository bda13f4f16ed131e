import type { Server } from 'node:net';
import type { ParentMessage } from '../shared/ipc.ts';
import { ChannelProcess } from './channel-process.ts';

/** Starts the channel process. Its only commands come from the process that started it; when that is gone, it ends. */
function main(): void {
  const channel = new ChannelProcess({
    // With a callback, a message that finds the parent gone is no error of its own: 'disconnect' follows.
    send: (message) => void process.send?.(message, undefined, undefined, () => undefined),
    exit: (status) => {
      process.exitCode = status;
      process.disconnect();
    },
  });
  process.on('message', (message, handle) => {
    channel
      .onParentMessage(message as ParentMessage, handle as Server | undefined)
      .catch((error: unknown) => channel.fail(error));
  });
  // The terminal's signals are for the command, which the parent passes them on to.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => undefined);
  process.once('disconnect', () => {
    channel.abandon();
    process.exit();
  });
  process.once('uncaughtException', (error) => {
    channel.fail(error);
    process.exitCode = 1;
    setTimeout(() => process.exit(), 100);
  });
}

main();
