#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/name.h"
#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"

/*
 * Repositories, holders, tags, upload sessions: rows that say it all by
 * themselves or point at one other.
 */

/* --- tools --------------------------------------------------------------- */

enum rc
fsck_has(struct fsck_check *c, enum meta_table table, const struct rec_key *k,
    bool *has_r)
{
	struct span value;
	enum rc rc;

	rc = kv_get(c->t, table, key_span(k), &value);
	*has_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
fsck_has_manifest(
    struct fsck_check *c, uint64_t repo, const struct digest *d, bool *has_r)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(c->t, TABLE_MANIFESTS, key_span(&k), &value);
	/* One that cannot be read is told, and perhaps mended, in its turn. */
	*has_r = rc == RC_OK && (!rec_manifest_read(value, &rec) ||
				    (rec.flags & MANIFEST_DELETED) == 0);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static const char *
text_or(const char *text)
{
	return (text != NULL ? text : "?");
}

/* Of one that is deleted, too. */
static struct span
name_of_repo(struct fsck_check *c, uint64_t repo)
{
	struct doomed_rec doomed;
	struct rec_key k;
	struct span value, name;

	key_repo(&k, repo);
	if (kv_get(c->t, TABLE_REPOSITORY_NAMES, key_span(&k), &value) ==
		RC_OK &&
	    rec_repository_name_read(value, &name))
		return (name);
	if (kv_get(c->t, TABLE_DOOMED, key_span(&k), &value) == RC_OK &&
	    rec_doomed_read(value, &doomed))
		return (doomed.name);
	return (SPAN_NONE);
}

const char *
fsck_repo_text(struct fsck_check *c, uint64_t repo)
{
	struct span name = name_of_repo(c, repo);

	if (name.n > 0)
		return (
		    text_or(arena_printf(c->arena, SPAN_FMT, SPAN_ARG(name))));
	return (text_or(
	    arena_printf(c->arena, "repository number %" PRIu64, repo)));
}

const char *
fsck_digest_text(struct fsck_check *c, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	return (text_or(arena_printf(c->arena, "%s", digest_str(d, text))));
}

enum rc
fsck_row_delete(struct fsck_check *c)
{
	enum rc rc;

	rc = kv_delete(c->t, c->table, c->key);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
fsck_unreadable(struct fsck_check *c)
{
	char hex[2 * KEY_MAX_BYTES + 1];
	size_t n = c->key.n < KEY_MAX_BYTES ? c->key.n : KEY_MAX_BYTES;

	hex_encode((const uint8_t *)c->key.p, n, hex);
	if (fsck_found(c, FSCK_RECORD, true,
		"table %s: the record with key %s cannot be read",
		meta_table_name(c->table), hex))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_need_repository(
    struct fsck_check *c, uint64_t repo, const char *what, bool *ok_r)
{
	struct rec_key k;
	bool has, doomed = false;
	enum rc rc;

	*ok_r = false;
	key_repo(&k, repo);
	if ((rc = fsck_has(c, TABLE_REPOSITORY_NAMES, &k, &has)) != RC_OK)
		return (rc);
	if (!has) {
		/* One that can be restored is as good as there. */
		rc = fsck_has(c, TABLE_DOOMED, &k, &has);
		if (rc == RC_OK)
			rc = fsck_doomed(c, repo, &doomed);
		if (rc != RC_OK || doomed)
			return (rc);
	}
	*ok_r = has;
	if (has)
		return (RC_OK);
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s: there is no repository number %" PRIu64, what, repo))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_none(struct fsck_check *c)
{
	if (rec_none_read(c->value))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"table %s: a record has an unknown value",
		meta_table_name(c->table)))
		return (kv_put(c->t, c->table, c->key, rec_none()));
	return (RC_OK);
}

/* --- registry ------------------------------------------------------------ */

enum rc
fsck_registry_row(struct fsck_check *c)
{
	struct meta_counts counts;
	unsigned format;

	if (span_is(c->key, "format") && rec_format_read(c->value, &format))
		return (RC_OK);
	/* Wrong ones are a matter of fsck_counts() and fsck_numbers(). */
	if (span_is(c->key, "counts") && rec_counts_read(c->value, &counts))
		return (RC_OK);
	if (span_eq(c->key, NUMBER_ADVISORY_SET) ||
	    span_eq(c->key, NUMBER_ADVISORY_REVISION))
		return (fsck_advisory_number(c));
	if (span_eq(c->key, NUMBER_GENERATION) ||
	    span_eq(c->key, NUMBER_POLICY_REVISION) ||
	    span_eq(c->key, NUMBER_REPLICATION_ID) ||
	    span_eq(c->key, NUMBER_KEY_DOMAIN) ||
	    span_eq(c->key, NUMBER_KEY_RING) || span_eq(c->key, NUMBER_ARCHIVE))
		return (RC_OK);
	(void)fsck_found(c, FSCK_RECORD, false,
	    "table registry: the record \"" SPAN_FMT "\" cannot be read",
	    SPAN_ARG(c->key));
	return (RC_OK);
}

/* --- repositories -------------------------------------------------------- */

static enum rc
repository_name_put(struct fsck_check *c, const struct rec_key *k)
{
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(c->t, TABLE_REPOSITORY_NAMES, key_span(k),
	    rec_repository_name_size(c->key), &p);
	if (rc == RC_OK)
		rec_repository_name_write(c->key, p);
	return (rc);
}

/* What is sealed under a key that is lost stays so. */
static enum rc
repository_key_check(struct fsck_check *c, uint64_t id)
{
	struct rec_key k;
	bool has;
	enum rc rc;

	if (repo_domain(id) == KEY_DOMAIN_PLAIN)
		return (RC_OK);
	key_record_key(&k, repo_domain(id));
	if ((rc = fsck_has(c, TABLE_ENTITIES, &k, &has)) != RC_OK || has)
		return (rc);
	(void)fsck_found(c, FSCK_DANGLING, false,
	    "repository " SPAN_FMT ": encrypted with key %" PRIu32
	    ", of which nothing is known; restore the metadata from a backup",
	    SPAN_ARG(c->key), repo_domain(id));
	return (RC_OK);
}

/* Deleting the row would cost the repository: its id stands in the names,
 * from where the next step brings it back. */
enum rc
fsck_repository_row(struct fsck_check *c)
{
	struct repository_row row;
	struct rec_key k;
	struct span value, name;
	bool readable;
	enum rc rc;

	if (!name_repository_ok(c->key) || !rec_repository_read(c->value, &row))
		return (fsck_unreadable(c));
	key_repo(&k, row.id);
	rc = kv_get(c->t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	readable = rc == RC_OK && rec_repository_name_read(value, &name);
	if (readable && span_eq(name, c->key))
		return (repository_key_check(c, row.id));
	if (readable) {
		(void)fsck_found(c, FSCK_INDEX, false,
		    "repository " SPAN_FMT ": number %" PRIu64
		    " is that of " SPAN_FMT,
		    SPAN_ARG(c->key), row.id, SPAN_ARG(name));
		return (RC_OK);
	}
	if (fsck_found(c, FSCK_INDEX, true,
		"repository " SPAN_FMT ": number %" PRIu64 " has no name",
		SPAN_ARG(c->key), row.id))
		return (repository_name_put(c, &k));
	return (RC_OK);
}

static enum rc
repository_put(struct fsck_check *c, const struct rec_key *k, uint64_t id)
{
	struct repository_row row = { .id = id, .created_ms = c->now_ms };
	uint8_t value[REC_REPOSITORY_BYTES];

	rec_repository_write(&row, value);
	return (kv_put(c->t, TABLE_REPOSITORIES, key_span(k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
fsck_repository_name_row(struct fsck_check *c)
{
	struct repository_row row;
	struct rec_key k;
	struct span name, value;
	uint64_t id;
	enum rc rc;

	if (!key_read_repo(c->key, &id) ||
	    !rec_repository_name_read(c->value, &name) ||
	    !name_repository_ok(name))
		return (fsck_unreadable(c));
	key_str(&k, name);
	rc = kv_get(c->t, TABLE_REPOSITORIES, key_span(&k), &value);
	if (rc == RC_OK && rec_repository_read(value, &row)) {
		if (row.id != id)
			(void)fsck_found(c, FSCK_INDEX, false,
			    "repository " SPAN_FMT ": its number is %" PRIu64
			    ", but %" PRIu64 " has its name",
			    SPAN_ARG(name), row.id, id);
		return (RC_OK);
	}
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"repository " SPAN_FMT ": only its number, %" PRIu64
		", is known",
		SPAN_ARG(name), id))
		return (repository_put(c, &k, id));
	return (RC_OK);
}

/* --- who holds blobs ------------------------------------------------------ */

enum rc
fsck_holder_row(struct fsck_check *c)
{
	struct digest d;
	struct rec_key k;
	uint64_t repo;
	uint32_t domain;
	uint8_t kind;
	bool has = false, doomed;
	enum rc rc;

	if (!key_read_holder(c->key, &domain, &d, &kind, &repo) ||
	    (kind != HOLDER_LINK && kind != HOLDER_MANIFEST))
		return (fsck_unreadable(c));
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = fsck_has(c,
	    kind == HOLDER_LINK ? TABLE_BLOB_LINKS : TABLE_MANIFESTS, &k, &has);
	has = has && domain == repo_domain(repo);
	if (rc != RC_OK || has)
		return (rc);
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if (!fsck_found(c, FSCK_INDEX, true,
		"blob %s: %s is said to hold it but has no such %s",
		fsck_digest_text(c, &d), fsck_repo_text(c, repo),
		kind == HOLDER_LINK ? "blob" : "manifest"))
		return (RC_OK);
	if ((rc = fsck_row_delete(c)) != RC_OK)
		return (rc);
	rc = meta_blob_recheck(c->t, domain, &d, c->now_ms);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- tags ---------------------------------------------------------------- */

static enum rc
tag_put(struct fsck_check *c, const struct digest *d)
{
	struct tag_rec rec = { .tagged_ms = c->now_ms, .digest = *d };
	uint8_t value[REC_TAG_MAX_BYTES];

	rec_tag_write(&rec, value);
	return (kv_put(c->t, c->table, c->key,
	    (struct span){ (const char *)value, rec_tag_size(&rec) }));
}

/* What a tag pointed at, from the index; RC_NOTFOUND: none or several. */
static enum rc
tag_from_index(
    struct fsck_check *c, uint64_t repo, struct span tag, struct digest *d_r)
{
	struct rec_key prefix;
	struct kv_walk w;
	struct digest d;
	struct span other;
	uint64_t r;
	unsigned n = 0;
	enum rc rc;

	key_repo(&prefix, repo);
	rc = kv_walk_begin(
	    c->t, TABLE_DIGEST_TAGS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (key_read_digest_tag(w.key, &r, &d, &other) &&
		    span_eq(other, tag)) {
			*d_r = d;
			n++;
		}
	}
	kv_walk_end(&w);
	if (rc != RC_NOTFOUND)
		return (rc);
	return (n == 1 ? RC_OK : RC_NOTFOUND);
}

static enum rc
tag_unreadable(struct fsck_check *c, uint64_t repo, struct span tag)
{
	struct digest d;
	enum rc rc;

	if (!fsck_found(c, FSCK_RECORD, true,
		"%s:" SPAN_FMT ": the tag's record cannot be read",
		fsck_repo_text(c, repo), SPAN_ARG(tag)))
		return (RC_OK);
	rc = tag_from_index(c, repo, tag, &d);
	if (rc == RC_OK)
		return (tag_put(c, &d));
	return (rc == RC_NOTFOUND ? fsck_row_delete(c) : rc);
}

static enum rc
tag_delete(struct fsck_check *c, uint64_t repo, const struct digest *d,
    struct span tag)
{
	struct rec_key k;
	enum rc rc;

	if ((rc = fsck_row_delete(c)) != RC_OK)
		return (rc);
	key_digest_tag(&k, repo, d, tag);
	rc = kv_delete(c->t, TABLE_DIGEST_TAGS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* A tag points at a manifest, and the index knows it. */
static enum rc
tag_target_check(struct fsck_check *c, uint64_t repo, const struct digest *d,
    struct span tag)
{
	const char *name = fsck_repo_text(c, repo);
	const char *text = fsck_digest_text(c, d);
	struct rec_key k;
	bool has;
	enum rc rc;

	if ((rc = fsck_has_manifest(c, repo, d, &has)) != RC_OK)
		return (rc);
	if (!has) {
		if (fsck_found(c, FSCK_DANGLING, true,
			"%s:" SPAN_FMT ": there is no manifest %s", name,
			SPAN_ARG(tag), text))
			rc = tag_delete(c, repo, d, tag);
		return (rc);
	}
	key_digest_tag(&k, repo, d, tag);
	if ((rc = fsck_has(c, TABLE_DIGEST_TAGS, &k, &has)) != RC_OK)
		return (rc);
	if (!has && fsck_found(c, FSCK_INDEX, true,
			"%s:" SPAN_FMT ": not among the tags of %s", name,
			SPAN_ARG(tag), text))
		rc = kv_put(c->t, TABLE_DIGEST_TAGS, key_span(&k), rec_none());
	return (rc);
}

enum rc
fsck_tag_row(struct fsck_check *c)
{
	struct tag_rec rec;
	struct span tag;
	char what[NAME_TAG_MAX_BYTES + 8];
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_tag(c->key, &repo, &tag) || !name_tag_ok(tag))
		return (fsck_unreadable(c));
	snprintf(what, sizeof(what), "tag " SPAN_FMT, SPAN_ARG(tag));
	rc = fsck_need_repository(c, repo, what, &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if (!rec_tag_read(c->value, &rec))
		return (tag_unreadable(c, repo, tag));
	return (tag_target_check(c, repo, &rec.digest, tag));
}

enum rc
fsck_digest_tag_row(struct fsck_check *c)
{
	struct tag_rec rec;
	struct digest d;
	struct rec_key k;
	struct span tag, value;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_digest_tag(c->key, &repo, &d, &tag))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_tag(&k, repo, tag);
	rc = kv_get(c->t, TABLE_TAGS, key_span(&k), &value);
	if (rc == RC_OK && rec_tag_read(value, &rec) &&
	    digest_eq(&rec.digest, &d))
		return (RC_OK);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: the tag " SPAN_FMT " does not point at %s",
		fsck_repo_text(c, repo), SPAN_ARG(tag),
		fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

/* --- upload sessions ----------------------------------------------------- */

/* Its scratch may be missing: it is made with the first byte. */
enum rc
fsck_upload_row(struct fsck_check *c)
{
	struct upload_rec rec;

	if (c->key.n != UPLOAD_ID_BYTES - 1 ||
	    !rec_upload_read(c->value, &rec) || digest_len(rec.alg) == 0 ||
	    !name_repository_ok(rec.repository))
		return (fsck_unreadable(c));
	return (RC_OK);
}
