#include "auth/auth_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Passwords.  In order of cost: what was verified of late is remembered; what
 * is being hashed just now is joined; the rest is hashed, few at a time.
 *
 * A guess is an attempt to be hashed, so who leads asks the attempts before,
 * and is pending in them meanwhile.  Who joins has the same user and password
 * and learns nothing that the leader does not: it is not pending, so that the
 * parallel requests of one client do not hold each other up, and when the
 * password turns out wrong it counts as one more wrong attempt, as it would
 * have coming later.
 */

/* What the password is held against, and whether that can succeed at all. */
struct proof {
	const struct dir_user *user; /* NULL: none, or none with a password */
	const char *hash;
	uint8_t tag[AUTH_MAC_BYTES];
};

static void
proof_find(struct auth *a, const struct directory *d, const struct auth_try *t,
    struct proof *p)
{

	p->user = dir_user_find(d, directory_account(d), t->name);
	if (p->user != NULL && p->user->proof.n == 0)
		p->user = NULL;
	p->hash = p->user != NULL ? p->user->proof.p : dir_dummy(d, t->name);
	if (p->hash == NULL)
		p->hash = password_dummy();
	password_tag(&a->memory, t, span_of(p->hash), p->tag);
}

/* Asked for nobody as well, so that both take the same time. */
static bool
proof_remembered(struct auth *a, const struct proof *p)
{

	return (password_remembered(&a->memory, p->tag, clock_mono_ns()) &&
		p->user != NULL);
}

static enum rc
proof_outcome(const struct proof *p, bool same)
{

	return (same && p->user != NULL ? RC_OK : RC_DENIED);
}

static enum rc
proof_done(const struct proof *p, enum rc rc,
    const struct principal **principal_r, uint8_t mark_r[16])
{

	if (rc != RC_OK)
		return (rc);
	*principal_r = &p->user->principal;
	memcpy(mark_r, p->user->mark, 16);
	return (RC_OK);
}

/* --- leading and joining ------------------------------------------------- */

/* The flight has begun.  What comes of it is noted before the others are told,
 * so that theirs come behind it. */
static enum rc
lead(struct auth *a, const struct auth_try *t, const struct proof *p,
    struct password_flight *flight)
{
	bool same = false;
	enum rc rc;

	rc = password_gate_enter(&a->gate);
	if (rc == RC_OK) {
		same = password_matches(t->password, p->hash);
		password_gate_leave(&a->gate);
	}
	if (rc == RC_OK && proof_outcome(p, same) == RC_OK)
		password_remember(&a->memory, p->tag, clock_mono_ns());
	if (rc == RC_OK)
		attempts_note(a->attempts, t->name, t->address,
		    proof_outcome(p, same) == RC_OK, t->now_ms);
	else
		attempts_cancel(a->attempts, t->name, t->address, t->now_ms);
	password_flight_end(&a->flights, flight, rc, same);
	return (rc == RC_OK ? proof_outcome(p, same) : rc);
}

/* Under the lock of the flights. */
static enum rc
join(struct auth *a, const struct auth_try *t, const struct proof *p,
    struct password_flight *flight, unsigned *retry_after_s_r)
{
	bool same;
	enum rc rc;

	rc = attempts_look(
	    a->attempts, t->name, t->address, t->now_ms, retry_after_s_r);
	if (rc == RC_OK)
		rc = password_flight_join(&a->flights, flight, &a->gate, &same);
	return (rc == RC_OK ? proof_outcome(p, same) : rc);
}

/* Of one that has joined; as many wrong ones count as if they had come one
 * after the other, and the rest is refused. */
static enum rc
joined_note(struct auth *a, const struct auth_try *t, enum rc rc,
    unsigned *retry_after_s_r)
{
	bool good = rc == RC_OK;
	unsigned after_s;

	if (rc != RC_OK && rc != RC_DENIED)
		return (rc);
	if (attempts_ask(a->attempts, t->name, t->address, t->now_ms,
		&after_s) == RC_OK) {
		attempts_note(
		    a->attempts, t->name, t->address, good, t->now_ms);
		return (rc);
	}
	if (good)
		return (RC_OK);
	*retry_after_s_r = after_s;
	return (RC_LIMIT);
}

static enum rc
proof_try(struct auth *a, const struct auth_try *t, const struct proof *p,
    unsigned *retry_after_s_r)
{
	struct password_flights *f = &a->flights;
	struct password_flight *flight;
	enum rc rc;

	if (attempts_look(a->attempts, t->name, t->address, t->now_ms,
		retry_after_s_r) != RC_OK)
		return (RC_LIMIT);
	mutex_lock(&f->lock);
	/* Once more: who led until now has remembered it before it landed. */
	if (proof_remembered(a, p)) {
		mutex_unlock(&f->lock);
		return (RC_OK);
	}
	if ((flight = password_flight_find(f, p->tag)) != NULL) {
		rc = join(a, t, p, flight, retry_after_s_r);
		mutex_unlock(&f->lock);
		return (joined_note(a, t, rc, retry_after_s_r));
	}
	rc = attempts_ask(
	    a->attempts, t->name, t->address, t->now_ms, retry_after_s_r);
	if (rc == RC_OK)
		flight = password_flight_begin(f, p->tag);
	mutex_unlock(&f->lock);
	return (rc == RC_OK ? lead(a, t, p, flight) : rc);
}

/* --- the two ways -------------------------------------------------------- */

/* Who is held up is told nothing, not even that a guess was right. */
enum rc
auth_password(struct auth *a, struct directory *d, const struct auth_try *t,
    const struct principal **principal_r, uint8_t mark_r[16],
    unsigned *retry_after_s_r)
{
	struct proof p;

	OBJ_CHECK(a, AUTH_MAGIC);
	*principal_r = NULL;
	*retry_after_s_r = 0;
	memset(mark_r, 0, 16);
	if (!password_plausible(t->password))
		return (RC_DENIED);
	if (attempts_look(a->attempts, t->name, t->address, t->now_ms,
		retry_after_s_r) != RC_OK)
		return (RC_LIMIT);
	proof_find(a, d, t, &p);
	return (proof_done(&p, proof_remembered(a, &p) ? RC_OK : RC_WOULDBLOCK,
	    principal_r, mark_r));
}

enum rc
auth_password_try(struct auth *a, struct directory *d, const struct auth_try *t,
    const struct principal **principal_r, uint8_t mark_r[16],
    unsigned *retry_after_s_r)
{
	struct proof p;

	OBJ_CHECK(a, AUTH_MAGIC);
	*principal_r = NULL;
	*retry_after_s_r = 0;
	memset(mark_r, 0, 16);
	if (!password_plausible(t->password))
		return (RC_DENIED);
	proof_find(a, d, t, &p);
	return (proof_done(
	    &p, proof_try(a, t, &p, retry_after_s_r), principal_r, mark_r));
}
