import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { dir } from 'tmp-promise';
import { start } from '../../base/index.ts';
import { auditState } from './audit-state.ts';
import { until } from './until.ts';

/** An audit daemon that runs for a test, and is the one to whom the kernel gives its records. */
export type Auditd = {
  readonly pid: number;
  /** What it has written up to now. */
  readonly log: () => Promise<string>;
};

/**
 * Starts Debian's auditd in the foreground, with a configuration and log of its own. It is ended when the test is over.
 * Source: auditd(8), auditd.conf(5).
 */
export async function startAuditd(t: ExecutionContext): Promise<Auditd> {
  const { path, cleanup } = await dir({ prefix: 'tapwarden-auditd-', unsafeCleanup: true });
  t.teardown(cleanup);
  await mkdir(join(path, 'plugins.d'));
  const log = join(path, 'audit.log');
  const settings = {
    local_events: 'yes',
    write_logs: 'yes',
    log_file: log,
    log_format: 'RAW',
    log_group: 'root',
    // Each record is in the file at once.
    flush: 'SYNC',
    priority_boost: '0',
    max_log_file_action: 'IGNORE',
    space_left: '2',
    admin_space_left: '1',
    space_left_action: 'IGNORE',
    admin_space_left_action: 'IGNORE',
    disk_full_action: 'IGNORE',
    disk_error_action: 'IGNORE',
    plugin_dir: join(path, 'plugins.d'),
  };
  const text = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(join(path, 'auditd.conf'), text.join(''), { mode: 0o640 });
  await chmod(path, 0o700);
  const child = start(['auditd', '-n', '-s', 'enable', '-c', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(async () => {
    child.process.kill('SIGTERM');
    await child.ended;
  });
  let said = '';
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.on('data', (piece: Buffer) => {
      said = `${said}${piece.toString()}`.slice(-2000);
    });
  }
  const pid = child.process.pid ?? 0;
  await until(async () => (await auditState()).status.pid === pid);
  if ((await auditState()).status.pid !== pid) throw new Error(`auditd did not become the kernel's: ${said}`);
  return { pid, log: async () => await readFile(log, 'utf8').catch(() => '') };
}
