#ifndef TESTS_AUTH_TOOLS_H
#define TESTS_AUTH_TOOLS_H

#include <jansson.h>
#include <stdbool.h>

#include "auth/auth.h"
#include "storage/entities.h"
#include "storage/store.h"

/*
 * A folder with a store and the auth room over it, for tests.  A failure ends
 * the test.
 */
#define ACCOUNT "000000000000"
#define OTHER_ACCOUNT "111122223333"
#define PLACE_PATH_BYTES 512

struct place {
	char dir[PLACE_PATH_BYTES];
	char data[PLACE_PATH_BYTES];
	char key_file[PLACE_PATH_BYTES];
	char htpasswd[PLACE_PATH_BYTES]; /* its path; no file at first */
	struct store *store;
	struct meta *meta;
	struct auth *auth;
	struct auth_options options;
	char why[AUTH_WHY_BYTES];
};

/** place_make(p), place_remove(p): with and away with all. */
void place_make(struct place *);
void place_remove(struct place *);
/** place_store(p), place_stop(p): without the auth room; close all. */
void place_store(struct place *);
void place_stop(struct place *);
/** place_auth(p): open it; the code. */
enum rc place_auth(struct place *);

/** ask(p, rc, fmt, ...): a request, which must end with ${rc}; single quotes
 * in it stand for double ones.  The answer, NULL after a failure, is the
 * caller's. */
json_t *ask(struct place *, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** did(p, fmt, ...): a request that succeeds and whose answer is nothing. */
#define did(p, ...) json_decref(ask((p), RC_OK, __VA_ARGS__))
/** refused(p, rc, part, fmt, ...): it must be, and say ${part}. */
#define refused(p, rc, part, ...) \
	do { \
		assert_null(ask((p), (rc), __VA_ARGS__)); \
		if (strstr((p)->why, (part)) == NULL) \
			fail_msg( \
			    "\"%s\" does not say \"%s\"", (p)->why, (part)); \
	} while (0)

/** str_at(o, path): of "User.UserName"; fails if it is no string. */
const char *str_at(const json_t *, const char *path);
/** at(o, path): NULL: not there. */
const json_t *at(const json_t *, const char *path);

/** write_file(path, text): replaced as a whole. */
void write_file(const char *path, const char *text);
char *read_file(const char *path);

/** user_of(p, d, name): its principal, in the registry's account. */
const struct principal *
user_of(struct place *, const struct directory *, const char *name);

/** may(p, name, action): would its own policies allow it on repository
 * "app"? */
bool may(struct place *, const char *name, const char *action);

#endif
