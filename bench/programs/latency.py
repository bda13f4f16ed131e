# Makes COUNT refused connections, PAUSE milliseconds apart, each to another port, and says when it began each of them.
# Before that it answers every line of its input with its clock, so that whoever reads can compare the clocks.
#
#   latency.py COUNT PAUSE
import socket
import sys
import time

count, pause = int(sys.argv[1]), int(sys.argv[2]) / 1000
for line in sys.stdin:
    if line == 'go\n':
        break
    print(time.time() * 1000, flush=True)
begun = []
for number in range(count):
    time.sleep(pause)
    opened = socket.socket()
    begun.append(time.time() * 1000)
    try:
        opened.connect(('198.51.100.%d' % (1 + number % 200), 20000 + number))
    except OSError:
        pass
    opened.close()
for number, at in enumerate(begun):
    print(20000 + number, at)
