"""Tries every way around the proxy that an unprivileged program has, and prints what each came to, as JSON."""

import errno
import json
import os
import select
import socket
import struct
import time

UDPLITE, SCTP = 136, 132
report = {}


def attempt(name, body):
    began = time.monotonic()
    try:
        body()
        answer = "ok"
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
    report[name] = {"answer": answer, "ms": round((time.monotonic() - began) * 1000)}


def tcp(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(10)
        s.connect(address)


def datagram(address, family=socket.AF_INET, protocol=0):
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as s:
        s.sendto(b"around the proxy", address)


def ping(address, family, protocol, kind):
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as s:
        s.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 1), address)


def sctp(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM, SCTP) as s:
        s.setblocking(False)
        try:
            s.connect(address)
        except BlockingIOError:
            select.select([], [s], [], 0.5)
            raise


def connected_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("198.51.100.4", 4433))
        os.write(s.fileno(), b"by write, not sendto")


def loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        tcp(server.getsockname())
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        tcp(server.getsockname(), socket.AF_INET6)


eth0 = socket.if_nametoindex("eth0")

# Each line is a destination of its own, so that each is an attempt of its own.
attempt("tcp4", lambda: tcp(("198.51.100.1", 80)))
attempt("tcp4-metadata", lambda: tcp(("169.254.169.254", 80)))
attempt("tcp6", lambda: tcp(("2001:db8::1", 443, 0, 0), socket.AF_INET6))
attempt("tcp6-link-local", lambda: tcp(("fe80::1", 22, 0, eth0), socket.AF_INET6))
attempt("tcp6-mapped", lambda: tcp(("::ffff:198.51.100.2", 8080, 0, 0), socket.AF_INET6))
attempt("udp4", lambda: datagram(("198.51.100.3", 4433)))
attempt("udp4-connected", connected_udp)
attempt("udp4-multicast", lambda: datagram(("239.1.2.3", 5353)))
attempt("udp6", lambda: datagram(("2001:db8::2", 4433, 0, 0), socket.AF_INET6))
attempt("udp6-link-local", lambda: datagram(("fe80::2", 4433, 0, eth0), socket.AF_INET6))
attempt("udp6-multicast", lambda: datagram(("ff02::1", 5353, 0, eth0), socket.AF_INET6))
attempt("udplite4", lambda: datagram(("198.51.100.5", 5005), socket.AF_INET, UDPLITE))
attempt("udplite6", lambda: datagram(("2001:db8::5", 5005, 0, 0), socket.AF_INET6, UDPLITE))
attempt("icmp", lambda: ping(("198.51.100.6", 0), socket.AF_INET, socket.IPPROTO_ICMP, 8))
attempt("icmp6", lambda: ping(("2001:db8::6", 0, 0, 0), socket.AF_INET6, socket.IPPROTO_ICMPV6, 128))
attempt("sctp4", lambda: sctp(("198.51.100.7", 3868)))
attempt("sctp6", lambda: sctp(("2001:db8::7", 3868, 0, 0), socket.AF_INET6))
attempt("dns", lambda: datagram(("198.51.100.8", 53)))
attempt("dot", lambda: tcp(("198.51.100.8", 853)))

# The services of the guest and of the host that stand on the other side, on ports that are not the proxy's.
attempt("supervisor-ssh", lambda: tcp(("10.200.0.1", 22)))
attempt("supervisor-6", lambda: tcp(("fd74:7761:776f::1", 3128, 0, 0), socket.AF_INET6))
attempt("supervisor-udp", lambda: datagram(("10.200.0.1", 3128)))
attempt("gateway", lambda: tcp(("10.0.128.1", 3128)))
attempt("gateway-ssh", lambda: tcp(("10.0.128.1", 22)))
attempt("guest-uplink", lambda: tcp(("10.0.128.2", 22)))
attempt("gateway-6", lambda: tcp(("fd74:7761:7264::1", 22, 0, 0), socket.AF_INET6))

attempt("proxy", lambda: tcp(("10.200.0.1", 3128)))
attempt("loopback", loopback)

began = time.monotonic()
try:
    socket.getaddrinfo("upstream.test", 80)
    report["resolver"] = {"answer": "ok", "ms": 0}
except socket.gaierror as error:
    report["resolver"] = {"answer": str(error.args[0]), "ms": round((time.monotonic() - began) * 1000)}

# 200 at once, all begun before the first is waited for.
poller, pending, refused = select.poll(), {}, 0
began = time.monotonic()
for number in range(200):
    s = socket.socket()
    s.setblocking(False)
    answer = s.connect_ex(("198.51.100.200", 10000 + number))
    if answer == errno.EINPROGRESS:
        pending[s.fileno()] = s
        poller.register(s, select.POLLOUT)
    elif answer == errno.ECONNREFUSED:
        refused += 1
    else:
        raise OSError(answer, os.strerror(answer))
while pending and time.monotonic() - began < 10:
    for fd, _ in poller.poll(1000):
        s = pending.pop(fd)
        poller.unregister(fd)
        refused += s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        s.close()
report["parallel"] = {"answer": str(refused), "ms": round((time.monotonic() - began) * 1000)}

print(json.dumps(report))
