#!/usr/bin/env python3
"""A receiver of notifications that can be told how to behave.

usage: hook_server.py DIR [CERT KEY]

Listens on a free port of 127.0.0.1, which it writes to DIR/port. Each body goes, as a line, to
DIR/got, path and headers to DIR/headers. DIR/mode, read anew for each request, says what to do:
a status ("200", "500"), or "hang" (no answer for a minute), "trickle" (an answer that does not
end), "cut" (hangs up).
"""
import http.server
import os
import ssl
import sys
import time

folder = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(os.path.join(folder, "mode")).read().strip()
        with open(os.path.join(folder, "headers"), "a") as f:
            f.write("%s\n%s" % (self.path, self.headers))
        with open(os.path.join(folder, "got" if mode.isdigit() else "unanswered"), "ab") as f:
            f.write(mode.encode() + b" " + body + b"\n")
        if mode == "hang":
            time.sleep(60)
        if not mode.isdigit():
            if mode == "trickle":
                self.trickle()
            self.close_connection = True
            return
        self.send_response(int(mode))
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def trickle(self):
        try:
            self.send_response(200)
            self.end_headers()
            for _ in range(600):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(os.path.join(folder, "port.new"), "w") as f:
    f.write("%d\n" % server.server_port)
os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
server.serve_forever()
