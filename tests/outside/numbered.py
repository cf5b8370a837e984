"""Mail with numbers, and what became of it.

A client writes down every attempt: when it sent the final dot, and what it was told. A share of the clients does what real
ones do: without an answer, or with a temporary refusal, they send the same message again. What arrived says in its Received
line under which queue ID, so that every second copy can be laid at somebody's door (see Verdict)."""
import os
import re
import socket
import threading
import time
from dataclasses import dataclass, field

ID = re.compile(rb"\nID=([0-9-]+)=")
QUEUE_ID = re.compile(rb"^Received: from .*?\n\t(?:\(.*\)\n\t)?by \S+ \(\S+\) with \S+ id (\w+)", re.M)
DELIVERED_TO = re.compile(rb"^Delivered-To: (\S+)", re.M)
ACKNOWLEDGED = re.compile(rb"^250 .*queued as (\w+)")


@dataclass
class Attempt:
    sent: float
    answer: bytes | None = None
    answered: float = 0.0


@dataclass
class Message:
    recipients: list
    size: int
    attempts: list = field(default_factory=list)

    @property
    def accepted(self):
        return any(one.answer and one.answer.startswith(b"250") for one in self.attempts)

    @property
    def queue_ids(self):
        """Under which it was acknowledged."""
        return {found[1].decode() for one in self.attempts if one.answer and (found := ACKNOWLEDGED.match(one.answer))}


@dataclass(frozen=True)
class Copy:
    """One file in the mailbox."""
    name: str
    recipient: str
    queue_id: str
    time: float


class Load:
    """Clients that send until told to stop."""

    def __init__(self, port, sessions, chance, sizes=(900,), resend=0.5, several=0.2, pause=0.0):
        self.pause = pause
        self.port, self.sizes, self.resend, self.several = port, sizes, resend, several
        self.messages, self.refusals = {}, {}
        self.accepted = 0
        self.last_accepted = 0.0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.seeds = [chance.randrange(1 << 30) for _ in range(sessions)]
        self.threads = []

    def start(self):
        self.threads = [threading.Thread(target=self._client, args=pair, daemon=True) for pair in enumerate(self.seeds)]
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def until_accepted(self, limit=60):
        """Waits until a message is taken that was sent from now on; the seconds it took, None after the limit."""
        start = time.time()
        while time.time() - start < limit:
            if self.last_accepted > start:
                return time.time() - start
            time.sleep(0.01)
        return None

    def _client(self, number, seed):
        import random
        chance = random.Random(seed)
        count, again = 0, None
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link, link.makefile("rb") as lines:
                    self._expect(lines, b"220")
                    link.sendall(b"EHLO client.example\r\n")
                    self._expect(lines, b"250")
                    while not self.over.is_set():
                        if again is None:
                            name, count = f"{number}-{count}", count + 1
                            people = ["one@example.net", "two@example.net"][:1 + (chance.random() < self.several)]
                            message = Message(people, chance.choice(self.sizes))
                        else:
                            name, message = again
                        again = (name, message) if chance.random() < self.resend else None
                        self._send(link, lines, name, message)
                        if message.accepted:
                            again = None
                        time.sleep(self.pause)
            except (OSError, ConnectionError):
                time.sleep(0.05)

    def _send(self, link, lines, name, message):
        rows = b"".join(b"RCPT TO:<%s>\r\n" % one.encode() for one in message.recipients)
        link.sendall(b"MAIL FROM:<from@example.org>\r\n" + rows + b"DATA\r\n")
        answers = [self._reply(lines) for _ in range(2 + len(message.recipients))]
        if not answers[-1].startswith(b"354"):
            # The first counts: after MAIL was refused, what follows is refused for the want of it.
            self._refused(next(answer for answer in answers if answer[:1] not in b"23"))
            if answers[-1].startswith(b"503") or answers[-1].startswith(b"554"):
                link.sendall(b"RSET\r\n")
                self._reply(lines)
                time.sleep(0.05)
                return
            raise ConnectionError
        attempt = Attempt(time.time())
        with self.lock:
            self.messages[name] = message
            message.attempts.append(attempt)
        line = b"x" * 70 + b"\r\n"
        link.sendall(b"Subject: numbered\r\n\r\nID=%s=\r\n" % name.encode() + line * max(1, message.size // 72) + b".\r\n")
        answer = self._reply(lines)
        with self.lock:
            attempt.answered, attempt.answer = time.time(), answer
            if answer.startswith(b"250"):
                self.accepted += 1
                self.last_accepted = max(self.last_accepted, attempt.sent)
        if not answer.startswith(b"250"):
            self._refused(answer)
            time.sleep(0.05)

    def _refused(self, answer):
        text = re.sub(r"\b[0-9A-F]{8,}\b", "ID", answer.decode(errors="replace").strip())
        with self.lock:
            self.refusals[text] = self.refusals.get(text, 0) + 1

    def _expect(self, lines, code):
        answer = self._reply(lines)
        if not answer.startswith(code):
            self._refused(answer)
            raise ConnectionError

    @staticmethod
    def _reply(lines):
        while True:
            line = lines.readline()
            if not line:
                raise ConnectionError
            if line[3:4] != b"-":
                return line


def arrivals(folder):
    """Every copy in a Maildir's new; a name of None stands for a mail that is not whole."""
    found = []
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        with open(entry.path, "rb") as mail:
            text = mail.read()
        name, queue_id, recipient = ID.search(text), QUEUE_ID.search(text), DELIVERED_TO.search(text)
        if not (name and queue_id and recipient):
            found.append(Copy(None, entry.name, "", entry.stat().st_ctime))
            continue
        # The change time is that of the link: the moment at which a reader can see the copy.
        found.append(Copy(name[1].decode(), recipient[1].decode(), queue_id[1].decode(), entry.stat().st_ctime))
    return found
