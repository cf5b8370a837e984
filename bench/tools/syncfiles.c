// syncfiles DIR BYTES THREADS SECONDS: how many files of BYTES a second the disk takes, each created, written, synced and
// unlinked, by THREADS at a time. What any system that keeps such messages in files must at least do.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *directory;
static char *content;
static size_t bytes;
static double deadline;
static long done;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void *write_files(void *number) {
    char path[4096];
    for (long file = 0; now() < deadline; file++) {
        snprintf(path, sizeof path, "%s/sync-%ld-%ld", directory, (long)number, file);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0 || write(fd, content, bytes) != (ssize_t)bytes || fdatasync(fd) != 0 || close(fd) != 0 || unlink(path) != 0) {
            perror(path);
            exit(1);
        }
        __atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 5 || atoi(argv[3]) < 1 || atoi(argv[3]) > 256) {
        fprintf(stderr, "usage: syncfiles DIR BYTES THREADS SECONDS\n");
        return 64;
    }
    directory = argv[1];
    bytes = atol(argv[2]);
    content = malloc(bytes);
    memset(content, 'X', bytes);
    pthread_t threads[256];
    double begun = now();
    deadline = begun + atof(argv[4]);
    for (long i = 0; i < atoi(argv[3]); i++) {
        pthread_create(&threads[i], NULL, write_files, (void *)i);
    }
    for (long i = 0; i < atoi(argv[3]); i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%.0f\n", done / (now() - begun));
    return 0;
}
