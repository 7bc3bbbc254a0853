#include "registryd/backfills.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/keyring.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/replicate.h"
#include "registryd/registry_config.h"
#include "registryd/replication.h"
#include "registryd/service.h"
#include "storage/replication.h"

#define BACKFILLS_MAGIC 0x42414b46u

/* Tasks in the queue beyond which no more are added, so that what somebody
 * pushes now does not wait for all that is old. */
#define QUEUE_MAX 256
#define BATCH_IMAGES 64
#define PAGE_BYTES ((size_t)16 << 20)
#define PAUSE_MS 250L
/* To count is to look at every image: a tenth of the time at most. */
#define COUNT_PART 10
#define COUNT_MIN_MS 1000
#define ALL_MAX 100000
#define CODES_MAX 10

#define NS_PER_MS ((int64_t)1000000)

struct backfills {
	unsigned magic;
	struct service *svc;
	pthread_mutex_t lock; /* over all below */
	pthread_cond_t wake;
	pthread_t thread;
	bool runs, stop, due;
	int64_t count_at_ns; /* the thread's own */
};

/* --- the walk ------------------------------------------------------------ */

static bool
sent_there(struct service *svc, struct span repository, struct span destination)
{
	const struct span *list;
	struct arena arena;
	bool is = false;
	size_t i, n;

	arena_init(&arena, PAGE_BYTES);
	if (replication_destinations_of(
		svc->replication, repository, &arena, &list, &n) == RC_OK)
		for (i = 0; i < n; i++)
			is = is || span_eq(list[i], destination);
	arena_reset(&arena);
	return (is);
}

static void
place_enter(struct backfill_place *place, struct span repository)
{
	must(repository.n < sizeof(place->repository));
	memcpy(place->repository, repository.p, repository.n);
	place->repository[repository.n] = '\0';
}

/* The next repository that goes there, whose images are walked from the first
 * then.  RC_NOTFOUND: there is none any more. */
static enum rc
repository_next(
    struct service *svc, struct span destination, struct backfill_place *place)
{
	struct arena arena;
	struct page page = { .more = true };
	bool found = false;
	enum rc rc = RC_OK;
	size_t i;

	while (rc == RC_OK && page.more && !found) {
		arena_init(&arena, PAGE_BYTES);
		rc = meta_repository_page(store_meta(svc->store),
		    span_of(place->repository), 256, &arena, &page);
		for (i = 0; rc == RC_OK && !found && i < page.n; i++) {
			place_enter(place, page.items[i]);
			found = sent_there(svc, page.items[i], destination);
		}
		arena_reset(&arena);
	}
	if (rc == RC_OK && !found)
		return (RC_NOTFOUND);
	return (rc);
}

static enum rc
page_walk(struct backfill_place *place, const struct image_page *page,
    backfill_fn *fn, void *arg)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < page->n; i++) {
		rc = fn(arg, span_of(place->repository), &page->rows[i]);
		if (rc != RC_OK)
			break;
		place->within = true;
		place->digest = page->rows[i].manifest.digest;
	}
	return (rc);
}

/* Images of the repository at hand; *${n} fewer are to be looked at then. */
static enum rc
images_walk(struct service *svc, struct backfill_place *place, bool begun,
    size_t *n, backfill_fn *fn, void *arg)
{
	struct image_query q = {
		.repository = span_of(place->repository),
		.statuses = IMAGE_STATUS_BIT(IMAGE_ACTIVE),
		.after = begun ? &place->digest : NULL,
		.max_rows = *n,
	};
	struct image_page page = { 0 };
	struct arena arena;
	enum rc rc;

	arena_init(&arena, PAGE_BYTES);
	rc = meta_image_page(store_meta(svc->store), &q, &arena, &page);
	if (rc == RC_OK)
		rc = page_walk(place, &page, fn, arg);
	*n -= page.n < *n ? page.n : *n;
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc == RC_OK)
		place->within = page.more && page.n > 0;
	arena_reset(&arena);
	return (rc);
}

enum rc
backfill_walk(struct service *svc, struct span destination,
    struct backfill_place *place, size_t max, backfill_fn *fn, void *arg,
    bool *more_r)
{
	struct backfill_place before;
	enum rc rc = RC_OK;
	bool begun = place->within;

	*more_r = true;
	while (rc == RC_OK && max > 0) {
		before = *place;
		if (!begun)
			rc = repository_next(svc, destination, place);
		if (rc == RC_NOTFOUND) {
			*more_r = false;
			return (RC_OK);
		}
		if (rc == RC_OK)
			rc = images_walk(svc, place, begun, &max, fn, arg);
		/* Not one of the repository's was taken. */
		if (rc != RC_OK && !place->within)
			*place = before;
		begun = place->within;
	}
	return (rc);
}

/* --- records ------------------------------------------------------------- */

static struct span
text_of(const json_t *o, const char *key)
{
	struct span s;

	return (json_get_str(o, key, &s) == RC_OK ? s : SPAN_NONE);
}

static void
put(json_t *o, const char *key, json_t *v)
{
	must(json_object_set_new(o, key, v) == 0);
}

bool
backfill_goes_on(const json_t *o)
{
	struct span status = text_of(o, "status");

	return (span_is(status, "PREPARING") ||
		span_is(status, "IN_PROGRESS") || span_is(status, "STOPPING"));
}

static int64_t
number_of(const json_t *o, const char *key)
{
	int64_t n;

	return (json_get_int(o, key, &n) == RC_OK ? n : 0);
}

static struct span
destination_of(const json_t *o, char out[REPLICATION_DESTINATION_MAX_BYTES])
{
	const json_t *d = json_object_get(o, "destination");
	int n;

	n = snprintf(out, REPLICATION_DESTINATION_MAX_BYTES,
	    SPAN_FMT "/" SPAN_FMT, SPAN_ARG(text_of(d, "region")),
	    SPAN_ARG(text_of(d, "registryId")));
	if (n < 0 || n >= REPLICATION_DESTINATION_MAX_BYTES)
		n = 0;
	return ((struct span){ out, (size_t)n });
}

static void
place_read(const json_t *o, struct backfill_place *place)
{
	struct span repository = text_of(o, "repository");

	*place = (struct backfill_place){ .within = false };
	if (repository.n > NAME_REPOSITORY_MAX_BYTES)
		return;
	if (repository.n > 0)
		place_enter(place, repository);
	place->within =
	    digest_parse(text_of(o, "digest"), &place->digest) == RC_OK;
}

static void
place_put(json_t *o, const struct backfill_place *place)
{
	char text[DIGEST_STR_BYTES];

	put(o, "repository", json_string(place->repository));
	if (place->within)
		put(o, "digest", json_string(digest_str(&place->digest, text)));
	else
		(void)json_object_del(o, "digest");
}

/* --- a round of one ------------------------------------------------------ */

struct filling {
	struct backfills *b;
	struct span id, destination;
	int64_t now_ms;
	struct backfill_place place;
	bool more;
	int64_t added;
	/* what became of them */
	int64_t completed, failed, pending;
	json_t *codes;
};

static enum rc
task_add(struct filling *f, struct span repository, const struct digest *d,
    struct span tag)
{
	enum rc rc;

	rc = meta_replication_add(store_meta(f->b->svc->store), repository, d,
	    tag, f->destination, f->now_ms);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
image_add(void *arg, struct span repository, const struct image_row *row)
{
	struct filling *f = arg;
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < row->n_tags; i++)
		rc = task_add(
		    f, repository, &row->manifest.digest, row->tags[i]);
	if (row->n_tags == 0)
		rc = task_add(f, repository, &row->manifest.digest, SPAN(""));
	f->added += rc == RC_OK;
	return (rc);
}

static void
code_add(json_t *codes, struct span code)
{
	const json_t *one;
	size_t i;

	json_array_foreach(codes, i, one)
	{
		if (span_is(code, json_string_value(one)))
			return;
	}
	if (json_array_size(codes) < CODES_MAX)
		must(json_array_append_new(
			 codes, json_stringn(code.p, code.n)) == 0);
}

static enum rc
image_count(void *arg, struct span repository, const struct image_row *row)
{
	struct filling *f = arg;
	struct replication_status *rows;
	struct arena arena;
	size_t i, n = 0;
	enum rc rc;

	arena_init(&arena, PAGE_BYTES);
	rc = meta_replication_status(store_meta(f->b->svc->store), repository,
	    &row->manifest.digest, &arena, &rows, &n);
	for (i = 0; rc == RC_OK && i < n; i++) {
		if (!span_eq(rows[i].destination, f->destination))
			continue;
		f->completed += rows[i].state == REPLICATION_COMPLETE;
		f->failed += rows[i].state == REPLICATION_FAILED;
		f->pending += rows[i].state == REPLICATION_IN_PROGRESS;
		if (rows[i].state == REPLICATION_FAILED)
			code_add(f->codes, rows[i].code);
	}
	arena_reset(&arena);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static void
end_put(json_t *o, const char *status, int64_t now_ms)
{
	put(o, "status", json_string(status));
	put(o, "endedAt", json_integer(now_ms));
}

/* Somebody may have said meanwhile that it is to stop. */
static enum rc
added_put(json_t *o, void *arg)
{
	const struct filling *f = arg;

	if (!backfill_goes_on(o))
		return (RC_NOTFOUND);
	if (span_is(text_of(o, "status"), "PREPARING"))
		put(o, "status", json_string("IN_PROGRESS"));
	put(o, "total", json_integer(number_of(o, "total") + f->added));
	place_put(o, &f->place);
	if (!f->more)
		put(o, "walked", json_true());
	return (RC_OK);
}

static enum rc
counts_put(json_t *o, void *arg)
{
	const struct filling *f = arg;

	if (!backfill_goes_on(o))
		return (RC_NOTFOUND);
	put(o, "completed", json_integer(f->completed));
	put(o, "failed", json_integer(f->failed));
	put(o, "failureCodes", json_incref(f->codes));
	if (span_is(text_of(o, "status"), "STOPPING"))
		end_put(o, "STOPPED", f->now_ms);
	else if (f->pending == 0 && json_is_true(json_object_get(o, "walked")))
		end_put(o,
		    f->failed > 0 && f->completed == 0 ? "FAILED" : "COMPLETE",
		    f->now_ms);
	return (RC_OK);
}

static enum rc
record_change(struct filling *f, config_change_fn *change)
{
	return (registry_config_update(
	    store_meta(f->b->svc->store), ENTITY_BACKFILL, f->id, change, f));
}

static bool
ends(struct backfills *b)
{
	bool stop;

	mutex_lock(&b->lock);
	stop = b->stop;
	mutex_unlock(&b->lock);
	return (stop || store_failed(b->svc->store));
}

/* Those that wait are few: add some. */
static enum rc
more_add(struct filling *f)
{
	uint64_t waiting = 0;
	enum rc rc;

	f->more = true;
	while (f->more && !ends(f->b)) {
		rc = meta_replication_count(
		    store_meta(f->b->svc->store), &waiting);
		if (rc != RC_OK || waiting >= QUEUE_MAX)
			return (rc);
		f->added = 0;
		rc = backfill_walk(f->b->svc, f->destination, &f->place,
		    BATCH_IMAGES, image_add, f, &f->more);
		if (rc == RC_OK)
			rc = record_change(f, added_put);
		if (rc != RC_OK)
			return (rc);
		if (f->b->svc->replicator != NULL)
			replicator_wake(f->b->svc->replicator);
	}
	return (RC_OK);
}

/* What became of all, as far as it has come. */
static enum rc
all_count(struct filling *f)
{
	struct backfill_place place = { .within = false };
	bool more = true;
	enum rc rc = RC_OK;

	f->codes = json_array();
	while (rc == RC_OK && more && !ends(f->b))
		rc = backfill_walk(f->b->svc, f->destination, &place,
		    BATCH_IMAGES, image_count, f, &more);
	if (rc == RC_OK && !ends(f->b))
		rc = record_change(f, counts_put);
	json_decref(f->codes);
	return (rc);
}

static bool
count_due(struct backfills *b, const json_t *o)
{
	return (span_is(text_of(o, "status"), "STOPPING") ||
		clock_mono_ns() >= b->count_at_ns);
}

static enum rc
record_round(struct backfills *b, struct span id, const json_t *o)
{
	char name[REPLICATION_DESTINATION_MAX_BYTES];
	struct filling f = {
		.b = b,
		.id = id,
		.destination = destination_of(o, name),
		.now_ms = clock_real_ms(),
	};
	enum rc rc = RC_OK;

	place_read(o, &f.place);
	if (!span_is(text_of(o, "status"), "STOPPING") &&
	    !json_is_true(json_object_get(o, "walked")))
		rc = more_add(&f);
	if (rc == RC_OK && count_due(b, o))
		rc = all_count(&f);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Those that go on; how many there are still. */
static size_t
all_round(struct backfills *b)
{
	json_t *list, *row;
	size_t i, n = 0;
	bool more;
	enum rc rc;

	if (registry_config_page(store_meta(b->svc->store), ENTITY_BACKFILL,
		SPAN_NONE, ALL_MAX, &list, &more) != RC_OK)
		return (1);
	json_array_foreach(list, i, row)
	{
		if (!backfill_goes_on(json_array_get(row, 1)) || ends(b))
			continue;
		n++;
		rc = record_round(b,
		    span_of(json_string_value(json_array_get(row, 0))),
		    json_array_get(row, 1));
		if (rc != RC_OK)
			log_warn("a replication backfill does not go on: %s",
			    rc_text(rc));
	}
	json_decref(list);
	return (n);
}

/* --- the thread ---------------------------------------------------------- */

static void
backfills_main(void *arg)
{
	struct backfills *b = arg;
	int64_t begun_ns, took_ns;
	size_t n;

	OBJ_CHECK(b, BACKFILLS_MAGIC);
	thread_step_back();
	mutex_lock(&b->lock);
	while (!b->stop) {
		b->due = false;
		mutex_unlock(&b->lock);
		begun_ns = clock_mono_ns();
		n = all_round(b);
		took_ns = clock_mono_ns() - begun_ns;
		if (begun_ns >= b->count_at_ns)
			b->count_at_ns = clock_mono_ns() +
					 COUNT_MIN_MS * NS_PER_MS +
					 took_ns * COUNT_PART;
		mutex_lock(&b->lock);
		if (n > 0 && !b->stop && !b->due)
			(void)cond_wait_ms(&b->wake, &b->lock, PAUSE_MS);
		while (n == 0 && !b->stop && !b->due)
			cond_wait(&b->wake, &b->lock);
	}
	mutex_unlock(&b->lock);
}

static enum rc
awake(struct backfills *b)
{
	enum rc rc = RC_OK;

	mutex_lock(&b->lock);
	b->due = true;
	must(pthread_cond_signal(&b->wake) == 0);
	if (!b->runs && !b->stop) {
		rc = thread_start("backfill", backfills_main, b, &b->thread);
		b->runs = rc == RC_OK;
	}
	mutex_unlock(&b->lock);
	return (rc);
}

struct backfills *
backfills_new(struct service *svc)
{
	struct backfills *b = xcalloc(1, sizeof(*b));

	b->magic = BACKFILLS_MAGIC;
	b->svc = svc;
	mutex_init(&b->lock);
	cond_init(&b->wake);
	return (b);
}

void
backfills_free(struct backfills **b_p)
{
	struct backfills *b = *b_p;

	*b_p = NULL;
	if (b == NULL)
		return;
	backfills_stop(b);
	must(pthread_cond_destroy(&b->wake) == 0);
	must(pthread_mutex_destroy(&b->lock) == 0);
	b->magic = 0;
	free(b);
}

/* Mostly there is none, and then nothing to start. */
enum rc
backfills_start(struct backfills *b)
{
	bool any = false, more;
	json_t *list, *row;
	size_t i;
	enum rc rc;

	OBJ_CHECK(b, BACKFILLS_MAGIC);
	rc = registry_config_page(store_meta(b->svc->store), ENTITY_BACKFILL,
	    SPAN_NONE, ALL_MAX, &list, &more);
	if (rc != RC_OK)
		return (rc == RC_CORRUPT ? RC_OK : rc);
	json_array_foreach(list, i, row)
	{
		any = any || backfill_goes_on(json_array_get(row, 1));
	}
	json_decref(list);
	return (any ? awake(b) : RC_OK);
}

void
backfills_stop(struct backfills *b)
{
	OBJ_CHECK(b, BACKFILLS_MAGIC);
	mutex_lock(&b->lock);
	b->stop = true;
	must(pthread_cond_signal(&b->wake) == 0);
	mutex_unlock(&b->lock);
	if (b->runs)
		thread_join(b->thread);
	b->runs = false;
}

/* --- begun and ended ----------------------------------------------------- */

/* As UUIDs of version 4 are written. */
static void
id_make(char id[BACKFILL_ID_BYTES])
{
	uint8_t r[16];
	char hex[33];

	random_bytes(r, sizeof(r));
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	hex_encode(r, sizeof(r), hex);
	(void)snprintf(id, BACKFILL_ID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex,
	    hex + 8, hex + 12, hex + 16, hex + 20);
}

static bool
same_destination(const json_t *o, struct span region, struct span registry_id)
{
	const json_t *d = json_object_get(o, "destination");

	return (span_eq(text_of(d, "region"), region) &&
		span_eq(text_of(d, "registryId"), registry_id));
}

/* The one that ended first goes when there are too many. */
static void
oldest_forget(struct backfills *b, const json_t *list)
{
	const json_t *oldest = NULL, *row, *o;
	int64_t first = INT64_MAX;
	size_t i, n = 0;

	json_array_foreach(list, i, row)
	{
		o = json_array_get(row, 1);
		if (backfill_goes_on(o))
			continue;
		n++;
		if (number_of(o, "endedAt") >= first)
			continue;
		first = number_of(o, "endedAt");
		oldest = row;
	}
	if (n < BACKFILLS_KEPT || oldest == NULL)
		return;
	if (registry_config_delete(store_meta(b->svc->store), ENTITY_BACKFILL,
		span_of(json_string_value(json_array_get(oldest, 0))),
		NULL) != RC_OK)
		log_warn("the record of a backfill cannot be deleted");
}

static enum rc
goes_on_check(struct backfills *b, struct span region, struct span registry_id)
{
	json_t *list, *row, *o;
	bool more;
	size_t i;
	enum rc rc;

	rc = registry_config_page(store_meta(b->svc->store), ENTITY_BACKFILL,
	    SPAN_NONE, ALL_MAX, &list, &more);
	if (rc != RC_OK)
		return (rc);
	json_array_foreach(list, i, row)
	{
		o = json_array_get(row, 1);
		if (backfill_goes_on(o) &&
		    same_destination(o, region, registry_id))
			rc = RC_BUSY;
	}
	if (rc == RC_OK)
		oldest_forget(b, list);
	json_decref(list);
	return (rc);
}

enum rc
backfills_begin(struct backfills *b, struct span region,
    struct span registry_id, char id_r[BACKFILL_ID_BYTES])
{
	json_t *o;
	enum rc rc;

	OBJ_CHECK(b, BACKFILLS_MAGIC);
	if ((rc = goes_on_check(b, region, registry_id)) != RC_OK)
		return (rc);
	id_make(id_r);
	o = json_pack("{s:{s:s%,s:s%},s:s,s:I}", "destination", "region",
	    region.p, region.n, "registryId", registry_id.p, registry_id.n,
	    "status", "PREPARING", "startedAt", (json_int_t)clock_real_ms());
	must(o != NULL);
	rc = registry_config_put(store_meta(b->svc->store), ENTITY_BACKFILL,
	    span_of(id_r), o, CONFIG_ADD, 0);
	json_decref(o);
	return (rc == RC_OK ? awake(b) : rc);
}

static enum rc
stopping_put(json_t *o, void *arg)
{
	(void)arg;
	if (text_of(o, "status").n == 0)
		return (RC_NOTFOUND);
	if (!backfill_goes_on(o) || span_is(text_of(o, "status"), "STOPPING"))
		return (RC_REFERENCED);
	put(o, "status", json_string("STOPPING"));
	return (RC_OK);
}

enum rc
backfills_end(struct backfills *b, struct span id)
{
	enum rc rc;

	OBJ_CHECK(b, BACKFILLS_MAGIC);
	rc = registry_config_update(
	    store_meta(b->svc->store), ENTITY_BACKFILL, id, stopping_put, NULL);
	if (rc == RC_REFERENCED)
		return (RC_BUSY);
	if (rc == RC_BUSY)
		return (RC_LIMIT);
	return (rc == RC_OK ? awake(b) : rc);
}
