// pace PORT SESSIONS RATE COUNT: sends COUNT messages of 1,000 bytes at RATE a second over SESSIONS sessions, whatever the server
// does (message n is due at n/RATE; when no session is free it waits for one), and prints, in milliseconds, the time from
// the final dot to its reply, and the rate that came about:
//   p50 p99 max rate-achieved waited-for-a-session
// The first tenth is not counted.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SESSIONS = 1000, REPLY = 512 };
enum state { GREETING, HELLO, IDLE, MAIL, RCPT, DATA, DOT };
static struct session { int fd; enum state state; int held; long number; double dot; char reply[REPLY]; } sessions[MAX_SESSIONS];
static int idle[MAX_SESSIONS], idle_count;
static char message[2048];
static size_t message_length;
static double *times;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void say(struct session *session, const char *text, size_t length, enum state next) {
    session->state = next;
    if (write(session->fd, text, length) != (ssize_t)length) {
        fail("pace: write");
    }
}

static void command(struct session *session, const char *text, enum state next) { say(session, text, strlen(text), next); }

// Goes on after a whole reply; true when a message is done.
static int go_on(struct session *session) {
    char expected = session->state == DATA ? '3' : '2';
    if (session->reply[0] != expected) {
        fprintf(stderr, "pace: unexpected reply: %.*s", session->held, session->reply);
        exit(1);
    }
    switch (session->state) {
        case GREETING: command(session, "EHLO client.example\r\n", HELLO); return 0;
        case MAIL: command(session, "RCPT TO:<to@example.net>\r\n", RCPT); return 0;
        case RCPT: command(session, "DATA\r\n", DATA); return 0;
        case DATA:
            session->dot = now();
            say(session, message, message_length, DOT);
            return 0;
        default:
            if (session->state == DOT) {
                times[session->number] = now() - session->dot;
            }
            int done = session->state == DOT;
            session->state = IDLE;
            idle[idle_count++] = session - sessions;
            return done;
    }
}

// Reads what came; true when a message is done.
static int hear(struct session *session) {
    ssize_t count = read(session->fd, session->reply + session->held, REPLY - session->held);
    if (count <= 0) {
        fail("pace: the server closed a session");
    }
    session->held += count;
    // The last line of a reply has a blank after its code (RFC 5321, 4.2).
    if (session->reply[session->held - 1] != '\n') {
        return 0;
    }
    char *line = memrchr(session->reply, '\n', session->held - 1);
    line = line == NULL ? session->reply : line + 1;
    if (line[3] != ' ') {
        return 0;
    }
    int done = go_on(session);
    session->held = 0;
    return done;
}

static int ascending(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

int main(int argc, char **argv) {
    if (argc != 5 || atoi(argv[2]) > MAX_SESSIONS) {
        fprintf(stderr, "usage: pace PORT SESSIONS RATE COUNT\n");
        return 64;
    }
    int session_count = atoi(argv[2]), one = 1;
    double rate = atof(argv[3]);
    long total = atol(argv[4]), sent = 0, done = 0, waited = 0;
    times = calloc(total, sizeof *times);
    message_length = sprintf(message, "From: <from@example.org>\r\nTo: <to@example.net>\r\nSubject: pace\r\n\r\n");
    while (message_length < 1000) {
        message_length += sprintf(message + message_length, "%.*s\r\n", 76, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX");
    }
    message_length += sprintf(message + message_length, ".\r\n");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int poll = epoll_create1(0);
    for (int i = 0; i < session_count; i++) {
        sessions[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(sessions[i].fd, (struct sockaddr *)&address, sizeof address) != 0) {
            fail("pace: connect");
        }
        setsockopt(sessions[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event watch = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(poll, EPOLL_CTL_ADD, sessions[i].fd, &watch);
    }
    struct epoll_event ready[256];
    double begun = 0;
    while (done < total) {
        // The clock starts when every session has said its EHLO.
        if (begun == 0 && idle_count == session_count) {
            begun = now();
        }
        double pause = 0.1;
        while (begun != 0 && sent < total) {
            double due = begun + sent / rate, time = now();
            if (due > time) {
                pause = due - time;
                break;
            }
            if (idle_count == 0) {
                break;
            }
            waited += time - due > 0.001;
            struct session *session = &sessions[idle[--idle_count]];
            session->number = sent++;
            command(session, "MAIL FROM:<from@example.org>\r\n", MAIL);
        }
        struct timespec timeout = {.tv_nsec = pause * 1e9};
        int count = epoll_pwait2(poll, ready, 256, &timeout, NULL);
        for (int i = 0; i < count; i++) {
            done += hear(&sessions[ready[i].data.u32]);
        }
        if (begun != 0 && now() - begun > 60 + 4 * total / rate) {
            fprintf(stderr, "pace: %ld of %ld messages\n", done, total);
            return 1;
        }
    }
    double seconds = now() - begun;
    long skipped = total / 10, counted = total - skipped;
    qsort(times + skipped, counted, sizeof *times, ascending);
    printf("%.2f %.2f %.2f %.0f %ld\n", times[skipped + counted / 2] * 1e3, times[skipped + counted * 99 / 100] * 1e3,
        times[total - 1] * 1e3, total / seconds, waited);
    return 0;
}
