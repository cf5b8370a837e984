"""A day's mail: who is written to, what was accepted, and what became of it.

Every accepted message and recipient must come to one of these ends: a copy in the Maildir, taken by the remote server, named in
a bounce that came back to the sender, or deleted by the administrator."""
import os
import random
import re
import socket
import threading
import time

NUMBER = re.compile(r"^X-Number: (\S+)", re.M)
FAILED = re.compile(r"^Final-Recipient: rfc822; (\S+)", re.M)
DELIVERED_TO = re.compile(r"^Delivered-To: (\S+)", re.M)
QUEUED_AS = re.compile(rb"^250 .*queued as (\w+)")
SENDER = "sender@example.net"
MEMBERS = [f"member{i}@example.net" for i in range(5)]
LISTS = ("list@outside.example", "team@alias.example")
SIZES = [300] * 8 + [4_000] * 6 + [20_000] * 4 + [200_000] * 2 + [1_500_000]


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.open, self.done, self.queue_ids = {}, set(), {}
        self.names = self.again = self.strange = self.deleted = 0
        self.ends = {"mailbox": 0, "remote": 0, "bounced": 0}

    def name(self):
        with self.lock:
            self.names += 1
            return str(self.names)

    def expect(self, name, recipients):
        """Before it is sent: it may arrive before its 250."""
        with self.lock:
            self.open[name] = {"accepted": 0.0, "left": {m for one in recipients for m in (MEMBERS if one in LISTS else (one,))}}

    def accept(self, name, queue_id=None):
        with self.lock:
            if name in self.open:
                self.open[name]["accepted"] = time.time()
                self._close(name)
            if queue_id:
                self.queue_ids[queue_id] = name

    def arrive(self, end, name, recipient):
        with self.lock:
            message = self.open.get(name)
            if message and recipient in message["left"]:
                message["left"].discard(recipient)
                self.done.add(hash((name, recipient)))
                self.ends[end] += 1
                self._close(name)
            elif hash((name, recipient)) in self.done:
                self.again += 1
            else:
                self.strange += 1

    def delete(self, queue_id):
        """The administrator deleted it: whatever had not come to an end need not."""
        with self.lock:
            if name := self.queue_ids.pop(queue_id, None):
                self.done |= {hash((name, one)) for one in self.open.pop(name, {"left": ()})["left"]}
                self.deleted += 1

    def waiting(self):
        """Accepted and not at an end."""
        with self.lock:
            return {name: one["left"] for name, one in self.open.items() if one["accepted"] and one["left"]}

    def _close(self, name):
        one = self.open[name]
        if one["accepted"] and not one["left"]:
            del self.open[name]


class Traffic:
    """SMTP clients, sendmail, and a reader that empties the mailbox."""

    def __init__(self, server, ledger, seed, rate):
        self.server, self.ledger, self.rate = server, ledger, rate
        self.over, self.read_on = threading.Event(), threading.Event()
        self.accepted, self.refusals = 0, {}
        self.seed = seed
        self.threads = []

    def start(self, clients=8):
        for number in range(clients):
            self.threads.append(threading.Thread(target=self._client, args=(random.Random(self.seed + number), clients / self.rate), daemon=True))
        self.threads.append(threading.Thread(target=self._sendmail, args=(random.Random(self.seed - 1),), daemon=True))
        self.reader = threading.Thread(target=self._read, daemon=True)
        for thread in (*self.threads, self.reader):
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def stop_reading(self):
        self.read_on.set()
        self.reader.join(60)
        self.empty_mailbox()

    def _recipients(self, chance):
        people = [f"user{chance.randrange(50)}@example.net" for _ in range(chance.choice((1, 1, 1, 1, 2, 3, 10, 25)))]
        draw = chance.random()
        if draw < 0.20:
            people.append(f"{chance.choice(('ok', 'ok', 'flaky', 'never', 'reject', 'cut'))}-{chance.randrange(9)}@remote.test")
        elif draw < 0.23:
            people.append(f"nobody{chance.randrange(3)}@dead.test")
        elif draw < 0.30:
            people.append(chance.choice(LISTS))
        elif draw < 0.32:
            people = [f"ok-{i}@remote.test" for i in range(5)]
        return list(dict.fromkeys(people))

    @staticmethod
    def _content(name, size):
        return f"From: {SENDER}\nSubject: a day\nX-Number: {name}\n\n" + ("x" * 70 + "\n") * max(1, size // 71)

    def _client(self, chance, pause):
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as link, link.makefile("rb") as lines:
                    self._expect(lines, b"220")
                    link.sendall(b"EHLO client.example\r\n")
                    self._expect(lines, b"250")
                    for _ in range(chance.randrange(1, 30)):
                        if self.over.is_set():
                            break
                        self._message(chance, link, lines)
                        time.sleep(pause * chance.uniform(0.2, 1.8))
                    link.sendall(b"QUIT\r\n")
            except (OSError, ConnectionError):
                time.sleep(0.1)

    def _message(self, chance, link, lines):
        people, name = self._recipients(chance), self.ledger.name()
        link.sendall(f"MAIL FROM:<{SENDER}>\r\n".encode())
        self._expect(lines, b"250")
        for one in people:
            link.sendall(f"RCPT TO:<{one}>\r\n".encode())
            self._expect(lines, b"250")
        link.sendall(b"DATA\r\n")
        self._expect(lines, b"354")
        self.ledger.expect(name, people)
        link.sendall(self._content(name, chance.choice(SIZES)).replace("\n", "\r\n").encode() + b".\r\n")
        answer = self._expect(lines, b"250")
        self.ledger.accept(name, QUEUED_AS.match(answer)[1].decode())
        self.accepted += 1

    def _sendmail(self, chance):
        while not self.over.wait(chance.uniform(0.5, 1.5)):
            people, name = self._recipients(chance), self.ledger.name()
            self.ledger.expect(name, people)
            done = self.server.run("sendmail", "-f", SENDER, *people, text=self._content(name, chance.choice(SIZES[:18])))
            if done.returncode == 0:
                self.ledger.accept(name)
                self.accepted += 1
            else:
                self._refused(f"sendmail {done.returncode}: {done.stderr.strip()[:80]}")

    def _expect(self, lines, code):
        while True:
            line = lines.readline()
            if not line:
                raise ConnectionError
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            self._refused(re.sub(r"\b[0-9A-F]{8,}\b", "ID", line.decode(errors="replace").strip()))
            raise ConnectionError
        return line

    def _refused(self, text):
        self.refusals[text] = self.refusals.get(text, 0) + 1

    def _read(self):
        while not self.read_on.wait(0.5):
            self.empty_mailbox()

    def empty_mailbox(self):
        for entry in os.scandir(self.server.inbox) if os.path.isdir(self.server.inbox) else ():
            with open(entry.path, errors="replace") as mail:
                text = mail.read()
            os.remove(entry.path)
            name = NUMBER.search(text)
            if "Content-Type: multipart/report" in text[:4000]:
                for one in FAILED.findall(text):
                    self.ledger.arrive("bounced", name[1] if name else "", one)
            else:
                recipient = DELIVERED_TO.search(text)
                self.ledger.arrive("mailbox", name[1] if name else "", recipient[1] if recipient else "")
