#ifndef AUTH_HTPASSWD_INT_H
#define AUTH_HTPASSWD_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * The htpasswd file: one "name:hash" a line, bcrypt only; empty lines and
 * lines that begin with '#' are skipped.  All of it is good or none is taken.
 */
#define HTPASSWD_FILE_MAX_BYTES ((size_t)4 << 20)
#define HTPASSWD_LINE_MAX_BYTES 512
#define HTPASSWD_USERS_MAX 20000
/* Above it one attempt would hold a core for seconds. */
#define HTPASSWD_COST_MAX 14

struct htpasswd_user {
	struct span name;
	struct span hash;
	size_t line;
};

struct htpasswd {
	struct htpasswd_user *users; /* by name */
	size_t n;
	char *text; /* what they point into */
};

/** htpasswd_parse(text, why, n, h_r): the caller owns *${h_r}.  RC_INVALID:
 * ${why} names the line, never what stands in it behind the name. */
RC_MUST_USE enum rc
htpasswd_parse(struct span text, char *why, size_t n, struct htpasswd **h_r);
void htpasswd_free(struct htpasswd **);

/* Which file it was and when: another one of these, and it is read again. */
struct htpasswd_stamp {
	enum rc rc; /* RC_OK, or why it could not be looked at */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

/** htpasswd_look(file, stamp_r): by stat(2). */
void htpasswd_look(const char *file, struct htpasswd_stamp *stamp_r);
bool
htpasswd_stamp_eq(const struct htpasswd_stamp *, const struct htpasswd_stamp *);

/** htpasswd_load(file, why, n, stamp_r, h_r): RC_NOTFOUND, RC_DENIED...;
 * RC_INVALID: as htpasswd_parse(), or no plain file. */
RC_MUST_USE enum rc htpasswd_load(const char *file, char *why, size_t n,
    struct htpasswd_stamp *stamp_r, struct htpasswd **h_r);

#endif
