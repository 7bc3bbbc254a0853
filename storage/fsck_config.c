#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * What is set of repositories, those that go, and entities.  Of what is
 * written in a policy or an entity nothing is known here.
 */

/* --- repositories that go ------------------------------------------------ */

enum rc
fsck_doomed(struct fsck_check *c, uint64_t repo, bool *doomed_r)
{
	struct doomed_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(c->t, TABLE_DOOMED, key_span(&k), &value);
	*doomed_r =
	    rc == RC_OK && (!rec_doomed_read(value, &rec) || rec.purging);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Without its name it cannot be restored. */
static enum rc
doomed_rewrite(struct fsck_check *c)
{
	const struct doomed_rec rec = {
		.deleted_ms = c->now_ms,
		.purging = true,
	};
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(c->t, c->table, c->key, rec_doomed_size(&rec), &p);
	if (rc == RC_OK)
		rec_doomed_write(&rec, p);
	return (rc);
}

/* The key is what counts: without it the rows of a repository that was
 * deleted would be there for ever.  But one that has a name lives. */
enum rc
fsck_doomed_row(struct fsck_check *c)
{
	struct doomed_rec rec;
	struct rec_key k;
	uint64_t repo;
	bool has;
	enum rc rc;

	if (!key_read_repo(c->key, &repo))
		return (fsck_unreadable(c));
	key_repo(&k, repo);
	rc = fsck_has(c, TABLE_REPOSITORY_NAMES, &k, &has);
	if (rc != RC_OK)
		return (rc);
	if (has) {
		if (fsck_found(c, FSCK_INDEX, true,
			"%s: said to be deleted, but it is there",
			fsck_repo_text(c, repo)))
			rc = fsck_row_delete(c);
		return (rc);
	}
	if (rec_doomed_read(c->value, &rec))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"repository number %" PRIu64
		": the record that it is deleted cannot be read",
		repo))
		rc = doomed_rewrite(c);
	return (rc);
}

/* --- what is set of a repository ----------------------------------------- */

static bool
value_readable(const struct fsck_check *c)
{
	struct resource_tag tags[REPOSITORY_TAGS_MAX];
	struct span filters[REPOSITORY_EXCLUSIONS_MAX];
	struct repository_settings settings;
	struct lifecycle_row lifecycle;
	struct lifecycle_result run;
	struct preview_row preview;
	struct policy_rec policy;
	size_t n;

	if (c->table == TABLE_REPOSITORY_SETTINGS)
		return (rec_settings_read(c->value, filters, &settings));
	if (c->table == TABLE_REPOSITORY_TAGS)
		return (rec_resource_tags_read(c->value, tags, &n));
	if (c->table == TABLE_LIFECYCLE_POLICIES)
		return (rec_lifecycle_read(c->value, &lifecycle));
	if (c->table == TABLE_LIFECYCLE_PREVIEWS)
		return (rec_preview_read(c->value, &preview));
	if (c->table == TABLE_LIFECYCLE_RUNS)
		return (rec_lifecycle_run_read(c->value, &run));
	return (rec_policy_read(c->value, &policy));
}

static const char *
value_name(const struct fsck_check *c)
{
	if (c->table == TABLE_REPOSITORY_SETTINGS)
		return ("settings");
	if (c->table == TABLE_REPOSITORY_TAGS)
		return ("resource tags");
	if (c->table == TABLE_LIFECYCLE_POLICIES)
		return ("lifecycle policy");
	if (c->table == TABLE_LIFECYCLE_PREVIEWS)
		return ("preview of a lifecycle policy");
	if (c->table == TABLE_LIFECYCLE_RUNS)
		return ("last run of a lifecycle policy");
	return ("policy");
}

enum rc
fsck_set_row(struct fsck_check *c)
{
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo(c->key, &repo))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, value_name(c), &ok);
	if (rc != RC_OK || !ok || value_readable(c))
		return (rc);
	if (fsck_found(c, FSCK_RECORD, true,
		"%s: its %s cannot be read; to be set anew",
		fsck_repo_text(c, repo), value_name(c)))
		rc = fsck_row_delete(c);
	return (rc);
}

/* --- lifecycle policies -------------------------------------------------- */

/* Besides: it is queued by when it is due. */
enum rc
fsck_lifecycle_row(struct fsck_check *c)
{
	struct lifecycle_row row;
	struct rec_key k;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (c->f->format < FSCK_FORMAT_USES || !key_read_repo(c->key, &repo) ||
	    !rec_lifecycle_read(c->value, &row) || lifecycle_basis(&row) == 0)
		return (fsck_set_row(c));
	rc = fsck_need_repository(c, repo, value_name(c), &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	key_timed_repo(&k, lifecycle_basis(&row), repo);
	rc = fsck_has(c, TABLE_LIFECYCLE_QUEUE, &k, &ok);
	if (rc == RC_OK && !ok &&
	    fsck_found(c, FSCK_INDEX, true,
		"%s: its lifecycle policy is in no queue to be evaluated",
		fsck_repo_text(c, repo)))
		rc = lifecycle_queue_set(c->t, repo, 0, lifecycle_basis(&row));
	return (rc);
}

enum rc
fsck_lifecycle_queue_row(struct fsck_check *c)
{
	struct lifecycle_row row;
	struct rec_key k;
	struct span value;
	int64_t basis_ms;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_timed_repo(c->key, &basis_ms, &repo))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo(&k, repo);
	rc = kv_get(c->t, TABLE_LIFECYCLE_POLICIES, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_lifecycle_read(value, &row) &&
	    lifecycle_basis(&row) == basis_ms)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: queued for the evaluation of a lifecycle policy that it "
		"has not, or that is not due then",
		fsck_repo_text(c, repo)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- previews ------------------------------------------------------------ */

/* Besides: one that is in progress is in the queue. */
enum rc
fsck_preview_row(struct fsck_check *c)
{
	struct preview_row preview;
	struct rec_key k;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo(c->key, &repo) ||
	    !rec_preview_read(c->value, &preview) ||
	    preview.status != PREVIEW_IN_PROGRESS)
		return (fsck_set_row(c));
	rc = fsck_need_repository(c, repo, value_name(c), &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	key_repo(&k, repo);
	rc = fsck_has(c, TABLE_PREVIEW_QUEUE, &k, &ok);
	if (rc == RC_OK && !ok &&
	    fsck_found(c, FSCK_INDEX, true,
		"%s: a preview is in progress, but not in the queue",
		fsck_repo_text(c, repo)))
		rc =
		    kv_put(c->t, TABLE_PREVIEW_QUEUE, key_span(&k), rec_none());
	return (rc);
}

enum rc
fsck_preview_queue_row(struct fsck_check *c)
{
	struct preview_row preview;
	struct span value;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_repo(c->key, &repo))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	rc = kv_get(c->t, TABLE_LIFECYCLE_PREVIEWS, c->key, &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_preview_read(value, &preview) &&
	    preview.status == PREVIEW_IN_PROGRESS)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: in the queue of previews, but none is in progress",
		fsck_repo_text(c, repo)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* A row of a run that there cannot have been, or that its preview does not
 * know of. */
static bool
result_is_stray(const struct preview_row *preview, uint64_t run, uint32_t n)
{
	if (run > preview->run)
		return (true);
	return (run == preview->run && preview->status == PREVIEW_COMPLETE &&
		n >= preview->sums.expiring + preview->sums.transitioning);
}

/* Those of earlier runs are on their way out. */
static enum rc
result_of_preview(struct fsck_check *c, uint64_t repo, uint64_t run, uint32_t n)
{
	struct preview_row preview;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(c->t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && (!rec_preview_read(value, &preview) ||
			       !result_is_stray(&preview, run, n)))
		return (RC_OK);
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s: a result of a preview that there is not",
		fsck_repo_text(c, repo)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_preview_result_row(struct fsck_check *c)
{
	struct preview_result row;
	uint64_t repo, run;
	uint32_t sequence;
	bool ok;
	enum rc rc;

	if (!key_read_preview_result(c->key, &repo, &run, &sequence))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "result of a preview", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if (!rec_preview_result_read(c->value, &row))
		return (fsck_unreadable(c));
	return (result_of_preview(c, repo, run, sequence));
}

/* --- entities ------------------------------------------------------------ */

static const char *
entity_kind_name(uint8_t kind)
{
	static const char *const names[] = {
		[ENTITY_USER] = "user",
		[ENTITY_GROUP] = "group",
		[ENTITY_POLICY] = "policy",
		[ENTITY_ACCESS_KEY] = "access key",
		[ENTITY_SEAL_KEY] = "seal key",
		[ENTITY_REGISTRY] = "registry's",
		[ENTITY_NOTE] = "note of",
		[ENTITY_CREATION_TEMPLATE] = "creation template",
		[ENTITY_CACHE_RULE] = "pull through cache rule",
		[ENTITY_PULL_EXCLUSION] = "pull time exclusion",
		[ENTITY_UPSTREAM_SECRET] = "credentials of upstream",
		[ENTITY_MIRROR] = "mirror",
		[ENTITY_MIRROR_STATE] = "state of mirror",
		[ENTITY_BACKFILL] = "backfill",
		[ENTITY_KEY_DOMAIN] = "key domain",
		[ENTITY_ADVISORY_SET] = "advisory set",
		[ENTITY_STACK] = "stack",
	};

	must(kind < ARRAY_LEN(names) && names[kind] != NULL);
	return (names[kind]);
}

/* Never removed: a server that has the key in memory still may write it anew,
 * and a later format may read it. */
static enum rc
key_domain_check(struct fsck_check *c, struct span name)
{
	struct key_record rec;
	struct span record;
	uint32_t domain;

	if (key_record_domain(c->key, &domain) &&
	    rec_entity_read(c->value, &record) &&
	    key_record_read(record, c->arena, &rec) == RC_OK)
		return (RC_OK);
	(void)fsck_found(c, FSCK_RECORD, false,
	    "key domain " SPAN_FMT ": its key cannot be read, nor what is "
	    "encrypted with it; restore the metadata from a backup",
	    SPAN_ARG(name));
	return (RC_OK);
}

enum rc
fsck_entity_row(struct fsck_check *c)
{
	struct span name, record;
	uint8_t kind;

	if (!key_read_entity(c->key, &kind, &name))
		return (fsck_unreadable(c));
	if (kind == ENTITY_KEY_DOMAIN)
		return (key_domain_check(c, name));
	if (rec_entity_read(c->value, &record))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"%s " SPAN_FMT ": the record cannot be read; to be made anew",
		entity_kind_name(kind), SPAN_ARG(name)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- numbers ------------------------------------------------------------- */

/* The least that each can be, by what there is. */
struct numbers {
	uint64_t generation, revision, task, key_domain;
};

/* With identities comes a change that moves it; notes and what is configured
 * are changed apart. */
static enum rc
generation_least(struct meta_txn *t, struct numbers *n)
{
	struct span name;
	struct kv_walk w;
	uint8_t kind;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_ENTITIES, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = kv_walk_next(&w);
	if (rc == RC_OK && key_read_entity(w.key, &kind, &name) &&
	    kind < ENTITY_REGISTRY)
		n->generation = 1;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static uint64_t
revision_of(enum meta_table table, struct span value)
{
	struct lifecycle_row lifecycle;
	struct preview_row preview;
	struct policy_rec policy;

	if (table == TABLE_LIFECYCLE_POLICIES)
		return (rec_lifecycle_read(value, &lifecycle)
			    ? lifecycle.revision
			    : 0);
	if (table == TABLE_LIFECYCLE_PREVIEWS)
		return (rec_preview_read(value, &preview) ? preview.run : 0);
	return (rec_policy_read(value, &policy) ? policy.revision : 0);
}

static enum rc
revision_least(struct meta_txn *t, enum meta_table table, struct numbers *n)
{
	struct kv_walk w;
	uint64_t revision;
	enum rc rc;

	rc = kv_walk_begin(t, table, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		revision = revision_of(table, w.value);
		if (revision > n->revision)
			n->revision = revision;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
task_least(struct meta_txn *t, struct numbers *n)
{
	struct kv_walk w;
	struct digest d;
	uint64_t repo, id;
	enum rc rc;

	rc =
	    kv_walk_begin(t, TABLE_REPLICATION_TASKS, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_task(w.key, &repo, &d, &id) && id > n->task)
			n->task = id;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
domain_note(void *arg, const struct key_record *rec, bool bad)
{
	struct numbers *n = arg;

	(void)bad;
	n->key_domain = rec->key_domain;
	return (RC_OK);
}

/* Whose key's record is lost has one no less. */
static enum rc
domain_least(struct meta_txn *t, enum meta_table table, struct numbers *n)
{
	struct kv_walk w;
	uint64_t id;
	enum rc rc;

	rc = kv_walk_begin(t, table, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_repo(w.key, &id) &&
		    repo_domain(id) > n->key_domain)
			n->key_domain = repo_domain(id);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
domains_least(struct meta_txn *t, struct numbers *n)
{
	enum rc rc;

	if ((rc = key_record_walk(t, 1, domain_note, n)) != RC_OK)
		return (rc);
	rc = domain_least(t, TABLE_REPOSITORY_NAMES, n);
	return (rc == RC_OK ? domain_least(t, TABLE_DOOMED, n) : rc);
}

static enum rc
numbers_least(struct meta_txn *t, struct numbers *n_r)
{
	enum rc rc;

	*n_r = (struct numbers){ 0 };
	if ((rc = generation_least(t, n_r)) != RC_OK)
		return (rc);
	rc = revision_least(t, TABLE_REPOSITORY_POLICIES, n_r);
	if (rc != RC_OK)
		return (rc);
	rc = revision_least(t, TABLE_LIFECYCLE_POLICIES, n_r);
	if (rc != RC_OK)
		return (rc);
	rc = revision_least(t, TABLE_LIFECYCLE_PREVIEWS, n_r);
	if (rc != RC_OK)
		return (rc);
	rc = task_least(t, n_r);
	return (rc == RC_OK ? domains_least(t, n_r) : rc);
}

static enum rc
number_sound(struct meta_txn *t, struct span key, uint64_t least, bool *sound_r)
{
	uint64_t n;
	enum rc rc;

	rc = meta_number_get(t, key, &n);
	*sound_r = rc == RC_OK && n >= least;
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

/* Those above know old ones by their numbers: what is set must be one that
 * counting has never come to, however far it was. */
static enum rc
number_mend(struct meta_txn *t, struct span key, uint64_t least)
{
	uint64_t now = (uint64_t)clock_real_ms() * 1000;
	bool sound;
	enum rc rc;

	if ((rc = number_sound(t, key, least, &sound)) != RC_OK || sound)
		return (rc);
	return (meta_number_set(t, key, least < now ? now : least + 1));
}

static enum rc
numbers_mend(struct meta_txn *t, void *arg)
{
	struct numbers least;
	bool sound;
	enum rc rc;

	(void)arg;
	if ((rc = numbers_least(t, &least)) != RC_OK)
		return (rc);
	rc = number_mend(t, NUMBER_GENERATION, least.generation);
	if (rc != RC_OK)
		return (rc);
	rc = number_mend(t, NUMBER_POLICY_REVISION, least.revision);
	if (rc != RC_OK)
		return (rc);
	rc = number_mend(t, NUMBER_REPLICATION_ID, least.task);
	if (rc != RC_OK)
		return (rc);
	if ((rc = number_mend(t, NUMBER_KEY_RING, 0)) != RC_OK)
		return (rc);
	rc = number_sound(t, NUMBER_KEY_DOMAIN, least.key_domain, &sound);
	if (rc != RC_OK || sound)
		return (rc);
	return (meta_number_set(t, NUMBER_KEY_DOMAIN, least.key_domain));
}

struct numbers_sound {
	bool generation, revision, task, key_domain, key_ring;
};

static enum rc
numbers_look(struct meta_txn *t, struct numbers_sound *sound)
{
	struct numbers least;
	enum rc rc;

	if ((rc = numbers_least(t, &least)) != RC_OK)
		return (rc);
	rc = number_sound(
	    t, NUMBER_GENERATION, least.generation, &sound->generation);
	if (rc != RC_OK)
		return (rc);
	rc = number_sound(
	    t, NUMBER_POLICY_REVISION, least.revision, &sound->revision);
	if (rc != RC_OK)
		return (rc);
	rc = number_sound(t, NUMBER_REPLICATION_ID, least.task, &sound->task);
	if (rc != RC_OK)
		return (rc);
	rc = number_sound(t, NUMBER_KEY_RING, 0, &sound->key_ring);
	if (rc != RC_OK)
		return (rc);
	return (number_sound(
	    t, NUMBER_KEY_DOMAIN, least.key_domain, &sound->key_domain));
}

static void
numbers_tell(struct fsck *f, const struct numbers_sound *sound, bool mended)
{
	if (!sound->generation)
		fsck_tell(f, FSCK_COUNT, mended,
		    "the number of changes to entities is lost");
	if (!sound->revision)
		fsck_tell(f, FSCK_COUNT, mended,
		    "the number of policies set on repositories is lost or "
		    "too low");
	if (!sound->task)
		fsck_tell(f, FSCK_COUNT, mended,
		    "the number of tasks of replication is lost or too low");
	if (!sound->key_domain)
		fsck_tell(f, FSCK_COUNT, mended,
		    "the number of keys is lost or too low");
	if (!sound->key_ring)
		fsck_tell(f, FSCK_COUNT, mended,
		    "the number of changes of the master key is lost");
}

enum rc
fsck_numbers(struct fsck *f)
{
	struct numbers_sound sound;
	struct meta_txn t;
	bool mended = false;
	enum rc rc;

	if ((rc = meta_read_begin(f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = numbers_look(&t, &sound);
	meta_read_end(&t);
	if (rc != RC_OK || (sound.generation && sound.revision && sound.task &&
			       sound.key_domain && sound.key_ring))
		return (rc);
	if (f->options->repair)
		mended =
		    meta_change(f->store->meta, numbers_mend, NULL, 0) == RC_OK;
	numbers_tell(f, &sound, mended);
	return (RC_OK);
}
