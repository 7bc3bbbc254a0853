#include "base/obj.h"
#include "registryd/pull_int.h"
#include "registryd/service.h"
#include "storage/imports.h"

/*
 * Blobs that are on their way from an upstream: who asks is answered with what
 * has arrived while the rest is arriving, if the upstream has said how much it
 * will be; else when it is here.
 */

static bool
pull_covers(struct call *c)
{
	struct cache_match m;

	return (pull_begin(c) && cache_rule_of(c->service->cache_rules,
				     c->repository, c->arena, &m));
}

void
pull_hit(struct call *c)
{
	if (pull_covers(c))
		cache_count(c->service->cache, CACHE_HIT);
}

/* --- waiting for it ------------------------------------------------------ */

static void
wake(void *x)
{
	http_exchange_wake(x);
}

/* On the loop. */
static void
await_fill(struct call *c)
{
	struct pull *p = c->pull;

	p->waiter = (struct fill_waiter){ .wake = wake, .arg = c->x };
	if (!fill_wait(p->fill, p->wish, 0, &p->waiter))
		http_exchange_wake(c->x);
}

static enum rc
fill_await(struct call *c, enum fill_wish wish)
{
	c->pull->wish = wish;
	c->await = await_fill;
	return (RC_AWAIT);
}

static void
fill_release(void *arg)
{
	struct pull *p = arg;

	fill_unref(&p->fill);
}

/* --- following it -------------------------------------------------------- */

/* On the loop, as the two that follow. */
static bool
follow_wait(struct pull *p, struct http_exchange *x, uint64_t sent)
{
	p->waiter = (struct fill_waiter){ .wake = wake, .arg = x };
	return (fill_wait(p->fill, FILL_UNTIL_BYTES, sent, &p->waiter));
}

static enum http_follow_state
follow_look(
    void *arg, struct http_exchange *x, uint64_t sent, uint64_t *until_r)
{
	struct pull *p = arg;
	struct fill_look look;

	do {
		fill_look(p->fill, &look);
		if (look.state == FILL_FAILED)
			return (FOLLOW_CUT);
		*until_r = look.available_bytes;
		if (look.state == FILL_WHOLE || look.state == FILL_DONE)
			*until_r = look.size_bytes;
		if (*until_r > sent)
			return (FOLLOW_SOME);
		if (look.state == FILL_WHOLE || look.state == FILL_DONE)
			return (FOLLOW_CUT); /* shorter than was said */
	} while (!follow_wait(p, x, sent));
	return (FOLLOW_WAIT);
}

static void
follow_end(void *arg)
{
	struct pull *p = arg;

	fill_unref(&p->fill);
}

/* --- the fill ------------------------------------------------------------ */

/* RC_OK: p->fill is of ${d}; RC_EXISTS: look once more. */
static enum rc
fill_take(struct call *c, const struct digest *d)
{
	struct repository_row row;
	struct pull *p = pull_of(c);
	struct cache_ask ask;
	enum rc rc;

	if (p == NULL)
		return (RC_TOOBIG);
	if (p->fill != NULL && digest_eq(&p->digest, d))
		return (RC_OK);
	if ((rc = meta_repository_get(c->meta, c->repository, &row)) != RC_OK ||
	    (rc = pull_ask(c, false, &ask)) != RC_OK)
		return (rc);
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	must(p->fill == NULL);
	rc = cache_blob(c->service->cache, &ask, d, &p->fill);
	if (rc != RC_OK)
		return (rc);
	p->digest = *d;
	arena_defer(c->arena, fill_release, p);
	return (RC_OK);
}

/* What is known of it, when something is: RC_OK: it is coming. */
static enum rc
fill_judge(struct call *c, const struct fill_look *look)
{
	switch (look->state) {
	case FILL_ASKED:
		return (fill_await(c, FILL_UNTIL_ANSWER));
	case FILL_FLOWING:
	case FILL_WHOLE:
		if (look->size_bytes == UINT64_MAX)
			return (fill_await(c, FILL_UNTIL_END));
		return (RC_OK);
	case FILL_DONE:
		fill_unref(&c->pull->fill);
		return (RC_EXISTS);
	case FILL_FAILED:
		break;
	}
	if (look->rc == RC_NOTFOUND)
		return (RC_NOTFOUND);
	return (pull_refuse(c, look->rc, &look->error));
}

static enum rc
blob_size(struct call *c, const struct digest *d, uint64_t *size_r)
{
	struct fill_look look;
	enum rc rc;

	if (!pull_begin(c))
		return (RC_NOTFOUND);
	if ((rc = fill_take(c, d)) != RC_OK)
		return (rc);
	fill_look(c->pull->fill, &look);
	rc = fill_judge(c, &look);
	*size_r = look.size_bytes;
	return (rc);
}

enum rc
pull_blob_size(struct call *c, const struct digest *d, uint64_t *size_r)
{
	uint64_t bytes;
	enum rc rc;

	if (!pull_covers(c))
		return (RC_NOTFOUND);
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	rc = meta_blob_named(c->meta, c->repository, d, &bytes);
	return (rc == RC_OK ? blob_size(c, d, size_r) : rc);
}

/* What did not come after all is missing when the handler looks again. */
enum rc
pull_blob_ends(struct call *c, const struct digest *d, size_t n)
{
	struct fill *f = NULL;
	struct pull *p;
	size_t i;

	if (c->service->cache == NULL)
		return (RC_NOTFOUND);
	if ((p = pull_of(c)) == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n && f == NULL; i++)
		f = cache_filling(c->service->cache, c->repository, &d[i]);
	if (f == NULL)
		return (RC_NOTFOUND);
	fill_unref(&p->fill);
	p->fill = f;
	arena_defer(c->arena, fill_release, p);
	return (fill_await(c, FILL_UNTIL_END));
}

enum rc
pull_blob(struct call *c, const struct digest *d, struct pull_body *body_r)
{
	struct pull *p;
	enum rc rc;

	if ((rc = blob_size(c, d, &body_r->size_bytes)) != RC_OK)
		return (rc);
	p = c->pull;
	if ((rc = fill_reader(p->fill, &body_r->file)) != RC_OK)
		return (rc);
	p->follow = (struct http_follow){ follow_look, follow_end, p };
	body_r->follow = &p->follow;
	return (RC_OK);
}
