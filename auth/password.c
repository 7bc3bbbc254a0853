#include "auth/password_int.h"

#include <assert.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

static_assert(PASSWORD_HASH_BYTES == CRYPT_OUTPUT_SIZE, "libcrypt's");
static_assert(
    PASSWORD_TRY_MAX_BYTES == CRYPT_MAX_PASSPHRASE_SIZE - 1, "with its NUL");

/* --- hashing ------------------------------------------------------------- */

/* Its work area is too much for a small stack, and is wiped. */
static bool
password_crypt(
    struct span password, const char *setting, char out[PASSWORD_HASH_BYTES])
{
	char phrase[PASSWORD_TRY_MAX_BYTES + 1];
	struct crypt_data *data;
	const char *hash;
	bool ok;

	must(password.n <= PASSWORD_TRY_MAX_BYTES);
	memcpy(phrase, password.p, password.n);
	phrase[password.n] = '\0';
	data = xcalloc(1, sizeof(*data));
	hash = crypt_rn(phrase, setting, data, (int)sizeof(*data));
	ok = hash != NULL && hash[0] != '*';
	(void)snprintf(out, PASSWORD_HASH_BYTES, "%s", ok ? hash : "");
	mem_wipe(phrase, sizeof(phrase));
	mem_wipe(data, sizeof(*data));
	free(data);
	return (ok);
}

bool
password_plausible(struct span password)
{

	return (password.n > 0 && password.n <= PASSWORD_TRY_MAX_BYTES &&
		memchr(password.p, '\0', password.n) == NULL);
}

static enum rc
new_check(struct span password, char *why, size_t n)
{

	if (password.n == 0)
		(void)snprintf(why, n, "a password must not be empty");
	else if (password.n > PASSWORD_MAX_BYTES)
		(void)snprintf(why, n,
		    "a password of %zu bytes is too long: bcrypt takes %d into "
		    "account and would ignore the rest",
		    password.n, PASSWORD_MAX_BYTES);
	else if (!password_plausible(password))
		(void)snprintf(why, n, "a password must not hold a NUL byte");
	else
		return (RC_OK);
	return (RC_INVALID);
}

enum rc
password_new(
    struct span password, char out[PASSWORD_HASH_BYTES], char *why, size_t n)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char salt[16];
	enum rc rc;

	if ((rc = new_check(password, why, n)) != RC_OK)
		return (rc);
	random_bytes(salt, sizeof(salt));
	if (crypt_gensalt_rn("$2b$", PASSWORD_COST, salt, (int)sizeof(salt),
		setting, (int)sizeof(setting)) == NULL ||
	    !password_crypt(password, setting, out)) {
		(void)snprintf(why, n, "libcrypt of this system has no bcrypt");
		return (RC_UNSUPPORTED);
	}
	return (RC_OK);
}

bool
password_matches(struct span password, const char *hash)
{
	char mine[PASSWORD_HASH_BYTES];
	bool same;

	if (!password_crypt(password, hash, mine))
		return (false);
	same = secret_eq(span_of(mine), span_of(hash));
	mem_wipe(mine, sizeof(mine));
	return (same);
}

const char *
password_dummy(void)
{

	return ("$2b$10$AAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

/* --- the gate ------------------------------------------------------------ */

void
password_gate_size(struct password_gate *g, long cores, unsigned workers)
{
	unsigned n;

	if (workers == 0)
		workers = PASSWORD_WORKERS_UNKNOWN;
	n = workers / 4;
	if (cores < (long)n)
		n = cores > 0 ? (unsigned)cores : 1;
	g->waiting_max = n;
	g->running_max = n > 0 ? n : 1;
}

void
password_gate_init(struct password_gate *g, unsigned workers)
{

	*g = (struct password_gate){ .wait_ms = PASSWORD_WAIT_MS };
	password_gate_size(g, sysconf(_SC_NPROCESSORS_ONLN), workers);
	mutex_init(&g->lock);
	cond_init(&g->room);
}

void
password_gate_fini(struct password_gate *g)
{

	must(g->running == 0 && g->waiting == 0);
	must(pthread_cond_destroy(&g->room) == 0);
	must(pthread_mutex_destroy(&g->lock) == 0);
}

/* Under the lock.  Who is woken and finds that somebody else was faster waits
 * for the rest of its time, not for all of it again. */
static enum rc
gate_wait(struct password_gate *g)
{
	int64_t until_ms = clock_mono_ns() / 1000000 + g->wait_ms;
	int64_t left_ms = g->wait_ms;

	if (g->waiting >= g->waiting_max)
		return (RC_LIMIT);
	g->waiting++;
	while (g->running >= g->running_max && left_ms > 0) {
		(void)cond_wait_ms(&g->room, &g->lock, (long)left_ms);
		left_ms = until_ms - clock_mono_ns() / 1000000;
	}
	g->waiting--;
	return (g->running < g->running_max ? RC_OK : RC_LIMIT);
}

enum rc
password_gate_enter(struct password_gate *g)
{
	enum rc rc = RC_OK;

	mutex_lock(&g->lock);
	if (g->running >= g->running_max)
		rc = gate_wait(g);
	if (rc == RC_OK)
		g->running++;
	mutex_unlock(&g->lock);
	return (rc);
}

void
password_gate_leave(struct password_gate *g)
{

	mutex_lock(&g->lock);
	must(g->running > 0);
	g->running--;
	must(pthread_cond_signal(&g->room) == 0);
	mutex_unlock(&g->lock);
}

static unsigned
gate_blocked(struct password_gate *g)
{
	unsigned n;

	mutex_lock(&g->lock);
	n = g->running + g->waiting;
	mutex_unlock(&g->lock);
	return (n);
}

/* --- flights ------------------------------------------------------------- */

void
password_flights_init(struct password_flights *f, unsigned workers)
{

	if (workers == 0)
		workers = PASSWORD_WORKERS_UNKNOWN;
	*f = (struct password_flights){ .blocked_max = workers - workers / 4 };
	mutex_init(&f->lock);
	cond_init(&f->landed);
}

void
password_flights_fini(struct password_flights *f)
{

	must(f->first == NULL && f->joined == 0);
	must(pthread_cond_destroy(&f->landed) == 0);
	must(pthread_mutex_destroy(&f->lock) == 0);
}

struct password_flight *
password_flight_find(
    const struct password_flights *f, const uint8_t tag[AUTH_MAC_BYTES])
{
	struct password_flight *flight;

	for (flight = f->first; flight != NULL; flight = flight->next)
		if (memcmp(flight->tag, tag, AUTH_MAC_BYTES) == 0)
			break;
	return (flight);
}

struct password_flight *
password_flight_begin(
    struct password_flights *f, const uint8_t tag[AUTH_MAC_BYTES])
{
	struct password_flight *flight = xcalloc(1, sizeof(*flight));

	memcpy(flight->tag, tag, AUTH_MAC_BYTES);
	flight->next = f->first;
	f->first = flight;
	return (flight);
}

/* Under the lock.  Whoever is the last one. */
static void
flight_drop(struct password_flight *flight)
{

	if (!flight->landed || flight->joined > 0)
		return;
	mem_wipe(flight, sizeof(*flight));
	free(flight);
}

void
password_flight_end(struct password_flights *f, struct password_flight *flight,
    enum rc rc, bool same)
{
	struct password_flight **p = &f->first;

	mutex_lock(&f->lock);
	while (*p != flight)
		p = &(*p)->next;
	*p = flight->next;
	flight->rc = rc;
	flight->same = same;
	flight->landed = true;
	must(pthread_cond_broadcast(&f->landed) == 0);
	flight_drop(flight);
	mutex_unlock(&f->lock);
}

enum rc
password_flight_join(struct password_flights *f, struct password_flight *flight,
    struct password_gate *g, bool *same_r)
{
	enum rc rc;

	*same_r = false;
	if (f->joined >= PASSWORD_JOINED_FREE &&
	    f->joined + gate_blocked(g) >= f->blocked_max)
		return (RC_LIMIT);
	f->joined++;
	flight->joined++;
	while (!flight->landed)
		cond_wait(&f->landed, &f->lock);
	flight->joined--;
	f->joined--;
	*same_r = flight->same;
	rc = flight->rc;
	flight_drop(flight);
	return (rc);
}

/* --- memory -------------------------------------------------------------- */

void
password_memory_init(struct password_memory *m)
{

	memset(m, 0, sizeof(*m));
	mutex_init(&m->lock);
	random_bytes(m->key, sizeof(m->key));
}

void
password_memory_fini(struct password_memory *m)
{

	must(pthread_mutex_destroy(&m->lock) == 0);
	mem_wipe(m, sizeof(*m));
}

void
password_tag(const struct password_memory *m, const struct auth_try *t,
    struct span hash, uint8_t out[AUTH_MAC_BYTES])
{
	const struct span parts[] = { t->name, t->password, t->address, hash };

	auth_mac(m->key, parts, ARRAY_LEN(parts), out);
}

static struct password_seen *
memory_set(struct password_memory *m, const uint8_t tag[AUTH_MAC_BYTES])
{
	size_t set = ((size_t)tag[0] << 8 | tag[1]) % PASSWORD_MEMORY_SETS;

	return (m->seen[set]);
}

bool
password_remembered(struct password_memory *m,
    const uint8_t tag[AUTH_MAC_BYTES], int64_t now_ns)
{
	struct password_seen *s;
	bool found = false;
	size_t i;

	mutex_lock(&m->lock);
	s = memory_set(m, tag);
	for (i = 0; i < PASSWORD_MEMORY_WAYS; i++)
		if (s[i].until_ns > now_ns &&
		    memcmp(s[i].tag, tag, AUTH_MAC_BYTES) == 0) {
			s[i].until_ns = now_ns + PASSWORD_MEMORY_NS;
			found = true;
		}
	mutex_unlock(&m->lock);
	return (found);
}

void
password_remember(struct password_memory *m, const uint8_t tag[AUTH_MAC_BYTES],
    int64_t now_ns)
{
	struct password_seen *s, *to;
	size_t i;

	mutex_lock(&m->lock);
	s = memory_set(m, tag);
	to = &s[0];
	for (i = 0; i < PASSWORD_MEMORY_WAYS; i++) {
		if (memcmp(s[i].tag, tag, AUTH_MAC_BYTES) == 0) {
			to = &s[i];
			break;
		}
		if (s[i].until_ns < to->until_ns)
			to = &s[i];
	}
	memcpy(to->tag, tag, AUTH_MAC_BYTES);
	to->until_ns = now_ns + PASSWORD_MEMORY_NS;
	mutex_unlock(&m->lock);
}
