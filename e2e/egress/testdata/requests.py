"""Makes requests through the proxy that the environment names, by curl and by hand; prints the answers as JSON."""

import json
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

web, other, echo, closed, sneaky = (int(word) for word in sys.argv[1:6])
proxy = urlsplit(os.environ["HTTP_PROXY"])
report = {}


def curl(name, *arguments):
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code} %{http_connect}",
                           *arguments], capture_output=True, text=True)
    body, _, codes = done.stdout.rpartition("\n")
    report[name] = {"body": body, "codes": codes, "status": done.returncode}


def read_head(stream):
    lines = []
    while (line := stream.readline().decode("latin1").rstrip("\r\n")) != "":
        lines.append(line)
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers


def answer(stream):
    status, headers = read_head(stream)
    return {"status": status, "body": stream.read(int(headers.get("content-length", 0))).decode()}


curl("allowed", f"http://upstream.test:{web}/a?b=c")
curl("allowed-post", "--data", "x=1", "--header", "Host: evil.test", f"http://upstream.test:{web}/post")
curl("other-port", f"http://upstream.test:{other}/")
curl("other-host", "http://evil.test/")
curl("loopback-name", f"http://sneaky.test:{sneaky}/")
# Without the environment's exceptions for the workload's own loopback: these go to the proxy.
curl("loopback-address", "--noproxy", "", f"http://127.0.0.2:{sneaky}/")
curl("loopback-mapped", "--noproxy", "", f"http://[::ffff:127.0.0.1]:{sneaky}/")
curl("unreachable", f"http://upstream.test:{closed}/")
curl("tunnel", "--proxytunnel", f"http://upstream.test:{web}/tunnelled")
curl("tunnel-refused", "--proxytunnel", "http://evil.test/")

# Requests on one kept-alive connection, each decided by itself.
with socket.create_connection((proxy.hostname, proxy.port), 20) as connection:
    stream = connection.makefile("rb")
    report["kept-alive"] = []
    for url in [f"http://upstream.test:{web}/first", "http://evil.test/second", f"http://upstream.test:{web}/third"]:
        connection.sendall(f"GET {url} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n\r\n".encode())
        report["kept-alive"].append(answer(stream))

# A tunnel to something that is not HTTP, of which one side ends before the other.
with socket.create_connection((proxy.hostname, proxy.port), 20) as connection:
    connection.sendall(f"CONNECT upstream.test:{echo} HTTP/1.1\r\nHost: upstream.test:{echo}\r\n\r\n".encode())
    stream = connection.makefile("rb")
    status, _ = read_head(stream)
    connection.sendall(b"hello through the tunnel")
    connection.shutdown(socket.SHUT_WR)
    report["echo"] = {"status": status, "body": stream.read().decode()}

# Ambiguous framing, and a request as to a web server.
for name, head in [("two-lengths", f"POST http://upstream.test:{web}/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
                   ("origin-form", f"GET /origin HTTP/1.1\r\nHost: upstream.test:{web}\r\n\r\n")]:
    with socket.create_connection((proxy.hostname, proxy.port), 20) as connection:
        connection.sendall(head.encode())
        report[name] = answer(connection.makefile("rb"))

report["environment"] = {name: os.environ.get(name) for name in
                         ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "NODE_USE_ENV_PROXY"]}
print(json.dumps(report))
