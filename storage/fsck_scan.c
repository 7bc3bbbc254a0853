#include <string.h>

#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * What scans found.  All of it can be found again, so what does not fit goes;
 * the image is then as if it had not been scanned with what is known now.
 */

enum rc
fsck_layer_index_row(struct fsck_check *c)
{
	struct layer_index_rec rec;
	struct rec_key k;
	uint32_t domain;
	struct digest d;
	bool has;
	enum rc rc;

	if (!key_read_blob(c->key, &domain, &d) ||
	    !rec_layer_index_read(c->value, &rec))
		return (fsck_unreadable(c));
	key_blob(&k, domain, &d);
	if ((rc = fsck_has(c, TABLE_BLOBS, &k, &has)) != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_DANGLING, true,
		"what a scan found in the layer %s, which is not there",
		fsck_digest_text(c, &d)))
		rc = fsck_row_delete(c);
	return (rc);
}

/* What leads to it. */
static enum rc
systems_check(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const struct findings_rec *rec)
{
	struct rec_key k;
	size_t i;
	bool has;
	enum rc rc = RC_OK;

	for (i = 0; i < rec->n_ecosystems && rc == RC_OK; i++) {
		key_system(&k, rec->ecosystems[i], repo, d);
		rc = fsck_has(c, TABLE_SCANNED_SYSTEMS, &k, &has);
		if (rc != RC_OK || has)
			continue;
		if (fsck_found(c, FSCK_INDEX, true,
			"%s: %s is not among the scanned images of " SPAN_FMT,
			fsck_repo_text(c, repo), fsck_digest_text(c, d),
			SPAN_ARG(rec->ecosystems[i])))
			rc = kv_put(c->t, TABLE_SCANNED_SYSTEMS, key_span(&k),
			    rec_none());
	}
	return (rc);
}

enum rc
fsck_findings_row(struct fsck_check *c)
{
	struct findings_rec rec;
	struct digest d;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d) ||
	    !rec_findings_read(c->value, &rec))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "findings of a scan", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = fsck_has_manifest(c, repo, &d, &ok)) != RC_OK)
		return (rc);
	if (ok)
		return (systems_check(c, repo, &d, &rec));
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s: findings of a scan of %s, which is not there",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		rc = fsck_row_delete(c);
	return (rc);
}

static bool
system_named(const struct findings_rec *rec, struct span ecosystem)
{
	size_t i;

	for (i = 0; i < rec->n_ecosystems; i++)
		if (span_eq(rec->ecosystems[i], ecosystem))
			return (true);
	return (false);
}

enum rc
fsck_scanned_system_row(struct fsck_check *c)
{
	struct findings_rec rec;
	struct span ecosystem, value;
	struct rec_key k;
	struct digest d;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_system(c->key, &ecosystem, &repo, &d))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = kv_get(c->t, TABLE_SCAN_FINDINGS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_findings_read(value, &rec) &&
	    system_named(&rec, ecosystem))
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is among the scanned images of " SPAN_FMT
		", but nothing was found in it",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d),
		SPAN_ARG(ecosystem)))
		return (fsck_row_delete(c));
	return (RC_OK);
}
