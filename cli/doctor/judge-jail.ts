import { type Finding, ok, warn } from './finding.ts';

/** Something that a jail needs of the host, and whether it works there. */
export type JailTrial = { readonly what: string; readonly works: boolean };

/** Judges whether `run --jail` can run here, and whether what it refuses is logged. */
export function judgeJail(trials: readonly JailTrial[], logs: boolean): Finding {
  const lacking = trials.filter(({ works }) => !works).map(({ what }) => what);
  if (lacking.length > 0) {
    return warn(
      'jail',
      `the host lacks ${lacking.join(', ')}`,
      "'run --jail' cannot be used; a virtual machine needs none of it.",
    );
  }
  if (logs) return ok('jail', "commands can run without a virtual machine ('run --jail')");
  const found = 'the kernel does not log for network namespaces: there is no net.netfilter.nf_log_all_netns here';
  return warn('jail', found, "'run --jail' needs --allow-unlogged. In a container, use the host's network namespace.");
}

/** Judges the limits of a jail by the controllers that the host lacks. */
export function judgeJailLimits(missing: readonly string[]): Finding {
  if (missing.length === 0) return ok('jail limits', 'memory, processors and processes can be limited');
  const todo = 'Switch them on in cgroup.subtree_control of the root of cgroup v2.';
  return warn('jail limits', `no cgroup controller for ${missing.join(', ')}: a jail is not limited in these`, todo);
}

/** Judges who reads the kernel log, from the text of the setting `kernel.dmesg_restrict`. */
export function judgeDmesg(setting: string): Finding {
  if (setting.trim() !== '0') return ok('kernel log', 'only root reads it');
  const found = "every user of the host reads it, and so the secret in the log lines of a jail's fence";
  return warn('kernel log', found, 'Set it: sysctl kernel.dmesg_restrict=1. Guests are not concerned.');
}
