"""Tries what an unprivileged program might do to its sandbox, and prints what each came to, as JSON."""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NEWUSER, NEWNET, NEWNS, NEWPID = 0x10000000, 0x40000000, 0x00020000, 0x20000000
report = {"refused": {}, "seen": {}}


def refused(name, body):
    try:
        result = body()
        answer = "ok" if result is None or result >= 0 else errno.errorcode[ctypes.get_errno()]
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
    report["refused"][name] = answer


def syscall(number, *arguments):
    return lambda: libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))


def opened(family, kind, protocol=0):
    return lambda: socket.socket(family, kind, protocol).close()


def read(path):
    return lambda: open(path, "rb").close()


def write(path, text):
    def body():
        with open(path, "w") as file:
            file.write(text)

    return body


def enter_namespace(path):
    with open(path, "rb") as namespace:
        return libc.setns(namespace.fileno(), NEWNET)


def memory_of(pid):
    # The argument vectors of process_vm_readv: 8 bytes from the start of that process's stack or any other mapping.
    start = int(text(f"/proc/{pid}/maps").split("-")[0], 16)
    here = ctypes.create_string_buffer(8)
    local, remote = struct.pack("QQ", ctypes.addressof(here), 8), struct.pack("QQ", start, 8)
    return libc.syscall(ctypes.c_long(310), ctypes.c_long(pid), local, ctypes.c_long(1), remote, ctypes.c_long(1),
                        ctypes.c_long(0))


def text(path):
    with open(path) as file:
        return file.read()


# Rulesets, raw packets, other families of sockets.
refused("nftables", opened(16, socket.SOCK_RAW, 12))
refused("audit", opened(16, socket.SOCK_RAW, 9))
refused("kobject-uevent", opened(16, socket.SOCK_RAW, 15))
refused("packet-socket", opened(17, socket.SOCK_RAW, 0x0300))
refused("packet-datagram", opened(17, socket.SOCK_DGRAM, 0x0300))
refused("raw-socket", opened(socket.AF_INET, socket.SOCK_RAW, 6))
refused("raw-icmp", opened(socket.AF_INET, socket.SOCK_RAW, 1))
refused("raw-socket-6", opened(socket.AF_INET6, socket.SOCK_RAW, 58))
refused("vsock", opened(40, socket.SOCK_STREAM))
refused("alg", opened(38, socket.SOCK_SEQPACKET))
refused("xdp", opened(44, socket.SOCK_RAW))
refused("packet-mark", lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 36, 42))
# Through the proxy's address to another: the fence would see the proxy as destination.
refused("source-route", lambda: socket.socket().setsockopt(
    socket.IPPROTO_IP, 4, bytes([131, 7, 4]) + socket.inet_aton("10.200.0.1") + b"\0"))
refused("transparent", lambda: socket.socket().setsockopt(socket.SOL_IP, 19, 1))

# Namespaces, privileges, the kernel.
refused("unshare-user", lambda: libc.unshare(NEWUSER))
refused("unshare-net", lambda: libc.unshare(NEWNET))
refused("unshare-mount", lambda: libc.unshare(NEWNS))
refused("unshare-user-net", lambda: libc.unshare(NEWUSER | NEWNET))
refused("clone-user", syscall(56, NEWUSER | signal.SIGCHLD, 0, 0, 0, 0))
refused("clone3", syscall(435, 0, 0))
refused("setns", lambda: enter_namespace("/proc/self/ns/net"))
refused("setuid-0", lambda: os.setuid(0))
refused("setgid-0", lambda: os.setgid(0))
refused("chroot", lambda: os.chroot("/tmp"))
refused("mount-tmpfs", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
refused("mount-proc", lambda: libc.mount(b"proc", b"/proc", b"proc", 0, None))
refused("remount-sys", lambda: libc.mount(b"none", b"/sys", None, 0x20 | 0x1000, None))
refused("umount", lambda: libc.umount2(b"/sys", 2))
refused("pivot-root", syscall(155, 0, 0))
refused("reboot", lambda: libc.reboot(0x01234567))
refused("hostname", lambda: socket.sethostname("other"))
refused("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, 1))
refused("load-module", syscall(175, 0, 0, 0))
refused("kexec", syscall(246, 0, 0, 0, 0))
refused("syslog", lambda: libc.klogctl(3, ctypes.create_string_buffer(64), 64))
refused("accounting", syscall(163, 0))
refused("bpf", syscall(321, 0, 0, 0))
refused("perf-event", syscall(298, 0, 0, -1, -1, 0))
refused("io-uring", syscall(425, 8, 0))
refused("userfaultfd", syscall(323, 0))
refused("add-key", syscall(248, 0, 0, 0, 0, 0))
refused("keyctl", syscall(250, 0, -3, 1))
refused("x32", syscall(0x40000000 + 39))
refused("low-port", lambda: socket.socket().bind(("127.0.0.1", 80)))
refused("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))


def call_32_bit():
    # mov eax, 20 (getpid); int 0x80; movsxd rax, eax; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\x48\x63\xc0\xc3")
    answer = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    if answer < 0:
        raise OSError(-answer, "int 0x80")


refused("32-bit-call", call_32_bit)

# Devices and files of the guest.
for path in ["/dev/kmsg", "/dev/vda", "/dev/vdb", "/dev/vport0p1", "/dev/vport1p1", "/dev/mem", "/dev/net/tun",
             "/dev/fuse", "/dev/ttyS0", "/dev/console", "/dev/tty", "/dev/kvm", "/proc/kmsg", "/proc/kcore", "/proc/1/mem",
             "/proc/1/root/dev/kmsg", "/sys/kernel/debug/x", "/sys/fs/cgroup/cgroup.procs", "/run/execs",
             "/run/netns/workload", "/usr/lib/tapwarden"]:
    refused("read " + path, read(path))
refused("mknod-kmsg", lambda: os.mknod("/tmp/kmsg", 0o20666, os.makedev(1, 11)))
refused("mknod-disk", lambda: os.mknod("/tmp/vda", 0o60666, os.makedev(254, 0)))
for path in ["/proc/sys/net/netfilter/nf_log_all_netns", "/proc/sys/kernel/dmesg_restrict",
             "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ping_group_range", "/proc/sys/kernel/hostname",
             "/proc/sysrq-trigger", "/sys/class/net/eth0/mtu", "/etc/passwd", "/usr/bin/python3"]:
    refused("write " + path, write(path, "0"))
refused("make-directory-in-sys", lambda: os.mkdir("/sys/fs/cgroup/mine"))

# Other processes. Process 1 is the sandbox's own; the supervisor has no pid in here.
refused("ptrace-1", lambda: libc.ptrace(16, 1, 0, 0))
refused("read-memory-1", lambda: memory_of(1))
refused("signal-100", lambda: os.kill(100, signal.SIGKILL))
refused("pidfd-100", syscall(434, 100, 0))

# What it sees.
seen = report["seen"]
status = dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines() if ":\t" in line)
seen["status"] = {name: status[name] for name in status if name[:3] == "Cap" or name in
                  ["Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp"]}
mounts = [line.split() for line in text("/proc/self/mountinfo").splitlines()]
seen["mounts"] = {mount[4]: mount[5].split(",") for mount in mounts}
seen["devices"] = sorted(os.listdir("/dev"))
seen["cgroup"] = text("/proc/self/cgroup").strip()
seen["cgroupTree"] = os.listdir("/sys/fs/cgroup")
seen["links"] = sorted(name for _, name in socket.if_nameindex())
seen["hostname"] = socket.gethostname()
seen["descriptors"] = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1]
with open("/dev/stdout", "w") as file:
    file.write("to /dev/stdout\n")
with open("/dev/stderr", "w") as file:
    file.write("to /dev/stderr\n")

# Orphans: a grandchild whose parent is gone belongs to process 1, and must not stay as a zombie.
for _ in range(20):
    subprocess.run(["sh", "-c", "sleep 0.1 & exit 0"])
time.sleep(1)
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
seen["zombies"] = [pid for pid in pids if "State:\tZ" in text(f"/proc/{pid}/status")]
seen["others"] = sorted(pid for pid in pids if pid not in (1, os.getpid()))
seen["first"] = text("/proc/1/comm").strip()
seen["firstEnvironment"] = sorted(line.split("=")[0] for line in text("/proc/1/environ").split("\0") if line)
seen["descriptorsOfFirst"] = sorted({os.readlink(f"/proc/1/fd/{fd}").split("/")[-1] for fd in os.listdir("/proc/1/fd")})

print(json.dumps(report), flush=True)
# All that can be signalled: whoever this reaches must not be the supervisor, or the run would not end in order.
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass
try:
    os.kill(1, signal.SIGKILL)
except PermissionError:
    pass
os._exit(5)
