/*
 * Owns the measurement of one program, or of many runs of it side by side. A program of its own, and a small one: a process
 * counts the memory of the one that started it as its own peak until it has its program (setmax_mm_hiwater_rss in the
 * kernel's exec), so what starts it must be smaller than anything measured.
 *
 *   stopwatch run STREAM SECONDS PROGRAM ARGUMENT...        STREAM is 1 or 2: where the guest's output is
 *   stopwatch batch RUNS AT_A_TIME SECONDS PROGRAM ARGUMENT...
 *
 * It counts the marks that the guest prints, takes the last eight hexadecimal digits for a checksum, and prints one line of
 * `name=value` words: times in nanoseconds of the monotonic clock since just before the start, processor time in microseconds,
 * memory in KiB. The stream that is not measured is its standard error. After SECONDS it ends
 * what it has started. Whatever a program leaves behind becomes a child of this one, which waits for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the guests print. No monitor says it, so that warnings between the guest's bytes do not count. */
#define MARK '~'
#define MOST_AT_A_TIME 64
/* How long something may outlive the program that has started it. */
#define PATIENCE 2000

static long long begin;

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec - begin;
}

static int checked(const char *what, int result)
{
	if (result < 0) {
		perror(what);
		exit(125);
	}
	return result;
}

static long long microseconds(const struct rusage *use)
{
	return (use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000LL + use->ru_utime.tv_usec + use->ru_stime.tv_usec;
}

static int marks(const char *bytes, ssize_t size)
{
	int count = 0;

	for (ssize_t i = 0; i < size; i++)
		count += bytes[i] == MARK;
	return count;
}

/* Starts the program with `output` as its stream number `stream`, and the other one as our standard error. */
static pid_t start(char **words, int stream, int output)
{
	pid_t child = checked("vfork", vfork());

	if (child == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		dup2(output, stream);
		execv(words[0], words);
		_exit(127);
	}
	return child;
}

/*
 * Waits for what the program has left behind, of which `count` have ended already and took `rest`: what all took, how many
 * there were, and whether any is still there.
 */
static void wait_for_the_rest(int count, long long rest)
{
	long long deadline = now() + PATIENCE * 1000000LL;
	struct timespec pause = { .tv_nsec = 100000 };
	struct rusage use;
	pid_t ended;

	while ((ended = wait4(-1, NULL, WNOHANG | __WALL, &use)) >= 0 && now() < deadline) {
		if (ended == 0) {
			nanosleep(&pause, NULL);
			continue;
		}
		count++;
		rest += microseconds(&use);
	}
	printf(" gone=%lld left_behind=%d left_behind_cpu=%lld still_there=%d", now(), count, rest, ended >= 0);
}

/* What has come from the guest. */
struct output {
	long long first, last, bytes;
	unsigned checksum;
};

/* Shifts a hexadecimal digit into the checksum; other bytes are none. */
static void take_digit(struct output *output, char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = memchr(digits, byte, sizeof digits - 1);

	if (digit)
		output->checksum = output->checksum << 4 | (unsigned)(digit - digits);
}

/* Reads what is there; false at the end, or when nothing is there. */
static int take(int file, struct output *output)
{
	static char buffer[1 << 16];
	ssize_t size = read(file, buffer, sizeof buffer);
	int count = marks(buffer, size);

	if (count != 0) {
		output->last = now();
		if (output->bytes == 0)
			output->first = output->last;
		output->bytes += count;
	}
	for (const char *byte = buffer; byte < buffer + size; byte++)
		take_digit(output, *byte);
	return size > 0;
}

static void run(int stream, int seconds, char **words)
{
	struct output output = { .first = -1, .last = -1 };
	struct pollfd files[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct rusage use;
	int pipe[2], status, is_late = 0;
	long long end;
	pid_t child;

	checked("pipe", pipe2(pipe, O_CLOEXEC));
	begin = now();
	child = start(words, stream, pipe[1]);
	close(pipe[1]);
	/* Until the program has ended, whoever else may still hold the pipe. */
	checked("pidfd_open", files[1].fd = (int)syscall(SYS_pidfd_open, child, 0));
	files[0].fd = pipe[0];
	while (!(files[1].revents & POLLIN)) {
		long long left = seconds * 1000LL - now() / 1000000;

		if (checked("poll", poll(files, 2, left > 0 ? (int)left : 0)) == 0) {
			is_late = 1;
			kill(child, SIGKILL);
			break;
		}
		if (files[0].revents && !take(pipe[0], &output))
			files[0].fd = -1;
	}
	checked("wait4", wait4(child, &status, 0, &use));
	end = now();
	/* What it wrote just before it ended. */
	checked("fcntl", fcntl(pipe[0], F_SETFL, O_NONBLOCK));
	while (take(pipe[0], &output))
		;
	printf("first=%lld last=%lld end=%lld bytes=%lld", output.first, output.last, end, output.bytes);
	printf(" checksum=%u", output.checksum);
	printf(" status=%d signal=%d late=%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0, is_late);
	printf(" cpu=%lld memory=%ld minor_faults=%ld major_faults=%ld voluntary_switches=%ld involuntary_switches=%ld",
	       microseconds(&use), use.ru_maxrss, use.ru_minflt, use.ru_majflt, use.ru_nvcsw, use.ru_nivcsw);
	wait_for_the_rest(0, 0);
	printf("\n");
}

static void nothing(int signal)
{
	(void)signal;
}

static void batch(int runs, int at_a_time, int seconds, char **words)
{
	pid_t children[MOST_AT_A_TIME] = { 0 };
	long long cpu = 0, rest = 0, end;
	int pipe[2], running = 0, started = 0, differ = 0, ended_all = 0, first_status = 0, left_behind = 0, is_late = 0;
	struct sigaction alarm_action = { .sa_handler = nothing };
	struct output output = { .first = -1, .last = -1 };

	checked("pipe", pipe2(pipe, O_CLOEXEC));
	/* One byte of each run waits here. */
	checked("fcntl", fcntl(pipe[0], F_SETFL, O_NONBLOCK));
	checked("sigaction", sigaction(SIGALRM, &alarm_action, NULL));
	alarm((unsigned)seconds);
	begin = now();
	while (started < runs || running != 0) {
		struct rusage use;
		int status, slot = 0;
		pid_t ended;

		if (started < runs && running < at_a_time) {
			while (children[slot] != 0)
				slot++;
			children[slot] = start(words, STDOUT_FILENO, pipe[1]);
			started++;
			running++;
			continue;
		}
		ended = wait4(-1, &status, __WALL, &use);
		if (ended < 0 && errno == EINTR) {
			is_late = 1;
			started = runs;
			for (slot = 0; slot < at_a_time; slot++)
				if (children[slot] != 0)
					kill(children[slot], SIGKILL);
			continue;
		}
		checked("wait4", ended);
		while (slot < at_a_time && children[slot] != ended)
			slot++;
		if (slot == at_a_time) {
			left_behind++;
			rest += microseconds(&use);
			continue;
		}
		children[slot] = 0;
		running--;
		cpu += microseconds(&use);
		if (ended_all++ == 0)
			first_status = status;
		differ += status != first_status;
	}
	end = now();
	while (take(pipe[0], &output))
		;
	printf("end=%lld cpu=%lld bytes=%lld differ=%d late=%d", end, cpu, output.bytes, differ, is_late);
	printf(" status=%d signal=%d", WIFEXITED(first_status) ? WEXITSTATUS(first_status) : -1,
	       WIFSIGNALED(first_status) ? WTERMSIG(first_status) : 0);
	wait_for_the_rest(left_behind, rest);
	printf("\n");
}

int main(int count, char **words)
{
	int null;

	checked("prctl", prctl(PR_SET_CHILD_SUBREAPER, 1));
	checked("/dev/null", null = open("/dev/null", O_RDONLY));
	checked("dup2", dup2(null, STDIN_FILENO));
	if (count >= 5 && strcmp(words[1], "run") == 0) {
		run(atoi(words[2]), atoi(words[3]), words + 4);
	} else if (count >= 6 && strcmp(words[1], "batch") == 0 && atoi(words[3]) <= MOST_AT_A_TIME) {
		batch(atoi(words[2]), atoi(words[3]), atoi(words[4]), words + 5);
	} else {
		fputs("stopwatch: see the top of its source\n", stderr);
		return 125;
	}
	return 0;
}
