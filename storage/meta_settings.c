#include "storage/meta_ops_int.h"

#include <stdlib.h>

/*
 * What is set of a repository: its settings, its resource tags, its policy.
 * A row each, under the repository's id, and none where all is as it is by
 * default.
 */

/* Settings. */

static const struct repository_settings repo_settings_default = {
	.mutability = TAGS_MUTABLE,
	.encryption = ENCRYPTION_AES256,
};

enum rc
repo_settings_load(struct meta_txn *t, uint64_t repo,
    struct span room[REPOSITORY_EXCLUSIONS_MAX], struct repository_settings *s)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_SETTINGS, key_span(&k), &value);
	if (rc == RC_OK && !rec_settings_read(value, room, s))
		rc = meta_corrupt(TABLE_REPOSITORY_SETTINGS, key_span(&k));
	if (rc != RC_NOTFOUND)
		return (rc);
	*s = repo_settings_default;
	return (RC_OK);
}

/* Copied out of the map. */
static enum rc
repo_settings_get(struct meta_txn *t, uint64_t repo, struct arena *a,
    struct repository_settings *s)
{
	struct span room[REPOSITORY_EXCLUSIONS_MAX] = { 0 };
	struct span *copy;
	size_t i;
	enum rc rc;

	if ((rc = repo_settings_load(t, repo, room, s)) != RC_OK)
		return (rc);
	if ((rc = copy_out(a, s->kms_key, &s->kms_key)) != RC_OK)
		return (rc);
	s->exclusions = NULL;
	if (s->n_exclusions == 0)
		return (RC_OK);
	if ((copy = arena_calloc(a, s->n_exclusions, sizeof(*copy))) == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < s->n_exclusions && rc == RC_OK; i++)
		rc = copy_out(a, room[i], &copy[i]);
	s->exclusions = copy;
	return (rc);
}

static bool
settings_are_default(const struct repository_settings *s)
{

	return (s->mutability == repo_settings_default.mutability &&
		s->n_exclusions == 0 && !s->scan_on_push &&
		s->encryption == repo_settings_default.encryption &&
		s->kms_key.n == 0);
}

static enum rc
repo_settings_put(
    struct meta_txn *t, uint64_t repo, const struct repository_settings *s)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	if (settings_are_default(s))
		return (RC_OK);
	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_REPOSITORY_SETTINGS, key_span(&k),
	    rec_settings_size(s), &p);
	if (rc == RC_OK)
		rec_settings_write(s, p);
	return (rc);
}

/* '*' is any run of characters; where it goes on after one, the first place
 * that fits will do, so that only the last '*' is ever tried again. */
static bool
filter_matches(struct span filter, struct span tag)
{
	size_t f = 0, t = 0, star = SIZE_MAX, tried = 0;

	while (t < tag.n) {
		if (f < filter.n && filter.p[f] == '*') {
			star = f++;
			tried = t;
		} else if (f < filter.n && filter.p[f] == tag.p[t]) {
			f++;
			t++;
		} else if (star != SIZE_MAX) {
			f = star + 1;
			t = ++tried;
		} else {
			return (false);
		}
	}
	while (f < filter.n && filter.p[f] == '*')
		f++;
	return (f == filter.n);
}

static bool
excluded(const struct repository_settings *s, struct span tag)
{
	size_t i;

	for (i = 0; i < s->n_exclusions; i++)
		if (filter_matches(s->exclusions[i], tag))
			return (true);
	return (false);
}

bool
repo_settings_immutable(const struct repository_settings *s, struct span tag)
{

	switch (s->mutability) {
	case TAGS_IMMUTABLE:
		return (true);
	case TAGS_IMMUTABLE_WITH_EXCLUSION:
		return (!excluded(s, tag));
	case TAGS_MUTABLE_WITH_EXCLUSION:
		return (excluded(s, tag));
	case TAGS_MUTABLE:
	default:
		return (false);
	}
}

/* Resource tags. */

enum rc
resource_tags_get(struct meta_txn *t, uint64_t repo, struct arena *a,
    struct resource_tag **tags_r, size_t *n_r)
{
	struct resource_tag room[REPOSITORY_TAGS_MAX], *copy;
	struct rec_key k;
	struct span value;
	size_t i, n;
	enum rc rc;

	*tags_r = NULL;
	*n_r = 0;
	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_TAGS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_resource_tags_read(value, room, &n))
		return (meta_corrupt(TABLE_REPOSITORY_TAGS, key_span(&k)));
	if ((copy = arena_calloc(a, n + 1, sizeof(*copy))) == NULL)
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

static enum rc
resource_tags_put(struct meta_txn *t, uint64_t repo,
    const struct resource_tag *tags, size_t n)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	if (n == 0)
		return (RC_OK);
	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_REPOSITORY_TAGS, key_span(&k),
	    rec_resource_tags_size(tags, n), &p);
	if (rc == RC_OK)
		rec_resource_tags_write(tags, n, p);
	return (rc);
}

/* Both together. */

enum rc
repo_describe(struct meta_txn *t, const struct repository_row *row,
    struct arena *a, struct repository_description *d_r)
{
	enum rc rc;

	*d_r = (struct repository_description){ .row = *row };
	if ((rc = repo_settings_get(t, row->id, a, &d_r->settings)) != RC_OK)
		return (rc);
	return (resource_tags_get(t, row->id, a, &d_r->tags, &d_r->n_tags));
}

enum rc
meta_repository_describe(struct meta *m, struct span name, struct arena *a,
    struct repository_description *d_r)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	if ((rc = repo_find(&t, name, &row)) == RC_OK)
		rc = repo_describe(&t, &row, a, d_r);
	meta_read_end(&t);
	return (rc);
}

struct create_arg {
	const struct repository_create *create;
	struct repository_settings settings;
	struct resource_tag tags[REPOSITORY_TAGS_MAX]; /* by key */
	size_t n_tags;
	struct repository_row *row;
};

static enum rc
repository_create(struct meta_txn *t, void *arg)
{
	const struct create_arg *ca = arg;
	const struct repository_create *c = ca->create;
	uint64_t id;
	enum rc rc;

	rc = repo_find(t, c->name, ca->row);
	if (rc != RC_NOTFOUND)
		return (rc == RC_OK ? RC_EXISTS : rc);
	if ((rc = repo_take(t, c->name, true, c->now_ms, &id)) != RC_OK)
		return (rc);
	*ca->row = (struct repository_row){ id, c->now_ms };
	if ((rc = repo_settings_put(t, id, &ca->settings)) != RC_OK)
		return (rc);
	return (resource_tags_put(t, id, ca->tags, ca->n_tags));
}

static int
tag_key_cmp(const void *a, const void *b)
{
	const struct resource_tag *x = a, *y = b;

	return (span_cmp(x->key, y->key));
}

static enum rc
create_tags(struct create_arg *ca, const struct repository_create *c)
{
	size_t i;

	if (c->n_tags > REPOSITORY_TAGS_MAX)
		return (RC_INVALID);
	ca->n_tags = c->n_tags;
	if (c->n_tags == 0)
		return (RC_OK);
	memcpy(ca->tags, c->tags, c->n_tags * sizeof(*c->tags));
	qsort(ca->tags, ca->n_tags, sizeof(*ca->tags), tag_key_cmp);
	for (i = 1; i < ca->n_tags; i++)
		if (span_eq(ca->tags[i - 1].key, ca->tags[i].key))
			return (RC_INVALID);
	return (RC_OK);
}

enum rc
meta_repository_create(struct meta *m, const struct repository_create *c,
    struct repository_row *row_r)
{
	struct create_arg ca = {
		.create = c, .settings = c->settings, .row = row_r
	};
	enum rc rc;

	if (ca.settings.mutability == 0)
		ca.settings.mutability = repo_settings_default.mutability;
	if (ca.settings.encryption == 0)
		ca.settings.encryption = repo_settings_default.encryption;
	if (ca.settings.n_exclusions > REPOSITORY_EXCLUSIONS_MAX)
		return (RC_INVALID);
	if ((rc = create_tags(&ca, c)) != RC_OK)
		return (rc);
	return (meta_change(m, repository_create, &ca, 0));
}
