/*
 * Runs before the .NET runtime's first instruction in a set-gid program. The runtime reads DOTNET_* variables and opens files
 * before Main, so nothing that a caller controls may be left by then: the environment goes, but for MAIL_CONFIG, which the
 * program itself accepts only if the default main.cf names that directory (the empty one, of a script whose variable is not set, it
 * refuses: it is not the default). Standard descriptors that the caller closed (the C
 * library then puts unusable ones in their place) are opened on /dev/null, so that no file of ours can become somebody's standard
 * error, and a message to nobody does not end the program.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static char mail_config[1024];

static void clean_environment(void)
{
    for (int descriptor = 0; descriptor < 3; descriptor++) {
        int flags = fcntl(descriptor, F_GETFL);
        int useless = descriptor == 0 ? O_WRONLY : O_RDONLY;
        if (flags >= 0 && (flags & O_ACCMODE) != useless) {
            continue;
        }

        int null = open("/dev/null", O_RDWR);
        if (null < 0 || (null != descriptor && (dup2(null, descriptor) < 0 || close(null) != 0))) {
            _exit(1);
        }
    }

    if (getauxval(AT_SECURE) == 0) {
        return;
    }

    const char *named = getenv("MAIL_CONFIG");
    int is_kept = named != NULL && (named[0] == '/' || named[0] == '\0') && strlen(named) < sizeof(mail_config);
    if (is_kept) {
        strcpy(mail_config, named);
    }

    if (clearenv() != 0 || (is_kept && setenv("MAIL_CONFIG", mail_config, 1) != 0)) {
        _exit(1);
    }
}

__attribute__((used, section(".init_array.00101"))) static void (*const run_first)(void) = clean_environment;
