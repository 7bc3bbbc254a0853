#ifndef TESTS_UNIT_BASE_DIES_H
#define TESTS_UNIT_BASE_DIES_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * dies(fn): whether ${fn} ends its process by abort().  In a child of its
 * own, whose last words and core are not wanted.
 */
static bool
dies(void (*fn)(void))
{
	struct rlimit none = { 0, 0 };
	int status, fd;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		(void)setrlimit(RLIMIT_CORE, &none);
		fd = open("/dev/null", O_WRONLY);
		if (fd >= 0)
			(void)dup2(fd, STDERR_FILENO);
		fn();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return (false);
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#endif
