#include "storage/blobs_fs_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/num.h"
#include "base/obj.h"
#include "storage/sealed.h"

/*
 * The walks over all files: folders are read entry by entry, nothing is
 * gathered.  Whatever does not look like a blob is told by its path.
 */
struct walk {
	struct blobs *blobs;
	blobs_walk_fn *fn;
	void *arg;
	uint32_t key_domain;
	uint8_t alg;
	char part[3]; /* the two hex digits */
	bool prune;   /* only remove the folders that are empty */
	bool stored;  /* tell the sizes of files, not those of their content */
	bool stopped;
};

typedef enum rc
visit_fn(struct walk *, int dir_fd, const char *path, const char *name);

static enum rc
folder_walk(struct walk *w, int parent_fd, const char *name, const char *path,
    visit_fn *visit)
{
	struct dirent *e;
	DIR *dir;
	int fd;
	enum rc rc = RC_OK;

	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return (errno == ENOENT
			    ? RC_OK
			    : blobs_fs_failed(w->blobs, "open ", path));
	if ((dir = fdopendir(fd)) == NULL) {
		rc = blobs_fs_failed(w->blobs, "open ", path);
		(void)close(fd);
		return (rc);
	}
	while (rc == RC_OK && !w->stopped) {
		errno = 0;
		if ((e = readdir(dir)) == NULL) {
			if (errno != 0)
				rc = blobs_fs_failed(w->blobs, "read ", path);
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = visit(w, fd, path, e->d_name);
	}
	(void)closedir(dir);
	return (rc);
}

/* Tell of one file; one that is gone by now is none. */
static enum rc
file_tell(struct walk *w, int dir_fd, const char *path, const char *name,
    const struct digest *d)
{
	char full[PATH_MAX];
	struct stat st;
	uint64_t size = 0;

	if (w->prune)
		return (RC_OK);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return (RC_OK);
		return (blobs_fs_failed(w->blobs, "stat ", path));
	}
	snprintf(full, sizeof(full), "%s/%s", path, name);
	if (S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size;
	else
		d = NULL;
	if (d != NULL && w->key_domain != KEY_DOMAIN_PLAIN && !w->stored)
		size = sealed_content_bytes(size);
	if (w->fn(w->arg, w->key_domain, d, size, full) != 0)
		w->stopped = true;
	return (RC_OK);
}

static enum rc
blob_visit(struct walk *w, int dir_fd, const char *path, const char *name)
{
	struct digest d = { .alg = w->alg };

	if (strncmp(name, w->part, 2) != 0 ||
	    hex_decode(span_of(name), d.bytes, digest_len(d.alg)) != RC_OK)
		return (file_tell(w, dir_fd, path, name, NULL));
	return (file_tell(w, dir_fd, path, name, &d));
}

/* Is ${name} a folder?  Not followed where it is a link. */
static bool
is_folder(int dir_fd, const char *name)
{
	struct stat st;

	return (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISDIR(st.st_mode));
}

static enum rc
part_visit(struct walk *w, int dir_fd, const char *path, const char *name)
{
	char below[PATH_MAX];
	uint8_t byte;

	if (hex_decode(span_of(name), &byte, 1) != RC_OK ||
	    !is_folder(dir_fd, name))
		return (file_tell(w, dir_fd, path, name, NULL));
	if (w->prune)
		return (blobs_fs_folder_prune(w->blobs, dir_fd, name));
	memcpy(w->part, name, sizeof(w->part));
	snprintf(below, sizeof(below), "%s/%s", path, name);
	return (folder_walk(w, dir_fd, name, below, blob_visit));
}

static enum rc
alg_visit(struct walk *w, int dir_fd, const char *path, const char *name)
{
	char below[PATH_MAX];

	if (digest_alg_parse(span_of(name), &w->alg) != RC_OK ||
	    !is_folder(dir_fd, name))
		return (file_tell(w, dir_fd, path, name, NULL));
	snprintf(below, sizeof(below), "%s/%s", path, name);
	return (folder_walk(w, dir_fd, name, below, part_visit));
}

static enum rc
top_visit(struct walk *w, int dir_fd, const char *path, const char *name)
{
	char below[PATH_MAX];
	uint64_t domain;
	enum rc rc;

	if (name[0] != 'k' ||
	    num_u64(span_of(name + 1), UINT32_MAX, &domain) != RC_OK ||
	    domain == KEY_DOMAIN_PLAIN || !is_folder(dir_fd, name))
		return (alg_visit(w, dir_fd, path, name));
	w->key_domain = (uint32_t)domain;
	snprintf(below, sizeof(below), "%s/%s", path, name);
	rc = folder_walk(w, dir_fd, name, below, alg_visit);
	w->key_domain = KEY_DOMAIN_PLAIN;
	return (rc);
}

enum rc
blobs_walk(struct blobs *b, blobs_walk_fn *fn, void *arg)
{
	struct walk w = { .blobs = b, .fn = fn, .arg = arg };

	OBJ_CHECK(b, BLOBS_MAGIC);
	return (folder_walk(&w, b->blobs_fd, ".", "blobs", top_visit));
}

enum rc
blobs_fs_walk(int fd, const char *dir, blobs_walk_fn *fn, void *arg)
{
	char name[] = "archive";
	struct blobs there = { .dir = name }; /* for messages */
	struct walk w = {
		.blobs = &there, .stored = true, .fn = fn, .arg = arg
	};

	return (folder_walk(&w, fd, ".", dir, top_visit));
}

enum rc
blobs_folders_sweep(struct blobs *b)
{
	struct walk w = { .blobs = b, .prune = true };

	OBJ_CHECK(b, BLOBS_MAGIC);
	return (folder_walk(&w, b->blobs_fd, ".", "blobs", top_visit));
}

/* --- scratches ----------------------------------------------------------- */

struct scratch_walk {
	struct walk walk;
	scratch_walk_fn *fn;
	void *arg;
};

/* Of ${name}, which begins with its id; false: none of ours. */
static bool
scratch_id(const char *name, char id[UPLOAD_ID_BYTES], bool *sealed_r)
{
	const char *rest = name + UPLOAD_ID_BYTES - 1;

	if (strspn(name, "0123456789abcdef") != UPLOAD_ID_BYTES - 1)
		return (false);
	memcpy(id, name, UPLOAD_ID_BYTES - 1);
	id[UPLOAD_ID_BYTES - 1] = '\0';
	*sealed_r = strcmp(rest, SCRATCH_SEALED) == 0;
	return (*rest == '\0' || *sealed_r || strcmp(rest, SCRATCH_COPY) == 0);
}

static enum rc
scratch_visit(struct walk *w, int dir_fd, const char *path, const char *name)
{
	struct scratch_walk *sw = w->arg;
	char id[UPLOAD_ID_BYTES];
	struct stat st;
	uint64_t size;
	bool sealed;

	if (!scratch_id(name, id, &sealed))
		return (RC_OK);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return (RC_OK);
		return (blobs_fs_failed(w->blobs, "stat ", path));
	}
	if (!S_ISREG(st.st_mode))
		return (RC_OK);
	size = (uint64_t)st.st_size;
	if (sealed)
		size = sealed_content_bytes(size);
	if (sw->fn(sw->arg, id, size, blobs_fs_mtime_ms(&st)) != 0)
		w->stopped = true;
	return (RC_OK);
}

enum rc
blobs_scratch_walk(struct blobs *b, scratch_walk_fn *fn, void *arg)
{
	struct scratch_walk sw = {
		.walk = { .blobs = b }, .fn = fn, .arg = arg
	};

	OBJ_CHECK(b, BLOBS_MAGIC);
	sw.walk.arg = &sw;
	return (folder_walk(
	    &sw.walk, b->uploads_fd, ".", "uploads", scratch_visit));
}
