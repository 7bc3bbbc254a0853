#include "auth/auth_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/entities.h"

/*
 * Opening and closing, and the directory of now.
 */

enum rc
auth_why(char why[AUTH_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, AUTH_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- the htpasswd settings ----------------------------------------------- */

/* What a reload may put in the place of what there is. */
struct basic {
	char *file;
	char **policies;
	size_t n_policies;
	struct htpasswd *htpasswd;
	struct htpasswd_stamp stamp;
};

static void
basic_free(struct basic *b)
{
	size_t i;

	for (i = 0; i < b->n_policies; i++)
		free(b->policies[i]);
	free(b->policies);
	free(b->file);
	htpasswd_free(&b->htpasswd);
}

static enum rc
basic_load(const struct auth_options *options, char *why, struct basic *b)
{
	size_t i;
	enum rc rc;

	*b = (struct basic){ .n_policies = options->n_htpasswd_policies };
	b->policies = xcalloc(b->n_policies, sizeof(*b->policies));
	for (i = 0; i < b->n_policies; i++)
		b->policies[i] = xstrdup(options->htpasswd_policies[i]);
	if (options->htpasswd_file == NULL || options->htpasswd_file[0] == '\0')
		return (RC_OK);
	b->file = xstrdup(options->htpasswd_file);
	rc = htpasswd_load(
	    b->file, why, AUTH_WHY_BYTES, &b->stamp, &b->htpasswd);
	if (rc != RC_OK)
		basic_free(b);
	return (rc);
}

static void
basic_swap(struct auth *a, struct basic *b)
{
	struct basic was = { a->htpasswd_file, a->htpasswd_policies,
		a->n_htpasswd_policies, a->htpasswd, a->htpasswd_stamp };

	a->htpasswd_file = b->file;
	a->htpasswd_policies = b->policies;
	a->n_htpasswd_policies = b->n_policies;
	a->htpasswd = b->htpasswd;
	a->htpasswd_stamp = b->stamp;
	*b = was;
}

enum rc
auth_htpasswd_check(const char *file, char why[AUTH_WHY_BYTES])
{
	struct htpasswd_stamp stamp;
	struct htpasswd *h;
	enum rc rc;

	why[0] = '\0';
	rc = htpasswd_load(file, why, AUTH_WHY_BYTES, &stamp, &h);
	htpasswd_free(&h);
	return (rc);
}

/* --- the directory ------------------------------------------------------- */

struct directory *
auth_directory(struct auth *a)
{
	struct directory *d;

	OBJ_CHECK(a, AUTH_MAGIC);
	mutex_lock(&a->directory_lock);
	d = directory_ref(a->directory);
	mutex_unlock(&a->directory_lock);
	return (d);
}

static void
directory_swap(struct auth *a, struct directory *d)
{
	struct directory *was;

	mutex_lock(&a->directory_lock);
	was = a->directory;
	a->directory = d;
	mutex_unlock(&a->directory_lock);
	directory_unref(&was);
}

/* Under change_lock (or before anybody else has ${a}). */
static enum rc
directory_anew(struct auth *a, struct directory **d_r)
{
	struct directory_source source = {
		.meta = a->meta,
		.account = span_of(a->account),
		.htpasswd = a->htpasswd,
		.htpasswd_policies = a->htpasswd_policies,
		.n_htpasswd_policies = a->n_htpasswd_policies,
		.before = a->directory,
	};
	const struct span label = SPAN("password marks");
	enum rc rc;

	auth_mac(a->tokens.bytes, &label, 1, source.mark_key);
	rc = directory_read(&source, d_r);
	mem_wipe(source.mark_key, sizeof(source.mark_key));
	return (rc);
}

static enum rc
directory_replace(struct auth *a)
{
	struct directory *d;
	enum rc rc;

	a->stale = true;
	if ((rc = directory_anew(a, &d)) != RC_OK) {
		log_error("reading users and policies: %s", rc_text(rc));
		return (rc);
	}
	directory_swap(a, d);
	a->stale = false;
	return (RC_OK);
}

enum rc
auth_directory_update(struct auth *a)
{
	uint64_t generation;
	enum rc rc;

	rc = meta_entity_generation(a->meta, &generation);
	if (rc != RC_OK)
		return (rc);
	if (!a->stale && generation == a->directory->generation)
		return (RC_OK);
	return (directory_replace(a));
}

/* A file that has become bad is told of once and the good one kept. */
static void
htpasswd_refresh(struct auth *a)
{
	char why[AUTH_WHY_BYTES] = "";
	struct htpasswd_stamp stamp;
	struct htpasswd *h;
	enum rc rc;

	if (a->htpasswd_file == NULL)
		return;
	htpasswd_look(a->htpasswd_file, &stamp);
	if (htpasswd_stamp_eq(&stamp, &a->htpasswd_stamp))
		return;
	rc = htpasswd_load(
	    a->htpasswd_file, why, sizeof(why), &a->htpasswd_stamp, &h);
	if (rc != RC_OK) {
		log_error("%s; the users it had before are kept", why);
		return;
	}
	htpasswd_free(&a->htpasswd);
	a->htpasswd = h;
	a->stale = true;
	log_info("%s: read again, %zu users", a->htpasswd_file, h->n);
}

void
auth_refresh(struct auth *a)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	mutex_lock(&a->change_lock);
	htpasswd_refresh(a);
	/* Reported where it was found; the next refresh tries again. */
	(void)(auth_directory_update(a) == RC_OK);
	mutex_unlock(&a->change_lock);
}

static enum rc
policies_check(struct auth *a, const struct directory *d, char *why)
{
	struct span name;
	size_t i;

	for (i = 0; i < a->n_htpasswd_policies; i++) {
		name = span_of(a->htpasswd_policies[i]);
		if (dir_policy_named(d, d->account, name) == NULL)
			return (auth_why(why, RC_INVALID,
			    "htpasswd.policies: there is no policy \"%s\"",
			    a->htpasswd_policies[i]));
	}
	return (RC_OK);
}

/* What the directory would be with the settings of ${b}.  Nothing changes. */
static enum rc
basic_try(struct auth *a, struct basic *b, char *why, struct directory **d_r)
{
	enum rc rc;

	*d_r = NULL;
	basic_swap(a, b);
	rc = directory_anew(a, d_r);
	if (rc != RC_OK)
		(void)auth_why(
		    why, rc, "reading users and policies: %s", rc_text(rc));
	else
		rc = policies_check(a, *d_r, why);
	basic_swap(a, b);
	if (rc != RC_OK)
		directory_unref(d_r);
	return (rc);
}

/* --- other htpasswd settings --------------------------------------------- */

struct auth_reload {
	struct basic basic;
};

enum rc
auth_reload_prepare(struct auth *a, const struct auth_options *options,
    char why[AUTH_WHY_BYTES], struct auth_reload **reload_r)
{
	struct auth_reload *r;
	struct directory *d;
	enum rc rc;

	OBJ_CHECK(a, AUTH_MAGIC);
	*reload_r = NULL;
	why[0] = '\0';
	r = xcalloc(1, sizeof(*r));
	if ((rc = basic_load(options, why, &r->basic)) != RC_OK) {
		free(r);
		return (rc);
	}
	mutex_lock(&a->change_lock);
	rc = basic_try(a, &r->basic, why, &d);
	mutex_unlock(&a->change_lock);
	/* Read again by the commit: users may have changed by then. */
	directory_unref(&d);
	if (rc == RC_OK)
		*reload_r = r;
	else
		auth_reload_abort(&r);
	return (rc);
}

void
auth_reload_commit(struct auth *a, struct auth_reload **r_p)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	if (*r_p == NULL)
		return;
	mutex_lock(&a->change_lock);
	basic_swap(a, &(*r_p)->basic);
	/* Reported where it was found; the next refresh tries again. */
	(void)(directory_replace(a) == RC_OK);
	mutex_unlock(&a->change_lock);
	auth_reload_abort(r_p);
}

/* Frees the settings that do not hold: the new ones, or those of before. */
void
auth_reload_abort(struct auth_reload **r_p)
{

	if (*r_p == NULL)
		return;
	basic_free(&(*r_p)->basic);
	free(*r_p);
	*r_p = NULL;
}

enum rc
auth_reload(struct auth *a, const struct auth_options *options,
    char why[AUTH_WHY_BYTES])
{
	struct auth_reload *r;
	enum rc rc;

	if ((rc = auth_reload_prepare(a, options, why, &r)) == RC_OK)
		auth_reload_commit(a, &r);
	return (rc);
}

/* --- open and close ------------------------------------------------------ */

static struct auth *
auth_new(const struct auth_options *options)
{
	struct auth *a = xcalloc(1, sizeof(*a));

	a->magic = AUTH_MAGIC;
	a->meta = options->meta;
	a->region =
	    xstrdup(options->region != NULL ? options->region : "us-east-1");
	a->master_key_file = xstrdup(options->master_key_file);
	a->master_key_in_environment = options->master_key_text != NULL &&
				       options->master_key_text[0] != '\0';
	mutex_init(&a->directory_lock);
	mutex_init(&a->change_lock);
	password_gate_init(&a->gate, options->workers);
	password_flights_init(&a->flights, options->workers);
	password_memory_init(&a->memory);
	a->attempts = attempts_new();
	notes_init(&a->notes);
	return (a);
}

enum rc
auth_open(const struct auth_options *options, char why[AUTH_WHY_BYTES],
    struct auth **auth_r)
{
	struct basic b = { 0 };
	struct directory *d;
	struct auth *a;
	enum rc rc;

	*auth_r = NULL;
	why[0] = '\0';
	if (options->account_id != NULL &&
	    !account_ok(span_of(options->account_id)))
		return (auth_why(why, RC_INVALID,
		    "\"%s\" is no account id: it has 12 digits",
		    options->account_id));
	a = auth_new(options);
	if ((rc = auth_keys_open(a, options, why)) != RC_OK ||
	    (rc = basic_load(options, why, &b)) != RC_OK)
		goto err0;
	rc = basic_try(a, &b, why, &d);
	if (rc == RC_OK) {
		basic_swap(a, &b);
		directory_swap(a, d);
	}
	basic_free(&b);
	if (rc != RC_OK)
		goto err0;
	*auth_r = a;
	return (RC_OK);

err0:
	auth_close(&a);
	return (rc);
}

void
auth_close(struct auth **a_p)
{
	struct auth *a = *a_p;
	struct basic none = { 0 };

	if (a == NULL)
		return;
	OBJ_CHECK(a, AUTH_MAGIC);
	*a_p = NULL;
	if (a->directory != NULL)
		auth_flush(a);
	directory_unref(&a->directory);
	basic_swap(a, &none);
	basic_free(&none);
	notes_fini(&a->notes);
	attempts_free(&a->attempts);
	password_memory_fini(&a->memory);
	password_flights_fini(&a->flights);
	password_gate_fini(&a->gate);
	must(pthread_mutex_destroy(&a->directory_lock) == 0);
	must(pthread_mutex_destroy(&a->change_lock) == 0);
	free(a->region);
	free(a->master_key_file);
	mem_wipe(a, sizeof(*a));
	free(a);
}

/* --- brute force --------------------------------------------------------- */

enum rc
auth_attempt(struct auth *a, struct span principal, struct span address,
    int64_t now_ms, unsigned *retry_after_s_r)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	return (attempts_ask(
	    a->attempts, principal, address, now_ms, retry_after_s_r));
}

void
auth_attempted(struct auth *a, struct span principal, struct span address,
    bool good, int64_t now_ms)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	attempts_note(a->attempts, principal, address, good, now_ms);
}

void
auth_attempt_cancel(
    struct auth *a, struct span principal, struct span address, int64_t now_ms)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	attempts_cancel(a->attempts, principal, address, now_ms);
}
