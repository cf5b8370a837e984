"""A private Postwright below a directory of its own: master, mail and agent as an administrator runs them, as root."""
import os
import random
import shutil
import signal
import socket
import subprocess
import time

from pace import Pace

ROWS = ("pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
        "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
        "trace unix - - n - 0 bounce", "error unix - - n - - error", "retry unix - - n - - error",
        "virtual unix - n n - - virtual", "local unix - n n - - local", "smtp unix - - n - - smtp",
        "relay unix - - n - - smtp", "discard unix - - n - - discard")

# Mail to example.net goes into one Maildir; what differs from test to test comes after these.
SETTINGS = """compatibility_level = 3.6
myhostname = outside.example
mydestination =
virtual_mailbox_domains = example.net
virtual_mailbox_base = {work}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {work}/queue
data_directory = {work}/data
maillog_file = {work}/maillog
maillog_file_prefixes = {work}
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10000
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
service_throttle_time = 1s
"""


class Instance:
    def __init__(self, sbin, work, settings="", rows=(), chance=random):
        self.sbin, self.work = sbin, work
        self.port = free_port(chance)
        self.inbox = f"{work}/mail/inbox/new"
        for folder in ("etc", "mail", "queue"):
            os.makedirs(f"{work}/{folder}")
        shutil.chown(f"{work}/mail", 65534, 65534)
        self.pace = Pace(work)
        with open(f"{work}/etc/main.cf", "w") as main:
            main.write(SETTINGS.format(work=work) + settings)
        with open(f"{work}/etc/master.cf", "w") as master:
            master.write("\n".join((f"127.0.0.1:{self.port} inet n - n - - smtpd", *ROWS, *rows)) + "\n")

    def run(self, command, *arguments, text="", limit=120):
        option = "-C" if command in ("sendmail", "newaliases") else "-c"
        return subprocess.run([f"{self.sbin}/{command}", option, f"{self.work}/etc", *arguments], input=text,
                              capture_output=True, text=True, timeout=limit)

    def start(self, limit=60):
        """Starts, as often as it takes: an old process may still hold the spool."""
        deadline = time.time() + limit
        while (started := self.run("postfix", "start")).returncode != 0:
            if time.time() > deadline:
                raise RuntimeError(f"start failed: {started.stderr}{self.log()[-4000:]}")
            time.sleep(0.2)

    def stop(self):
        self.run("postfix", "stop")

    def master(self):
        try:
            with open(f"{self.work}/queue/pid/master.pid") as file:
                pid = int(file.read())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def processes(self):
        """What runs: name to process number."""
        master = self.master()
        found = {"master": master} if master else {}
        for name in os.listdir("/proc") if master else ():
            if name.isdigit() and parent_of(int(name)) == master:
                words = command_of(int(name))
                for kind in ("mail", "agent"):
                    if kind in words:
                        found[kind] = int(name)
        return found

    def running(self, limit=60):
        """All three, waiting until they run."""
        deadline = time.time() + limit
        while len(found := self.processes()) < 3:
            if time.time() > deadline:
                raise RuntimeError(f"only {found} run:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return found

    def end(self):
        """Stops it, and kills what does not stop; nothing of another instance."""
        mine = self.processes()
        for pid in mine.values():
            send(pid, signal.SIGCONT)
        self.stop()
        deadline = time.time() + 20
        while any(alive(pid) for pid in mine.values()) and time.time() < deadline:
            time.sleep(0.1)
        for pid in mine.values():
            if f"{self.work}/etc" in command_of(pid):
                send(pid, signal.SIGKILL)

    def queued(self):
        """How many messages wait; None where the queue cannot be read at this moment."""
        listing = self.run("postqueue", "-j")
        return len(listing.stdout.splitlines()) if listing.returncode == 0 else None

    def drain(self, limit=180):
        """Waits until a running system says twice that the queue is empty; how many are left, None where nobody can say."""
        deadline, left, empty = time.time() + limit, None, 0
        while time.time() < deadline:
            before = self.processes()
            left = self.queued()
            # An answer counts only if the process that gave it was there before and is there after it.
            sure = "mail" in before and self.processes() == before
            empty = empty + 1 if left == 0 and sure else 0
            if empty == 2:
                return 0
            time.sleep(0.3)
        return left or None

    def log(self):
        try:
            with open(f"{self.work}/maillog", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def set(self, **settings):
        self.run("postconf", *(f"{name}={value}" for name, value in settings.items()))


# What says that a port is taken, until this process ends.
claims = []


def free_port(chance):
    """Below the range from which the kernel gives ports to others between two runs of the server, and handed out once among
    all tests of the machine, those in C# with it: a socket in the abstract name space says that it is taken."""
    for port in chance.sample(range(12_000, 32_000), 1000):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0postwright-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claims.append(claim)
        return port
    raise RuntimeError("there is no free port")


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


def alive(pid):
    return state_of(pid) not in ("", "Z")


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
