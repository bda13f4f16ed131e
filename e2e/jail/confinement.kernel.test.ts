import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isConfined } from '../bypass-detection/confinement.ts';
import { jailTest } from '../support/jail-test.ts';

jailTest('jail: a workload gets neither privileges nor devices nor sight of the host around it', isConfined);

/** Prints what is read at each path of standard input, or why not. */
const reader = `
import errno, os, socket, sys
for path in sys.stdin.read().split("\\n"):
    try:
        if os.path.isdir(path): print(path, "folder", len(os.listdir(path)))
        else: print(path, "read", len(open(path, "rb").read()))
    except OSError as error: print(path, errno.errorcode[error.errno])
`;

jailTest('jail: secrets of the host are not read, its programs and settings are', async (t, bench) => {
  const files = ['/etc/shadow', '/etc/gshadow', '/etc/hosts', '/usr/bin/env', '/etc/resolv.conf', '/etc/passwd'];
  const folders = ['/root', '/home', '/var/lib', '/var/log', '/run', '/mnt', '/media', '/srv', '/boot', '/tmp'];
  const { stdout, stderr } = await bench.run(['--', 'python3', '-c', reader], {
    input: [...files, ...folders, bench.folder, bench.runDir].join('\n'),
  });
  const seen = Object.fromEntries(
    stdout
      .toString('utf8')
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], line.split(' ').slice(1).join(' ')] as const),
  );
  t.is(seen['/etc/shadow'], 'EACCES', stderr);
  t.is(seen['/etc/gshadow'], 'EACCES');
  t.regex(seen['/usr/bin/env'] ?? '', /^read \d{4,}$/);
  t.is(seen['/etc/resolv.conf'], `read ${'nameserver 10.200.0.1\n'.length}`, 'a look-up past the proxy is seen');
  const own = ['/home', '/run'];
  for (const folder of folders.filter((name) => !own.includes(name))) t.is(seen[folder], 'folder 0', folder);
  t.is(seen['/home'], 'folder 1', 'its own home alone');
  t.is(seen[bench.folder], 'ENOENT', 'a folder of /tmp of the host');
  t.is(seen[bench.runDir], 'ENOENT', 'the run directory');
});

jailTest('jail: what the workload writes is in memory, and the host’s files stay as they are', async (t, bench) => {
  const script = `
echo mine >/tmp/a && echo mine >~/b && echo mine >/var/tmp/c && cat /tmp/a ~/b /var/tmp/c
for path in /x /etc/x /usr/x /usr/bin/env /root/x /var/x /opt/x; do echo >"$path" && echo "wrote $path"; done 2>/dev/null
true`;
  const passwd = await readFile('/etc/passwd', 'utf8');
  const { status, stdout } = await bench.run(['--', 'sh', '-c', script]);
  t.is(status, 0);
  t.is(stdout.toString('utf8'), 'mine\nmine\nmine\n');
  t.is(await readFile('/etc/passwd', 'utf8'), passwd);
  // A second one begins anew.
  const again = await bench.run(['--', 'sh', '-c', 'ls -A /tmp ~ /var/tmp']);
  t.is(again.stdout.toString('utf8'), '/home/workload:\n\n/tmp:\n\n/var/tmp:\n');
});

jailTest('jail: --workdir is made where the workload may write, and not on the host', async (t, bench) => {
  const made = await bench.run(['--workdir', '/tmp/new/place', '--', 'sh', '-c', 'pwd; test -w .']);
  t.is(made.status, 0, made.stderr);
  t.is(made.stdout.toString('utf8'), '/tmp/new/place\n');
  const refused = await bench.run(['--workdir', '/usr/tapwarden-new', '--', 'true']);
  t.is(refused.status, 125);
  t.regex(refused.stderr, /EROFS/);
  t.is(await readFile('/usr/tapwarden-new', 'utf8').catch((error) => error.code), 'ENOENT');
});

jailTest('jail: sockets and processes of the host are out of reach, descriptors too', async (t, bench) => {
  const folder = await mkdtemp('/run/tapwarden-e2e-socket-');
  const server = createServer((socket) => socket.end('secret'));
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  const abstract = createServer((socket) => socket.end('secret'));
  await new Promise<void>((resolve) => abstract.listen(`\0${folder}`, resolve));
  const probe = `
import errno, os, socket, sys
for address in [sys.argv[1] + "/socket", "\\0" + sys.argv[1]]:
    try: socket.socket(socket.AF_UNIX).connect(address); print("connected")
    except OSError as error: print(errno.errorcode[error.errno])
try: os.kill(int(sys.argv[2]), 0); print("signalled")
except OSError as error: print(errno.errorcode[error.errno])
print(sorted(os.listdir("/proc/self/fd")))
`;
  try {
    await writeFile(join(folder, 'file'), 'secret');
    // As a shell that has something open.
    const { stdout, stderr } = await bench.run(['--', 'python3', '-c', probe, folder, '999999'], {
      before: ['bash', '-c', `exec 9<"${folder}" 240<"${folder}/file"; exec "$@"`, 'bash'],
    });
    t.is(stdout.toString('utf8'), "ENOENT\nECONNREFUSED\nESRCH\n['0', '1', '2', '3']\n", stderr);
  } finally {
    server.close();
    abstract.close();
    await rm(folder, { recursive: true });
  }
});

jailTest('jail: user namespaces are forbidden by a limit of the sandbox’s own', async (t, bench) => {
  const host = await readFile('/proc/sys/user/max_user_namespaces', 'utf8');
  t.not(host, '0\n', 'the host has room for user namespaces');
  const { stdout } = await bench.run(['--', 'cat', '/proc/sys/user/max_user_namespaces']);
  t.is(stdout.toString('utf8'), '0\n');
  t.is(await readFile('/proc/sys/user/max_user_namespaces', 'utf8'), host);
});
