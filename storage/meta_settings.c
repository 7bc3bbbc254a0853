#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "storage/keys_int.h"

/*
 * What is set of a repository: its settings here, its resource tags, policy
 * and lifecycle policy in files of their own.  A row each, under the
 * repository's id, and none where all is as it is by default.
 */

/* Settings. */

static const struct repository_settings repo_settings_default = {
	.mutability = TAGS_MUTABLE,
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
	if (rc == RC_NOTFOUND) {
		*s = repo_settings_default;
		rc = RC_OK;
	}
	if (rc == RC_OK)
		keys_truth(t, repo, s);
	return (rc);
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
		s->encryption != ENCRYPTION_KMS && s->kms_key.n == 0);
}

static enum rc
repo_settings_put(
    struct meta_txn *t, uint64_t repo, const struct repository_settings *s)
{
	size_t n = rec_settings_size(s);
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, repo);
	if (settings_are_default(s)) {
		rc = kv_delete(t, TABLE_REPOSITORY_SETTINGS, key_span(&k));
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	}
	/* What stays of the old ones is still in the map, where it may be
	 * overwritten. */
	p = xmalloc(n);
	rec_settings_write(s, p);
	rc = kv_put(t, TABLE_REPOSITORY_SETTINGS, key_span(&k),
	    (struct span){ (const char *)p, n });
	free(p);
	return (rc);
}

static bool
excluded(const struct repository_settings *s, struct span tag)
{
	size_t i;

	for (i = 0; i < s->n_exclusions; i++)
		if (span_matches(tag, s->exclusions[i]))
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

/* Settings and resource tags together. */

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

/* Presets: what a new repository is made as. */

const struct repository_preset repository_preset_default = { 0 };

static enum rc
preset_check(const struct repository_preset *preset)
{
	struct resource_tag tags[REPOSITORY_TAGS_MAX];

	if (preset->settings.n_exclusions > REPOSITORY_EXCLUSIONS_MAX ||
	    preset->n_tags > REPOSITORY_TAGS_MAX)
		return (RC_INVALID);
	if (preset->policy.n > REPOSITORY_POLICY_MAX_BYTES ||
	    preset->lifecycle_policy.n > LIFECYCLE_TEXT_MAX_BYTES)
		return (RC_TOOBIG);
	return (resource_tags_sort(preset->tags, preset->n_tags, tags));
}

/* Of one that was made as they say. */
static enum encryption_type
preset_encryption(uint64_t repo, const struct repository_settings *s)
{

	if (repo_domain(repo) == KEY_DOMAIN_PLAIN)
		return (ENCRYPTION_NONE);
	return (s->encryption == ENCRYPTION_KMS ||
			s->encryption == ENCRYPTION_KMS_DSSE
		    ? ENCRYPTION_KMS
		    : ENCRYPTION_AES256);
}

static enum rc
preset_settings_put(
    struct meta_txn *t, uint64_t repo, const struct repository_settings *asked)
{
	struct repository_settings s = *asked;

	if (s.mutability == 0)
		s.mutability = repo_settings_default.mutability;
	s.encryption = preset_encryption(repo, &s);
	if (s.encryption != ENCRYPTION_KMS)
		s.kms_key = SPAN_NONE;
	if (settings_are_default(&s))
		return (RC_OK);
	return (repo_settings_put(t, repo, &s));
}

static enum rc
preset_tags_put(
    struct meta_txn *t, uint64_t repo, const struct repository_preset *preset)
{
	struct resource_tag tags[REPOSITORY_TAGS_MAX];
	enum rc rc;

	if (preset->n_tags == 0)
		return (RC_OK);
	rc = resource_tags_sort(preset->tags, preset->n_tags, tags);
	if (rc != RC_OK)
		return (rc);
	return (resource_tags_put(t, repo, tags, preset->n_tags));
}

enum rc
repo_preset_apply(struct meta_txn *t, uint64_t repo,
    const struct repository_preset *preset, int64_t now_ms)
{
	enum rc rc;

	if ((rc = preset_check(preset)) != RC_OK)
		return (rc);
	if ((rc = preset_settings_put(t, repo, &preset->settings)) != RC_OK)
		return (rc);
	if ((rc = preset_tags_put(t, repo, preset)) != RC_OK)
		return (rc);
	if (preset->policy.n > 0)
		rc = repo_policy_put(t, repo, preset->policy);
	if (rc == RC_OK && preset->lifecycle_policy.n > 0)
		rc = repo_lifecycle_put(
		    t, repo, preset->lifecycle_policy, now_ms);
	return (rc);
}

/* Making one. */

struct create_arg {
	const struct repository_create *create;
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
	rc = repo_take(t, c->name, &c->preset, c->now_ms, &id);
	if (rc == RC_OK)
		*ca->row = (struct repository_row){ id, c->now_ms };
	return (rc);
}

enum rc
meta_repository_create(struct meta *m, const struct repository_create *c,
    struct repository_row *row_r)
{
	struct create_arg ca = { .create = c, .row = row_r };
	size_t weight_bytes = c->preset.policy.n + c->preset.lifecycle_policy.n;
	enum rc rc;

	if ((rc = preset_check(&c->preset)) != RC_OK)
		return (rc);
	return (meta_change(m, repository_create, &ca, weight_bytes));
}

/* Changing it. */

struct settings_arg {
	struct span name;
	const struct repository_change *change;
};

static enum rc
repository_change(struct meta_txn *t, void *arg)
{
	const struct settings_arg *sa = arg;
	const struct repository_change *c = sa->change;
	struct span room[REPOSITORY_EXCLUSIONS_MAX] = { 0 };
	struct repository_settings s;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, sa->name, &row)) != RC_OK)
		return (rc);
	if ((rc = repo_settings_load(t, row.id, room, &s)) != RC_OK)
		return (rc);
	if (c->set_mutability) {
		s.mutability = c->mutability != 0
				   ? c->mutability
				   : repo_settings_default.mutability;
		s.exclusions = c->exclusions;
		s.n_exclusions = c->n_exclusions;
	}
	if (c->set_scanning)
		s.scan_on_push = c->scan_on_push;
	return (repo_settings_put(t, row.id, &s));
}

enum rc
meta_repository_change(
    struct meta *m, struct span name, const struct repository_change *c)
{
	struct settings_arg arg = { .name = name, .change = c };

	if (c->set_mutability && c->n_exclusions > REPOSITORY_EXCLUSIONS_MAX)
		return (RC_INVALID);
	return (meta_change(m, repository_change, &arg, 0));
}
