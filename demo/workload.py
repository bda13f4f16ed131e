"""What the demo runs in the sandbox: one request that the policy allows, then every kind of way around the proxy.

The addresses are of the ranges that are kept for documentation (RFC 5737, RFC 3849): nobody has them.
"""

import errno
import socket
import sys
import time
import urllib.error
import urllib.request

PORT = int(sys.argv[1])


def attempt(what, action):
    begun = time.monotonic()
    try:
        seen = action()
    except urllib.error.HTTPError as error:
        seen = f"{error.code} {error.read(300).decode('utf-8', 'replace').strip()}"
    except OSError as error:
        cause = getattr(error, "reason", error)
        name = errno.errorcode.get(getattr(cause, "errno", None), type(cause).__name__)
        seen = f"{name}: {cause}"
    print(f"  {what:<46} {(time.monotonic() - begun) * 1000:6.0f} ms  {seen}", flush=True)


def get(url):
    # Python's library takes the proxy from the environment that tapwarden sets.
    with urllib.request.urlopen(url, timeout=10) as response:
        return f"{response.status} {response.read(200).decode().strip()}"


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        plain.settimeout(5)
        plain.connect(address)
    return "CONNECTED, which must not be"


def send(family, protocol, kind, address, payload):
    with socket.socket(family, kind, protocol) as plain:
        plain.settimeout(1)
        plain.sendto(payload, address)
        # What is sent is not yet what arrives: an answer would be.
        plain.recv(100)
    return "ANSWERED, which must not be"


echo_request = b"\x08\x00\x00\x00\x00\x01\x00\x01tapwarden"

attempt("GET demo.example, which is allowed", lambda: get(f"http://demo.example:{PORT}/"))
attempt("GET elsewhere.example, which is not", lambda: get("http://elsewhere.example/"))
attempt("TCP to 198.51.100.7, port 443", lambda: connect(socket.AF_INET, ("198.51.100.7", 443)))
attempt(
    "UDP to 198.51.100.7, port 53",
    lambda: send(socket.AF_INET, 0, socket.SOCK_DGRAM, ("198.51.100.7", 53), b"query"),
)
attempt("IPv6, TCP to 2001:db8::7, port 443", lambda: connect(socket.AF_INET6, ("2001:db8::7", 443)))
attempt(
    "ICMP, a ping to 198.51.100.7",
    lambda: send(socket.AF_INET, socket.IPPROTO_ICMP, socket.SOCK_DGRAM, ("198.51.100.7", 0), echo_request),
)
