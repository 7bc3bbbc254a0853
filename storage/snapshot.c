#include "storage/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "storage/blobs_fs_int.h"
#include "storage/gc.h"
#include "storage/meta_env_int.h"
#include "storage/sealed.h"
#include "storage/store_int.h"
#include "storage/tier_int.h"

/*
 * Snapshots: the metadata are copied by LMDB, in one read of its own, page by
 * page and without those that are free, while others commit; content is not
 * copied, as the collector is held.  The hold comes first: what the copy leads
 * to is where it says from before the copy is made until the end.
 */
#define SNAPSHOT_DIR "snapshot"
#define META_FILE "meta.mdb"

struct snapshot {
	struct store *store;
	char *path;
};

/* --- the folder ---------------------------------------------------------- */

static enum rc
folder_clear(DIR *dir)
{
	struct dirent *e;
	enum rc rc = RC_OK;

	while ((errno = 0, e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
			rc = rc_of_errno(errno);
	return (errno != 0 && rc == RC_OK ? rc_of_errno(errno) : rc);
}

/* Not being there is fine. */
static enum rc
folder_remove(const struct store *s)
{
	enum rc rc;
	DIR *dir;
	int fd;

	fd = openat(s->dir_fd, SNAPSHOT_DIR,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return (errno == ENOENT ? RC_OK : rc_of_errno(errno));
	if ((dir = fdopendir(fd)) == NULL) {
		rc = rc_of_errno(errno);
		(void)close(fd);
		return (rc);
	}
	rc = folder_clear(dir);
	(void)closedir(dir);
	if (rc == RC_OK &&
	    unlinkat(s->dir_fd, SNAPSHOT_DIR, AT_REMOVEDIR) != 0 &&
	    errno != ENOENT)
		rc = rc_of_errno(errno);
	return (rc);
}

/* What stays keeps nobody from serving, only from the next snapshot. */
void
snapshot_sweep(struct store *s)
{
	enum rc rc;

	if ((rc = folder_remove(s)) != RC_OK)
		log_warn("%s/" SNAPSHOT_DIR ": cannot be removed: %s",
		    s->options.dir, rc_text(rc));
}

/* --- the copy ------------------------------------------------------------ */

static enum rc
snapshot_fail(const struct store *s, char *why, int err, const char *what)
{
	const char *text = err > 0 ? strerror(err) : mdb_strerror(err);

	(void)snprintf(why, SNAPSHOT_WHY_BYTES, "%s/" SNAPSHOT_DIR ": %s: %s",
	    s->options.dir, what, text);
	return (err > 0 ? rc_of_errno(err) : RC_IO);
}

static int
env_copy(struct meta *m, int fd, unsigned flags)
{
	if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		return (errno);
	return (mdb_env_copyfd2(m->env, fd, flags));
}

/*
 * While it reads the map cannot move; it is as large as the address space
 * allows, so that it hardly ever has to.  Where pages were lost by an older
 * version of LMDB they are copied, too.
 */
static enum rc
meta_copy(struct store *s, int fd, char *why)
{
	struct meta_txn t;
	int err;
	enum rc rc;

	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK) {
		(void)snprintf(why, SNAPSHOT_WHY_BYTES,
		    "%s: the metadata cannot be read: %s", s->options.dir,
		    rc_text(rc));
		return (rc);
	}
	err = env_copy(s->meta, fd, MDB_CP_COMPACT);
	if (err == MDB_INCOMPATIBLE)
		err = env_copy(s->meta, fd, 0);
	meta_read_end(&t);
	return (err == 0 ? RC_OK : snapshot_fail(s, why, err, META_FILE));
}

static enum rc
room_check(struct store *s, char *why)
{
	struct store_stats st;
	enum rc rc;

	store_stats(s, &st);
	rc = store_room(s, st.map_used_bytes - st.map_free_bytes);
	if (rc != RC_OK)
		(void)snprintf(why, SNAPSHOT_WHY_BYTES,
		    "%s: no room for a copy of the metadata (%llu MiB): %s",
		    s->options.dir,
		    (unsigned long long)(st.map_used_bytes -
					 st.map_free_bytes) >>
			20,
		    rc_text(rc));
	return (rc);
}

static enum rc
copy_make(struct store *s, char *why)
{
	enum rc rc;
	int fd;

	if ((rc = room_check(s, why)) != RC_OK)
		return (rc);
	if (folder_remove(s) != RC_OK)
		return (snapshot_fail(s, why, EEXIST, "what was there before"));
	if (mkdirat(s->dir_fd, SNAPSHOT_DIR, 0700) != 0)
		return (snapshot_fail(s, why, errno, "create"));
	fd = openat(s->dir_fd, SNAPSHOT_META,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return (snapshot_fail(s, why, errno, "create " META_FILE));
	rc = meta_copy(s, fd, why);
	if (close(fd) != 0 && rc == RC_OK)
		rc = snapshot_fail(s, why, errno, META_FILE);
	return (rc);
}

enum rc
snapshot_begin(
    struct store *s, struct snapshot **snap_r, char why[SNAPSHOT_WHY_BYTES])
{
	struct snapshot *snap;
	enum rc rc;

	must(!s->options.read_only);
	if (atomic_exchange(&s->snapshot_taken, true)) {
		(void)snprintf(why, SNAPSHOT_WHY_BYTES,
		    "%s: another backup is being made", s->options.dir);
		return (RC_BUSY);
	}
	gc_hold(s);
	if ((rc = copy_make(s, why)) != RC_OK) {
		log_error("%s", why);
		snapshot_sweep(s);
		gc_release(s);
		atomic_store(&s->snapshot_taken, false);
		return (rc);
	}
	snap = xcalloc(1, sizeof(*snap));
	snap->store = s;
	snap->path = xasprintf("%s/" SNAPSHOT_META, s->options.dir);
	*snap_r = snap;
	return (RC_OK);
}

const char *
snapshot_path(const struct snapshot *snap)
{
	return (snap->path);
}

void
snapshot_end(struct snapshot **snap_p)
{
	struct snapshot *snap = *snap_p;
	struct store *s;

	if (snap == NULL)
		return;
	*snap_p = NULL;
	s = snap->store;
	snapshot_sweep(s);
	gc_release(s);
	atomic_store(&s->snapshot_taken, false);
	free(snap->path);
	free(snap);
}

/* --- what is in a copy --------------------------------------------------- */

struct files {
	struct meta *meta;
	int dir_fd;
	char *dir;
};

/* The folder that ${meta_path} stands in. */
static enum rc
files_folder(struct files *f, const char *meta_path, char *why)
{
	const char *slash = strrchr(meta_path, '/');
	const char *name = slash != NULL ? slash + 1 : meta_path;

	must(strcmp(name, META_FILE) == 0);
	if (slash == NULL)
		f->dir = xstrdup(".");
	else
		f->dir = xstrndup(meta_path, (size_t)(slash - meta_path));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd >= 0)
		return (RC_OK);
	(void)snprintf(
	    why, SNAPSHOT_WHY_BYTES, "%s: %s", f->dir, strerror(errno));
	return (rc_of_errno(errno));
}

static enum rc
version_check(struct files *f, char *why)
{
	struct meta_txn t;
	unsigned format;
	enum rc rc;

	if ((rc = meta_read_begin(f->meta, &t)) != RC_OK)
		return (rc);
	rc = meta_format_get(&t, &format);
	meta_read_end(&t);
	if (rc != RC_OK || format <= STORE_FORMAT)
		return (rc);
	(void)snprintf(why, SNAPSHOT_WHY_BYTES,
	    "%s/" META_FILE " has format %u, this version reads up to %d",
	    f->dir, format, STORE_FORMAT);
	return (RC_VERSION);
}

static enum rc
files_open(struct files *f, const char *meta_path, char *why)
{
	struct meta_options o = { .read_only = true };
	enum rc rc;

	*f = (struct files){ .dir_fd = -1 };
	if ((rc = files_folder(f, meta_path, why)) != RC_OK)
		return (rc);
	o.dir = f->dir;
	o.dir_fd = f->dir_fd;
	if ((rc = meta_open(&o, why, &f->meta)) != RC_OK)
		return (rc);
	return (version_check(f, why));
}

static void
files_close(struct files *f)
{
	meta_close(&f->meta);
	if (f->dir_fd >= 0)
		(void)close(f->dir_fd);
	free(f->dir);
}

static const char *
place_prefix(enum blob_location location)
{
	return (location == BLOB_IN_ARCHIVE ? STORE_ARCHIVE_DIR "/" : "blobs/");
}

static void
file_name(enum blob_location location, uint32_t domain, const struct digest *d,
    char out[SNAPSHOT_PATH_BYTES])
{
	char path[BLOB_PATH_BYTES];

	blobs_fs_path(domain, d, path);
	(void)snprintf(
	    out, SNAPSHOT_PATH_BYTES, "%s%s", place_prefix(location), path);
}

/* RC_NOTFOUND: it lies elsewhere, or is out of service. */
static enum rc
file_read(
    const struct kv_walk *w, enum blob_location at, struct snapshot_file *file)
{
	struct blob_rec rec;

	if (!key_read_blob(w->key, &file->key_domain, &file->digest) ||
	    !rec_blob_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	if (rec.location != at || rec.state != BLOB_SERVED)
		return (RC_NOTFOUND);
	file_name(at, file->key_domain, &file->digest, file->path);
	file->size_bytes = rec.size_bytes;
	file->archived = at == BLOB_IN_ARCHIVE;
	file->compressed = rec.encoding == BLOB_ZSTD;
	file->stored_bytes = rec.stored_bytes;
	if (!file->archived && file->key_domain != KEY_DOMAIN_PLAIN)
		file->stored_bytes = sealed_file_bytes(rec.size_bytes);
	return (RC_OK);
}

static enum rc
place_walk(struct kv_walk *w, enum blob_location at, snapshot_file_fn *fn,
    void *arg, char *why)
{
	struct snapshot_file file;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		rc = file_read(w, at, &file);
		if (rc == RC_NOTFOUND)
			continue;
		if (rc != RC_OK)
			return (rc);
		/* What it has to say of an error stands for itself. */
		if ((rc = fn(arg, &file)) != RC_OK) {
			why[0] = '\0';
			return (rc);
		}
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Nobody changes it: the read may take as long as ${fn} does. */
static enum rc
files_walk(struct meta *m, enum blob_location at, snapshot_file_fn *fn,
    void *arg, char *why)
{
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(&t, TABLE_BLOBS, SPAN_NONE, SPAN_NONE, &w);
	if (rc == RC_OK) {
		rc = place_walk(&w, at, fn, arg, why);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
snapshot_files(const char *meta_path, snapshot_file_fn *fn, void *arg,
    char why[SNAPSHOT_WHY_BYTES])
{
	struct files f;
	enum rc rc;

	if ((rc = files_open(&f, meta_path, why)) != RC_OK)
		goto out;
	(void)snprintf(why, SNAPSHOT_WHY_BYTES,
	    "%s: a record cannot be read; fsck tells more", meta_path);
	/* "archive" comes before "blobs". */
	rc = files_walk(f.meta, BLOB_IN_ARCHIVE, fn, arg, why);
	if (rc == RC_OK)
		rc = files_walk(f.meta, BLOB_IN_FILE, fn, arg, why);
out:
	files_close(&f);
	return (rc);
}

static bool
domain_parse(struct span *rest, uint32_t *domain)
{
	struct span part, behind = *rest;
	uint64_t n;

	*domain = KEY_DOMAIN_PLAIN;
	if (!span_has_prefix(*rest, SPAN("k")))
		return (true);
	if (!span_split(&behind, '/', &part))
		return (false);
	part.p++;
	part.n--;
	if (num_u64(part, UINT32_MAX, &n) != RC_OK)
		return (false);
	*domain = (uint32_t)n;
	*rest = behind;
	return (true);
}

static bool
name_parse(struct span rest, uint32_t *domain, struct digest *d)
{
	struct span alg, part;

	*d = (struct digest){ 0 };
	return (domain_parse(&rest, domain) && span_split(&rest, '/', &alg) &&
		digest_alg_parse(alg, &d->alg) == RC_OK &&
		span_split(&rest, '/', &part) &&
		hex_decode(rest, d->bytes, digest_len(d->alg)) == RC_OK);
}

/* As we would call it, and in no other way. */
static bool
content_name(enum blob_location location, const char *path, struct digest *d)
{
	struct span prefix = span_of(place_prefix(location));
	struct span rest = span_of(path);
	char again[SNAPSHOT_PATH_BYTES];
	uint32_t domain;

	if (!span_has_prefix(rest, prefix))
		return (false);
	rest.p += prefix.n;
	rest.n -= prefix.n;
	if (!name_parse(rest, &domain, d))
		return (false);
	file_name(location, domain, d, again);
	return (strcmp(path, again) == 0);
}

bool
snapshot_name_ok(const char *path, bool *content_r, struct digest *d_r)
{
	*content_r = content_name(BLOB_IN_FILE, path, d_r) ||
		     content_name(BLOB_IN_ARCHIVE, path, d_r);
	return (*content_r || strcmp(path, "format") == 0 ||
		strcmp(path, META_FILE) == 0);
}

/* --- a folder made of a copy --------------------------------------------- */

static enum rc
archive_number(struct meta *m, uint64_t *id_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = meta_number_get(&t, NUMBER_ARCHIVE, id_r);
	meta_read_end(&t);
	return (rc);
}

enum rc
snapshot_archive_mark(const char *dir, char why[SNAPSHOT_WHY_BYTES])
{
	char *path = xasprintf("%s/" META_FILE, dir);
	char *archive = xasprintf("%s/" STORE_ARCHIVE_DIR, dir);
	struct files f;
	uint64_t id;
	enum rc rc;

	if ((rc = files_open(&f, path, why)) == RC_OK &&
	    (rc = archive_number(f.meta, &id)) == RC_OK && id != 0 &&
	    (rc = tier_mark_write(archive, id)) != RC_OK)
		(void)snprintf(why, SNAPSHOT_WHY_BYTES,
		    "%s/" TIER_MARKER ": %s", archive, rc_text(rc));
	files_close(&f);
	free(archive);
	free(path);
	return (rc);
}
