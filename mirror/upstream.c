#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/reference.h"
#include "mirror/upstream_int.h"

/*
 * The upstreams of a process.  One is kept from when it is asked for first
 * until the configuration changes, so that its tokens and what it said about
 * its limits outlive those who use it.
 */
#define OPTIONS_MAX_BYTES 65536

void
credential_wipe(struct credential *c)
{
	if (c->password != NULL)
		mem_wipe(c->password, strlen(c->password));
	free(c->username);
	free(c->password);
	free(c->region);
	free(c->api_url);
	*c = (struct credential){ .kind = CREDENTIAL_NONE };
}

struct upstreams *
upstreams_new(const struct upstreams_options *options)
{
	struct upstreams *set = xcalloc(1, sizeof(*set));

	must(options->fetcher != NULL);
	set->magic = UPSTREAMS_MAGIC;
	set->options = *options;
	set->user_agent = xasprintf("User-Agent: %s",
	    options->user_agent != NULL ? options->user_agent : "registryd");
	set->options.user_agent = set->user_agent;
	mutex_init(&set->lock);
	return (set);
}

void
upstreams_free(struct upstreams **set_p)
{
	struct upstreams *set = *set_p;

	if (set == NULL)
		return;
	OBJ_CHECK(set, UPSTREAMS_MAGIC);
	*set_p = NULL;
	upstreams_forget(set);
	must(pthread_mutex_destroy(&set->lock) == 0);
	free(set->user_agent);
	set->magic = 0;
	free(set);
}

static void
upstream_configure(struct upstream *u)
{
	struct upstreams_options *o = &u->set->options;

	if (o->configure != NULL)
		o->configure(o->arg, u->options.url, &u->arena, &u->options);
	if (u->options.connections == 0)
		u->options.connections = UPSTREAM_CONNECTIONS;
	if (u->options.connect_ms <= 0)
		u->options.connect_ms = UPSTREAM_CONNECT_MS;
	if (u->options.stall_ms <= 0)
		u->options.stall_ms = UPSTREAM_STALL_MS;
}

static void
upstream_free(struct upstream *u)
{
	auth_free(u);
	tokens_free(u);
	url_free(&u->url);
	free(u->credential);
	free(u->mark);
	arena_reset(&u->arena);
	must(pthread_cond_destroy(&u->changed) == 0);
	must(pthread_mutex_destroy(&u->lock) == 0);
	u->magic = 0;
	free(u);
}

static enum rc
upstream_new(struct upstreams *set, const char *url, struct span credential,
    struct upstream **u_r)
{
	struct upstream *u = xcalloc(1, sizeof(*u));
	char why[FETCH_WHY_BYTES];
	enum rc rc;

	u->magic = UPSTREAM_MAGIC;
	u->set = set;
	atomic_init(&u->refs, 1);
	arena_init(&u->arena, OPTIONS_MAX_BYTES);
	mutex_init(&u->lock);
	cond_init(&u->changed);
	u->credential =
	    xstrndup(credential.p != NULL ? credential.p : "", credential.n);
	u->state.limit = u->state.remaining = -1;
	if ((rc = url_parse(url, &u->url, why)) != RC_OK)
		goto err0;
	u->options.url = arena_dup(&u->arena, url, strlen(url));
	if (u->options.url == NULL) {
		rc = RC_INVALID;
		goto err0;
	}
	upstream_configure(u);
	*u_r = u;
	return (RC_OK);
err0:
	upstream_free(u);
	return (rc);
}

static struct upstream *
upstream_find(struct upstreams *set, const char *url, struct span credential)
{
	struct upstream *u;

	for (u = set->first; u != NULL; u = u->next)
		if (strcmp(u->options.url, url) == 0 &&
		    span_is(credential, u->credential))
			return (u);
	return (NULL);
}

static enum rc
upstream_get(struct upstreams *set, const char *url, struct span credential,
    struct upstream **u_r)
{
	struct upstream *u;
	enum rc rc = RC_OK;

	mutex_lock(&set->lock);
	u = upstream_find(set, url, credential);
	if (u == NULL) {
		rc = upstream_new(set, url, credential, &u);
		if (rc == RC_OK) {
			u->next = set->first;
			set->first = u;
		}
	}
	if (rc == RC_OK)
		*u_r = upstream_ref(u);
	mutex_unlock(&set->lock);
	return (rc);
}

enum rc
upstreams_get(struct upstreams *set, const char *url, struct span credential,
    struct upstream **u_r)
{
	char why[REFERENCE_WHY_BYTES];
	struct arena arena;
	enum rc rc;

	OBJ_CHECK(set, UPSTREAMS_MAGIC);
	arena_init(&arena, OPTIONS_MAX_BYTES);
	rc = registry_url_parse(span_of(url), &arena, &url, why);
	if (rc == RC_OK)
		rc = upstream_get(set, url, credential, u_r);
	arena_reset(&arena);
	return (rc);
}

struct upstream *
upstream_ref(struct upstream *u)
{
	OBJ_CHECK(u, UPSTREAM_MAGIC);
	(void)atomic_fetch_add(&u->refs, 1);
	return (u);
}

void
upstream_unref(struct upstream **u_p)
{
	struct upstream *u = *u_p;

	if (u == NULL)
		return;
	OBJ_CHECK(u, UPSTREAM_MAGIC);
	*u_p = NULL;
	if (atomic_fetch_sub(&u->refs, 1) == 1)
		upstream_free(u);
}

void
upstreams_forget(struct upstreams *set)
{
	struct upstream *u, *next;

	OBJ_CHECK(set, UPSTREAMS_MAGIC);
	mutex_lock(&set->lock);
	u = set->first;
	set->first = NULL;
	mutex_unlock(&set->lock);
	for (; u != NULL; u = next) {
		next = u->next;
		u->next = NULL;
		upstream_unref(&u);
	}
}

const char *
upstream_url(const struct upstream *u)
{
	OBJ_CHECK(u, UPSTREAM_MAGIC);
	return (u->options.url);
}

void
upstream_state(struct upstream *u, struct upstream_state *state_r)
{
	int64_t left_ns;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	mutex_lock(&u->lock);
	*state_r = u->state;
	left_ns = u->not_before_ns - clock_mono_ns();
	mutex_unlock(&u->lock);
	state_r->not_before_ms =
	    left_ns > 0 ? clock_real_ms() + left_ns / UPSTREAM_NS_PER_MS : 0;
}

/* Those that are there now, each with a reference. */
static struct upstream **
upstreams_list(struct upstreams *set, size_t *n_r)
{
	struct upstream *u, **list;
	size_t n = 0;

	mutex_lock(&set->lock);
	for (u = set->first; u != NULL; u = u->next)
		n++;
	list = xcalloc(n + 1, sizeof(struct upstream *));
	for (n = 0, u = set->first; u != NULL; u = u->next)
		list[n++] = upstream_ref(u);
	mutex_unlock(&set->lock);
	*n_r = n;
	return (list);
}

void
upstreams_walk(
    struct upstreams *set, void (*fn)(void *arg, struct upstream *), void *arg)
{
	struct upstream **list;
	size_t i, n;

	OBJ_CHECK(set, UPSTREAMS_MAGIC);
	list = upstreams_list(set, &n);
	for (i = 0; i < n; i++) {
		fn(arg, list[i]);
		upstream_unref(&list[i]);
	}
	free(list);
}

void
upstream_mark(struct upstream *u, const char *header)
{
	OBJ_CHECK(u, UPSTREAM_MAGIC);
	mutex_lock(&u->lock);
	free(u->mark);
	u->mark = xstrdup(header);
	mutex_unlock(&u->lock);
}
