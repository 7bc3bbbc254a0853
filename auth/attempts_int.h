#ifndef AUTH_ATTEMPTS_INT_H
#define AUTH_ATTEMPTS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Who guessed wrong of late: three tables of a fixed size.
 *
 *	principals	wrong attempts at one, from wherever
 *	addresses	wrong attempts from one (IPv6: from one /64)
 *	friends		a principal that came with good credentials from an
 *			address before, and wrong attempts of this pair since
 *
 * The tenth wrong attempt within a minute starts a back-off of one second;
 * each one after it doubles it, up to a minute; a minute of silence behind its
 * end and all is forgotten.  An attempt that is refused is not counted, so a
 * back-off does end, also under fire.
 *
 * Between being let in and its outcome an attempt is pending, and taken for
 * the wrong one that it may turn out to be: else as many would be let in at
 * once as come at once.  A friend's is pending for the pair alone, so that the
 * good logins of one do not hold up the neighbours.  A pending one that nobody
 * ends is forgotten after a while.
 *
 * An attempt has to wait for its address; and for its principal if the address
 * has failures of its own, so that nobody locks a user out by guessing from
 * elsewhere.  A friend waits for what the pair itself did wrong, and for
 * nothing else: neither guesses at its name nor the neighbours behind the same
 * proxy keep it out.
 *
 * Success forgives the principal, the pair, and the address if all of its
 * failures were about this principal: else whoever has one good password could
 * wash off the guesses at the passwords of others.
 *
 * Time is a parameter, in milliseconds; that it steps back does no harm.
 */
#define ATTEMPTS_SETS 1024
#define ATTEMPTS_WAYS 8
#define ATTEMPTS_FREE 10 /* failures within ATTEMPTS_WINDOW_MS until then */
#define ATTEMPTS_WINDOW_MS ((int64_t)60 * 1000)
#define ATTEMPTS_BACKOFF_MAX_S 60
#define ATTEMPTS_PENDING_MS ((int64_t)30 * 1000)

struct attempts;

struct attempts *attempts_new(void);
void attempts_free(struct attempts **);

/** attempts_ask(t, principal, address, now_ms, retry_after_s_r): RC_OK: it is
 * pending from now on, until attempts_note() or attempts_cancel(); or
 * RC_LIMIT.  Any thread, as the next. */
RC_MUST_USE enum rc attempts_ask(struct attempts *, struct span principal,
    struct span address, int64_t now_ms, unsigned *retry_after_s_r);

/** attempts_look(t, principal, address, now_ms, retry_after_s_r): RC_LIMIT: it
 * is in back-off.  Nothing becomes pending, and what is pending is not held
 * against it: for who repeats an attempt that is. */
RC_MUST_USE enum rc attempts_look(struct attempts *, struct span principal,
    struct span address, int64_t now_ms, unsigned *retry_after_s_r);

void attempts_note(struct attempts *, struct span principal,
    struct span address, bool good, int64_t now_ms);

/** attempts_cancel(t, principal, address, now_ms): it came to nothing. */
void attempts_cancel(struct attempts *, struct span principal,
    struct span address, int64_t now_ms);

#endif
