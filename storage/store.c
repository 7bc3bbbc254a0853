#include "storage/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/meta_int.h"

/*
 * Opening and closing a folder, and what is asked of it as a whole.
 */

/* Formats. */

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

static enum rc
format_newer(const struct store *s, unsigned format, unsigned to, char *why)
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
		return (format_newer(s, format, to, why));
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

/* Grows by a line with each format. */
static const struct store_upgrade upgrades[] = {
	{ 1, upgrade_from_1, true },
	{ 2, upgrade_from_2, true },
};

/* Opening. */

static enum rc
format_check(struct store *s, bool *new_r, char *why)
{
	unsigned format;
	enum rc rc;

	rc = store_format_read(s->dir_fd, &format);
	*new_r = rc == RC_NOTFOUND;
	if (rc == RC_OK && format > STORE_FORMAT)
		return (format_newer(s, format, STORE_FORMAT, why));
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
	return (store_upgrade_run(
	    s, upgrades, ARRAY_LEN(upgrades), STORE_FORMAT, why));
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
	if ((rc = meta_setup(s, new, why)) != RC_OK)
		return (rc);
	store_disk_refresh(s);
	rc = blobs_fs_open(
	    s->dir_fd, s->options.dir, s->options.read_only, &s->blobs);
	if (rc == RC_OK)
		rc = uploads_open(s, &s->uploads);
	if (rc != RC_OK) {
		(void)snprintf(why, STORE_WHY_BYTES, "%s: blobs or uploads: %s",
		    s->options.dir, rc_text(rc));
		return (rc);
	}
	return (format_settle(s, why));
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
	uploads_close(&s->uploads);
	blobs_fs_close(&s->blobs);
	meta_close(&s->meta);
	store_unlock(s);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	free((void *)(uintptr_t)s->options.dir);
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
}
