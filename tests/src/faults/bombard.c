/*
 * Runs a command and sends it signals until it ends: to it, to each of its threads, and to what it has started.
 *
 *   bombard LOG SEED COMMAND...
 *
 * They are those that ask for nothing: a window of another size, a child that ended, urgent data, going on, and stopping, after which it
 * goes on a moment later. LOG gets how many were sent. The status is the command's, or 128 and the signal that has ended it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 64
#define PACE_US 300

static const int asking_nothing[] = {SIGWINCH, SIGCHLD, SIGURG, SIGCONT, SIGSTOP};

/* The numbers that a folder or a file of /proc holds. */
static int numbers(const char *path, int is_folder, int *found)
{
	int count = 0, number;
	if (is_folder) {
		DIR *folder = opendir(path);
		struct dirent *entry;
		while (folder && count < MOST && (entry = readdir(folder)))
			if ((number = atoi(entry->d_name)) > 0)
				found[count++] = number;
		if (folder)
			closedir(folder);
		return count;
	}
	FILE *file = fopen(path, "r");
	while (file && count < MOST && fscanf(file, "%d", &number) == 1)
		found[count++] = number;
	if (file)
		fclose(file);
	return count;
}

/* What `process` has started, or itself. */
static int somebody(int process)
{
	char path[64];
	int children[MOST], count;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", process, process);
	count = numbers(path, 0, children);
	return count && rand() % 3 == 0 ? children[rand() % count] : process;
}

int main(int argc, char **argv)
{
	int status = 0, sent = 0;
	if (argc < 4)
		return 64;
	srand((unsigned)atoi(argv[2]));
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		char path[64];
		int threads[MOST], to = somebody(child);
		int number = asking_nothing[rand() % (int)(sizeof asking_nothing / sizeof *asking_nothing)];
		snprintf(path, sizeof path, "/proc/%d/task", to);
		int count = numbers(path, 1, threads);
		if (count == 0 || rand() % 4 == 0)
			sent += kill(to, number) == 0;
		else
			sent += syscall(SYS_tgkill, to, threads[rand() % count], number) == 0;
		usleep(PACE_US);
		if (number == SIGSTOP)
			kill(to, SIGCONT);
	}
	FILE *log = fopen(argv[1], "w");
	if (!log || fprintf(log, "%d\n", sent) < 0 || fclose(log) != 0)
		return 74;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
