#ifndef REGISTRYCTL_CLIENT_H
#define REGISTRYCTL_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

/*
 * The way to the server that serves a folder: HTTP over DIR/control.sock,
 * which takes only its own user and root.
 */
#define CLIENT_WHY_BYTES 1024

struct client;

/**
 * client_open(data, why, client_r):
 * RC_NOTFOUND: no server serves the folder ${data}.  RC_DENIED, RC_IO: ${why}
 * says what to do.
 */
RC_MUST_USE enum rc client_open(
    const char *data, char why[CLIENT_WHY_BYTES], struct client **client_r);

/** client_close(c): takes NULL. */
void client_close(struct client **);

/**
 * client_call(c, method, path, body, why, doc_r):
 * Ask, with the JSON ${body} unless it is NULL (a POST); *${doc_r} is the JSON
 * answer, the caller's, or NULL for an answer without one.  RC_FAILED: the
 * server refused, and ${why} is what it said; RC_IO: no answer.
 */
RC_MUST_USE enum rc
client_call(struct client *, const char *method, const char *path,
    const json_t *body, char why[CLIENT_WHY_BYTES], json_t **doc_r);

/* A body of any length: ${read} fills in at most ${room} bytes; 0 at the end,
 * below 0: it cannot go on. */
struct client_body {
	long (*read)(void *arg, void *p, size_t room);
	void *arg;
	int64_t bytes; /* how long it is; below 0: not known */
};

/**
 * client_send(c, path, body, why, doc_r):
 * POST ${body} as it is read, for as long as it takes.  The codes of
 * client_call(); RC_CANCELLED: ${read} could not go on.
 */
RC_MUST_USE enum rc client_send(struct client *, const char *path,
    const struct client_body *, char why[CLIENT_WHY_BYTES], json_t **doc_r);

#endif
