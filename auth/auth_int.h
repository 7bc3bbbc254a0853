#ifndef AUTH_AUTH_INT_H
#define AUTH_AUTH_INT_H

#include <pthread.h>

#include "auth/attempts_int.h"
#include "auth/auth.h"
#include "auth/auth_tools_int.h"
#include "auth/directory_int.h"
#include "auth/htpasswd_int.h"
#include "auth/password_int.h"

/*
 * The room's object.  Three kinds of state:
 *
 *	- what never changes after auth_open(): the seal keys, the names;
 *	- the directory, replaced as a whole under directory_lock, which is
 *	  held for the time it takes to count a reference;
 *	- what changes it, under change_lock, which is held while metadata are
 *	  read and written: one change or refresh at a time.
 *
 * change_lock is taken before directory_lock.  Passwords, attempts and notes
 * have locks of their own that nothing else is taken under; but under that of
 * the flights those of the gate, of the memory and of the attempts are.
 */
#define AUTH_MAGIC 0x41555448u
#define AUTH_CHANGE_TRIES 32

/* When access keys were used last, until it is written.  A fixed number; what
 * finds no place is not noted before the next flush. */
#define NOTES_PLACES 4096
#define NOTE_WAYS 8

struct note {
	char id[IAM_ID_BYTES]; /* empty: free */
	char service[16];
	char region[32];
	int64_t used_ms;
};

struct notes {
	pthread_mutex_t lock;
	struct note *places; /* NULL: none noted */
};

struct auth {
	unsigned magic;
	struct meta *meta;
	char account[ACCOUNT_BYTES + 1];
	char *region;
	char *master_key_file;
	bool master_key_in_environment;
	struct seal_key secrets, tokens;

	pthread_mutex_t directory_lock;
	struct directory *directory;

	pthread_mutex_t change_lock; /* over all below */
	char *htpasswd_file;	     /* NULL: none */
	char **htpasswd_policies;
	size_t n_htpasswd_policies;
	struct htpasswd *htpasswd;
	struct htpasswd_stamp htpasswd_stamp; /* as it was looked at last */
	bool stale; /* the directory is older than what was committed */

	struct password_gate gate;
	struct password_flights flights;
	struct password_memory memory;
	struct attempts *attempts;
	struct notes notes;
};

/** auth_why(why, rc, fmt, ...): write ${why} and return ${rc}. */
enum rc auth_why(char why[AUTH_WHY_BYTES], enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** auth_directory_update(a): read it anew if the entities have changed.  Under
 * change_lock. */
RC_MUST_USE enum rc auth_directory_update(struct auth *);

/* The seal keys (auth_keys.c). */
/** auth_keys_open(a, options, why): as auth_open(); tells the account, too. */
RC_MUST_USE enum rc auth_keys_open(
    struct auth *, const struct auth_options *, char why[AUTH_WHY_BYTES]);

/** auth_secret_seal(a, id, secret, out): the sealed secret of an access key;
 * ${out} has room for SECRET_KEY_BYTES - 1 + SEAL_OVERHEAD_BYTES. */
void auth_secret_seal(
    struct auth *, struct span id, struct span secret, uint8_t *out);

/* Notes (auth_notes.c). */
void notes_init(struct notes *);
void notes_fini(struct notes *);
/** auth_note_get(a, id, note_r): the last use, noted or written.
 * RC_NOTFOUND: never. */
RC_MUST_USE enum rc
auth_note_get(struct auth *, struct span id, struct note *note_r);

#endif
