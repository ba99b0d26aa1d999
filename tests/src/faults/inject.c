/*
 * Runs a command and lets system calls of it go wrong: one of them, or many at random.
 *
 * The kernel asks this program about each call of the command (seccomp_unotify(2)), whatever made the call, so that it works with
 * programs that are linked statically, with calls that go around the C library, and with filters that the command installs itself:
 * an answer of those that is stricter than "go on" wins. What the command executes in its turn is let alone.
 *
 *   inject LOG LIMIT CALLS AFTER NTH ACTION COMMAND...
 *
 * LOG     file that gets what happened: lines of a word and its values
 * LIMIT   seconds that all of it may take
 * CALLS   names with commas between them, or `all`
 * AFTER   the name of a call: only it and those that come later count; `-` for all
 * NTH     which of those it is, from 1; 0 for none, to count them
 * ACTION  errno:NUMBER    it fails, and nothing is done
 *         errnos:NUMBER   all of them fail, whatever NTH is
 *         short           a read or a write takes half of the bytes
 *         kill            the command is killed with SIGKILL before it
 *         run:COMMAND     a shell does this before it
 *         storm:PERCENT   NTH is a seed: so many of all calls, by chance, end with EINTR
 *         halves:PERCENT  the same, but reads and writes that take half
 *
 * Its status is 0 when the log tells how the command ended, and 77 with a reason when this system can't do that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IMPOSSIBLE 77
#define LINGER_MS 10000
#define THREADS 4194304

/* What else the command does is let alone: what can't fail, or what Rust's runtime and the C library take for sure. */
static const struct call {
    const char *name;
    long number;
} calls[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(ioctl), CALL(openat), CALL(mmap), CALL(memfd_create), CALL(ftruncate), CALL(fallocate), CALL(clone3), CALL(clone),
    CALL(read), CALL(pread64), CALL(readv), CALL(write), CALL(pwrite64), CALL(writev), CALL(lseek), CALL(statx), CALL(fstat),
    CALL(newfstatat), CALL(fcntl), CALL(socketpair), CALL(socket), CALL(bind), CALL(listen), CALL(accept4), CALL(connect),
    CALL(pipe2), CALL(dup3), CALL(ppoll), CALL(recvfrom), CALL(sendto), CALL(recvmsg), CALL(sendmsg),
    CALL(wait4), CALL(waitid), CALL(execve), CALL(fsync), CALL(renameat2), CALL(linkat), CALL(unlinkat), CALL(mkdirat),
    CALL(flock), CALL(prctl), CALL(close_range), CALL(pidfd_open), CALL(prlimit64), CALL(eventfd2),
    CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(clock_nanosleep), CALL(getdents64), CALL(faccessat),
    CALL(faccessat2), CALL(readlinkat), CALL(seccomp), CALL(tgkill), CALL(setpgid), CALL(chdir), CALL(mremap),
    CALL(sched_getaffinity), CALL(copy_file_range), CALL(landlock_create_ruleset), CALL(landlock_add_rule),
    CALL(landlock_restrict_self), CALL(capset),
#ifdef SYS_open
    CALL(open), CALL(stat), CALL(lstat), CALL(access), CALL(poll), CALL(pipe), CALL(dup2), CALL(fork), CALL(vfork), CALL(rename),
    CALL(link), CALL(unlink), CALL(mkdir), CALL(rmdir), CALL(readlink), CALL(epoll_wait), CALL(fchmod),
#endif
};
#define CALLS (sizeof calls / sizeof *calls)

/* Those that a signal may end (signal(7)), as far as they are used. */
static const long interruptible[] = {
    SYS_ioctl,  SYS_openat, SYS_read,   SYS_pread64, SYS_readv,   SYS_write, SYS_pwrite64, SYS_writev,      SYS_accept4,        SYS_connect,
    SYS_ppoll,  SYS_wait4,  SYS_waitid, SYS_recvmsg, SYS_sendmsg, SYS_flock, SYS_recvfrom, SYS_epoll_pwait, SYS_clock_nanosleep,
    SYS_sendto, SYS_fsync,
#ifdef SYS_open
    SYS_open,   SYS_poll,   SYS_epoll_wait,
#endif
};

static FILE *log_file;
static pid_t command;
static int command_pidfd;
static struct stat program;
/* Of each thread that was seen: 1 when it executes the command's program, 2 when another. */
static unsigned char *seen;

static void fail(int status, const char *what) {
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    if (command > 0) {
        kill(command, SIGKILL);
    }
    exit(status);
}

static long long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static const char *name_of(long number) {
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].number == number) {
            return calls[i].name;
        }
    }
    return "?";
}

static int is_in(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) {
            return 1;
        }
    }
    return strcmp(list, "all") == 0;
}

/* Asks about all calls of the table. */
static int install(void) {
    struct sock_filter filter[2 * CALLS + 2];
    size_t size = 0;
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 1);
        filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog text = {.len = (unsigned short)size, .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &text);
}

/* Starts the command. Returns where its calls are asked about. */
static int start(char **arguments) {
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        fail(1, "memory");
    }
    command = fork();
    if (command == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int listener = install();
        shared[1] = errno;
        shared[0] = listener < 0 ? -1 : listener + 1;
        /* No call may be made until somebody answers. */
        while (listener >= 0 && shared[2] == 0) {
        }
        execv(arguments[0], arguments);
        _exit(127);
    }
    command_pidfd = (int)syscall(SYS_pidfd_open, command, 0);
    while (shared[0] == 0 && waitpid(command, NULL, WNOHANG) == 0) {
        usleep(50);
    }
    if (shared[0] <= 0) {
        errno = shared[1];
        fail(IMPOSSIBLE, "the system does not let system calls be asked about (seccomp)");
    }
    int listener = (int)syscall(SYS_pidfd_getfd, command_pidfd, shared[0] - 1, 0);
    if (listener < 0) {
        fail(IMPOSSIBLE, "the system does not hand out descriptors of other processes (pidfd_getfd)");
    }
    stat(arguments[0], &program);
    shared[2] = 1;
    return listener;
}

/* Whether a thread executes the command's own program. */
static int is_ours(uint32_t thread) {
    if (seen[thread % THREADS] == 0) {
        char path[64];
        struct stat found;
        snprintf(path, sizeof path, "/proc/%u/exe", thread);
        int same = stat(path, &found) == 0 && found.st_ino == program.st_ino && found.st_dev == program.st_dev;
        seen[thread % THREADS] = same ? 1 : 2;
    }
    return seen[thread % THREADS] == 1;
}

/* Reads or writes half of what was asked for in the place of the command. Returns 0 when this call can't be done so. */
static int halve(const struct seccomp_notif *asked, struct seccomp_notif_resp *answer) {
    static char buffer[1 << 20];
    long number = asked->data.nr;
    const __u64 *args = asked->data.args;
    int reads = number == SYS_read || number == SYS_pread64;
    int writes = number == SYS_write || number == SYS_pwrite64;
    size_t size = args[2] / 2;
    /* Descriptors and memory are the command's: a child between fork and exec has others under the same numbers. */
    char thread[64];
    snprintf(thread, sizeof thread, "/proc/%d/task/%u", (int)command, asked->pid);
    if (!(reads || writes) || size == 0 || access(thread, F_OK) != 0) {
        return 0;
    }
    if (size > sizeof buffer) {
        size = sizeof buffer;
    }
    int fd = (int)syscall(SYS_pidfd_getfd, command_pidfd, (int)args[0], 0);
    if (fd < 0) {
        return 0;
    }
    struct iovec here = {buffer, size}, there = {(void *)args[1], size};
    struct stat what;
    ssize_t done = -1;
    /* What could wait would keep this program from answering others. */
    int may_wait = fstat(fd, &what) != 0 || (reads && !S_ISREG(what.st_mode));
    if (reads && !may_wait) {
        done = number == SYS_read ? read(fd, buffer, size) : pread(fd, buffer, size, (off_t)args[3]);
        here.iov_len = there.iov_len = done > 0 ? (size_t)done : 0;
        if (done > 0 && process_vm_writev(command, &here, 1, &there, 1, 0) != done) {
            fail(1, "writing to the command's memory");
        }
    } else if (writes && process_vm_readv(command, &here, 1, &there, 1, 0) == (ssize_t)size) {
        done = number == SYS_write ? write(fd, buffer, size) : pwrite(fd, buffer, size, (off_t)args[3]);
    }
    close(fd);
    if (may_wait || done < 0) {
        return 0;
    }
    answer->flags = 0;
    answer->val = done;
    return 1;
}

static int has_chance(unsigned *seed, int percent) {
    return rand_r(seed) % 100 < percent;
}

static void answer_one(int listener, const char *list, const char **after, long nth, const char *action, long *count) {
    static unsigned seed;
    struct seccomp_notif asked;
    struct seccomp_notif_resp answer;
    memset(&asked, 0, sizeof asked);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
        return;
    }
    memset(&answer, 0, sizeof answer);
    answer.id = asked.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    long number = asked.data.nr;
    const char *name = name_of(number);
    int counts = is_ours(asked.pid);
    if (number == SYS_execve) {
        seen[asked.pid % THREADS] = 0;
    }
    if (counts && *after && strcmp(*after, name) == 0) {
        *after = NULL;
    }
    /* Rust's runtime knows no other end than the process's when a thread that begins gets no stack for its signals. When the 8 bytes
       can't be read in which a child tells that it can't execute a program, it waits for that program. A socket that a process has to
       itself gives the 1 byte that a signal handler has sent there. Sleep ends early at most, and to ask for a limit does not fail. */
    int is_runtimes = (number == SYS_mmap && asked.data.args[2] == (PROT_READ | PROT_WRITE) && (asked.data.args[3] & MAP_STACK)) ||
                      (number == SYS_recvfrom && (asked.data.args[2] == 8 || asked.data.args[2] == 1)) ||
                      (number == SYS_prlimit64 && asked.data.args[2] == 0) ||
                      (number == SYS_clock_nanosleep && strncmp(action, "errno:", 6) == 0);
    if (counts && !*after && !is_runtimes && is_in(list, name)) {
        *count += 1;
        int percent = 0, error = 0;
        if (sscanf(action, "storm:%d", &percent) == 1) {
            seed = seed ? seed : (unsigned)nth + 1;
            /* A folder is opened without waiting. */
            int waits = number != SYS_openat || !(asked.data.args[2] & O_DIRECTORY);
            for (size_t i = 0; waits && i < sizeof interruptible / sizeof *interruptible; i++) {
                if (interruptible[i] == number && has_chance(&seed, percent)) {
                    answer.flags = 0;
                    answer.error = -EINTR;
                }
            }
        } else if (sscanf(action, "halves:%d", &percent) == 1) {
            seed = seed ? seed : (unsigned)nth + 1;
            if (has_chance(&seed, percent)) {
                halve(&asked, &answer);
            }
        } else if (sscanf(action, "errnos:%d", &error) == 1) {
            answer.flags = 0;
            answer.error = -error;
        } else if (*count == nth) {
            fprintf(log_file, "hit %s %#llx %#llx %#llx\n", name, (unsigned long long)asked.data.args[0],
                    (unsigned long long)asked.data.args[1], (unsigned long long)asked.data.args[2]);
            if (sscanf(action, "errno:%d", &error) == 1) {
                answer.flags = 0;
                answer.error = -error;
            } else if (strcmp(action, "short") == 0) {
                halve(&asked, &answer);
            } else if (strcmp(action, "kill") == 0) {
                kill(command, SIGKILL);
            } else if (strncmp(action, "run:", 4) == 0) {
                fprintf(log_file, "ran %d\n", system(action + 4));
            }
        }
    }
    /* It may have gone, or a signal has ended its call: it asks again then. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Answers until the command has ended, and what it has left, too. */
static void serve(int listener, const char *list, const char *after, long nth, const char *action, long limit) {
    long count = 0;
    int has_ended = 0;
    long long end = now_ms() + limit * 1000;
    for (;;) {
        struct pollfd polled = {listener, POLLIN, 0};
        if (poll(&polled, 1, 2) > 0 && (polled.revents & POLLIN)) {
            answer_one(listener, list, &after, nth, action, &count);
        }
        int status;
        pid_t ended;
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
            if (ended == command) {
                has_ended = 1;
                end = now_ms() + LINGER_MS;
                fprintf(log_file, "%s %d\n", WIFEXITED(status) ? "status" : "signal",
                        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            }
        }
        if (ended < 0 && errno == ECHILD && has_ended) {
            break;
        }
        if (now_ms() > end) {
            fprintf(log_file, "%s\n", has_ended ? "left" : "late");
            kill(command, SIGKILL);
            break;
        }
    }
    fprintf(log_file, "calls %ld\n", count);
}

int main(int argc, char **argv) {
    if (argc < 8) {
        fprintf(stderr, "usage: inject LOG LIMIT CALLS AFTER NTH ACTION COMMAND...\n");
        return 2;
    }
    log_file = fopen(argv[1], "we");
    seen = mmap(NULL, THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!log_file || seen == MAP_FAILED) {
        fail(1, argv[1]);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int listener = start(argv + 7);
    /* A reader of the command that has gone is no matter of this program. */
    signal(SIGPIPE, SIG_IGN);
    const char *after = strcmp(argv[4], "-") == 0 ? NULL : argv[4];
    serve(listener, argv[3], after, atol(argv[5]), argv[6], atol(argv[2]));
    return fclose(log_file) == 0 ? 0 : 1;
}
