#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * Links of repositories to blobs: the blob behind them, how many images use
 * them, and the queue of those that none does.
 */

/* --- the blob ------------------------------------------------------------ */

/* A link's blob has a record, and among its holders this repository. */
static enum rc
link_blob_check(struct fsck_check *c, uint64_t repo, const struct digest *d)
{
	const char *name = fsck_repo_text(c, repo);
	const char *text = fsck_digest_text(c, d);
	uint32_t domain = repo_domain(repo);
	struct rec_key k;
	bool has;
	enum rc rc;

	key_blob(&k, domain, d);
	if ((rc = fsck_has(c, TABLE_BLOBS, &k, &has)) != RC_OK)
		return (rc);
	if (!has && fsck_found(c, FSCK_MISSING, true,
			"%s: blob %s has no record", name, text)) {
		rc = fsck_blob_restore(c, domain, d);
		if (rc != RC_OK)
			return (rc);
	}
	key_holder(&k, domain, d, HOLDER_LINK, repo);
	if ((rc = fsck_has(c, TABLE_HOLDERS, &k, &has)) != RC_OK)
		return (rc);
	if (!has && fsck_found(c, FSCK_INDEX, true,
			"%s: not a holder of blob %s", name, text))
		rc = blob_hold(c->t, d, HOLDER_LINK, repo);
	return (rc);
}

/* How many use it is found out by fsck_link_use_row(). */
static enum rc
link_read(struct fsck_check *c)
{
	struct link_rec rec = {
		.linked_ms = c->now_ms,
		.users = LINK_USERS_UNKNOWN,
	};
	uint8_t value[REC_LINK_BYTES];

	if (rec_link_read(c->value, &rec))
		return (RC_OK);
	if (!fsck_found(c, FSCK_RECORD, true,
		"table blob_links: what is known of a link cannot be read"))
		return (RC_OK);
	rec = (struct link_rec){
		.linked_ms = c->now_ms,
		.users = LINK_USERS_UNKNOWN,
	};
	rec_link_write(&rec, value);
	return (kv_put(c->t, c->table, c->key,
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
fsck_link_row(struct fsck_check *c)
{
	struct digest d;
	uint64_t repo;
	char what[DIGEST_STR_BYTES + 16] = "link of ";
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	(void)digest_str(&d, what + strlen(what));
	rc = fsck_need_repository(c, repo, what, &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = link_read(c)) != RC_OK)
		return (rc);
	return (link_blob_check(c, repo, &d));
}

/* --- who uses it --------------------------------------------------------- */

/*
 * What is wrong with the use of a link, in words; NULL: nothing.  One that
 * nothing uses waits in the queue, unless images need it that are archived or
 * deleted: then the collector may have settled it, and hidden it if all of them
 * are deleted.
 */
static enum rc
link_rest_wrong(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct link_rec *rec, const char **why_r)
{
	struct edge_look look = { 0 };
	bool needed;
	enum rc rc;

	rc = edge_needed(c->t, repo, d, &needed);
	if (rc == RC_OK && needed)
		rc = edge_kept(c->t, repo, d, SIZE_MAX, &look);
	if (rc != RC_OK)
		return (rc);
	if (rec->hidden && look.kept)
		*why_r = "it is hidden, but not of deleted images only";
	else if (!needed && !rec->queued)
		*why_r = "nothing needs it, and it is not queued";
	else if (!rec->hidden && !look.kept && !rec->queued)
		*why_r = "deleted images alone need it, and it is neither "
			 "hidden nor queued";
	return (RC_OK);
}

static enum rc
link_use_wrong(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct link_rec *rec, const char **why_r)
{
	struct rec_key k;
	uint64_t users;
	bool has = false;
	enum rc rc;

	*why_r = NULL;
	if ((rc = link_count(c->t, repo, d, &users)) != RC_OK)
		return (rc);
	if (rec->users != users || (rec->idle_ms == 0) != (users > 0)) {
		*why_r = "how many images use it is not what is kept of it";
		return (RC_OK);
	}
	if (users > 0) {
		if (rec->queued)
			*why_r = "it is used, and said to wait for its end";
		else if (rec->hidden)
			*why_r = "it is used, and hidden";
		return (RC_OK);
	}
	if (rec->hidden || !rec->queued)
		rc = link_rest_wrong(c, repo, d, rec, why_r);
	if (rc != RC_OK || *why_r != NULL || !rec->queued)
		return (rc);
	key_timed(&k, rec->idle_ms, repo, d);
	rc = fsck_has(c, TABLE_IDLE_LINKS, &k, &has);
	if (rc == RC_OK && !has)
		*why_r = "it is said to be queued, but is not";
	return (rc);
}

enum rc
fsck_link_use_row(struct fsck_check *c)
{
	struct link_rec rec;
	struct digest d;
	const char *why;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	/* What cannot be read has been told. */
	if (!key_read_repo_digest(c->key, &repo, &d) ||
	    !rec_link_read(c->value, &rec))
		return (RC_OK);
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	rc = link_use_wrong(c, repo, &d, &rec, &why);
	if (rc != RC_OK || why == NULL)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true, "%s: blob %s: %s",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d), why))
		return (link_recount(c->t, repo, &d, c->now_ms));
	return (RC_OK);
}

enum rc
fsck_idle_row(struct fsck_check *c)
{
	struct link_rec rec;
	struct digest d;
	struct rec_key k;
	struct span value;
	int64_t since_ms;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_timed(c->key, &since_ms, &repo, &d))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = kv_get(c->t, TABLE_BLOB_LINKS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_link_read(value, &rec) && rec.queued &&
	    rec.idle_ms == since_ms)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: blob %s: queued as used by nothing, but it is not",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		return (fsck_row_delete(c));
	return (RC_OK);
}
