#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/challenge.h"
#include "mirror/upstream_int.h"

/*
 * A blob on its way.  When the connection breaks, or brings fewer bytes than
 * were announced, the rest is asked for; a registry that knows no ranges sends
 * all again, and what we have is passed over.
 */
#define BLOB_MAGIC 0x75626c62U
#define SKIP_BYTES ((size_t)16384)
#define SLOW_BYTES_PER_S 1024
#define SLOW_TIMES 3

struct upstream_blob {
	unsigned magic;
	struct upstream *u;
	char *url, *want, *what;
	struct pace pace;
	struct answer a;
	uint64_t offset; /* of the next byte that is given out */
	uint64_t size;	 /* UINT64_MAX: it has not said */
	uint64_t skip;	 /* bytes that come first and are known */
	unsigned resumed;
	bool ended;
	bool moved; /* something new has arrived since it was asked for */
	int64_t waited_ns; /* for the last .came bytes */
	uint64_t came;
	unsigned slow; /* that was for too few, so often in a row */
};

/* --- asking -------------------------------------------------------------- */

static enum rc
size_learn(struct upstream_blob *b, uint64_t size, struct upstream_error *error)
{
	if (size == UINT64_MAX || size == b->size)
		return (RC_OK);
	if (b->size != UINT64_MAX)
		return (error_say(b->u, error, b->what, RC_DIGEST,
		    "it had %llu bytes, and has %llu now",
		    (unsigned long long)b->size, (unsigned long long)size));
	if (size < b->offset)
		return (error_say(b->u, error, b->what, RC_DIGEST,
		    "it has %llu bytes, fewer than came before",
		    (unsigned long long)size));
	b->size = size;
	return (RC_OK);
}

static enum rc
part_read(struct upstream_blob *b, struct upstream_error *error)
{
	struct span value = fetch_header(b->a.f, "Content-Range");
	uint64_t first = 1, last = 0, size;

	if (content_range_parse(value, &first, &last, &size) != RC_OK ||
	    first != b->offset)
		return (error_say(b->u, error, b->what, RC_INVALID,
		    "it was asked for the bytes from %llu on and sent others",
		    (unsigned long long)b->offset));
	b->skip = 0;
	return (size_learn(b, size, error));
}

static enum rc
answer_take(struct upstream_blob *b, struct upstream_error *error)
{
	if (b->a.status == 206)
		return (part_read(b, error));
	if (b->a.status != 200)
		return (error_say(b->u, error, b->what, RC_INVALID,
		    "it answered %d", b->a.status));
	b->skip = b->offset;
	return (size_learn(b, fetch_length(b->a.f), error));
}

/* Nothing behind what we have: that was all of it. */
static bool
was_all(const struct upstream_blob *b)
{
	return (b->a.status == 416 && b->a.has_size &&
		b->a.size_bytes == b->offset &&
		(b->size == UINT64_MAX || b->size == b->offset));
}

static enum rc
blob_ask(struct upstream_blob *b, struct upstream_error *error)
{
	struct ask ask = {
		.method = "GET",
		.url = b->url,
		.want = b->want,
		.bulk = true,
	};
	char range[64];
	enum rc rc;

	if (b->offset > 0) {
		(void)snprintf(range, sizeof(range), "Range: bytes=%llu-",
		    (unsigned long long)b->offset);
		ask_header(&ask, range);
	}
	b->moved = false;
	rc = ask_open(b->u, &ask, &b->pace, &b->a, error);
	if (rc != RC_OK && was_all(b)) {
		b->size = b->offset;
		b->ended = true;
		return (RC_OK);
	}
	if (rc == RC_OK && (rc = answer_take(b, error)) != RC_OK)
		answer_close(&b->a);
	return (rc);
}

enum rc
upstream_blob_open(struct upstream *u, struct span repository,
    const struct digest *d, uint64_t offset, const struct upstream_wait *wait,
    struct upstream_blob **b_r, struct upstream_error *error)
{
	struct upstream_blob *b = xcalloc(1, sizeof(*b));
	char digest[DIGEST_STR_BYTES];
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	b->magic = BLOB_MAGIC;
	b->u = upstream_ref(u);
	(void)digest_str(d, digest);
	b->url = ask_url(
	    u, "/v2/" SPAN_FMT "/blobs/%s", SPAN_ARG(repository), digest);
	b->want = xasprintf("pull " SPAN_FMT, SPAN_ARG(repository));
	b->what =
	    xasprintf("blob %s of " SPAN_FMT, digest, SPAN_ARG(repository));
	b->offset = offset;
	b->size = UINT64_MAX;
	pace_begin(&b->pace, wait, b->what);
	rc = ask_failed(u, blob_ask(b, error), error);
	if (rc != RC_OK)
		upstream_blob_close(&b);
	*b_r = b;
	return (rc);
}

uint64_t
upstream_blob_size(const struct upstream_blob *b)
{
	OBJ_CHECK(b, BLOB_MAGIC);
	return (b->size);
}

unsigned
upstream_blob_resumed(const struct upstream_blob *b)
{
	OBJ_CHECK(b, BLOB_MAGIC);
	return (b->resumed);
}

/* --- reading ------------------------------------------------------------- */

/* What moves is not stalled, but a byte now and then would hold whoever waits
 * for ever: RC_TIMEOUT, to have another connection; RC_INVALID: those are no
 * better.  The waiting counts, not what is done with the bytes. */
static enum rc
speed_check(struct upstream_blob *b, int64_t waited_ns, size_t n,
    struct upstream_error *error)
{
	int64_t waited_ms;
	enum rc rc = RC_OK;

	b->waited_ns += waited_ns;
	b->came += n;
	waited_ms = b->waited_ns / UPSTREAM_NS_PER_MS;
	if (waited_ms < b->u->options.stall_ms)
		return (RC_OK);
	if (b->came >= (uint64_t)waited_ms * SLOW_BYTES_PER_S / 1000)
		b->slow = 0;
	else
		rc = ++b->slow < SLOW_TIMES ? RC_TIMEOUT : RC_INVALID;
	if (rc != RC_OK)
		(void)error_say(b->u, error, b->what, rc,
		    "it comes too slowly: %llu bytes in %lld ms",
		    (unsigned long long)b->came, (long long)waited_ms);
	b->waited_ns = 0;
	b->came = 0;
	return (rc);
}

static enum rc
part_get(struct upstream_blob *b, char *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	int64_t from_ns = clock_mono_ns(), waited_ns;
	char why[FETCH_WHY_BYTES];
	enum rc rc;

	rc = fetch_read(b->a.f, p, room, n_r, why);
	waited_ns = clock_mono_ns() - from_ns;
	if (rc != RC_OK)
		return (
		    error_say(b->u, error, b->what, rc, "after %llu bytes: %s",
			(unsigned long long)b->offset, why));
	if (*n_r > 0) {
		gate_bytes(b->u, SIDE_READ, *n_r, &b->pace);
		/* What is known by now is no progress, however often it is
		 * sent. */
		if (b->skip == 0) {
			pace_renew(&b->pace);
			b->moved = true;
		}
		return (speed_check(b, waited_ns, *n_r, error));
	}
	return (RC_OK);
}

static enum rc
known_skip(struct upstream_blob *b, struct upstream_error *error)
{
	char part[SKIP_BYTES];
	size_t n = 1;
	enum rc rc = RC_OK;

	while (b->skip > 0 && rc == RC_OK) {
		rc = part_get(b, part,
		    b->skip < sizeof(part) ? (size_t)b->skip : sizeof(part), &n,
		    error);
		if (rc == RC_OK && n == 0)
			return (error_say(b->u, error, b->what, RC_IO,
			    "it ended before %llu bytes",
			    (unsigned long long)b->offset));
		b->skip -= n;
	}
	return (rc);
}

/* The end as the framing says it; is it the blob's? */
static enum rc
end_take(struct upstream_blob *b, struct upstream_error *error)
{
	if (b->size != UINT64_MAX && b->offset < b->size)
		return (error_say(b->u, error, b->what, RC_IO,
		    "it ended after %llu of %llu bytes",
		    (unsigned long long)b->offset,
		    (unsigned long long)b->size));
	b->ended = true;
	return (RC_OK);
}

static enum rc
some_read(struct upstream_blob *b, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	enum rc rc;

	*n_r = 0;
	if (b->a.f == NULL) {
		if ((rc = blob_ask(b, error)) != RC_OK)
			return (rc);
		b->resumed++;
	}
	if (b->ended)
		return (RC_OK);
	if ((rc = known_skip(b, error)) != RC_OK)
		return (rc);
	if ((rc = part_get(b, p, room, n_r, error)) != RC_OK)
		return (rc);
	if (*n_r == 0)
		return (end_take(b, error));
	b->offset += *n_r;
	if (b->size != UINT64_MAX && b->offset > b->size)
		return (error_say(b->u, error, b->what, RC_DIGEST,
		    "it sent more than its %llu bytes",
		    (unsigned long long)b->size));
	return (RC_OK);
}

/* Only what breaks while it is read: what asking says has been tried as long as
 * there was patience. */
enum rc
upstream_blob_read(struct upstream_blob *b, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	bool reading;
	enum rc rc;

	OBJ_CHECK(b, BLOB_MAGIC);
	*n_r = 0;
	while (!b->ended) {
		error_clear(error);
		rc = some_read(b, p, room, n_r, error);
		reading = b->a.f != NULL;
		if (rc == RC_OK && !b->ended)
			return (RC_OK);
		answer_close(&b->a);
		if (rc == RC_OK)
			break;
		*n_r = 0;
		/* However long whoever reads took to find out. */
		if (b->moved)
			pace_renew(&b->pace);
		b->moved = false;
		if (!reading || !error_passes(rc, 0) ||
		    !pace_again(b->u, &b->pace, 0))
			return (ask_failed(b->u, rc, error));
		log_debug("upstream %s: going on", error->why);
	}
	return (RC_OK);
}

void
upstream_blob_close(struct upstream_blob **b_p)
{
	struct upstream_blob *b = *b_p;

	if (b == NULL)
		return;
	OBJ_CHECK(b, BLOB_MAGIC);
	*b_p = NULL;
	answer_close(&b->a);
	upstream_unref(&b->u);
	free(b->url);
	free(b->want);
	free(b->what);
	b->magic = 0;
	free(b);
}

/* --- HEAD ---------------------------------------------------------------- */

enum rc
blob_look(struct upstream *u, struct span repository, const struct digest *d,
    enum upstream_side side, const struct upstream_wait *wait, uint64_t *size_r,
    struct upstream_error *error)
{
	struct ask ask = { .method = "HEAD", .side = side };
	char digest[DIGEST_STR_BYTES];
	char *url, *want, *what;
	struct answer a;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	*size_r = UINT64_MAX;
	(void)digest_str(d, digest);
	ask.url = url = ask_url(
	    u, "/v2/" SPAN_FMT "/blobs/%s", SPAN_ARG(repository), digest);
	ask.want = want = xasprintf("pull " SPAN_FMT, SPAN_ARG(repository));
	what = xasprintf("blob %s of " SPAN_FMT, digest, SPAN_ARG(repository));
	pace_begin(&p, wait, what);
	rc = ask_open(u, &ask, &p, &a, error);
	if (rc == RC_OK) {
		*size_r = fetch_length(a.f);
		answer_close(&a);
	}
	free(url);
	free(want);
	free(what);
	return (ask_failed(u, rc, error));
}

enum rc
upstream_blob_head(struct upstream *u, struct span repository,
    const struct digest *d, const struct upstream_wait *wait, uint64_t *size_r,
    struct upstream_error *error)
{
	return (blob_look(u, repository, d, SIDE_READ, wait, size_r, error));
}
