# Begins COUNT connections at once that are refused, and says how long each took to learn of it, in milliseconds; -1 for
# one that did not within LIMIT seconds.
#
#   refuse.py COUNT LIMIT
import errno
import resource
import select
import socket
import sys
import time

count, limit = int(sys.argv[1]), float(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 64) if hard > 0 else count + 64, hard))
poll = select.epoll()
refusals = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM)
begun, taken = {}, {}


def look(wait):
    for descriptor, _ in poll.poll(wait):
        opened, at = begun[descriptor]
        # A reset says that it is refused, an ICMP error that the host cannot be reached.
        if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in refusals:
            taken[descriptor] = time.monotonic() - at
        poll.unregister(descriptor)


for number in range(count):
    opened = socket.socket()
    opened.setblocking(False)
    at = time.monotonic()
    status = opened.connect_ex(('198.51.100.%d' % (1 + number % 4), 1024 + number))
    begun[opened.fileno()] = (opened, at)
    if status == errno.EINPROGRESS:
        poll.register(opened.fileno(), select.EPOLLOUT)
    elif status in refusals:
        taken[opened.fileno()] = time.monotonic() - at
    # As a program does that has an event loop: it learns of the first while it begins the last.
    look(0)
until = time.monotonic() + limit
while len(taken) < count and time.monotonic() < until:
    look(0.1)
for descriptor in begun:
    print(taken[descriptor] * 1000 if descriptor in taken else -1)
