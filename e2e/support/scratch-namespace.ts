import { type Child, type Run, run, start } from '../../base/index.ts';

/** Network and mount namespaces of a test's own. They live as long as one process, which ends with the test's. */
export type ScratchNamespace = {
  readonly pid: number;
  /** Puts a command into them: `['nsenter', …]`. */
  readonly enter: readonly string[];
  /** {@link run} inside them. */
  readonly run: Run;
  readonly close: () => Promise<void>;
};

/**
 * Makes a network namespace with `lo` up, and a mount namespace in which /run is empty, so that `ip netns add` leaves
 * nothing on the host whatever becomes of the test.
 */
export async function makeScratchNamespace(): Promise<ScratchNamespace> {
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && echo ready && exec sleep 3600';
  const holder: Child = start(['setpriv', '--pdeathsig=KILL', 'unshare', '--net', '--mount', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ready = new Promise<boolean>((resolve) => {
    holder.process.stdout?.once('data', () => resolve(true));
    void holder.ended.then(() => resolve(false));
  });
  if (!(await ready)) throw new Error('The scratch namespace could not be made');
  const pid = holder.process.pid ?? 0;
  const enter = ['nsenter', `--target=${pid}`, '--net', '--mount'] as const;
  return {
    pid,
    enter,
    run: async ([...argv], options) => await run([...enter, ...argv], options),
    close: async () => {
      holder.process.kill('SIGKILL');
      await holder.ended;
    },
  };
}
