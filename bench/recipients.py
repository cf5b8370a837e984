"""Recipients in one SMTP session, fifty at a time; prints the seconds. recipients.py PORT COUNT"""
import socket
import sys
import time

port, count = int(sys.argv[1]), int(sys.argv[2])
connection = socket.create_connection(("127.0.0.1", port))
replies = connection.makefile("rb")


def reply(wanted):
    while True:
        line = replies.readline()
        if not line.startswith(wanted):
            sys.exit(f"recipients: {line!r}")
        if line[3:4] == b" ":
            return


reply(b"220")
connection.sendall(b"EHLO bench.example\r\n")
reply(b"250")
begun = time.monotonic()
done = 0
while done < count:
    batch = min(50, count - done)
    commands = b"MAIL FROM:<a@example.org>\r\n" + b"RCPT TO:<user1@example.net>\r\n" * batch + b"RSET\r\n"
    connection.sendall(commands)
    for _ in range(batch + 2):
        reply(b"250")
    done += batch
print(f"{time.monotonic() - begun:.4f}")
connection.sendall(b"QUIT\r\n")
reply(b"221")
