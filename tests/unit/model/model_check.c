#include "model.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/fsck.h"
#include "storage/images.h"
#include "storage/meta_int.h"

/*
 * The store against the model.
 */
#define PAGE_ROWS 100

/* How it differs is told once, at the first difference. */
static bool differs(char why[MODEL_WHY], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static bool
differs(char why[MODEL_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, MODEL_WHY, fmt, ap);
	va_end(ap);
	return (false);
}

static const struct digest *
manifest_digest(const struct model *m, unsigned i)
{
	return (&m->world.manifests[i].digest);
}

static const char *
status_name(unsigned status)
{
	static const char *const names[] = { "0", "active", "archived",
		"activating" };

	return (status < ARRAY_LEN(names) ? names[status] : "?");
}

/* Reading. */

static enum rc
row_get(struct model *m, unsigned repo, unsigned i, struct image_row *row_r)
{
	const struct reference ref = { .is_digest = true,
		.digest = *manifest_digest(m, i) };

	return (
	    meta_image_get(m->meta, world_repo(repo), &ref, &m->arena, row_r));
}

static unsigned
tag_mask(const struct model *m, const struct span *tags, size_t n)
{
	unsigned t, mask = 0;
	size_t i;

	for (i = 0; i < n; i++)
		for (t = 0; t < TAGS; t++)
			if (span_is(tags[i], m->world.tags[t]))
				mask |= 1u << t;
	return (mask);
}

static bool
deleted_find(
    struct model *m, unsigned repo, unsigned i, struct deleted_image *row_r)
{
	struct deleted_image_page page;
	size_t k;

	if (meta_deleted_image_page(m->meta, world_repo(repo), NULL, PAGE_ROWS,
		&m->arena, &page) != RC_OK)
		return (false);
	for (k = 0; k < page.n; k++) {
		if (digest_eq(&page.rows[k].digest, manifest_digest(m, i))) {
			*row_r = page.rows[k];
			return (true);
		}
	}
	return (false);
}

/* --- what the collector may do, and what changes leave open -------------- */

/* A subject that went, or was archived, and after the other was pushed, or tagged; and for
 * the first time a grace ago or longer: the collector does not know that it was
 * back in between. */
static bool
subject_left(const struct model *m, const struct m_repo *r, int subject,
    int64_t pushed_ms, bool archived)
{
	const struct m_image *s = &r->images[subject];
	bool left = archived
			? s->state == IMAGE_LIVE && s->status == IMAGE_ARCHIVED
			: s->state == IMAGE_NONE;

	return (left && s->left_ms != 0 &&
		s->first_ms + GRACE_MS <= model_now(m) &&
		pushed_ms <= s->left_ms);
}

static bool
may_follow(
    const struct model *m, const struct m_repo *r, unsigned i, bool archived)
{
	int subject = m->world.manifests[i].subject;

	if (subject >= 0 &&
	    subject_left(m, r, subject, r->images[i].pushed_ms, archived))
		return (true);
	return (repo_tags_of(r, i) == 1u << TAG_ABOUT_0 &&
		subject_left(m, r, 0, r->tagged_ms[TAG_ABOUT_0], archived));
}

static bool
class_may_be(const struct model *m, const struct m_repo *r, unsigned i,
    unsigned to, const struct change *c)
{
	unsigned from = r->images[i].status;

	if (c->kind == CHANGE_UNDELETE)
		return (to != IMAGE_ARCHIVED);
	if (c->kind == CHANGE_PUT ||
	    (c->kind == CHANGE_STATUS && c->other == IMAGE_ACTIVE)) {
		if (from == IMAGE_ARCHIVED ||
		    (from == IMAGE_ACTIVATING && to == IMAGE_ACTIVE))
			return (true);
	}
	if (!m->sh->collecting && c->kind != CHANGE_REPO_UNDELETE)
		return (false);
	if (from == IMAGE_ACTIVATING && to == IMAGE_ACTIVE)
		return (true);
	return (to == IMAGE_ARCHIVED && may_follow(m, r, i, true));
}

static void
sync_deleted(struct model *m, struct m_repo *r, unsigned repo, unsigned i)
{
	struct m_image *image = &r->images[i];
	struct deleted_image row;

	if (image->state != IMAGE_GONE ||
	    image->deleted_ms + m->sh->undelete_ms > model_now(m) ||
	    deleted_find(m, repo, i, &row))
		return;
	image_left_note(m, r, i, model_now(m));
}

/* It followed its subject. */
static void
sync_gone(struct model *m, struct m_repo *r, unsigned repo, unsigned i)
{
	struct m_image *image = &r->images[i];
	unsigned tags = repo_tags_of(r, i), t;
	struct deleted_image row;

	if (image_held(m, r, i, false))
		return;
	for (t = 0; t < TAGS; t++)
		if ((tags & 1u << t) != 0)
			r->tags[t] = -1;
	if (!deleted_find(m, repo, i, &row)) {
		image_left_note(m, r, i, model_now(m));
		return;
	}
	image->state = IMAGE_GONE;
	/* One may have gone by itself before. */
	image->tags =
	    tags & (tag_mask(m, row.tags, row.n_tags) | ~(1u << TAG_ABOUT_0));
	image->deleted_ms = row.deleted_ms;
	image->follow = FOLLOW_PERHAPS;
}

static void
sync_live(struct model *m, struct m_repo *r, unsigned repo, unsigned i,
    const struct change *c)
{
	struct image_row row;
	enum rc rc;

	if (r->images[i].state != IMAGE_LIVE)
		return;
	rc = row_get(m, repo, i, &row);
	if (rc == RC_NOTFOUND && m->sh->collecting &&
	    may_follow(m, r, i, false))
		sync_gone(m, r, repo, i);
	if (rc == RC_OK && row.manifest.status != r->images[i].status &&
	    class_may_be(m, r, i, row.manifest.status, c))
		image_status_note(m, r, i, row.manifest.status, model_now(m));
}

/* A tag that names a signature goes with what was signed, even if what it
 * pointed at stays. */
static void
sync_tag(struct model *m, struct m_repo *r, unsigned repo)
{
	struct reference ref = { .tag = span_of(m->world.tags[TAG_ABOUT_0]) };
	int at = r->tags[TAG_ABOUT_0];
	struct image_row row;

	if (at < 0 || !m->sh->collecting ||
	    !subject_left(m, r, 0, r->tagged_ms[TAG_ABOUT_0], false))
		return;
	if (row_get(m, repo, (unsigned)at, &row) == RC_OK &&
	    meta_image_get(m->meta, world_repo(repo), &ref, &m->arena, &row) ==
		RC_NOTFOUND)
		r->tags[TAG_ABOUT_0] = -1;
}

static void
sync_repo(
    struct model *m, struct m_repo *r, unsigned repo, const struct change *c)
{
	unsigned i;

	if (m->sh->collecting || c->kind == CHANGE_REPO_UNDELETE)
		for (i = 0; i < MANIFESTS; i++)
			sync_deleted(m, r, repo, i);
	sync_tag(m, r, repo);
	for (i = 0; i < MANIFESTS; i++)
		sync_live(m, r, repo, i, c);
}

void
model_sync(struct model *m, struct m_state *s, const struct change *c)
{
	const struct change none = { .repo = -1 };
	unsigned repo;

	for (repo = 0; repo < REPOS; repo++)
		if (s->repos[repo].exists)
			sync_repo(m, &s->repos[repo], repo,
			    c->repo == (int)repo ? c : &none);
	arena_reset(&m->arena);
}

/* --- what is seen -------------------------------------------------------- */

static bool
bytes_same(struct blob_file *f, const struct world_blob *b)
{
	char *bytes = xmalloc(b->n);
	bool same = blob_file_read_all(f, 0, bytes, b->n) == RC_OK &&
		    memcmp(bytes, b->bytes, b->n) == 0;

	free(bytes);
	return (same);
}

static bool
content_same(struct model *m, unsigned repo, unsigned blob, char why[MODEL_WHY])
{
	const struct world_blob *b = &m->world.blobs[blob];
	struct content c;
	bool same;
	enum rc rc;

	rc = content_open(m->store, world_repo(repo), &b->digest, READ_BLOCKING,
	    &m->arena, &c);
	if (rc != RC_OK)
		return (differs(why, "repo %u: blob %u cannot be read: %s",
		    repo, blob, rc_text(rc)));
	same = c.size_bytes == b->n;
	if (same && c.kind == CONTENT_MEMORY)
		same = memcmp(c.bytes.p, b->bytes, b->n) == 0;
	if (c.kind == CONTENT_FILE) {
		same = same && bytes_same(&c.file, b);
		content_close(&c);
	}
	return (same ||
		differs(why, "repo %u: blob %u reads other bytes", repo, blob));
}

/* What an active image needs is there. */
static bool
needs_same(
    struct model *m, const struct m_repo *r, unsigned repo, char why[MODEL_WHY])
{
	const struct world_manifest *w;
	unsigned blobs = 0, i, k;

	for (i = 0; i < MANIFESTS; i++) {
		w = &m->world.manifests[i];
		if (r->images[i].state != IMAGE_LIVE ||
		    r->images[i].status != IMAGE_ACTIVE)
			continue;
		blobs |= w->blobs;
		for (k = 0; k < MANIFESTS; k++)
			if ((w->children & 1u << k) != 0 &&
			    (r->images[k].state != IMAGE_LIVE ||
				r->images[k].status != IMAGE_ACTIVE))
				return (differs(why,
				    "repo %u: index %u is active, but %u is "
				    "not",
				    repo, i, k));
	}
	for (k = 0; k < BLOBS; k++)
		if ((blobs & 1u << k) != 0 && !content_same(m, repo, k, why))
			return (false);
	return (true);
}

static bool
text_same(struct model *m, unsigned repo, unsigned i, char why[MODEL_WHY])
{
	const struct reference ref = { .is_digest = true,
		.digest = *manifest_digest(m, i) };
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(m->meta, world_repo(repo), &ref, MANIFEST_TEXT,
	    READ_BLOCKING, &m->arena, &row);
	if (rc != RC_OK)
		return (differs(why, "repo %u: manifest %u cannot be read: %s",
		    repo, i, rc_text(rc)));
	if (!span_eq(row.text, m->world.manifests[i].text))
		return (differs(
		    why, "repo %u: manifest %u reads other bytes", repo, i));
	return (true);
}

static bool
image_same(struct model *m, const struct m_repo *r, unsigned repo, unsigned i,
    char why[MODEL_WHY])
{
	const struct m_image *image = &r->images[i];
	struct image_row row;
	unsigned tags;
	enum rc rc;

	rc = row_get(m, repo, i, &row);
	if (rc != (image->state == IMAGE_LIVE ? RC_OK : RC_NOTFOUND))
		return (differs(why, "repo %u: image %u: %s", repo, i,
		    rc == RC_OK ? "is there still" : rc_text(rc)));
	if (rc != RC_OK)
		return (true);
	if (row.manifest.status != image->status)
		return (differs(why, "repo %u: image %u is %s, not %s", repo, i,
		    status_name(row.manifest.status),
		    status_name(image->status)));
	tags = tag_mask(m, row.tags, row.n_tags);
	if (tags != repo_tags_of(r, i))
		return (differs(why,
		    "repo %u: image %u has the tags %x instead of %x", repo, i,
		    tags, repo_tags_of(r, i)));
	return (text_same(m, repo, i, why));
}

static bool
tags_same(
    struct model *m, const struct m_repo *r, unsigned repo, char why[MODEL_WHY])
{
	struct page page;
	unsigned t, want = 0, is;

	for (t = 0; t < TAGS; t++)
		if (r->tags[t] >= 0)
			want |= 1u << t;
	if (meta_tag_page(m->meta, world_repo(repo), SPAN_NONE, PAGE_ROWS,
		&m->arena, &page) != RC_OK)
		return (differs(why, "repo %u: no page of tags", repo));
	is = tag_mask(m, page.items, page.n);
	if (is != want)
		return (differs(
		    why, "repo %u: tags %x instead of %x", repo, is, want));
	return (true);
}

/* One whose time is up is told of or not. */
static bool
deleted_same(struct model *m, const struct m_repo *r, unsigned repo, unsigned i,
    char why[MODEL_WHY])
{
	const struct m_image *image = &r->images[i];
	struct deleted_image row;
	bool there = deleted_find(m, repo, i, &row);

	if (image->state != IMAGE_GONE)
		return (
		    !there || differs(why, "repo %u: image %u can be undeleted",
				  repo, i));
	if (there && tag_mask(m, row.tags, row.n_tags) != image->tags)
		return (differs(
		    why, "repo %u: deleted image %u: other tags", repo, i));
	if (there && row.deleted_ms != image->deleted_ms)
		return (differs(
		    why, "repo %u: deleted image %u: another time", repo, i));
	return (there ||
		image->deleted_ms + m->sh->undelete_ms <= model_now(m) ||
		differs(why, "repo %u: image %u cannot be undeleted", repo, i));
}

/* Archived referrers are told of or not. */
static bool
referrers_same(struct model *m, const struct m_repo *r, unsigned repo,
    unsigned subject, char why[MODEL_WHY])
{
	const struct referrer_query q = {
		.repository = world_repo(repo),
		.subject = *manifest_digest(m, subject),
		.max_rows = PAGE_ROWS,
		.max_bytes = 1 << 20,
	};
	struct referrer_page page;
	bool told;
	unsigned i;
	size_t k;

	if (meta_referrer_page(m->meta, &q, READ_BLOCKING, &m->arena, &page) !=
	    RC_OK)
		return (differs(why, "repo %u: no page of referrers", repo));
	for (i = 0; i < MANIFESTS; i++) {
		for (k = 0, told = false; k < page.n; k++)
			told = told || digest_eq(&page.rows[k].digest,
					   manifest_digest(m, i));
		if (m->world.manifests[i].subject == (int)subject &&
		    r->images[i].state == IMAGE_LIVE) {
			if (!told && r->images[i].status == IMAGE_ACTIVE)
				return (differs(why,
				    "repo %u: %u is no referrer of %u", repo, i,
				    subject));
		} else if (told) {
			return (differs(why, "repo %u: %u is a referrer of %u",
			    repo, i, subject));
		}
	}
	return (true);
}

static bool
blob_same(struct model *m, const struct m_repo *r, unsigned repo, unsigned blob,
    char why[MODEL_WHY])
{
	const struct world_blob *b = &m->world.blobs[blob];
	struct blob_row row;
	enum rc rc;

	rc = meta_blob_get(m->meta, world_repo(repo), &b->digest, BLOB_ROW,
	    READ_BLOCKING, &m->arena, &row);
	if (rc == RC_OK && !r->ever[blob])
		return (differs(why, "repo %u: blob %u is there", repo, blob));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (differs(
		    why, "repo %u: blob %u: %s", repo, blob, rc_text(rc)));
	if (blob_sure(m, r, blob))
		return (content_same(m, repo, blob, why));
	return (true);
}

static bool
count_same(
    struct model *m, const struct m_repo *r, unsigned repo, char why[MODEL_WHY])
{
	uint64_t is = 0, want = 0;
	unsigned i;

	for (i = 0; i < MANIFESTS; i++)
		want += r->images[i].state == IMAGE_LIVE;
	if (meta_image_count(m->meta, world_repo(repo), &is) != RC_OK ||
	    is != want)
		return (differs(
		    why, "repo %u: %u images are counted", repo, (unsigned)is));
	return (true);
}

static bool
repo_same(
    struct model *m, const struct m_repo *r, unsigned repo, char why[MODEL_WHY])
{
	struct repository_row row;
	enum rc rc;
	unsigned i;

	rc = meta_repository_get(m->meta, world_repo(repo), &row);
	if (rc != (r->exists ? RC_OK : RC_NOTFOUND))
		return (differs(why, "repo %u: %s", repo, rc_text(rc)));
	if (rc != RC_OK)
		return (true);
	for (i = 0; i < MANIFESTS; i++)
		if (!image_same(m, r, repo, i, why) ||
		    !deleted_same(m, r, repo, i, why) ||
		    !referrers_same(m, r, repo, i, why))
			return (false);
	for (i = 0; i < BLOBS; i++)
		if (!blob_same(m, r, repo, i, why))
			return (false);
	return (tags_same(m, r, repo, why) && count_same(m, r, repo, why) &&
		needs_same(m, r, repo, why));
}

bool
model_same(struct model *m, const struct m_state *s, char why[MODEL_WHY])
{
	bool same = true;
	unsigned i;

	for (i = 0; i < REPOS && same; i++)
		same = repo_same(m, &s->repos[i], i, why);
	arena_reset(&m->arena);
	return (same);
}

void
model_check(struct model *m)
{
	char why[MODEL_WHY];

	if (!model_same(m, &m->sh->state, why))
		model_fail(m, "%s", why);
}

/* --- fsck ---------------------------------------------------------------- */

static void
problem_print(void *arg, const struct fsck_problem *p)
{
	(void)arg;
	fprintf(stderr, "fsck: %s\n", p->text);
}

void
model_fsck(struct model *m, bool left_overs)
{
	const struct fsck_options options = { .problem = problem_print };
	struct fsck_progress progress;
	enum rc rc;

	memset(&progress, 0, sizeof(progress));
	rc = fsck_run(m->store, &options, &progress);
	if (rc != RC_OK)
		model_fail(m, "fsck: %s", rc_text(rc));
	if (progress.problems != 0)
		model_fail(
		    m, "fsck finds %u problems", (unsigned)progress.problems);
	if (!left_overs && progress.orphan_files != 0)
		model_fail(m, "fsck finds %u files without a record",
		    (unsigned)progress.orphan_files);
}

/* --- leaks --------------------------------------------------------------- */

/* Files below, and folders with ${folders}. */
static unsigned
files_below(const char *path, bool folders)
{
	struct dirent *e;
	struct stat st;
	char *child;
	unsigned n = 0;
	DIR *dir;

	if ((dir = opendir(path)) == NULL)
		return (0);
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		child = xasprintf("%s/%s", path, e->d_name);
		if (lstat(child, &st) == 0) {
			n += S_ISDIR(st.st_mode)
				 ? files_below(child, folders) + folders
				 : 1;
		}
		free(child);
	}
	(void)closedir(dir);
	return (n);
}

static unsigned
files_in(const struct model *m, const char *name)
{
	char *path = xasprintf("%s/%s", m->sh->dir, name);
	unsigned n = files_below(path, false);

	free(path);
	return (n);
}

/* What a crash has left there beside content; but the archive is marked. */
static void
others_check(struct model *m)
{
	if (files_in(m, "blobs") != files_in(m, "blobs/sha256"))
		model_fail(m, "left-overs in blobs/");
	if (files_in(m, "archive") > files_in(m, "archive/sha256") + 1)
		model_fail(m, "left-overs in archive/");
	if (files_in(m, "uploads") != 0)
		model_fail(m, "left-overs in uploads/");
}

struct wanted {
	uint64_t manifests, tags, links, blobs, files, archived, repositories;
};

/* Who needs content of which repositories? */
static void
want_blob(const struct model *m, unsigned blob, struct wanted *want)
{
	const struct m_repo *r;
	bool needed = false, used = false;
	unsigned repo, i;

	for (repo = 0; repo < REPOS; repo++) {
		r = &m->sh->state.repos[repo];
		if (!blob_needed(m, r, blob))
			continue;
		needed = true;
		want->links++;
		for (i = 0; i < MANIFESTS; i++)
			used = used ||
			       (r->images[i].state == IMAGE_LIVE &&
				   r->images[i].status != IMAGE_ARCHIVED &&
				   (m->world.manifests[i].blobs & 1u << blob) !=
				       0);
	}
	want->blobs += needed;
	if (needed && m->world.blobs[blob].n > INLINE_MAX) {
		want->files += used;
		want->archived += !used;
	}
}

static void
want_manifests(const struct model *m, struct wanted *want)
{
	const struct m_repo *r;
	unsigned repo, i, t;
	bool any;

	for (i = 0; i < MANIFESTS; i++) {
		for (repo = 0, any = false; repo < REPOS; repo++) {
			r = &m->sh->state.repos[repo];
			if (!r->exists || r->images[i].state != IMAGE_LIVE)
				continue;
			any = true;
			want->manifests++;
		}
		want->blobs += any;
	}
	for (repo = 0; repo < REPOS; repo++) {
		r = &m->sh->state.repos[repo];
		want->repositories += r->exists;
		for (t = 0; t < TAGS && r->exists; t++)
			want->tags += r->tags[t] >= 0;
	}
}

static void
same_number(struct model *m, const char *what, uint64_t is, uint64_t want)
{
	if (is != want)
		model_fail(m, "%s: %u instead of %u", what, (unsigned)is,
		    (unsigned)want);
}

/* Whoever had to follow has. */
static void
followers_check(struct model *m)
{
	const struct m_image *image;
	unsigned repo, i;

	for (repo = 0; repo < REPOS; repo++) {
		for (i = 0; i < MANIFESTS; i++) {
			image = &m->sh->state.repos[repo].images[i];
			if (!m->sh->state.repos[repo].exists ||
			    image->state != IMAGE_LIVE)
				continue;
			if (image->follow == FOLLOW_REMOVED)
				model_fail(m,
				    "repo %u: image %u did not follow its "
				    "subject",
				    repo, i);
			if (image->follow == FOLLOW_ARCHIVED &&
			    image->status != IMAGE_ARCHIVED)
				model_fail(m,
				    "repo %u: image %u was not archived with "
				    "its subject",
				    repo, i);
			if (image->status == IMAGE_ACTIVATING)
				model_fail(m, "repo %u: image %u is activating",
				    repo, i);
		}
	}
}

void
model_leaks(struct model *m)
{
	struct wanted want = { 0 };
	struct store_stats st;
	unsigned b;

	followers_check(m);
	for (b = 0; b < BLOBS; b++)
		want_blob(m, b, &want);
	want_manifests(m, &want);
	store_stats(m->store, &st);
	same_number(m, "manifests", st.manifests, want.manifests);
	same_number(m, "repositories", st.repositories, want.repositories);
	same_number(m, "tags", st.tags, want.tags);
	same_number(m, "links", st.blob_links, want.links);
	same_number(m, "records of content", st.blobs, want.blobs);
	same_number(m, "upload sessions", st.upload_sessions, 0);
	same_number(m, "content held by nobody", st.unreferenced_blobs, 0);
	same_number(m, "idle links that wait", st.idle_links, 0);
	same_number(m, "deleted images", st.deleted_images, 0);
	same_number(m, "content in files", st.file_blobs, want.files);
	same_number(
	    m, "content in the archive", st.archived_blobs, want.archived);
	same_number(
	    m, "files in blobs/", files_in(m, "blobs/sha256"), want.files);
	same_number(m, "files in archive/", files_in(m, "archive/sha256"),
	    want.archived);
	others_check(m);
}

void
model_empty(struct model *m)
{
	struct meta_txn t;
	uint64_t rows;
	unsigned i;

	for (i = TABLE_REGISTRY + 1; i < META_TABLES; i++) {
		if (meta_read_begin(m->meta, &t) != RC_OK)
			model_fail(m, "cannot read");
		rows = kv_count(&t, (enum meta_table)i);
		meta_read_end(&t);
		same_number(m, meta_table_name((enum meta_table)i), rows, 0);
	}
	same_number(m, "files in blobs/", files_in(m, "blobs/sha256"), 0);
	same_number(m, "files in archive/", files_in(m, "archive/sha256"), 0);
	others_check(m);
}

/* --- the time of files --------------------------------------------------- */

/* What was written by now has the time of the system, which is later than any
 * of the model. */
static void
file_age(int dir_fd, const char *name, int64_t now_ms)
{
	const struct timespec at = { .tv_sec = now_ms / 1000,
		.tv_nsec = now_ms % 1000 * 1000000 };
	const struct timespec times[2] = { at, at };
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_mtim.tv_sec > at.tv_sec + 1)
		(void)utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW);
}

void
model_scratches_age(struct model *m)
{
	char *path = xasprintf("%s/uploads", m->sh->dir);
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		file_age(dirfd(dir), e->d_name, model_now(m));
	if (dir != NULL)
		(void)closedir(dir);
	free(path);
}
