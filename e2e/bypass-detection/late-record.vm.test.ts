import { startBesideRoot } from '../support/root-attack.ts';
import { vmTest } from '../support/vm-test.ts';

/** Sends as fast as it can to as many ports as there are, until its weight has fallen; then waits until it is as before. */
const command = `
import os, signal, socket, sys, time
home = os.path.expanduser("~")
def weights():
    try: return open(home + "/weights").read().split()
    except OSError: return []
def until(seen):
    end = time.monotonic() + 90
    while not seen(weights()) and time.monotonic() < end: time.sleep(0.2)
open(home + "/begin", "w").close()
until(lambda all: len(all) > 0)
busy = []
for worker in range(4):
    child = os.fork()
    if child == 0:
        sender, port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 1
        while True:
            try: sender.sendto(b"x", ("198.51.100.%d" % (1 + worker), port))
            except OSError: pass
            port = port % 60000 + 1
    busy.append(child)
until(lambda all: "20" in all)
for child in busy: os.kill(child, signal.SIGKILL)
for child in busy: os.waitpid(child, 0)
until(lambda all: all[-1:] == ["300"])
weights = weights()
print(weights[0], "20" in weights, weights[-1])
`;
/** The workload cannot read its own weight. */
const script = `
while :; do cat /sys/fs/cgroup/workload/cpu.weight >>"$home/weights"; chmod 644 "$home/weights"; sleep 0.2; done
`;

vmTest(
  'bypass-detection: a workload that keeps its record from being read in time weighs less, until it is read',
  async (t, bench) => {
    const args = ['--timeout', '280', '--', 'python3', '-c', command];
    const { status, stdout, stderr } = await (await startBesideRoot(bench, { script, args })).ended;
    t.is(status, 0, stderr);
    t.is(stdout.toString('utf8'), '300 True 300\n');
  },
);
