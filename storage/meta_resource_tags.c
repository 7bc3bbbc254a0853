#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/mem.h"

/*
 * Resource tags of repositories: few, so all of a repository's are one row,
 * sorted by key.
 */

/* Borrowed from the map. */
static enum rc
resource_tags_load(struct meta_txn *t, uint64_t repo,
    struct resource_tag room[REPOSITORY_TAGS_MAX], size_t *n_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	*n_r = 0;
	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_TAGS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_resource_tags_read(value, room, n_r))
		return (meta_corrupt(TABLE_REPOSITORY_TAGS, key_span(&k)));
	return (RC_OK);
}

enum rc
resource_tags_get(struct meta_txn *t, uint64_t repo, struct arena *a,
    struct resource_tag **tags_r, size_t *n_r)
{
	struct resource_tag room[REPOSITORY_TAGS_MAX], *copy;
	size_t i, n;
	enum rc rc;

	*tags_r = NULL;
	*n_r = 0;
	rc = resource_tags_load(t, repo, room, &n);
	if (rc != RC_OK || n == 0)
		return (rc);
	if ((copy = arena_calloc(a, n, sizeof(*copy))) == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n && rc == RC_OK; i++) {
		rc = copy_out(a, room[i].key, &copy[i].key);
		if (rc == RC_OK)
			rc = copy_out(a, room[i].value, &copy[i].value);
	}
	*tags_r = copy;
	*n_r = n;
	return (rc);
}

enum rc
resource_tags_put(struct meta_txn *t, uint64_t repo,
    const struct resource_tag *tags, size_t n)
{
	size_t size = rec_resource_tags_size(tags, n);
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, repo);
	if (n == 0) {
		rc = kv_delete(t, TABLE_REPOSITORY_TAGS, key_span(&k));
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	}
	/* Those that stay are still in the map, where they may be overwritten.
	 */
	p = xmalloc(size);
	rec_resource_tags_write(tags, n, p);
	rc = kv_put(t, TABLE_REPOSITORY_TAGS, key_span(&k),
	    (struct span){ (const char *)p, size });
	free(p);
	return (rc);
}

static int
tag_key_cmp(const void *a, const void *b)
{
	const struct resource_tag *x = a, *y = b;

	return (span_cmp(x->key, y->key));
}

enum rc
resource_tags_sort(
    const struct resource_tag *tags, size_t n, struct resource_tag *sorted)
{
	size_t i;

	if (n == 0)
		return (RC_OK);
	memcpy(sorted, tags, n * sizeof(*tags));
	qsort(sorted, n, sizeof(*sorted), tag_key_cmp);
	for (i = 1; i < n; i++)
		if (span_eq(sorted[i - 1].key, sorted[i].key))
			return (RC_INVALID);
	return (RC_OK);
}

/* Changing them. */

struct tags_arg {
	struct span name;
	const struct resource_tags_change *change;
};

/* Is it removed, or another put in its place? */
static bool
tag_goes(const struct resource_tags_change *c, struct span key)
{
	size_t i;

	for (i = 0; i < c->n_remove; i++)
		if (span_eq(c->remove[i], key))
			return (true);
	for (i = 0; i < c->n_put; i++)
		if (span_eq(c->put[i].key, key))
			return (true);
	return (false);
}

/* What they are then, not sorted yet. */
static size_t
tags_merge(const struct resource_tags_change *c, const struct resource_tag *old,
    size_t n_old, struct resource_tag *all)
{
	size_t i, n = 0;

	for (i = 0; i < n_old; i++)
		if (!tag_goes(c, old[i].key))
			all[n++] = old[i];
	for (i = 0; i < c->n_put; i++)
		all[n++] = c->put[i];
	return (n);
}

/* A lower limit than there was keeps nobody from having fewer. */
static bool
too_many(const struct resource_tags_change *c, size_t n_old, size_t n)
{
	size_t max = REPOSITORY_TAGS_MAX;

	if (c->max > 0 && c->max < max)
		max = c->max;
	return (n > max && n > n_old);
}

static enum rc
resource_tags_change(struct meta_txn *t, void *arg)
{
	const struct tags_arg *ta = arg;
	struct resource_tag old[REPOSITORY_TAGS_MAX];
	struct resource_tag all[2 * REPOSITORY_TAGS_MAX];
	struct resource_tag sorted[2 * REPOSITORY_TAGS_MAX];
	struct repository_row row;
	size_t n_old, n;
	enum rc rc;

	if ((rc = repo_find(t, ta->name, &row)) != RC_OK)
		return (rc);
	if (ta->change->n_put > REPOSITORY_TAGS_MAX)
		return (RC_LIMIT);
	rc = resource_tags_load(t, row.id, old, &n_old);
	if (rc != RC_OK)
		return (rc);
	n = tags_merge(ta->change, old, n_old, all);
	if ((rc = resource_tags_sort(all, n, sorted)) != RC_OK)
		return (rc);
	if (too_many(ta->change, n_old, n))
		return (RC_LIMIT);
	return (resource_tags_put(t, row.id, sorted, n));
}

enum rc
meta_resource_tags_change(
    struct meta *m, struct span name, const struct resource_tags_change *c)
{
	struct tags_arg arg = { .name = name, .change = c };

	return (meta_change(m, resource_tags_change, &arg, 0));
}
