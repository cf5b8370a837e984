"""Somebody else's mail server: takes, refuses, puts off and cuts, as the recipient's name says and chance decides."""
import random
import re
import socketserver
import threading

NUMBER = re.compile(rb"^X-Number: (\S+)", re.M)


class Remote:
    """On a free port of 127.0.0.1; tells `delivered(name, recipient)` what it has taken."""

    def __init__(self, delivered, seed):
        chance, lock = random.Random(seed), threading.Lock()

        def roll():
            with lock:
                return chance.random()

        class Session(socketserver.StreamRequestHandler):
            timeout = 30

            def handle(self):
                try:
                    self.serve()
                except (OSError, EOFError):
                    pass

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def line(self):
                line = self.rfile.readline(70_000)
                if not line:
                    raise EOFError
                return line

            def serve(self):
                if roll() < 0.05:
                    self.say("421 4.3.2 come back later")
                    return
                self.say("220 remote.test ESMTP")
                people = []
                while True:
                    line = self.line()
                    verb = line[:4].upper()
                    if verb == b"QUIT":
                        self.say("221 2.0.0 bye")
                        return
                    if verb == b"EHLO":
                        self.wfile.write(b"250-remote.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
                    elif verb == b"RCPT":
                        self.recipient(line[line.index(b"<") + 1:line.index(b">")].decode(), people)
                    elif verb == b"DATA" and people:
                        self.say("354 go on")
                        if not self.data(people):
                            return
                        people = []
                    elif verb == b"DATA":
                        self.say("554 5.5.1 no valid recipients")
                    else:
                        if verb in (b"RSET", b"MAIL"):
                            people = []
                        self.say("250 2.0.0 ok")

            def recipient(self, address, people):
                kind = address.split("@")[0].split("-")[0]
                if kind == "never" or (kind == "flaky" and roll() < 0.5):
                    self.say("450 4.2.1 not now")
                elif kind == "reject":
                    self.say("550 5.1.1 nobody here")
                else:
                    people.append(address)
                    self.say("250 2.1.5 ok")

            def data(self, people):
                content = []
                while (line := self.line()) != b".\r\n":
                    content.append(line)
                cut = any(one.startswith("cut") for one in people)
                fate = roll() if cut else 1
                if fate < 0.2:
                    return False
                name = NUMBER.search(b"".join(content))
                for one in people:
                    delivered(name[1].decode() if name else "", one)
                if fate < 0.4:
                    return False
                self.say("250 2.0.0 taken")
                return True

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Session)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
