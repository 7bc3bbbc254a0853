#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * What is found in a layer while it is read, and what of it is still there at
 * its end: an entry of a tar may be replaced by a later one.
 */
#define ROOM_FIRST 64
/* Of the index, which is what becomes of it. */
#define TEXT_MAX_BYTES (2 * LAYER_INDEX_MAX_BYTES)

void
layer_found_init(struct layer_found *f)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->arena, TEXT_MAX_BYTES);
	f->packages.arena = &f->arena;
	f->packages.why = f->read_why;
}

void
layer_found_free(struct layer_found *f)
{
	free(f->packages.rows);
	free(f->packages.owned);
	free(f->files);
	free(f->links);
	free(f->covers.rows);
	free(f->whiteouts.rows);
	free(f->folders.rows);
	arena_reset(&f->arena);
	memset(f, 0, sizeof(*f));
}

/* --- as it is read -------------------------------------------------------- */

void
covers_add(struct covers *c, uint64_t hash, uint32_t entry)
{
	if (c->n == c->room) {
		c->room = c->room > 0 ? 2 * c->room : ROOM_FIRST;
		c->rows = xrealloc(c->rows, c->room * sizeof(c->rows[0]));
	}
	c->rows[c->n++] = (struct cover){ hash, entry };
}

static enum rc
too_big(struct layer_found *f, const char *what)
{
	(void)snprintf(f->read_why, sizeof(f->read_why), "%s", what);
	return (RC_TOOBIG);
}

static enum rc
file_new(struct layer_found *f, enum file_kind kind, struct span path,
    uint32_t entry, struct found_file **file_r)
{
	struct found_file *file;

	if (f->n_files == LAYER_FILES_MAX)
		return (too_big(f, "more lists of packages than are read"));
	if (f->n_files == f->files_room) {
		f->files_room =
		    f->files_room > 0 ? 2 * f->files_room : ROOM_FIRST;
		f->files =
		    xrealloc(f->files, f->files_room * sizeof(f->files[0]));
	}
	file = &f->files[f->n_files];
	*file = (struct found_file){
		.file = { .kind = kind, .path = arena_span(&f->arena, path) },
		.entry = entry,
		.first_package = f->packages.n,
		.first_owned = f->packages.n_owned,
	};
	if (file->file.path.p == NULL)
		return (too_big(f, "more text of packages than is kept"));
	f->n_files++;
	*file_r = file;
	return (RC_OK);
}

static enum rc
unread_set(struct layer_found *f, struct found_file *file, const char *why)
{
	file->file.unread = arena_span(&f->arena, span_of(why));
	if (file->file.unread.p == NULL)
		return (too_big(f, "more text of packages than is kept"));
	return (RC_OK);
}

static package_reader_fn *const readers[FILE_KINDS] = {
	[FILE_DPKG_STATUS] = dpkg_status_read,
	[FILE_DPKG_STATUS_D] = dpkg_status_d_read,
	[FILE_APK] = apk_installed_read,
	[FILE_RPM_SQLITE] = rpm_sqlite_read,
	[FILE_NPM_LOCK] = npm_lock_read,
	[FILE_NPM_INSTALLED] = npm_installed_read,
	[FILE_REQUIREMENTS] = python_requirements_read,
	[FILE_PYTHON_METADATA] = python_metadata_read,
};

static const char *
unread_reason(enum file_kind kind)
{
	if (kind == FILE_RPM_WAL)
		return ("changes of an rpm database that were not written into "
			"it");
	if (kind == FILE_RPM_BDB)
		return ("rpm database in Berkeley DB format");
	return ("rpm database in ndb format");
}

static int
hash_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

size_t
hashes_settle(uint64_t *hashes, size_t n)
{
	size_t i, left = 0;

	if (n > 1)
		qsort(hashes, n, sizeof(hashes[0]), hash_cmp);
	for (i = 0; i < n; i++)
		if (left == 0 || hashes[left - 1] != hashes[i])
			hashes[left++] = hashes[i];
	return (left);
}

/* What the reader has added to the end. */
static void
additions_count(struct layer_found *f, struct found_file *file)
{
	struct package_list *all = &f->packages;

	file->file.n_packages = (uint32_t)(all->n - file->first_package);
	if (all->n_owned > file->first_owned) {
		file->file.n_owned =
		    hashes_settle(all->owned + file->first_owned,
			all->n_owned - file->first_owned);
		all->n_owned = file->first_owned + file->file.n_owned;
	}
}

static enum rc
content_read(
    struct layer_found *f, struct found_file *file, struct span content)
{
	package_reader_fn *reader = readers[file->file.kind];
	enum rc rc;

	f->read_why[0] = '\0';
	if (file->file.kind == FILE_OS_RELEASE) {
		rc = os_release_read(content, &f->arena, &file->file.os);
		return (rc == RC_TOOBIG ? too_big(f, "a value that is too long")
					: rc);
	}
	/* An empty one is of somebody who only looked. */
	if (content.n == 0)
		return (RC_OK);
	if (reader == NULL)
		return (unread_set(f, file, unread_reason(file->file.kind)));
	rc = reader(content, &f->packages);
	if (rc == RC_INVALID)
		rc = unread_set(f, file, f->read_why);
	additions_count(f, file);
	return (rc);
}

enum rc
layer_found_file(struct layer_found *f, enum file_kind kind, struct span path,
    uint32_t entry, struct span content)
{
	struct found_file *file;
	enum rc rc;

	if ((rc = file_new(f, kind, path, entry, &file)) != RC_OK)
		return (rc);
	return (content_read(f, file, content));
}

enum rc
layer_found_link(struct layer_found *f, enum file_kind kind, struct span path,
    struct span target, uint32_t entry)
{
	struct found_link *link;

	if (f->n_links == LAYER_FILES_MAX)
		return (too_big(f, "more lists of packages than are read"));
	if (f->n_links == f->links_room) {
		f->links_room =
		    f->links_room > 0 ? 2 * f->links_room : ROOM_FIRST;
		f->links =
		    xrealloc(f->links, f->links_room * sizeof(f->links[0]));
	}
	link = &f->links[f->n_links];
	*link = (struct found_link){
		.kind = kind,
		.path = arena_span(&f->arena, path),
		.target = arena_span(&f->arena, target),
		.entry = entry,
	};
	if (link->path.p == NULL || link->target.p == NULL)
		return (too_big(f, "more text of packages than is kept"));
	f->n_links++;
	return (RC_OK);
}

/* --- at its end ------------------------------------------------------------ */

/* By hash, the latest of each first. */
static int
cover_cmp(const void *a, const void *b)
{
	const struct cover *x = a, *y = b;

	if (x->hash != y->hash)
		return (x->hash < y->hash ? -1 : 1);
	return ((x->entry < y->entry) - (x->entry > y->entry));
}

static void
covers_settle(struct covers *c)
{
	size_t i, n = 0;

	if (c->n > 1)
		qsort(c->rows, c->n, sizeof(c->rows[0]), cover_cmp);
	for (i = 0; i < c->n; i++)
		if (n == 0 || c->rows[n - 1].hash != c->rows[i].hash)
			c->rows[n++] = c->rows[i];
	c->n = n;
}

/* The last entry that covered it; 0: none. */
static uint32_t
covers_find(const struct covers *c, uint64_t hash)
{
	size_t low = 0, high = c->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (c->rows[mid].hash == hash)
			return (c->rows[mid].entry);
		if (c->rows[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return (0);
}

/* Did a later entry take its place, or that of a folder it is in? */
static bool
file_replaced(const struct layer_found *f, const struct found_file *file)
{
	struct path_walk walk;
	uint64_t hash;

	path_walk_begin(&walk, file->file.path);
	while (path_walk_next(&walk, &hash)) {
		if (covers_find(&f->covers, hash) > file->entry)
			return (true);
		if (path_walk_last(&walk) &&
		    covers_find(&f->folders, hash) > file->entry)
			return (true);
	}
	return (false);
}

static int
file_cmp(const void *a, const void *b)
{
	const struct found_file *x = a, *y = b;
	int order = span_cmp(x->file.path, y->file.path);

	if (order != 0)
		return (order);
	return ((x->entry > y->entry) - (x->entry < y->entry));
}

/* The last one of that path before ${entry}. */
static const struct found_file *
file_before(
    const struct layer_found *f, size_t n, struct span path, uint32_t entry)
{
	size_t low = 0, high = n, mid;
	int order;

	while (low < high) {
		mid = low + (high - low) / 2;
		order = span_cmp(f->files[mid].file.path, path);
		if (order < 0 || (order == 0 && f->files[mid].entry < entry))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || !span_eq(f->files[low - 1].file.path, path))
		return (NULL);
	return (&f->files[low - 1]);
}

/*
 * A link to a file that was read has what is in it, read as what its own name
 * says: of two names of the same kind, that is what was found.  Content of any
 * other has gone by.
 */
static enum rc
link_settle(struct layer_found *f, size_t n_read, const struct found_link *l)
{
	const struct found_file *target =
	    file_before(f, n_read, l->target, l->entry);
	struct layer_file from = { .kind = FILE_OTHER };
	size_t first = 0, first_owned = 0;
	struct found_file *file;
	enum rc rc;

	if (target != NULL) {
		from = target->file;
		first = target->first_package;
		first_owned = target->first_owned;
	}
	if ((rc = file_new(f, l->kind, l->path, l->entry, &file)) != RC_OK)
		return (rc);
	if (from.kind != l->kind)
		return (unread_set(f, file,
		    "hard link to a file under another name, which is not "
		    "read"));
	file->first_package = first;
	file->first_owned = first_owned;
	file->file.n_owned = from.n_owned;
	file->file.n_packages = from.n_packages;
	file->file.unread = from.unread;
	file->file.os = from.os;
	return (RC_OK);
}

static enum rc
links_settle(struct layer_found *f)
{
	size_t i, n_read = f->n_files;
	enum rc rc;

	if (f->n_links == 0)
		return (RC_OK);
	if (n_read > 1)
		qsort(f->files, n_read, sizeof(f->files[0]), file_cmp);
	for (i = 0; i < f->n_links; i++)
		if ((rc = link_settle(f, n_read, &f->links[i])) != RC_OK)
			return (rc);
	return (RC_OK);
}

/* How many packages the files that are left have: those of links count again. */
static enum rc
files_settle(struct layer_found *f, size_t *n_packages_r)
{
	size_t i, n = 0, packages = 0, owned = 0;

	for (i = 0; i < f->n_files; i++)
		if (!file_replaced(f, &f->files[i])) {
			packages += f->files[i].file.n_packages;
			owned += f->files[i].file.n_owned;
			f->files[n++] = f->files[i];
		}
	f->n_files = n;
	*n_packages_r = packages;
	if (packages > PACKAGES_MAX || owned > LAYER_OWNED_MAX)
		return (too_big(f, "more packages than are read"));
	if (n > 1)
		qsort(f->files, n, sizeof(f->files[0]), file_cmp);
	return (RC_OK);
}

static void
covers_write(const struct covers *c, struct buf *out)
{
	uint64_t *hashes = xcalloc(c->n + 1, sizeof(hashes[0]));
	size_t i;

	for (i = 0; i < c->n; i++)
		hashes[i] = c->rows[i].hash;
	index_write_hashes(out, hashes, c->n);
	free(hashes);
}

static void
index_write(struct layer_found *f, size_t n_packages, struct buf *out)
{
	const struct found_file *file;
	const uint64_t *owned;
	size_t i, p;

	index_write_begin(out, f->n_files, n_packages);
	for (i = 0; i < f->n_files; i++) {
		file = &f->files[i];
		owned = file->file.n_owned > 0
			    ? f->packages.owned + file->first_owned
			    : NULL;
		index_write_file(out, &file->file, owned);
		for (p = 0; p < file->file.n_packages; p++)
			index_write_package(
			    out, &f->packages.rows[file->first_package + p]);
	}
	/* What hid files of this layer and what hides those below are one. */
	for (i = 0; i < f->whiteouts.n; i++)
		covers_add(&f->covers, f->whiteouts.rows[i].hash, 1);
	covers_settle(&f->covers);
	covers_write(&f->covers, out);
	covers_write(&f->folders, out);
}

enum rc
layer_found_write(struct layer_found *f, struct buf *out)
{
	size_t n_packages, before = out->n;
	enum rc rc;

	covers_settle(&f->covers);
	covers_settle(&f->folders);
	if ((rc = links_settle(f)) != RC_OK ||
	    (rc = files_settle(f, &n_packages)) != RC_OK)
		return (rc);
	index_write(f, n_packages, out);
	if (!buf_ok(out) || out->n - before > LAYER_INDEX_MAX_BYTES)
		return (too_big(f, "an index that is larger than is kept"));
	return (RC_OK);
}
