import { run, TapwardenError } from '../../base/index.ts';
import { collectGarbage } from '../../driver-vm/index.ts';
import type { Command } from '../context.ts';
import { readOptions } from '../options.ts';

/** `tapwarden gc`. */
export const gcCommand: Command = {
  help: `Usage: tapwarden gc [--json]

Takes away what sandboxes left behind whose tapwarden is gone, as after 'kill -9': processes, network namespaces with
their TAP devices and tables, files in the run directory, and rules and settings of the kernel's audit system. Sandboxes
that are in use are left alone.

  --json                {"removed": [ID…], "alive": [ID…]}
`,
  run: async (context, args) => {
    const { values } = readOptions('gc', args, { json: { type: 'boolean' } });
    if (process.geteuid?.() !== 0) {
      throw new TapwardenError('NOT_ROOT', { message: "'tapwarden gc' needs root", hint: 'Use sudo.' });
    }
    const { removed, alive } = await collectGarbage(context.paths, run);
    // It loads a native module, which no other command needs.
    const { reclaimAudit } = await import('../../supervisor/attribution/audit-trail.ts');
    await reclaimAudit();
    if (values.json === true) context.stdout.write(`${JSON.stringify({ removed, alive })}\n`);
    else if (removed.length === 0) context.stdout.write(`Nothing to remove; ${alive.length} in use.\n`);
    else context.stdout.write(`Removed: ${removed.join(', ')}; ${alive.length} in use.\n`);
    return 0;
  },
};
