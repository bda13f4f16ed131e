// Stands in for the supervisor in boot.vm.test.ts: prints what it finds in the guest, as one line on the console.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs');

const uptimeS = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
const sh = (file, ...args) => {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  return { status, out: stdout?.trim().slice(0, 2000), err: stderr?.trim().slice(0, 500) };
};
const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : null);
const nsenter = ['/usr/bin/busybox', 'nsenter'];
const asWorkload = ['-S', '1000', '-G', '1000'];

const ruleset = `table inet t {
  counter denied { }
  map execs { type cgroupsv2 : mark; size 64; }
  set seen { type mark . ipv4_addr . inet_proto . inet_service; flags dynamic; size 64; counter; }
  chain nat { type nat hook postrouting priority srcnat; masquerade
  }
  chain output {
    type filter hook output priority filter; policy drop;
    ct state established accept
    meta mark set socket cgroupv2 level 2 map @execs
    meta l4proto { 6, 17 } add @seen { meta mark . ip daddr . meta l4proto . th dport }
    limit rate 5/second log prefix "TW " level info flags skuid
    quota over 100 mbytes drop
    meta l4proto 6 counter name denied reject with tcp reset
    reject with icmpx admin-prohibited
  }
}
`;

function zombiesAfterOrphan() {
  sh('/bin/sh', '-c', '(sleep 0.1 &)');
  sh('/bin/sleep', '0.4');
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && / Z 1 /.test(read(`/proc/${pid}/stat`) ?? ''));
}

function inWorkload() {
  const bind = ['--ro-bind', '/workload', '/', '--proc', '/proc', '--dev', '/dev', '--unshare-pid', '--unshare-ipc'];
  const enter = [...nsenter, '--net=/run/netns/work', ...asWorkload, '--', '/usr/bin/bwrap', ...bind];
  const inside = (...argv) => sh(...enter, '--', ...argv);
  const python = `import socket,ssl,json,urllib.request,http.client
s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,132)
u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM,136)
print(json.dumps({"sctp":s.proto,"udplite":u.proto,"interfaces":[n for _,n in socket.if_nameindex()]}))`;
  return {
    status: inside('/bin/grep', '-E', '^(Pid|PPid|Uid|Cap...|NoNewPrivs):', '/proc/self/status'),
    processes: inside('/bin/sh', '-c', 'echo /proc/[0-9]*'),
    write: inside('/usr/bin/touch', '/x'),
    python: inside('/usr/bin/python3', '-c', python),
    git: inside('/usr/bin/git', '--version'),
    curl: inside('/usr/bin/curl', '--version'),
    user: inside('/usr/bin/id'),
    names: inside('/usr/bin/cat', '/etc/hostname', '/etc/resolv.conf', '/etc/apt/sources.list'),
  };
}

mkdirSync('/run/test');
writeFileSync('/run/test/rules.nft', ruleset);
const sysctls = readFileSync('/etc/tapwarden/sysctl.conf', 'utf8').match(/^-?[a-z][^=\n]*=.*$/gm) ?? [];
const report = {
  uptimeS,
  environment: process.env,
  modules: readFileSync('/proc/modules', 'utf8').trim().split('\n').map((line) => line.split(' ')[0]),
  wrongSettings: sysctls.filter((line) => {
    const [name, value] = line.replace(/^-/, '').split('=');
    const found = read(`/proc/sys/${name}`);
    return found === null ? !line.startsWith('-') : found !== value && !(name === 'net/ipv6/conf/all/forwarding');
  }),
  modulesDisabled: read('/proc/sys/kernel/modules_disabled'),
  controllers: read('/sys/fs/cgroup/cgroup.subtree_control'),
  addresses: sh('/usr/sbin/ip', '-j', 'addr'),
  neighbours: sh('/usr/sbin/ip', '-j', 'neigh'),
  routes: sh('/usr/sbin/ip', 'route'),
  routes6: sh('/usr/sbin/ip', '-6', 'route'),
  list: sh('/usr/sbin/nft', 'list', 'ruleset'),
  netns: sh('/usr/sbin/ip', 'netns', 'add', 'work'),
  veth: sh('/usr/sbin/ip', 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1', 'netns', 'work'),
  rules: sh(...nsenter, '--net=/run/netns/work', '/usr/sbin/nft', '-f', '/run/test/rules.nft'),
  mount: sh('/bin/mount', '-t', 'ext4', '-o', 'ro,nodev', '/dev/vdb', '/workload'),
  workload: inWorkload(),
  userNamespace: sh(...nsenter, ...asWorkload, '--', '/usr/bin/busybox', 'unshare', '-U', 'true'),
  kernelLog: sh(...nsenter, ...asWorkload, '--', '/usr/bin/busybox', 'dmesg'),
  rootWrite: sh('/bin/touch', '/etc/x'),
  ports: existsSync('/sys/class/virtio-ports')
    ? readdirSync('/sys/class/virtio-ports').map((port) => read(`/sys/class/virtio-ports/${port}/name`))
    : [],
  zombies: zombiesAfterOrphan(),
};
console.log(`REPORT ${JSON.stringify(report)}`);
process.exitCode = 7;
