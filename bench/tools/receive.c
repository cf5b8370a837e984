// receive PORT [COUNT]: an SMTP server that reads and throws away, with as little work as possible: one thread, one buffer, no look at
// the content but for its last five bytes. A ceiling for large messages, where smtp-sink reads slower than a real server.
// Only for clients that wait for each reply, such as smtp-source; it offers no pipelining. With COUNT it ends after so many messages, or
// when terminated, and prints the time of the last (seconds since 1970) and the number; it then acknowledges at once, for clients that write
// the dot on its own.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DESCRIPTOR = 4096, BUFFER = 1 << 20, TAIL = 5 };
static struct { char in_data, tail[TAIL]; } sessions[MAX_DESCRIPTOR];
static char buffer[BUFFER];
static long wanted, received;
static struct timespec last;

static void report(int signal) {
    (void)signal;
    printf("%ld.%06ld %ld\n", last.tv_sec, last.tv_nsec / 1000, received);
    fflush(stdout);
    _exit(0);
}

static void reply(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) {
        perror("receive: write");
    }
}

static void keep_tail(char *tail, const char *bytes, ssize_t count) {
    if (count >= TAIL) {
        memcpy(tail, bytes + count - TAIL, TAIL);
    } else {
        memmove(tail, tail + count, TAIL - count);
        memcpy(tail + TAIL - count, bytes, count);
    }
}

// False when the session is over.
static int serve(int fd) {
    ssize_t count = recv(fd, buffer, BUFFER, 0);
    if (count <= 0) {
        return 0;
    }
    if (wanted > 0) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    }
    if (sessions[fd].in_data) {
        keep_tail(sessions[fd].tail, buffer, count);
        if (memcmp(sessions[fd].tail, "\r\n.\r\n", TAIL) == 0) {
            sessions[fd].in_data = 0;
            reply(fd, "250 2.0.0 Ok\r\n");
            if (wanted > 0) {
                clock_gettime(CLOCK_REALTIME, &last);
                if (++received == wanted) {
                    report(0);
                }
            }
        }
        return 1;
    }
    switch (buffer[0]) {
        case 'D':
            sessions[fd].in_data = 1;
            memset(sessions[fd].tail, 0, TAIL);
            reply(fd, "354 End data with <CR><LF>.<CR><LF>\r\n");
            return 1;
        case 'Q':
            reply(fd, "221 2.0.0 Bye\r\n");
            return 0;
        default:
            reply(fd, "250 2.0.0 Ok\r\n");
            return 1;
    }
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: receive PORT [COUNT]\n");
        return 64;
    }
    wanted = argc == 3 ? atol(argv[2]) : 0;
    if (wanted > 0) {
        signal(SIGTERM, report);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1000) != 0) {
        perror("receive");
        return 1;
    }
    struct epoll_event watch = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &watch);
    for (;;) {
        int count = epoll_wait(poll, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                fd = accept(listener, NULL, NULL);
                if (fd < 0 || fd >= MAX_DESCRIPTOR) {
                    perror("receive: accept");
                    return 1;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                sessions[fd].in_data = 0;
                watch.data.fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &watch);
                reply(fd, "220 bench ESMTP\r\n");
            } else if (!serve(fd)) {
                close(fd);
            }
        }
    }
}
