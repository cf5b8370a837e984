// loglines LOG OFFSET TEXT COUNT SECONDS: waits until COUNT lines of LOG, read from byte OFFSET on, contain TEXT, and prints the
// time at which the last of them was there (seconds since 1970). Looks every millisecond, and starts in one: a slower watcher
// would add to the times it takes. Exit 1 if they do not come in SECONDS.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: loglines LOG OFFSET TEXT COUNT SECONDS\n");
        return 64;
    }
    static char buffer[1 << 20];
    long wanted = atol(argv[4]), found = 0;
    double deadline = now() + atof(argv[5]);
    size_t held = 0, length = strlen(argv[3]);
    int log = open(argv[1], O_RDONLY);
    if (log < 0 || lseek(log, atol(argv[2]), SEEK_SET) < 0) {
        perror(argv[1]);
        return 1;
    }
    while (found < wanted) {
        ssize_t count = read(log, buffer + held, sizeof buffer - held);
        if (count <= 0) {
            if (now() > deadline) {
                fprintf(stderr, "%s: %ld of %ld lines with \"%s\" in %s s\n", argv[1], found, wanted, argv[3], argv[5]);
                return 1;
            }
            usleep(1000);
            continue;
        }
        char *line = buffer, *end = buffer + held + count, *line_end;
        while ((line_end = memchr(line, '\n', end - line)) != NULL) {
            found += memmem(line, line_end - line, argv[3], length) != NULL;
            line = line_end + 1;
        }
        held = end - line;
        memmove(buffer, line, held);
    }
    printf("%.6f\n", now());
    return 0;
}
