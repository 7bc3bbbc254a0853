#include "storage/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/ballast_int.h"
#include "storage/blobs.h"
#include "storage/collect_int.h"
#include "storage/keys.h"
#include "storage/meta_int.h"
#include "storage/tier.h"

/*
 * Opening and closing a folder, and what is asked of it as a whole.
 */

/* Opening. */

static enum rc
format_check(struct store *s, bool *new_r, char *why)
{
	unsigned format;
	enum rc rc;

	rc = store_format_read(s->dir_fd, &format);
	*new_r = rc == RC_NOTFOUND;
	if (rc == RC_OK && format > STORE_FORMAT)
		return (store_newer(s, format, STORE_FORMAT, why));
	if (rc == RC_NOTFOUND && !s->options.read_only)
		return (store_dir_check(s, why));
	if (rc == RC_NOTFOUND)
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s holds no registry (there is no file \"format\")",
		    s->options.dir);
	else if (rc != RC_OK)
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s/format cannot be read: %s", s->options.dir,
		    rc_text(rc));
	return (rc);
}

static enum rc
meta_setup(struct store *s, bool new, char *why)
{
	const struct meta_options o = {
		.dir = s->options.dir,
		.dir_fd = s->dir_fd,
		.map_bytes = s->options.map_bytes,
		.max_threads = s->options.max_threads,
		.read_only = s->options.read_only,
		.create = new,
		.format = STORE_FORMAT,
	};
	enum rc rc;

	if ((rc = meta_open(&o, why, &s->meta)) != RC_OK)
		return (rc);
	meta_undelete_set(s->meta, s->options.undelete_ms);
	return (store_upgrade(s, why));
}

/* The format file says what the metadata say, and is the last to do so. */
static enum rc
format_settle(struct store *s, char *why)
{
	unsigned format;
	enum rc rc;

	if (s->options.read_only)
		return (RC_OK);
	rc = store_format_read(s->dir_fd, &format);
	if (rc == RC_OK && format == STORE_FORMAT)
		return (RC_OK);
	if ((rc = store_format_write(s->dir_fd, STORE_FORMAT)) != RC_OK)
		(void)snprintf(why, STORE_WHY_BYTES, "%s/format: %s",
		    s->options.dir, rc_text(rc));
	return (rc);
}

/* --- the archive --------------------------------------------------------- */

static enum rc
archive_recall(void *arg, uint64_t *id_r, bool *content_r)
{
	const struct store *s = arg;
	struct meta_counts counts;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK)
		return (rc);
	rc = meta_number_get(&t, NUMBER_ARCHIVE, id_r);
	if (rc == RC_OK)
		rc = meta_counts_kept(&t, &counts);
	*content_r = rc == RC_OK && counts.archived_blobs > 0;
	meta_read_end(&t);
	return (rc);
}

static enum rc
archive_id_set(struct meta_txn *t, void *arg)
{
	const uint64_t *id = arg;
	uint64_t was;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_ARCHIVE, &was)) != RC_OK)
		return (rc);
	if (was != 0 && t->counts->archived_blobs > 0)
		return (RC_EXISTS);
	return (meta_number_set(t, NUMBER_ARCHIVE, *id));
}

static enum rc
archive_adopt(void *arg, uint64_t id)
{
	const struct store *s = arg;

	return (meta_change(s->meta, archive_id_set, &id, 0));
}

/* Where .archive_dir does not say otherwise. */
static enum rc
archive_open(struct store *s)
{
	const struct tier_owner owner = {
		.recall = archive_recall,
		.adopt = archive_adopt,
		.arg = s,
	};
	char *dir = NULL;
	enum rc rc;

	if (s->options.archive_dir == NULL)
		dir = xasprintf("%s/" STORE_ARCHIVE_DIR, s->options.dir);
	rc = tier_open(dir != NULL ? dir : s->options.archive_dir,
	    s->options.read_only, &owner, &s->tier);
	free(dir);
	return (rc);
}

static enum rc
content_key(
    void *arg, uint32_t key_domain, enum read_mode mode, struct seal_key *key_r)
{

	return (keys_get(arg, key_domain, mode, key_r));
}

static enum rc
content_open(struct store *s, char *why)
{
	enum rc rc;

	rc = blobs_fs_open(
	    s->dir_fd, s->options.dir, s->options.read_only, &s->blobs);
	if (rc == RC_OK) {
		blobs_keys_set(s->blobs, content_key, s);
		rc = uploads_open(s, &s->uploads);
	}
	if (rc != RC_OK) {
		(void)snprintf(why, STORE_WHY_BYTES, "%s: blobs or uploads: %s",
		    s->options.dir, rc_text(rc));
		return (rc);
	}
	if ((rc = archive_open(s)) != RC_OK)
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s: the archive %s cannot be used: %s", s->options.dir,
		    s->options.archive_dir != NULL ? s->options.archive_dir
						   : STORE_ARCHIVE_DIR,
		    rc_text(rc));
	else
		tier_keys_set(s->tier, content_key, s);
	return (rc);
}

static void
ballast_setup(struct store *s)
{
	if (s->options.read_only)
		return;
	s->ballast = ballast_new(s->dir_fd, s->options.dir);
	meta_ballast_set(s->meta, s->ballast);
	store_ballast_renew(s);
}

static enum rc
parts_open(struct store *s, char *why)
{
	bool new;
	enum rc rc;

	if ((rc = store_dir_open(s, why)) != RC_OK)
		return (rc);
	/* Before anything is written into a folder that is not ours; and
	 * again when nobody else can be at work in it. */
	if ((rc = format_check(s, &new, why)) != RC_OK)
		return (rc);
	if ((rc = store_lock(s, why)) != RC_OK)
		return (rc);
	if ((rc = format_check(s, &new, why)) != RC_OK)
		return (rc);
	if (!s->options.read_only)
		snapshot_sweep(s);
	if ((rc = meta_setup(s, new, why)) != RC_OK)
		return (rc);
	store_disk_refresh(s);
	if ((rc = content_open(s, why)) != RC_OK)
		return (rc);
	if ((rc = format_settle(s, why)) != RC_OK)
		return (rc);
	ballast_setup(s);
	return (RC_OK);
}

enum rc
store_open(const struct store_options *options, char why[STORE_WHY_BYTES],
    struct store **store_r)
{
	struct store *s = xcalloc(1, sizeof(*s));
	enum rc rc;

	why[0] = '\0';
	s->magic = STORE_MAGIC;
	s->options = *options;
	s->options.dir = xstrdup(options->dir);
	if (options->archive_dir != NULL)
		s->options.archive_dir = xstrdup(options->archive_dir);
	atomic_init(&s->orphans_suspected, true);
	gc_gate_init(&s->gate);
	s->dir_fd = -1;
	s->lock_fd = -1;
	if ((rc = parts_open(s, why)) != RC_OK) {
		store_close(&s);
		return (rc);
	}
	*store_r = s;
	return (RC_OK);
}

void
store_close(struct store **s_r)
{
	struct store *s;

	if (s_r == NULL || (s = *s_r) == NULL)
		return;
	OBJ_CHECK(s, STORE_MAGIC);
	tier_close(&s->tier);
	uploads_close(&s->uploads);
	blobs_fs_close(&s->blobs);
	meta_close(&s->meta);
	ballast_free(&s->ballast);
	store_unlock(s);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	gc_gate_destroy(&s->gate);
	free((void *)(uintptr_t)s->options.dir);
	free((void *)(uintptr_t)s->options.archive_dir);
	s->magic = 0;
	free(s);
	*s_r = NULL;
}

/* In use. */

struct meta *
store_meta(struct store *s)
{

	return (s->meta);
}

struct blobs *
store_blobs(struct store *s)
{

	return (s->blobs);
}

struct tier *
store_tier(struct store *s)
{

	return (s->tier);
}

void
store_undelete_set(struct store *s, int64_t undelete_ms)
{

	meta_undelete_set(s->meta, undelete_ms);
}

int64_t
store_undelete_ms(const struct store *s)
{

	return (meta_undelete_ms(s->meta));
}

bool
store_orphans_suspected(struct store *s)
{

	return (atomic_load(&s->orphans_suspected));
}

void
store_orphans_suspect(struct store *s, bool suspected)
{

	atomic_store(&s->orphans_suspected, suspected);
}

bool
store_reads_inline(const struct store *s)
{

	(void)s;
	return (true);
}

bool
store_failed(const struct store *s)
{

	return (meta_failed(s->meta) || blobs_fs_sync_failed(s->blobs));
}

void
store_stats(struct store *s, struct store_stats *st_r)
{

	*st_r = (struct store_stats){ 0 };
	meta_stats(s->meta, st_r);
	store_disk_refresh(s);
	st_r->disk_free_bytes = atomic_load(&s->disk.free_bytes);
	st_r->disk_reserve_bytes = atomic_load(&s->disk.reserve_bytes);
	if (s->ballast != NULL)
		st_r->ballast_bytes = ballast_bytes(s->ballast);
	/* The uploads ask before it is open. */
	if (s->tier != NULL)
		st_r->archive_away = tier_away(s->tier);
}
