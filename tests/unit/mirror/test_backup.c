#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup.h"
#include "storage/content.h"
#include "storage/fsck.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/repositories.h"
#include "storage/snapshot.h"
#include "storage/upload.h"

/*
 * Backups of a registry with some of everything, while it changes, and what
 * somebody could make of them.
 */
#define REPO SPAN("team/app")
#define PATH_BYTES 512
#define LAYER_BYTES 20000
#define IMAGES 6

struct fixture {
	char top[PATH_BYTES]; /* of all of these */
	char dir[PATH_BYTES], to[PATH_BYTES], file[PATH_BYTES];
	char archive_dir[PATH_BYTES]; /* empty: in its place */
	struct store *s;
	struct digest images[IMAGES], layers[IMAGES];
	struct digest archived, archived_layer;
};

/* --- folders ------------------------------------------------------------- */

static int
entry_remove(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)what;
	(void)at;
	return (remove(path));
}

static void
path_of(const struct fixture *f, const char *name, char out[PATH_BYTES])
{
	(void)snprintf(out, PATH_BYTES, "%.200s/%s", f->top, name);
}

static bool
exists(const char *path)
{
	return (access(path, F_OK) == 0);
}

static unsigned
entries_of(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return (n);
}

static void
file_write(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(close(fd), 0);
}

static void
file_flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c = (char)(c ^ 1);
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

static void
blob_path(const char *dir, const struct digest *d, char out[PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(d->bytes, digest_len(d->alg), hex);
	(void)snprintf(
	    out, PATH_BYTES, "%.300s/blobs/sha256/%.2s/%s", dir, hex, hex);
}

/* --- a registry ---------------------------------------------------------- */

static struct store *
folder_open(struct fixture *f, const char *dir)
{
	const struct store_options options = {
		.dir = dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 100,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = 16,
		.archive_dir = f->archive_dir[0] != '\0' && dir == f->dir
				   ? f->archive_dir
				   : NULL,
	};
	char why[STORE_WHY_BYTES] = "";
	struct store *s = NULL;
	enum rc rc;

	if ((rc = store_open(&options, why, &s)) != RC_OK)
		print_error("%s\n", why);
	assert_int_equal(rc, RC_OK);
	gc_grace_set(s, 0);
	return (s);
}

static struct digest
blob_push(struct store *s, const char *p, size_t n)
{
	struct digest d;

	digest_of(DIGEST_SHA256, p, n, &d);
	assert_int_equal(upload_whole(s, REPO, &d, (struct span){ p, n },
			     SPAN_NONE, &repository_preset_default),
	    RC_OK);
	return (d);
}

/* Not to be compressed; ${seed} 0: much of it alike. */
static struct digest
layer_push(struct store *s, unsigned seed)
{
	char *p = xmalloc(LAYER_BYTES + 16);
	uint32_t x = seed * 2654435761U + 1;
	struct digest d;
	size_t i;

	for (i = 0; i < LAYER_BYTES && seed == 0; i += 10)
		(void)snprintf(p + i, 16, "%09zu\n", i);
	for (i = 0; i < LAYER_BYTES && seed != 0; i++) {
		x = x * 1664525U + 1013904223U;
		p[i] = (char)(x >> 24);
	}
	d = blob_push(s, p, LAYER_BYTES);
	free(p);
	return (d);
}

static enum rc
manifest_try(
    struct store *s, const char *text, const char *tag, struct digest *d_r)
{
	struct manifest_put_result result;
	char why[MANIFEST_WHY_BYTES];
	struct span name = span_of(tag);
	struct manifest m;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	digest_of(DIGEST_SHA256, text, strlen(text), d_r);
	assert_int_equal(
	    manifest_parse(SPAN_NONE, span_of(text), &a, &m, why), RC_OK);
	rc = meta_manifest_put(store_meta(s),
	    &(struct manifest_put){
		.repository = REPO,
		.digest = *d_r,
		.text = span_of(text),
		.manifest = &m,
		.tags = &name,
		.n_tags = 1,
		.create = &repository_preset_default,
		.now_ms = clock_real_ms(),
	    },
	    &result);
	arena_reset(&a);
	return (rc);
}

/* RC_MISSING: the collector was quicker, as there is no grace. */
static enum rc
image_try(struct store *s, unsigned seed, struct digest *layer_r,
    struct digest *image_r)
{
	char config[DIGEST_STR_BYTES], layer[DIGEST_STR_BYTES];
	char text[2048], tag[32];
	struct digest c = blob_push(s, "{}", 2);

	*layer_r = layer_push(s, seed);
	(void)snprintf(tag, sizeof(tag), "v%u", seed);
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	    "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config"
	    ".v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{"
	    "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
	    "\"digest\":\"%s\",\"size\":%d}]}",
	    digest_str(&c, config), digest_str(layer_r, layer), LAYER_BYTES);
	return (manifest_try(s, text, tag, image_r));
}

static struct digest
image_push(struct store *s, unsigned seed, struct digest *layer_r)
{
	struct digest d;

	assert_int_equal(image_try(s, seed, layer_r, &d), RC_OK);
	return (d);
}

static void
image_delete(struct store *s, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(store_meta(s), REPO, d, &holding), RC_OK);
}

static void
collect(struct store *s)
{
	const struct gc_options options = { .now_ms = clock_real_ms() };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(s, &options, &totals), RC_OK);
}

static void
image_archive(struct store *s, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;
	struct arena a;

	arena_init(&a, 1 << 20);
	assert_int_equal(
	    meta_image_status_set(store_meta(s), REPO, &ref, IMAGE_ARCHIVED,
		clock_real_ms(), &a, &row, &holding),
	    RC_OK);
	arena_reset(&a);
	collect(s);
}

static void
fill(struct fixture *f)
{
	char id[UPLOAD_ID_BYTES];
	struct upload *u = NULL;
	unsigned i;

	for (i = 0; i < IMAGES; i++)
		f->images[i] = image_push(f->s, i + 1, &f->layers[i]);
	f->archived = image_push(f->s, 0, &f->archived_layer);
	image_archive(f->s, &f->archived);
	assert_int_equal(
	    upload_start(f->s, REPO, DIGEST_SHA256, NULL, id), RC_OK);
	assert_int_equal(upload_acquire(f->s, REPO, span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, "half", 4), RC_OK);
	upload_release(&u);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	log_set_level(LOG_LVL_ERROR);
	(void)snprintf(f->top, sizeof(f->top), "%.200s/registryd-test-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->top));
	path_of(f, "data", f->dir);
	path_of(f, "new", f->to);
	path_of(f, "backup.tar", f->file);
	*state = f;
	f->s = folder_open(f, f->dir);
	fill(f);
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_close(&f->s);
	(void)nftw(f->top, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return (0);
}

/* --- backups ------------------------------------------------------------- */

static enum rc
backup_try(struct fixture *f, enum archive_compression c,
    const atomic_bool *cancel, char why[ARCHIVE_WHY_BYTES])
{
	const char *archive_dir =
	    f->archive_dir[0] != '\0' ? f->archive_dir : NULL;
	char why_not[SNAPSHOT_WHY_BYTES];
	struct backup_progress p = { 0 };
	struct snapshot *snap = NULL;
	enum rc rc;

	assert_int_equal(snapshot_begin(f->s, &snap, why_not), RC_OK);
	rc = backup_write(f->dir, archive_dir, snapshot_path(snap), NULL,
	    f->file, -1, c, &p, cancel, why);
	if (rc == RC_OK) {
		assert_int_equal(p.files, p.files_total);
		assert_int_equal(p.bytes, p.bytes_total);
	}
	snapshot_end(&snap);
	return (rc);
}

static void
backup(struct fixture *f, enum archive_compression c)
{
	char why[ARCHIVE_WHY_BYTES] = "";
	enum rc rc = backup_try(f, c, NULL, why);

	if (rc != RC_OK)
		print_error("%s\n", why);
	assert_int_equal(rc, RC_OK);
}

static enum rc
restore_try(struct fixture *f, char why[ARCHIVE_WHY_BYTES])
{
	struct backup_progress p = { 0 };
	enum rc rc;

	why[0] = '\0';
	rc = backup_restore(f->file, f->to, &p, NULL, why);
	if (rc == RC_OK) {
		assert_int_equal(p.files, p.files_total);
		assert_int_equal(p.bytes, p.bytes_total);
	} else {
		assert_string_not_equal(why, "");
	}
	return (rc);
}

static void
restore(struct fixture *f)
{
	char why[ARCHIVE_WHY_BYTES];
	enum rc rc = restore_try(f, why);

	if (rc != RC_OK)
		print_error("%s\n", why);
	assert_int_equal(rc, RC_OK);
}

static void
problem_tell(void *arg, const struct fsck_problem *p)
{
	(void)arg;
	print_error("%s\n", p->text);
}

static void
assert_clean(struct store *s)
{
	const struct fsck_options options = { .problem = problem_tell };
	struct fsck_progress p = { 0 };

	assert_int_equal(fsck_run(s, &options, &p), RC_OK);
	assert_int_equal(p.problems, 0);
	assert_int_equal(p.orphan_files, 0);
}

static void
assert_layer(struct store *s, const struct digest *d)
{
	char bytes[LAYER_BYTES];
	struct digest is;
	struct content c;
	struct arena a;

	arena_init(&a, 1 << 20);
	assert_int_equal(
	    content_open(s, REPO, d, READ_BLOCKING, &a, &c), RC_OK);
	assert_int_equal(c.kind, CONTENT_FILE);
	assert_int_equal(c.size_bytes, LAYER_BYTES);
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, bytes, LAYER_BYTES), RC_OK);
	digest_of(DIGEST_SHA256, bytes, LAYER_BYTES, &is);
	assert_true(digest_eq(&is, d));
	content_close(&c);
	arena_reset(&a);
}

static bool
has_image(struct store *s, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct manifest_row row;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	rc = meta_manifest_get(
	    store_meta(s), REPO, &ref, MANIFEST_TEXT, READ_BLOCKING, &a, &row);
	arena_reset(&a);
	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

/* All that was there at the beginning, and the archive at work. */
static void
assert_restored(struct fixture *f)
{
	const struct reference ref = { .is_digest = true,
		.digest = f->archived };
	struct store *s = folder_open(f, f->to);
	struct image_row row;
	struct arena a;
	unsigned i;

	assert_clean(s);
	for (i = 0; i < IMAGES; i++) {
		assert_true(has_image(s, &f->images[i]));
		assert_layer(s, &f->layers[i]);
	}
	arena_init(&a, 1 << 20);
	assert_int_equal(meta_image_restore(store_meta(s), REPO, &ref,
			     clock_real_ms(), &a, &row, NULL),
	    RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	arena_reset(&a);
	collect(s);
	assert_layer(s, &f->archived_layer);
	assert_clean(s);
	store_close(&s);
}

static void
what_was_backed_up_is_there_again(void **state)
{
	static const enum archive_compression all[] = { ARCHIVE_PLAIN,
		ARCHIVE_GZIP, ARCHIVE_ZSTD };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		backup(f, all[i]);
		restore(f);
		assert_restored(f);
		assert_int_equal(
		    nftw(f->to, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
}

static void
a_backup_is_its_owners_alone(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	backup(f, ARCHIVE_PLAIN);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(entries_of(f->top), 2);
	restore(f);
	assert_int_equal(stat(f->to, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void
the_archive_may_lie_elsewhere(void **state)
{
	struct fixture *f = *state;
	char old[PATH_BYTES];

	store_close(&f->s);
	path_of(f, "far", f->archive_dir);
	path_of(f, "data/archive", old);
	assert_int_equal(rename(old, f->archive_dir), 0);
	f->s = folder_open(f, f->dir);
	backup(f, ARCHIVE_PLAIN);
	restore(f);
	assert_restored(f);
}

/* Of a folder that nobody serves the metadata are read where they are. */
static void
a_stopped_folder_can_be_backed_up(void **state)
{
	struct fixture *f = *state;
	struct backup_progress p = { 0 };
	char why[ARCHIVE_WHY_BYTES] = "", meta[PATH_BYTES];

	store_close(&f->s);
	path_of(f, "data/meta.mdb", meta);
	assert_int_equal(backup_write(f->dir, NULL, meta, NULL, f->file, -1,
			     ARCHIVE_ZSTD, &p, NULL, why),
	    RC_OK);
	restore(f);
	assert_restored(f);
}

static void
a_backup_can_go_down_a_pipe(void **state)
{
	struct fixture *f = *state;
	struct backup_progress p = { 0 };
	char why[ARCHIVE_WHY_BYTES] = "", meta[PATH_BYTES];
	int fd;

	store_close(&f->s);
	path_of(f, "data/meta.mdb", meta);
	fd = open(f->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(backup_write(f->dir, NULL, meta, NULL, NULL, fd,
			     ARCHIVE_PLAIN, &p, NULL, why),
	    RC_OK);
	assert_int_equal(close(fd), 0);
	restore(f);
	assert_restored(f);
}

/* --- while it changes ---------------------------------------------------- */

struct busy {
	struct fixture *f;
	_Atomic bool stop;
	_Atomic unsigned pushed;
};

static void *
busy_push(void *arg)
{
	struct busy *b = arg;
	struct digest d, layer;
	unsigned seed;
	enum rc rc;

	for (seed = 1000; !atomic_load(&b->stop); seed++) {
		rc = image_try(b->f->s, seed, &layer, &d);
		assert_true(rc == RC_OK || rc == RC_MISSING);
		if (rc == RC_OK && seed % 2 == 0)
			image_delete(b->f->s, &d);
		atomic_fetch_add(&b->pushed, rc == RC_OK);
	}
	return (NULL);
}

static void *
busy_collect(void *arg)
{
	struct busy *b = arg;
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.stop = &b->stop,
	};
	struct gc_totals totals;
	enum rc rc;

	while (!atomic_load(&b->stop)) {
		totals = (struct gc_totals){ 0 };
		rc = gc_run(b->f->s, &options, &totals);
		assert_true(rc == RC_OK || rc == RC_CANCELLED);
	}
	return (NULL);
}

/* One image of the first ones goes after each backup: those that are to be in
 * it are. */
static void
busy_round(struct busy *b, unsigned i)
{
	struct fixture *f = b->f;
	struct store *s;
	unsigned j, before = atomic_load(&b->pushed);

	while (atomic_load(&b->pushed) < before + 5)
		(void)usleep(1000);
	backup(f, ARCHIVE_PLAIN);
	restore(f);
	s = folder_open(f, f->to);
	assert_clean(s);
	for (j = 0; j < IMAGES; j++) {
		assert_int_equal(has_image(s, &f->images[j]), j >= i);
		if (j >= i)
			assert_layer(s, &f->layers[j]);
	}
	store_close(&s);
	assert_int_equal(
	    nftw(f->to, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	image_delete(f->s, &f->images[i]);
}

static void
a_backup_is_whole_while_others_push_and_delete(void **state)
{
	struct busy b = { .f = *state };
	pthread_t push, gc;
	unsigned i;

	assert_int_equal(pthread_create(&push, NULL, busy_push, &b), 0);
	assert_int_equal(pthread_create(&gc, NULL, busy_collect, &b), 0);
	for (i = 0; i < IMAGES; i++)
		busy_round(&b, i);
	atomic_store(&b.stop, true);
	assert_int_equal(pthread_join(push, NULL), 0);
	assert_int_equal(pthread_join(gc, NULL), 0);
	assert_clean(b.f->s);
}

/* --- what cannot be backed up -------------------------------------------- */

static void
assert_no_backup(struct fixture *f, enum rc want, const struct digest *named)
{
	char why[ARCHIVE_WHY_BYTES] = "", hex[2 * DIGEST_BYTES_MAX + 1];

	assert_int_equal(backup_try(f, ARCHIVE_PLAIN, NULL, why), want);
	hex_encode(named->bytes, digest_len(named->alg), hex);
	assert_non_null(strstr(why, hex));
	assert_int_equal(entries_of(f->top), exists(f->file) ? 2 : 1);
}

static void
damaged_content_is_named(void **state)
{
	struct fixture *f = *state;
	char path[PATH_BYTES];

	blob_path(f->dir, &f->layers[2], path);
	file_flip(path, 777);
	assert_no_backup(f, RC_CORRUPT, &f->layers[2]);
	file_flip(path, 777);
	assert_int_equal(truncate(path, LAYER_BYTES - 1), 0);
	assert_no_backup(f, RC_CORRUPT, &f->layers[2]);
	assert_int_equal(unlink(path), 0);
	assert_no_backup(f, RC_CORRUPT, &f->layers[2]);
	assert_false(exists(f->file));
}

static void
damaged_content_of_the_archive_is_named(void **state)
{
	struct fixture *f = *state;
	char path[PATH_BYTES], hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(f->archived_layer.bytes, 32, hex);
	(void)snprintf(path, sizeof(path), "%.200s/archive/sha256/%.2s/%s",
	    f->dir, hex, hex);
	file_flip(path, 100);
	assert_no_backup(f, RC_CORRUPT, &f->archived_layer);
}

static void
what_fails_leaves_the_backup_that_was_there(void **state)
{
	struct fixture *f = *state;
	char path[PATH_BYTES];

	backup(f, ARCHIVE_PLAIN);
	blob_path(f->dir, &f->layers[0], path);
	file_flip(path, 5);
	assert_no_backup(f, RC_CORRUPT, &f->layers[0]);
	restore(f);
	assert_restored(f);
}

static void
who_cancels_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char why[ARCHIVE_WHY_BYTES] = "";
	struct backup_progress p = { 0 };
	const atomic_bool cancel = true;

	assert_int_equal(
	    backup_try(f, ARCHIVE_PLAIN, &cancel, why), RC_CANCELLED);
	assert_int_equal(entries_of(f->top), 1);
	backup(f, ARCHIVE_PLAIN);
	assert_int_equal(
	    backup_restore(f->file, f->to, &p, &cancel, why), RC_CANCELLED);
	assert_int_equal(entries_of(f->top), 2);
}

/* --- where it is restored to --------------------------------------------- */

static void
an_empty_folder_will_do(void **state)
{
	struct fixture *f = *state;

	backup(f, ARCHIVE_PLAIN);
	assert_int_equal(mkdir(f->to, 0755), 0);
	(void)strcat(f->to, "/");
	restore(f);
	assert_restored(f);
}

/* DIR is a disk of its own: another cannot get its name. */
static void
a_mounted_disk_will_do(void **state)
{
	struct fixture *f = *state;
	char why[ARCHIVE_WHY_BYTES], path[PATH_BYTES];

	backup(f, ARCHIVE_PLAIN);
	assert_int_equal(mkdir(f->to, 0755), 0);
	if (mount("tmpfs", f->to, "tmpfs", 0, "size=64m,mode=0700") != 0)
		skip();
	path_of(f, "new/restoring", path);
	restore(f);
	assert_false(exists(path));
	assert_restored(f);
	assert_int_equal(umount2(f->to, MNT_DETACH), 0);

	/* What does not fit leaves nothing. */
	assert_int_equal(
	    mount("tmpfs", f->to, "tmpfs", 0, "size=128k,mode=0700"), 0);
	assert_int_equal(restore_try(f, why), RC_NOSPACE);
	assert_int_equal(entries_of(f->to), 0);
	assert_int_equal(umount2(f->to, MNT_DETACH), 0);
}

static void
nothing_is_restored_over_what_is_there(void **state)
{
	struct fixture *f = *state;
	char why[ARCHIVE_WHY_BYTES], path[PATH_BYTES];

	backup(f, ARCHIVE_PLAIN);
	assert_int_equal(mkdir(f->to, 0700), 0);
	path_of(f, "new/mine", path);
	file_write(path, "x", 1);
	assert_int_equal(restore_try(f, why), RC_EXISTS);
	assert_non_null(strstr(why, "mine"));
	assert_int_equal(entries_of(f->to), 1);
	assert_int_equal(unlink(path), 0);
	path_of(f, "new.restoring", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(restore_try(f, why), RC_EXISTS);
	assert_true(exists(path));
	assert_int_equal(rmdir(path), 0);
	restore(f);
}

static void
what_is_no_backup_is_refused(void **state)
{
	struct fixture *f = *state;
	char why[ARCHIVE_WHY_BYTES];

	assert_int_equal(restore_try(f, why), RC_NOTFOUND);
	file_write(f->file, "", 0);
	assert_int_equal(restore_try(f, why), RC_INVALID);
	file_write(f->file, "what is this?", 13);
	assert_int_equal(restore_try(f, why), RC_INVALID);
	assert_int_equal(entries_of(f->top), 2);
}

/* --- by who means harm --------------------------------------------------- */

struct part {
	char name[256];
	char *p;
	size_t n;
	unsigned type;
	const char *hardlink;
	bool sparse;
};

struct parts {
	struct part of[64];
	size_t n;
};

static void
parts_read(const char *path, struct parts *parts)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	struct part *part;

	*parts = (struct parts){ 0 };
	assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
	assert_int_equal(
	    archive_read_open_filename(a, path, 10240), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		part = &parts->of[parts->n++];
		(void)snprintf(part->name, sizeof(part->name), "%s",
		    archive_entry_pathname(e));
		part->type = AE_IFREG;
		part->n = (size_t)archive_entry_size(e);
		part->p = xmalloc(part->n + 1);
		assert_int_equal(
		    archive_read_data(a, part->p, part->n), part->n);
	}
	(void)archive_read_free(a);
}

static void
parts_free(struct parts *parts)
{
	while (parts->n > 0)
		free(parts->of[--parts->n].p);
}

static void
part_write(struct archive *a, const struct part *part)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, part->name);
	archive_entry_set_filetype(e, part->type);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, (la_int64_t)part->n);
	if (part->type == AE_IFLNK)
		archive_entry_set_symlink(e, "/etc/passwd");
	if (part->hardlink != NULL)
		archive_entry_set_hardlink(e, part->hardlink);
	if (part->sparse)
		archive_entry_sparse_add_entry(e, 0, (la_int64_t)part->n / 2);
	assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
	if (part->type == AE_IFREG && part->hardlink == NULL)
		(void)!archive_write_data(a, part->p, part->n);
	archive_entry_free(e);
}

static void
parts_write(const char *path, const struct parts *parts)
{
	struct archive *a = archive_write_new();
	size_t i;

	assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (i = 0; i < parts->n; i++)
		part_write(a, &parts->of[i]);
	(void)archive_write_close(a);
	(void)archive_write_free(a);
}

static void
part_insert(struct parts *parts, size_t at, const struct part *part)
{
	struct part *to = &parts->of[at];

	memmove(to + 1, to, (parts->n - at) * sizeof(*to));
	*to = *part;
	to->p = xmalloc(part->n + 1);
	if (part->n > 0)
		memcpy(to->p, part->p, part->n);
	parts->n++;
}

static void
part_drop(struct parts *parts, size_t at)
{
	struct part *from = &parts->of[at];

	free(from->p);
	memmove(from, from + 1, (--parts->n - at) * sizeof(*from));
}

static void
part_text(struct part *part, const char *text)
{
	free(part->p);
	part->p = xstrdup(text);
	part->n = strlen(text);
}

/* Where they stand: three, then the archived one, then those of blobs/. */
enum { HEAD, FORMAT, META, ARCHIVED, FIRST };

typedef void harm_fn(struct parts *);

static void
harm_symlink(struct parts *p)
{
	p->of[FIRST].type = AE_IFLNK;
	p->of[FIRST].n = 0;
}

static void
harm_hardlink(struct parts *p)
{
	p->of[FIRST + 1].hardlink = p->of[FIRST].name;
}

static void
harm_device(struct parts *p)
{
	p->of[FIRST].type = AE_IFIFO;
}

static void
harm_folder(struct parts *p)
{
	const struct part folder = { .name = "blobs/", .type = AE_IFDIR };

	part_insert(p, FIRST, &folder);
}

static void
harm_absolute(struct parts *p)
{
	(void)snprintf(p->of[FIRST].name, sizeof(p->of[FIRST].name),
	    "/tmp/registryd-test-harm");
}

static void
harm_dotted(struct parts *p)
{
	const struct part *first = &p->of[FIRST];
	char name[256];

	(void)snprintf(name, sizeof(name), "blobs/../%.200s", first->name);
	memcpy(p->of[FIRST].name, name, sizeof(name));
}

static void
harm_above(struct parts *p)
{
	const struct part file = { .name = "../harm",
		.type = AE_IFREG,
		.p = (char *)(uintptr_t) "x",
		.n = 1 };

	part_insert(p, HEAD, &file);
}

static void
harm_key(struct parts *p)
{
	const struct part file = { .name = "master.key",
		.type = AE_IFREG,
		.p = (char *)(uintptr_t) "x",
		.n = 1 };

	part_insert(p, FIRST, &file);
}

static void
harm_twice(struct parts *p)
{
	const struct part again = p->of[FIRST];

	part_insert(p, FIRST + 1, &again);
}

static void
harm_order(struct parts *p)
{
	struct part part = p->of[FIRST];

	p->of[FIRST] = p->of[FIRST + 1];
	p->of[FIRST + 1] = part;
}

static void
harm_byte(struct parts *p)
{
	p->of[FIRST].p[100] ^= 1;
}

static void
harm_archived_byte(struct parts *p)
{
	p->of[ARCHIVED].p[p->of[ARCHIVED].n / 2] ^= 1;
}

static void
harm_meta_byte(struct parts *p)
{
	p->of[META].p[p->of[META].n / 2] ^= 1;
}

static void
harm_shorter(struct parts *p)
{
	p->of[FIRST].n--;
}

static void
harm_longer(struct parts *p)
{
	struct part longer = p->of[FIRST];

	longer.n++;
	part_insert(p, FIRST, &longer);
	part_drop(p, FIRST + 1);
}

static void
harm_sparse(struct parts *p)
{
	p->of[FIRST].sparse = true;
}

static void
harm_missing(struct parts *p)
{
	part_drop(p, FIRST);
}

static void
harm_more(struct parts *p)
{
	struct part more = p->of[FIRST];
	size_t n = strlen(more.name);

	more.name[n - 1] = more.name[n - 1] == '0' ? '1' : '0';
	part_insert(p, p->n - 1, &more);
}

static void
harm_no_end(struct parts *p)
{
	part_drop(p, p->n - 1);
}

static void
harm_end(struct parts *p)
{
	part_text(&p->of[p->n - 1], "{}");
}

static void
harm_behind_end(struct parts *p)
{
	const struct part again = p->of[FORMAT];

	part_insert(p, p->n, &again);
}

static void
harm_head(struct parts *p)
{
	part_text(&p->of[HEAD], "{\"registryd-backup\":1,\"files\":-1}");
}

static void
harm_head_long(struct parts *p)
{
	char *text = xmalloc(100001);

	memset(text, ' ', 100000);
	text[100000] = '\0';
	part_text(&p->of[HEAD], text);
	free(text);
}

/* A head with another number. */
static void
head_number(struct parts *p, const char *key, const char *number)
{
	char text[1024], *at;
	size_t n;

	memcpy(text, p->of[HEAD].p, p->of[HEAD].n);
	text[p->of[HEAD].n] = '\0';
	assert_non_null(at = strstr(text, key));
	at += strlen(key);
	n = strspn(at, "0123456789");
	memmove(at + strlen(number), at + n, strlen(at + n) + 1);
	memcpy(at, number, strlen(number));
	part_text(&p->of[HEAD], text);
}

static void
harm_fewer_bytes(struct parts *p)
{
	head_number(p, "\"bytes\":", "200000");
}

static void
harm_fewer_files(struct parts *p)
{
	head_number(p, "\"files\":", "3");
}

static void
harm_meta_bytes(struct parts *p)
{
	head_number(p, "\"meta_bytes\":", "4096");
}

static void
harm_too_much(struct parts *p)
{
	head_number(p, "\"bytes\":", "4611686018427387904");
}

static void
harm_newer(struct parts *p)
{
	head_number(p, "\"registryd-backup\":", "2");
}

static void
harm_format(struct parts *p)
{
	part_text(&p->of[FORMAT], "registryd-format 999\n");
}

static void
harm_format_text(struct parts *p)
{
	part_text(&p->of[FORMAT], "registryd-format x\n");
}

static const struct harm {
	const char *name;
	harm_fn *fn;
	enum rc want;
	const char *says;
} harms[] = {
	{ "a symbolic link", harm_symlink, RC_INVALID, "plain file" },
	{ "a hard link", harm_hardlink, RC_INVALID, "plain file" },
	{ "a pipe", harm_device, RC_INVALID, "plain file" },
	{ "a folder", harm_folder, RC_INVALID, "no file of a backup" },
	{ "an absolute name", harm_absolute, RC_INVALID,
	    "no file of a backup" },
	{ "a dotted name", harm_dotted, RC_INVALID, "no file of a backup" },
	{ "a name above", harm_above, RC_INVALID, "no file of a backup" },
	{ "a key", harm_key, RC_INVALID, "no file of a backup" },
	{ "one twice", harm_twice, RC_INVALID, "has to come" },
	{ "another order", harm_order, RC_INVALID, "has to come" },
	{ "other content", harm_byte, RC_INVALID, "changed" },
	{ "other content in the archive", harm_archived_byte, RC_INVALID,
	    "changed" },
	{ "other metadata", harm_meta_byte, RC_INVALID, "changed" },
	{ "one too short", harm_shorter, RC_INVALID, "changed" },
	{ "one too long", harm_longer, RC_INVALID, "changed" },
	{ "one with holes", harm_sparse, RC_INVALID, "" },
	{ "one missing", harm_missing, RC_INVALID, "has to come" },
	{ "one more", harm_more, RC_INVALID, "has to come" },
	{ "no end", harm_no_end, RC_INVALID, "not complete" },
	{ "another end", harm_end, RC_INVALID, "changed" },
	{ "more behind it", harm_behind_end, RC_INVALID, "behind its end" },
	{ "a wrong head", harm_head, RC_INVALID, "member" },
	{ "a long head", harm_head_long, RC_INVALID, "too long" },
	{ "fewer bytes", harm_fewer_bytes, RC_INVALID, "" },
	{ "fewer files", harm_fewer_files, RC_INVALID, "changed" },
	{ "fewer metadata", harm_meta_bytes, RC_INVALID, "changed" },
	{ "more than there is room for", harm_too_much, RC_NOSPACE, "room" },
	{ "a newer backup", harm_newer, RC_VERSION, "newer" },
	{ "a newer format", harm_format, RC_VERSION, "999" },
	{ "no format", harm_format_text, RC_INVALID, "format" },
};

static void
harm_try(struct fixture *f, const struct harm *harm, const struct parts *good)
{
	char why[ARCHIVE_WHY_BYTES];
	struct parts parts = { 0 };
	enum rc rc;
	size_t i;

	for (i = 0; i < good->n; i++)
		part_insert(&parts, i, &good->of[i]);
	harm->fn(&parts);
	parts_write(f->file, &parts);
	parts_free(&parts);
	rc = restore_try(f, why);
	if (rc != harm->want || strstr(why, harm->says) == NULL)
		print_error("%s: %s: %s\n", harm->name, rc_text(rc), why);
	assert_int_equal(rc, harm->want);
	assert_non_null(strstr(why, harm->says));
	/* The folder and the file, and nothing else. */
	assert_int_equal(entries_of(f->top), 2);
	assert_false(exists("/tmp/registryd-test-harm"));
}

static void
who_means_harm_is_refused(void **state)
{
	struct fixture *f = *state;
	struct parts good;
	size_t i;

	backup(f, ARCHIVE_PLAIN);
	parts_read(f->file, &good);
	assert_int_equal(strncmp(good.of[ARCHIVED].name, "archive/", 8), 0);
	assert_int_equal(strncmp(good.of[FIRST].name, "blobs/", 6), 0);
	parts_write(f->file, &good);
	restore(f);
	assert_restored(f);
	assert_int_equal(
	    nftw(f->to, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	for (i = 0; i < ARRAY_LEN(harms); i++)
		harm_try(f, &harms[i], &good);
	parts_free(&good);
}

/* A header of tar (POSIX, "ustar Interchange Format"). */
#define TAR_BYTES 512
#define TAR_SIZE_AT 124
#define TAR_SUM_AT 148

static void
tar_size_set(char header[TAR_BYTES], const char *octal)
{
	unsigned sum = 0;
	size_t i;

	memcpy(header + TAR_SIZE_AT, octal, 11);
	memset(header + TAR_SUM_AT, ' ', 8);
	for (i = 0; i < TAR_BYTES; i++)
		sum += (unsigned char)header[i];
	(void)snprintf(header + TAR_SUM_AT, 8, "%06o", sum);
}

static void
size_lie(const char *path, const char *octal)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char header[TAR_BYTES];
	off_t at = -TAR_BYTES;

	assert_true(fd >= 0);
	do {
		at += TAR_BYTES;
		assert_int_equal(pread(fd, header, TAR_BYTES, at), TAR_BYTES);
	} while (strncmp(header, "blobs/sha256/", 13) != 0);
	tar_size_set(header, octal);
	assert_int_equal(pwrite(fd, header, TAR_BYTES, at), TAR_BYTES);
	assert_int_equal(close(fd), 0);
}

static void
a_size_that_lies_is_refused(void **state)
{
	static const char *const sizes[] = { "00000000000", "00000000001",
		"00000047037", "00000047041", "37777777777" };
	struct fixture *f = *state;
	char why[ARCHIVE_WHY_BYTES];
	size_t i;

	backup(f, ARCHIVE_PLAIN);
	size_lie(f->file, "00000047040"); /* LAYER_BYTES */
	restore(f);
	assert_int_equal(
	    nftw(f->to, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		size_lie(f->file, sizes[i]);
		assert_int_equal(restore_try(f, why), RC_INVALID);
		assert_non_null(strstr(why, "changed"));
		assert_int_equal(entries_of(f->top), 2);
	}
}

/* Wherever it is cut off. */
static void
cut_at(struct fixture *f, off_t size)
{
	char why[ARCHIVE_WHY_BYTES];

	assert_int_equal(truncate(f->file, size), 0);
	assert_int_equal(restore_try(f, why), RC_INVALID);
	assert_int_equal(entries_of(f->top), 2);
}

static void
what_is_cut_off_is_refused(void **state)
{
	static const enum archive_compression all[] = { ARCHIVE_PLAIN,
		ARCHIVE_GZIP, ARCHIVE_ZSTD };
	struct fixture *f = *state;
	struct stat st;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		backup(f, all[i]);
		assert_int_equal(stat(f->file, &st), 0);
		for (n = 15; n > 0; n--)
			cut_at(f, st.st_size / 16 * n + n);
		cut_at(f, 0);
	}
}

/*
 * libarchive does not give back what the end of a writer holds once the writer
 * has failed, and one that is given up is made to fail, so that what is there
 * is not ended as if it were whole.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return ("leak:libarchive\n");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_backed_up_is_there_again),
		TEST(a_backup_is_its_owners_alone),
		TEST(the_archive_may_lie_elsewhere),
		TEST(a_stopped_folder_can_be_backed_up),
		TEST(a_backup_can_go_down_a_pipe),
		TEST(a_backup_is_whole_while_others_push_and_delete),
		TEST(damaged_content_is_named),
		TEST(damaged_content_of_the_archive_is_named),
		TEST(what_fails_leaves_the_backup_that_was_there),
		TEST(who_cancels_leaves_nothing),
		TEST(an_empty_folder_will_do),
		TEST(a_mounted_disk_will_do),
		TEST(nothing_is_restored_over_what_is_there),
		TEST(what_is_no_backup_is_refused),
		TEST(who_means_harm_is_refused),
		TEST(a_size_that_lies_is_refused),
		TEST(what_is_cut_off_is_refused),
	};

	return (cmocka_run_group_tests_name("backup", tests, NULL, NULL));
}
