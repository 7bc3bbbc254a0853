#ifndef TESTS_UNIT_REGISTRYCTL_CTL_TOOLS_H
#define TESTS_UNIT_REGISTRYCTL_CTL_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "registryctl/command.h"

/*
 * Commands run as in a process of their own, and a server of a few lines for
 * them to talk to.
 */

/* --- commands ------------------------------------------------------------ */

struct ran {
	int code;	/* of its exit */
	char out[8192]; /* standard output and error, cut off there */
	char err[8192];
};

/* The end of the words of run(). */
#define END ((const char *)NULL)

/**
 * run(command, data, input, argv..., END):
 * In a child, with ${input} on its standard input; ${argv} without the
 * command's name.  A static result.
 */
const struct ran *run(const struct command *, const char *data,
    const char *input, ...) __attribute__((sentinel));

/* --- a server ------------------------------------------------------------ */

/* What is asked next, and what is said to it. */
struct stub_turn {
	const char *request; /* how its line begins; NULL: the end */
	int status;
	const char *answer;
	bool interrupt; /* who asks, with SIGINT, before it is answered */
};

/* Answers every request of every connection alike, or turn by turn, and keeps
 * the last one. */
struct stub {
	int fd, port;
	int status;
	const char *answer; /* the body */
	char head[16384];   /* of the last request, NUL behind */
	char body[16384];
	unsigned n_requests;
	char posted[16384];	       /* the body of the last POST */
	const struct stub_turn *turns; /* instead of .status and .answer */
	size_t turn;		       /* the next one */
	void *thread;
	char path[128]; /* of its socket, or "" */
};

/** stub_start(s, path): on a UNIX socket, or where it is NULL on a free port
 * of 127.0.0.1. */
void stub_start(struct stub *, const char *path);
void stub_stop(struct stub *);

/** stub_expect(s, turns): from now on, ended by a row of zeros; NULL: all
 * alike.  A request out of turn is answered with 500 and named in the
 * message. */
void stub_expect(struct stub *, const struct stub_turn *turns);

/** stub_satisfied(s): every turn was taken. */
bool stub_satisfied(const struct stub *);

/** stub_header(s, name, out, n): of the last request; "" if it is not there.
 * Returns ${out}. */
const char *
stub_header(const struct stub *, const char *name, char *out, size_t n);

/* --- files --------------------------------------------------------------- */

/** file_put(path, text). */
void file_put(const char *path, const char *text);

/** environment_clear(): of all that registryctl looks for. */
void environment_clear(void);

#endif
