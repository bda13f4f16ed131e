import { run, TapwardenError } from '../../base/index.ts';
import type { Command } from '../context.ts';
import { examine } from '../doctor/examine.ts';
import { isReady, renderFindings } from '../doctor/finding.ts';
import { readOptions } from '../options.ts';
import { Progress } from '../progress.ts';

/** `tapwarden doctor`. */
export const doctorCommand: Command = {
  help: `Usage: tapwarden doctor [--build] [--json]

Looks at all that a sandbox needs, each thing by trying it: root, programs, QEMU, TAP devices, nftables and each of its
features, what a jail needs, the images, disk space. Whether KVM is usable is found out by booting a guest on it once; the answer is kept.
Nothing else that it does stays.

  --build               build the images if they are not there yet, and keep the state of a guest where guests are emulated
  --json                [{"level": "ok"|"warn"|"missing", "what": TEXT, "found": TEXT, "todo": TEXT|null}…]

Exit status: 0 when all that is needed is there, 1 when something is missing, 125 when tapwarden failed.
`,
  run: async (context, args) => {
    const { values } = readOptions('doctor', args, { build: { type: 'boolean' }, json: { type: 'boolean' } });
    const uid = process.geteuid?.();
    const mayBuild = values.build ?? false;
    if (mayBuild && uid !== 0) {
      throw new TapwardenError('NOT_ROOT', { message: "'tapwarden doctor --build' needs root", hint: 'Use sudo.' });
    }
    const progress = new Progress(context, false);
    const { paths, env } = context;
    const findings = await examine({ paths, env, uid, mayBuild, run, onProgress: (line) => progress.step(line) });
    progress.clear();
    context.stdout.write(values.json === true ? `${JSON.stringify(findings)}\n` : renderFindings(findings));
    return isReady(findings) ? 0 : 1;
  },
};
