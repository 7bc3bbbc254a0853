#include "mirror/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "mirror/copy_int.h"
#include "mirror/each.h"
#include "mirror/place_int.h"

#define IMAGES 4
#define TAGS_ARENA_BYTES ((size_t)256 << 20)
/* So few may go whatever part of all they are. */
#define DELETE_FEW 5

/* Tags of a place, sorted. */
struct tag_list {
	struct span *items;
	size_t n, room;
};

struct sync {
	const struct sync_options *o;
	struct sync_result *result;
	struct copy_shared shared;
	struct arena arena; /* of the lists; one thread */
	struct tag_list source;
	struct span *chosen;
	size_t n_chosen;

	pthread_mutex_t lock; /* of the result, the callback and what follows */
	unsigned failures;    /* in a row, of those that others would share */
	char failure[UPSTREAM_WHY_BYTES];
	_Atomic bool over; /* cancelled */
};

/* --- lists --------------------------------------------------------------- */

static int
tag_compare(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

static enum rc
list_room(struct tag_list *l, size_t more)
{
	if (l->n + more > SYNC_TAGS_MAX)
		return (RC_TOOBIG);
	if (l->n + more <= l->room)
		return (RC_OK);
	l->room = (l->n + more) * 2;
	l->items = xrealloc(l->items, l->room * sizeof(*l->items));
	return (RC_OK);
}

/* What is no tag is not to be had under that name. */
static enum rc
page_add(struct tag_list *l, const struct place_names *page)
{
	size_t i;
	enum rc rc;

	if ((rc = list_room(l, page->n)) != RC_OK)
		return (rc);
	for (i = 0; i < page->n; i++)
		if (name_tag_ok(page->items[i]))
			l->items[l->n++] = page->items[i];
	return (RC_OK);
}

static void
list_sort(struct tag_list *l)
{
	size_t i, n = 0;

	if (l->n == 0)
		return;
	qsort(l->items, l->n, sizeof(*l->items), tag_compare);
	for (i = 1; i < l->n; i++)
		if (!span_eq(l->items[i], l->items[n]))
			l->items[++n] = l->items[i];
	l->n = n + 1;
}

/* A registry that sends one page over and over gives nothing new. */
static bool
page_repeats(const struct place_names *page, struct span before)
{
	return (page->next.p == NULL || page->n == 0 ||
		span_eq(page->next, before));
}

static enum rc
tags_get(struct sync *s, struct place *p, struct tag_list *l,
    struct upstream_error *error)
{
	struct span next = SPAN_NONE;
	struct place_names page;
	bool last;
	enum rc rc;

	if (p->ops->tags == NULL)
		return (place_fail(error, RC_UNSUPPORTED,
		    "%s: its tags cannot be listed", p->name));
	do {
		rc = p->ops->tags(p, next, &s->arena, &page, error);
		if (rc != RC_OK)
			return (rc);
		if (page_add(l, &page) != RC_OK)
			return (place_fail(error, RC_TOOBIG,
			    "%s: it has more than %d tags", p->name,
			    SYNC_TAGS_MAX));
		last = page_repeats(&page, next);
		next = page.next;
	} while (!last);
	list_sort(l);
	return (RC_OK);
}

static bool
list_has(const struct tag_list *l, struct span tag)
{
	return (l->n > 0 && bsearch(&tag, l->items, l->n, sizeof(*l->items),
				tag_compare) != NULL);
}

static void
tags_choose(struct sync *s)
{
	size_t i, n = 0;

	s->chosen = xcalloc(s->source.n + 1, sizeof(*s->chosen));
	for (i = 0; i < s->source.n; i++)
		if (!copy_tag_belongs(s->source.items[i]))
			s->chosen[n++] = s->source.items[i];
	s->n_chosen = selection_apply(s->o->selection, s->chosen, n);
	s->result->tags = s->source.n;
	s->result->selected = s->n_chosen;
	if (s->o->copy.progress != NULL)
		atomic_fetch_add(
		    &s->o->copy.progress->images_total, s->n_chosen);
}

/* --- images -------------------------------------------------------------- */

static bool
is_cancelled(struct sync *s)
{
	const atomic_bool *cancel = s->o->copy.cancel;

	if ((cancel != NULL && atomic_load(cancel)) ||
	    place_cancelled(s->o->from) || place_cancelled(s->o->to))
		atomic_store(&s->over, true);
	return (atomic_load(&s->over));
}

/* Under the lock. */
static void
image_tell(struct sync *s, const struct sync_image *image)
{
	struct sync_result *r = s->result;

	switch (image->outcome) {
	case SYNC_SAME:
		r->same++;
		break;
	case SYNC_COPIED:
		r->copied++;
		break;
	case SYNC_DELETED:
		r->deleted++;
		break;
	case SYNC_FAILED:
		r->failed++;
		break;
	}
	r->manifests += image->manifests;
	r->blobs += image->blobs;
	r->bytes += image->bytes;
	if (s->o->image != NULL)
		s->o->image(s->o->arg, image);
}

/* Would the next image fail for the same reason? */
static bool
is_of_all(enum rc rc)
{
	return (rc == RC_IO || rc == RC_TIMEOUT || rc == RC_LIMIT ||
		rc == RC_DENIED || rc == RC_NOSPACE || rc == RC_READONLY);
}

static void
failures_count(struct sync *s, enum rc rc, const char *why)
{
	if (!is_of_all(rc)) {
		s->failures = 0;
		return;
	}
	if (++s->failures == SYNC_FAILURES_MAX)
		(void)snprintf(s->failure, sizeof(s->failure),
		    "not tried, since %d in a row failed: %.600s",
		    SYNC_FAILURES_MAX, why);
}

static bool
is_hopeless(struct sync *s)
{
	bool hopeless;

	mutex_lock(&s->lock);
	hopeless = s->failures >= SYNC_FAILURES_MAX;
	mutex_unlock(&s->lock);
	return (hopeless);
}

static void
image_leave(struct sync *s, struct span tag)
{
	const struct sync_image image = {
		.tag = tag,
		.outcome = SYNC_FAILED,
		.why = s->failure,
	};

	if (s->o->copy.progress != NULL)
		atomic_fetch_add(&s->o->copy.progress->images, 1);
	mutex_lock(&s->lock);
	image_tell(s, &image);
	mutex_unlock(&s->lock);
}

static void
image_done(struct sync *s, struct span tag, enum rc rc,
    const struct copy_result *r, const struct upstream_error *error)
{
	struct sync_image image = {
		.tag = tag,
		.outcome = SYNC_FAILED,
		.digest = r->digest,
		.manifests = r->manifests,
		.blobs = r->blobs,
		.bytes = r->bytes,
	};

	if (rc == RC_OK)
		image.outcome =
		    r->outcome == COPY_SAME ? SYNC_SAME : SYNC_COPIED;
	else
		image.why = error->why;
	mutex_lock(&s->lock);
	failures_count(s, rc, error->why);
	image_tell(s, &image);
	mutex_unlock(&s->lock);
}

static void
each_image(void *arg, size_t i)
{
	struct sync *s = arg;
	struct span tag = s->chosen[i];
	const struct reference ref = { .tag = tag };
	struct upstream_error error = { 0 };
	struct copy_result result;
	enum rc rc;

	if (is_cancelled(s))
		return;
	if (is_hopeless(s)) {
		image_leave(s, tag);
		return;
	}
	rc = copy_image_shared(&s->shared, s->o->from, &ref, s->o->to, tag,
	    &s->o->copy, &result, &error);
	if (rc == RC_CANCELLED)
		atomic_store(&s->over, true);
	else
		image_done(s, tag, rc, &result, &error);
}

static void
images_copy(struct sync *s)
{
	unsigned images = s->o->images != 0 ? s->o->images : IMAGES;

	if (s->o->from->serial || s->o->to->serial)
		images = 1;
	each_run(s->n_chosen, images, each_image, s);
}

/* --- what the source has no more ----------------------------------------- */

static void
tag_remove(struct sync *s, struct span tag)
{
	struct sync_image image = { .tag = tag, .outcome = SYNC_DELETED };
	struct upstream_error error = { 0 };
	enum rc rc = RC_UNSUPPORTED;

	if (s->o->to->ops->tag_delete != NULL)
		rc = s->o->to->ops->tag_delete(s->o->to, tag, &error);
	else
		(void)snprintf(error.why, sizeof(error.why),
		    "%s: tags cannot be removed there", s->o->to->name);
	if (rc != RC_OK && rc != RC_NOTFOUND) {
		image.outcome = SYNC_FAILED;
		image.why = error.why;
	}
	mutex_lock(&s->lock);
	image_tell(s, &image);
	mutex_unlock(&s->lock);
}

/* Those that the source has no more come to the front; how many. */
static size_t
gone_find(struct sync *s, struct tag_list *there, size_t *selected_r)
{
	size_t i, n = 0;

	*selected_r = 0;
	for (i = 0; i < there->n; i++) {
		if (copy_tag_belongs(there->items[i]) ||
		    !selection_takes(s->o->selection, there->items[i]))
			continue;
		(*selected_r)++;
		if (!list_has(&s->source, there->items[i]))
			there->items[n++] = there->items[i];
	}
	return (n);
}

/* An empty or much shorter list may as well be a registry's mistake. */
static bool
is_too_much(struct sync *s, size_t gone, size_t selected, char why[256])
{
	if (s->o->deletes == SYNC_DELETE_FORCE)
		return (false);
	if (s->source.n == 0)
		(void)snprintf(why, 256,
		    "no tag is removed (%zu would be): the source lists none",
		    gone);
	else if (gone > DELETE_FEW && gone * 2 > selected)
		(void)snprintf(why, 256,
		    "no tag is removed: %zu of %zu would be, more than half",
		    gone, selected);
	else
		return (false);
	return (true);
}

static void
deletion_refuse(struct sync *s, const char *why)
{
	const struct sync_image image = {
		.outcome = SYNC_FAILED,
		.why = why,
	};

	mutex_lock(&s->lock);
	image_tell(s, &image);
	mutex_unlock(&s->lock);
}

static enum rc
gone_delete(struct sync *s, struct upstream_error *error)
{
	struct tag_list there = { 0 };
	size_t i, gone, selected;
	char why[256];
	enum rc rc;

	rc = tags_get(s, s->o->to, &there, error);
	if (rc == RC_NOTFOUND) /* no repository, no tags */
		rc = RC_OK;
	gone = gone_find(s, &there, &selected);
	if (rc == RC_OK && gone > 0 && is_too_much(s, gone, selected, why))
		deletion_refuse(s, why);
	else
		for (i = 0; rc == RC_OK && i < gone && !is_cancelled(s); i++)
			tag_remove(s, there.items[i]);
	free(there.items);
	return (rc);
}

/* --- all ----------------------------------------------------------------- */

static enum rc
sync_do(struct sync *s, struct upstream_error *error)
{
	enum rc rc;

	if ((rc = tags_get(s, s->o->from, &s->source, error)) != RC_OK)
		return (rc);
	s->shared.tags = s->source.items;
	s->shared.n_tags = s->source.n;
	tags_choose(s);
	images_copy(s);
	if (!is_cancelled(s) && s->o->deletes != SYNC_KEEP &&
	    (rc = gone_delete(s, error)) != RC_OK)
		return (rc);
	if (is_cancelled(s))
		return (place_fail(
		    error, RC_CANCELLED, "%s: cancelled", s->o->from->name));
	return (RC_OK);
}

enum rc
sync_run(const struct sync_options *o, struct sync_result *result_r,
    struct upstream_error *error)
{
	struct sync s = { .o = o, .result = result_r };
	enum rc rc;

	*result_r = (struct sync_result){ .started_ms = clock_real_ms() };
	arena_init(&s.arena, TAGS_ARENA_BYTES);
	copy_shared_init(&s.shared);
	mutex_init(&s.lock);
	atomic_init(&s.over, false);
	rc = sync_do(&s, error);
	result_r->ended_ms = clock_real_ms();
	(void)pthread_mutex_destroy(&s.lock);
	copy_shared_end(&s.shared);
	free(s.chosen);
	free(s.source.items);
	arena_reset(&s.arena);
	return (rc);
}
