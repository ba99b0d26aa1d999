/*
 * Stands in for QEMU: speaks as much of its machine protocol as a run takes, and does what no QEMU does. What that is stands in the file
 * `behaviour` beside it, as environment and arguments are the runner's to choose.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char behaviour[256], folder[4096];
static int control, memory, rom, debug_console, crtc;

static void say(const char *line)
{
    if (write(control, line, strlen(line)) < 0)
        exit(98);
}

/* Waits for a line; gives whether one came. */
static int hear(void)
{
    char byte;
    ssize_t count;
    while ((count = read(control, &byte, 1)) == 1)
        if (byte == '\n')
            return 1;
    return 0;
}

static void rest(void)
{
    for (;;)
        pause();
}

static void flood(int descriptor, const char *text)
{
    for (;;)
        if (write(descriptor, text, strlen(text)) < 0)
            rest();
}

/* Goes on when this is the behaviour; gives what stands behind it in `argument`. */
static const char *argument;
static int is(const char *name)
{
    size_t length = strlen(name);
    if (strncmp(behaviour, name, length) || (behaviour[length] && behaviour[length] != '='))
        return 0;
    argument = behaviour[length] ? behaviour + length + 1 : "";
    return 1;
}

/* Prints what came of trying something: 0 or the error's number. */
static void tried(const char *what, long result)
{
    dprintf(1, "%s: %d\n", what, result < 0 ? errno : 0);
}

static void try_open(const char *what, const char *path, int flags)
{
    int file = open(path, flags, 0600);
    tried(what, file);
    if (file >= 0)
        close(file);
}

static char *beside(const char *name)
{
    static char path[5000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int execute(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, (char *)0);
        _exit(errno);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return -1;
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

static int map(int file)
{
    char *bytes = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED)
        return -1;
    *bytes = 1;
    return 0;
}

static void limit(const char *what, int resource)
{
    struct rlimit limit;
    getrlimit(resource, &limit);
    dprintf(1, "%s: %lld %lld\n", what, (long long)limit.rlim_cur, (long long)limit.rlim_max);
}

static void confined(char **environment)
{
    pid_t runner = getppid();
    char path[64], byte = 0;
    for (char **variable = environment; *variable; variable++)
        dprintf(1, "environment: %s\n", *variable);
    for (int number = 0; number < 4096; number++) {
        int flags = fcntl(number, F_GETFD);
        if (flags >= 0)
            dprintf(1, "descriptor: %d\n", number);
    }
    limit("file size", RLIMIT_FSIZE);
    limit("descriptors", RLIMIT_NOFILE);
    limit("core", RLIMIT_CORE);
    dprintf(1, "no_new_privs: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    dprintf(1, "seccomp: %d\n", prctl(PR_GET_SECCOMP));
    dprintf(1, "landlock: %ld\n", syscall(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION));
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct sets[2];
    syscall(SYS_capget, &header, sets);
    dprintf(1, "capabilities: %x %x %x\n", sets[0].effective | sets[1].effective, sets[0].permitted | sets[1].permitted,
            sets[0].inheritable | sets[1].inheritable);
    int bounds = 0;
    for (int number = 0; number < 64; number++)
        bounds += prctl(PR_CAPBSET_READ, number) == 1;
    dprintf(1, "bounds: %d\n", bounds);
    dprintf(1, "leads: %d %d\n", getsid(0) == getpid(), getpgid(0) == getpid());

    try_open("read its own", beside("behaviour"), O_RDONLY);
    try_open("read a program", "/bin/sh", O_RDONLY);
    try_open("write nowhere", "/dev/null", O_WRONLY);
    tried("execute a program", execute("/bin/true"));
    tried("execute what is not there", execute("/bin/there-is-no-such"));
    tried("write memory", map(memory));

    try_open("write its own", beside("behaviour"), O_WRONLY);
    try_open("create", beside("new"), O_WRONLY | O_CREAT);
    try_open("create in /tmp", "/tmp/stos-run-stand-in-was-here", O_WRONLY | O_CREAT);
    try_open("create in /dev/shm", "/dev/shm/stos-run-stand-in-was-here", O_WRONLY | O_CREAT);
    tried("make a folder", mkdir(beside("folder"), 0700));
    tried("remove", unlink(beside("behaviour")));
    tried("truncate", truncate(beside("behaviour"), 0));
    tried("link", symlink("/etc", beside("link")));
    try_open("read /etc/passwd", "/etc/passwd", O_RDONLY);
    try_open("list home", getenv("HOME"), O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/secret", getenv("HOME"));
    try_open("read a secret", path, O_RDONLY);
    snprintf(path, sizeof path, "%s/program", getenv("HOME"));
    tried("execute another's", execute(path));
    snprintf(path, sizeof path, "/proc/%d/environ", runner);
    try_open("read the runner's environment", path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/mem", runner);
    try_open("write the runner's memory", path, O_RDWR);

    tried("cut memory off", ftruncate(memory, 0));
    tried("change the firmware", map(rom));
    tried("connect (inet)", socket(AF_INET, SOCK_STREAM, 0));
    tried("connect (inet, packets)", socket(AF_INET, SOCK_DGRAM, 0));
    tried("connect (unix)", socket(AF_UNIX, SOCK_STREAM, 0));
    tried("trace the runner", ptrace(PTRACE_SEIZE, runner, 0, 0));
    struct iovec here = { &byte, 1 };
    tried("read the runner", process_vm_readv(runner, &here, 1, &here, 1, 0));
    tried("leave its session", setsid());
    tried("leave its group", setpgid(0, 0));
    tried("make a user namespace", unshare(CLONE_NEWUSER));
    tried("clone into a user namespace", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    tried("use io_uring", syscall(SYS_io_uring_setup, 1, path));
    tried("become another", setresuid(12345, 12345, 12345));
    tried("kill the runner", kill(runner, 0));
    dprintf(1, "end\n");
}

int main(int count, char **arguments, char **environment)
{
    snprintf(folder, sizeof folder, "%s", arguments[0]);
    *strrchr(folder, '/') = 0;
    int file = open(beside("behaviour"), O_RDONLY);
    if (file < 0 || read(file, behaviour, sizeof behaviour - 1) < 0)
        return 97;
    close(file);
    int has_filter = 0;
    for (int number = 1; number < count; number++) {
        sscanf(arguments[number], "socket,id=control,fd=%d", &control);
        sscanf(arguments[number], "memory-backend-file,id=ram,mem-path=/proc/self/fd/%d", &memory);
        sscanf(arguments[number], "file,id=debug,path=/proc/self/fd/%d", &debug_console);
        sscanf(arguments[number], "file,id=crtc,path=/proc/self/fd/%d", &crtc);
        if (!strcmp(arguments[number - 1], "-bios"))
            sscanf(arguments[number], "/proc/self/fd/%d", &rom);
        has_filter |= !strcmp(arguments[number], "-sandbox");
    }

    /* Before it says anything. */
    if (is("exit first"))
        return atoi(argument);
    if (is("refuse -sandbox") && has_filter) {
        fprintf(stderr, "qemu-stand-in: -sandbox on: -sandbox support is not enabled in this QEMU binary\n");
        return 1;
    }
    if (is("violate -sandbox") && has_filter)
        raise(SIGSYS);
    if (is("need home")) {
        char path[4200];
        snprintf(path, sizeof path, "%s/needed", getenv("HOME"));
        if (open(path, O_RDONLY) < 0)
            return 1;
    }
    if (is("close first"))
        close(control), rest();
    if (is("say nothing"))
        rest();
    if (is("stop first"))
        raise(SIGSTOP);
    if (is("say nonsense"))
        say("nonsense\n[1, 2\n\n"), exit(0);
    if (is("say nonsense for ever"))
        flood(control, "{}\n");
    if (is("say no line"))
        flood(control, "                                                                ");
    if (is("say half"))
        say("{\"QMP\": {"), exit(0);
    say("{\"QMP\": {}}\n");
    if (is("close second"))
        close(control), rest();
    if (!hear())
        return 96;
    if (is("refuse"))
        say("{\"error\": {\"desc\": \"not today\"}}\n"), rest();
    if (is("greet again"))
        say("{\"QMP\": {}}\n"), rest();
    if (is("exit third"))
        return 0;
    if (is("say events for ever first"))
        flood(control, "{\"event\": \"STOP\"}\n");
    say("{\"return\": {}}\n");
    if (is("close fourth"))
        close(control), rest();
    if (!hear())
        return 95;

    /* While the guest runs. */
    if (is("tell"))
        confined(environment), rest();
    if (is("count") || is("need home") || is("refuse -sandbox") || is("violate -sandbox"))
        dprintf(1, "%s\n", has_filter ? "filtered" : "unfiltered"), exit(1);
    if (is("exit"))
        syscall(SYS_exit_group, atoi(argument));
    if (is("die"))
        signal(atoi(argument), SIG_DFL), kill(getpid(), atoi(argument)), rest();
    if (is("close"))
        close(control), rest();
    if (is("answer nothing"))
        for (;;)
            if (!hear())
                rest();
    if (is("stop"))
        raise(SIGSTOP), rest();
    if (is("say no line later"))
        flood(control, "                                                                ");
    if (is("say events for ever"))
        flood(control, "{\"event\": \"STOP\"}\n");
    if (is("answer for ever"))
        flood(control, "{\"return\": \"EAX=00000000\"}\n");
    if (is("ignore quit"))
        say("{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n"), rest();
    if (is("print for ever"))
        flood(1, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
    if (is("print for ever to the debug console"))
        flood(debug_console, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
    if (is("complain for ever"))
        flood(2, "qemu: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    if (is("log for ever"))
        flood(2, "     1: v=0d e=001a i=0 cpl=0 IP=0008:c010004a pc=c010004a SP=0010:c03fffe4 x=0\nEAX=0\nCR0=1\n");
    if (is("select for ever"))
        flood(crtc, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20");
    if (is("leave a child")) {
        if (fork() == 0)
            rest();
        exit(5);
    }
    return 94;
}
