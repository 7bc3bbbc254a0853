#ifndef REGISTRYCTL_WORK_H
#define REGISTRYCTL_WORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "registryctl/client.h"
#include "registryctl/command.h"

/*
 * Work that the server that serves the folder does, for the commands that need
 * one: a request that is answered at once, or a job that is waited for.  A
 * command that does its work here where no server runs has it waited for in
 * the same way.
 */
struct work {
	struct client *client;
	char why[CLIENT_WHY_BYTES];
};

/** work_find(w, ctl): RC_NOTFOUND: nobody serves the folder, of which nothing
 * is said.  RC_DENIED, RC_IO: the server cannot be reached; that has been
 * said. */
RC_MUST_USE enum rc work_find(struct work *, const struct ctl *);

/** work_open(w, ctl): false: nobody serves the folder, or the server cannot be
 * reached; that has been said. */
bool work_open(struct work *, const struct ctl *);

/** work_close(w): also of one that was not found. */
void work_close(struct work *);

/** work_path(path, key, value, ...): "${path}?key=value&...", with values as
 * they have to be written there; ends with a NULL key, leaves out NULL values.
 * The caller frees it. */
char *work_path(const char *path, ...);

/** work_ask(w, method, path, body): the answer, the caller's; NULL: it was
 * refused or there was none, and that has been said. */
json_t *work_ask(
    struct work *, const char *method, const char *path, const json_t *body);

/** work_told(ctl, answer, done, name): the answer to a change, which is taken
 * over, as JSON, or "${done} ${name}" for people; NULL: that it failed has been
 * said. */
enum ctl_exit work_told(
    const struct ctl *, json_t *answer, const char *done, const char *name);

struct work_job {
	const char *path;   /* to POST to; not of one that runs here */
	const json_t *body; /* or NULL */
	const char *list;   /* a member that grows, and is asked for in pieces;
			       NULL: none */
	const char *what;   /* "the collection" */
	/* One line for a terminal while it runs; may be NULL. */
	void (*progress)(const json_t *job);
	/* What is new of the list, for people; may be NULL. */
	void (*news)(const json_t *fresh);
};

/* How to have a job done here. */
struct work_here {
	/* false: it cannot be begun; that has been said. */
	bool (*begin)(void *arg);
	/* As the server would answer: the list from number ${since} on. */
	json_t *(*look)(void *arg, uint64_t since);
	void (*cancel)(void *arg);
	void *arg;
};

/**
 * work_run(w, ctl, job):
 * Start it, or join the one that runs, and wait for its end; an interrupt
 * cancels it, unless others wait for it, too.  The job as it ended, with all of its list and
 * with "joined", the caller's; NULL: no job came of it, and that has been said.
 */
json_t *work_run(struct work *, const struct ctl *, const struct work_job *);

/** work_run_here(here, ctl, job): the same where no server runs. */
json_t *work_run_here(
    const struct work_here *, const struct ctl *, const struct work_job *);

/** work_is_done(job): it got to its end. */
bool work_is_done(const json_t *job);

/** work_code(job, what): CTL_OK: it is done; else why is said. */
enum ctl_exit work_code(const json_t *job, const char *what);

#endif
