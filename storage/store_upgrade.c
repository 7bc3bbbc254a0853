#include "storage/store_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * From one format of the folder to the next.
 */

struct step_arg {
	struct store *s;
	const struct store_upgrade *step;
};

static enum rc
upgrade_step(struct meta_txn *t, void *arg)
{
	const struct step_arg *a = arg;
	enum rc rc;

	if ((rc = a->step->step(t, a->s)) != RC_OK)
		return (rc);
	return (meta_format_set(t, a->step->from + 1));
}

static enum rc
format_of_meta(struct store *s, unsigned *format_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK)
		return (rc);
	rc = meta_format_get(&t, format_r);
	meta_read_end(&t);
	return (rc);
}

static const struct store_upgrade *
upgrade_find(const struct store_upgrade *steps, size_t n_steps, unsigned from)
{
	size_t i;

	for (i = 0; i < n_steps; i++)
		if (steps[i].from == from)
			return (&steps[i]);
	return (NULL);
}

enum rc
store_newer(const struct store *s, unsigned format, unsigned to, char *why)
{

	(void)snprintf(why, STORE_WHY_BYTES,
	    "%s is written in format %u by a newer registryd; this one knows "
	    "formats up to %u: use the newer one",
	    s->options.dir, format, to);
	return (RC_VERSION);
}

static enum rc
format_older(const struct store *s, unsigned format, unsigned to, char *why)
{

	(void)snprintf(why, STORE_WHY_BYTES,
	    "%s is written in the old format %u, and this cannot be made "
	    "format %u here%s",
	    s->options.dir, format, to,
	    s->options.read_only ? ": start registryd on it once" : "");
	return (RC_VERSION);
}

enum rc
store_upgrade_run(struct store *s, const struct store_upgrade *steps,
    size_t n_steps, unsigned to, char why[STORE_WHY_BYTES])
{
	struct step_arg arg = { .s = s };
	unsigned format;
	enum rc rc;

	if ((rc = format_of_meta(s, &format)) != RC_OK)
		goto err0;
	if (format > to)
		return (store_newer(s, format, to, why));
	for (; format < to; format++) {
		arg.step = upgrade_find(steps, n_steps, format);
		if (arg.step == NULL ||
		    (s->options.read_only && !arg.step->readable))
			return (format_older(s, format, to, why));
		if (s->options.read_only)
			continue;
		log_info("%s: upgrade from format %u", s->options.dir, format);
		rc = meta_change(s->meta, upgrade_step, &arg, 0);
		if (rc != RC_OK)
			goto err0;
	}
	return (RC_OK);

err0:
	(void)snprintf(why, STORE_WHY_BYTES, "%s: upgrade: %s", s->options.dir,
	    rc_text(rc));
	return (rc);
}

/*
 * Format 2 has more tables.  They were made when the metadata were opened,
 * and are empty; what changes is that a registryd who does not know them, and
 * would serve what is private to everybody, does not serve this folder.
 */
static enum rc
upgrade_from_1(struct meta_txn *t, void *arg)
{

	(void)t;
	(void)arg;
	return (RC_OK);
}

/*
 * Format 3 has more tables, all empty at first, and a second version of the
 * rows of manifests: those that are there are read as they are, and are
 * written anew when they change.
 */
static enum rc
upgrade_from_2(struct meta_txn *t, void *arg)
{

	(void)t;
	(void)arg;
	return (RC_OK);
}

/*
 * Format 4 keeps for each link how many images use it, and a queue of policies
 * by when they are due.  A row that cannot be read is left for fsck to find: it
 * must not keep the registry from its start.
 */
#define STEP_ROWS 256

/* Keys of a batch of rows, since what is changed cannot be walked over. */
struct step_rows {
	struct rec_key keys[STEP_ROWS];
	size_t n;
};

static enum rc
rows_next(struct meta_txn *t, enum meta_table table, struct rec_key *last,
    struct step_rows *rows)
{
	struct kv_walk w;
	enum rc rc;

	rows->n = 0;
	rc = kv_walk_begin(t, table, SPAN_NONE, key_span(last), &w);
	if (rc != RC_OK)
		return (rc);
	while (rows->n < STEP_ROWS && (rc = kv_walk_next(&w)) == RC_OK) {
		if (w.key.n > KEY_MAX_BYTES || span_eq(w.key, key_span(last)))
			continue;
		key_str(&rows->keys[rows->n++], w.key);
	}
	kv_walk_end(&w);
	if (rows->n > 0)
		*last = rows->keys[rows->n - 1];
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

typedef enum rc
step_row_fn(struct meta_txn *, const struct rec_key *, int64_t now_ms);

static enum rc
rows_step(struct meta_txn *t, enum meta_table table, step_row_fn *fn)
{
	struct step_rows *rows = xcalloc(1, sizeof(*rows));
	struct rec_key last = { 0 };
	int64_t now_ms = clock_real_ms();
	size_t i;
	enum rc rc;

	do {
		rc = rows_next(t, table, &last, rows);
		for (i = 0; i < rows->n && rc == RC_OK; i++) {
			rc = fn(t, &rows->keys[i], now_ms);
			if (rc == RC_CORRUPT)
				rc = RC_OK;
		}
	} while (rc == RC_OK && rows->n > 0);
	free(rows);
	return (rc);
}

static enum rc
link_step(struct meta_txn *t, const struct rec_key *k, int64_t now_ms)
{
	struct digest d;
	uint64_t repo;

	if (!key_read_repo_digest(key_span(k), &repo, &d))
		return (meta_corrupt(TABLE_BLOB_LINKS, key_span(k)));
	return (link_recount(t, repo, &d, now_ms));
}

static enum rc
policy_step(struct meta_txn *t, const struct rec_key *k, int64_t now_ms)
{
	struct lifecycle_row row;
	uint64_t repo;
	enum rc rc;

	(void)now_ms;
	if (!key_read_repo(key_span(k), &repo))
		return (meta_corrupt(TABLE_LIFECYCLE_POLICIES, key_span(k)));
	if ((rc = lifecycle_load(t, repo, &row)) != RC_OK)
		return (rc);
	return (lifecycle_queue_set(t, repo, 0, lifecycle_basis(&row)));
}

static enum rc
upgrade_from_3(struct meta_txn *t, void *arg)
{
	enum rc rc;

	(void)arg;
	if ((rc = rows_step(t, TABLE_BLOB_LINKS, link_step)) != RC_OK)
		return (rc);
	return (rows_step(t, TABLE_LIFECYCLE_POLICIES, policy_step));
}

/*
 * Format 5 has more tables, all empty at first.  A registryd who does not know
 * them would leave the mark of a copy on what somebody pushed since, and what
 * waits to be sent unsent.
 */
static enum rc
upgrade_from_4(struct meta_txn *t, void *arg)
{

	(void)t;
	(void)arg;
	return (RC_OK);
}

/*
 * Format 6 has more tables, all empty at first, and ids of repositories that
 * hold a key domain: those that are there are of domain 0.  A registryd who
 * does not know it would take what is sealed for damaged.
 */
static enum rc
upgrade_from_5(struct meta_txn *t, void *arg)
{

	(void)t;
	(void)arg;
	return (RC_OK);
}

/* Grows by a line with each format. */
static const struct store_upgrade upgrades[] = {
	{ 1, upgrade_from_1, true },
	{ 2, upgrade_from_2, true },
	{ 3, upgrade_from_3, true },
	{ 4, upgrade_from_4, true },
	{ 5, upgrade_from_5, true },
};

enum rc
store_upgrade(struct store *s, char why[STORE_WHY_BYTES])
{

	return (store_upgrade_run(
	    s, upgrades, ARRAY_LEN(upgrades), STORE_FORMAT, why));
}
