# Says which processes those of the arguments start, in order, by the kernel's process events: `PARENT CHILD`, with the pids
# of this process's own namespace. It says `watching` when it does, and all that it saw when its input ends. Ends with an
# error if the kernel had no room for an event.
#
#   forks.py PID…
#
# Source: include/uapi/linux/cn_proc.h, include/uapi/linux/connector.h.
import select
import socket
import struct
import sys

NETLINK_CONNECTOR, CN_IDX_PROC, CN_VAL_PROC = 11, 1, 1
PROC_CN_MCAST_LISTEN, PROC_CN_MCAST_IGNORE, PROC_EVENT_FORK = 1, 2, 1
SO_RCVBUFFORCE = 33
# struct nlmsghdr, struct cn_msg; of struct proc_event the kind, and from its data on parent and child, each as thread and process.
HEADER, MESSAGE = struct.Struct('=IHHII'), struct.Struct('=IIIIHH')
KIND, FORK = struct.Struct('=I'), struct.Struct('=IIII')
EVENT = HEADER.size + MESSAGE.size
DATA = EVENT + 16

parents = set(map(int, sys.argv[1:]))
seen = []


def take(datagram):
    (kind,) = KIND.unpack_from(datagram, EVENT)
    if kind != PROC_EVENT_FORK or len(datagram) < DATA + FORK.size:
        return
    _, parent, thread, child = FORK.unpack_from(datagram, DATA)
    if thread == child and parent in parents:
        seen.append((parent, child))


def tell(word):
    order = struct.pack('=I', word)
    message = MESSAGE.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(order), 0) + order
    link.send(HEADER.pack(HEADER.size + len(message), 3, 0, 0, 0) + message)


link = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
link.bind((0, CN_IDX_PROC))
tell(PROC_CN_MCAST_LISTEN)
print('watching', flush=True)
while True:
    ready, _, _ = select.select([link, sys.stdin], [], [])
    # What came before the end of the input is read first.
    if link in ready:
        take(link.recv(4096))
    elif sys.stdin.read(1) == '':
        break
tell(PROC_CN_MCAST_IGNORE)
for parent, child in seen:
    print(parent, child)
