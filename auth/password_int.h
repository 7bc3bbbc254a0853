#ifndef AUTH_PASSWORD_INT_H
#define AUTH_PASSWORD_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth_tools_int.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * Passwords are stored as libcrypt hashes them: bcrypt here, and what else it
 * knows is taken as it comes.  To hash is to use a core for a tenth of a
 * second or so on purpose, which shapes all of this: only a few at once,
 * as few again waiting for them, who brings what is being hashed already waits
 * for that, and what was verified is remembered for a while.
 */
#define PASSWORD_MAX_BYTES 72	   /* of a new one: bcrypt sees no more */
#define PASSWORD_TRY_MAX_BYTES 511 /* of one that is tried: libcrypt's */
#define PASSWORD_HASH_BYTES 384
#define PASSWORD_COST 10

/** password_new(password, out, why, n): hash one that is to be set.
 * RC_INVALID: empty, longer than PASSWORD_MAX_BYTES, or with a NUL in it. */
RC_MUST_USE enum rc password_new(
    struct span password, char out[PASSWORD_HASH_BYTES], char *why, size_t n);

/** password_plausible(password): could it be anybody's?  Asked first, the same
 * whoever it is said to be of. */
bool password_plausible(struct span password);

/** password_matches(password, hash): hashes; a plausible one only. */
bool password_matches(struct span password, const char *hash);

/** password_dummy(): a hash that is nobody's, of the usual cost. */
const char *password_dummy(void);

/*
 * Who may hash now.  Who waits holds one of the server's workers, as who hashes
 * does; so both together are at most half of them, and guesses leave the others
 * to those who know their password.
 */
#define PASSWORD_WORKERS_UNKNOWN 8
#define PASSWORD_WAIT_MS 2000

struct password_gate {
	pthread_mutex_t lock;
	pthread_cond_t room;
	unsigned running, running_max;
	unsigned waiting, waiting_max;
	long wait_ms;
};

/** password_gate_init(g, workers): a quarter of the workers (0: not known) may
 * hash, no more than there are cores and at least one; as many more may wait,
 * none with less than four workers. */
void password_gate_init(struct password_gate *, unsigned workers);
/** password_gate_size(g, cores, workers): the same for so many cores. */
void password_gate_size(struct password_gate *, long cores, unsigned workers);
void password_gate_fini(struct password_gate *);
/** password_gate_enter(g): RC_LIMIT: too many wait (told at once), or it took
 * too long. */
RC_MUST_USE enum rc password_gate_enter(struct password_gate *);
void password_gate_leave(struct password_gate *);

/*
 * What is being hashed.  Clients send many requests with one password at once,
 * most of all when they have just started; one of them hashes, and the others
 * join it and take over what comes of it.  Who joins holds a worker, too, so
 * they may not be more than leave a quarter of the workers to others, counted
 * with those at the gate; but always as many as one client sends.
 */
#define PASSWORD_JOINED_FREE 16

struct password_flight {
	struct password_flight *next;
	uint8_t tag[AUTH_MAC_BYTES];
	unsigned joined;
	bool landed; /* the next two are known */
	enum rc rc;
	bool same;
};

struct password_flights {
	pthread_mutex_t lock; /* the gate's and the memory's come behind it */
	pthread_cond_t landed;
	struct password_flight *first;
	unsigned joined, blocked_max;
};

void password_flights_init(struct password_flights *, unsigned workers);
void password_flights_fini(struct password_flights *);
/** password_flight_find(f, tag), password_flight_begin(f, tag): under the
 * lock.  Each one begun must be ended. */
struct password_flight *password_flight_find(
    const struct password_flights *, const uint8_t tag[AUTH_MAC_BYTES]);
struct password_flight *password_flight_begin(
    struct password_flights *, const uint8_t tag[AUTH_MAC_BYTES]);
/** password_flight_end(f, flight, rc, same): takes the lock, tells who has
 * joined, and takes ${flight}. */
void password_flight_end(
    struct password_flights *, struct password_flight *, enum rc rc, bool same);
/** password_flight_join(f, flight, gate, same_r): under the lock, which is
 * given away while it waits.  What it was ended with; RC_LIMIT: too many have
 * joined. */
RC_MUST_USE enum rc password_flight_join(struct password_flights *,
    struct password_flight *, struct password_gate *, bool *same_r);

/*
 * What was verified.  An entry is a keyed hash over user, password, address and
 * stored hash (so that nobody else guesses at what one client has shown) under a key that only this process ever had, so the table holds nothing
 * that could be guessed against later, and a changed password misses it.
 */
#define PASSWORD_MEMORY_NS ((int64_t)5 * 60 * 1000000000)
#define PASSWORD_MEMORY_SETS 512
#define PASSWORD_MEMORY_WAYS 4

struct password_seen {
	uint8_t tag[AUTH_MAC_BYTES];
	int64_t until_ns; /* 0: free; moved on by each use */
};

struct password_memory {
	pthread_mutex_t lock;
	uint8_t key[AUTH_MAC_BYTES];
	struct password_seen seen[PASSWORD_MEMORY_SETS][PASSWORD_MEMORY_WAYS];
};

void password_memory_init(struct password_memory *);
void password_memory_fini(struct password_memory *);
/** password_tag(m, t, hash, out): the name of an entry. */
struct auth_try;
void password_tag(const struct password_memory *, const struct auth_try *,
    struct span hash, uint8_t out[AUTH_MAC_BYTES]);
/** password_remembered(m, tag, now): if so, for as long again. */
bool password_remembered(struct password_memory *,
    const uint8_t tag[AUTH_MAC_BYTES], int64_t now_ns);
void password_remember(struct password_memory *,
    const uint8_t tag[AUTH_MAC_BYTES], int64_t now_ns);

#endif
