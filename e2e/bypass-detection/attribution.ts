import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Bench } from '../support/sandbox-bench.ts';

type Process = {
  readonly name?: string;
  readonly cmd_line?: string;
  readonly ancestry?: readonly { readonly name?: string }[];
};
type Refused = {
  readonly confidence_id?: number;
  readonly dst_endpoint?: { readonly port?: number };
  readonly actor?: { readonly process?: Process };
  readonly unmapped?: { readonly origin?: { readonly method?: string; readonly reason?: string } };
};

/** Starts two processes that each make one attempt and are gone: a connect, and a write on a connected socket. */
const program = [
  'my ($connect, $write) = (\'socket S,2,1,6;connect S,pack"SnC4x8",2,4441,198,51,100,7\', "echo x >/dev/udp/198.51.100.8/4442");',
  'system("perl", "-e", $connect); system("bash", "-c", "$write 2>/dev/null");',
].join('');

/** Each refused packet names its process, which is gone, and how that was found out. */
export async function namesProcesses(t: ExecutionContext, bench: Bench): Promise<void> {
  const events = join(bench.folder, 'events.jsonl');
  const token = 'a-secret-of-the-environment';
  const outcome = await bench.run(['--events', events, '--env', `TOKEN=${token}`, '--', 'perl', '-e', program]);
  t.is(outcome.result?.complete, true);
  const found = (port: number): Refused | undefined =>
    (outcome.events as unknown as readonly Refused[]).find(({ dst_endpoint }) => dst_endpoint?.port === port);
  const [connect, write] = [found(4441), found(4442)];
  t.is(connect?.actor?.process?.name, 'perl');
  t.regex(connect?.actor?.process?.cmd_line ?? '', /4441/);
  t.is(connect?.unmapped?.origin?.method, 'audit');
  t.is(connect?.confidence_id, 3);
  t.is(write?.actor?.process?.name, 'bash');
  t.is(write?.unmapped?.origin?.reason, 'destination-not-recorded');
  t.is(write?.confidence_id, 2);
  t.deepEqual(
    connect?.actor?.process?.ancestry?.map(({ name }) => name),
    ['perl', 'bwrap', 'bwrap'],
  );
  t.false(JSON.stringify(outcome.events).includes(token), 'the environment of a command is in no event');
}
