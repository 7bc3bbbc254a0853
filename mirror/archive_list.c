#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * The end of the file.  index.json lists every tag, and what else would not be
 * found from there: what was exported by digest, and what refers to something.
 * That last has no name that containerd takes for an image's, since it would be
 * one then; its repository stands in an annotation of ours.
 *
 * manifest.json is for `docker load`: images of one platform each.
 */
#define INDEX_HEAD \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":["
#define LOAD_MAX_BYTES ((size_t)1 << 30)

struct list_row {
	const struct arc_listed *of;
};

struct listing {
	struct archive_writer *w;
	struct list_row *rows; /* in order */
	size_t n;
	struct buf text;
	/* For manifest.json: of a row the manifest that is loaded. */
	uint32_t *loads;
};

static struct arc_listed *
listed_find(struct archive_writer *w, struct span repository,
    const struct digest *digest)
{
	struct digest key;
	uint32_t at;

	arc_listed_key(repository, SPAN(""), digest, &key);
	at = arc_table_find(&w->listed, &key);
	return (at == ARC_NONE ? NULL : arc_table_at(&w->listed, at));
}

static void
named_mark(struct archive_writer *w, struct span repository,
    const struct digest *digest)
{
	struct arc_listed *row = listed_find(w, repository, digest);

	if (row != NULL)
		row->named = true;
}

/* What is found from something else need not be listed. */
static void
rows_mark(struct archive_writer *w)
{
	const struct arc_written_manifest *m;
	const struct arc_listed *row;
	uint32_t i;
	size_t c;

	for (i = 0; i < w->listed.n; i++) {
		row = arc_table_at(&w->listed, i);
		m = &w->manifests[row->manifest];
		if (row->tag.n > 0)
			named_mark(w, row->repository, &m->digest);
		for (c = 0; c < m->n_children; c++)
			named_mark(w, row->repository, &m->children[c].digest);
	}
}

/* qsort() gives its function no more than the rows. */
static int
rows_cmp(const void *a, const void *b)
{
	const struct arc_listed *x = ((const struct list_row *)a)->of;
	const struct arc_listed *y = ((const struct list_row *)b)->of;
	int order;

	if ((order = span_cmp(x->repository, y->repository)) != 0 ||
	    (order = span_cmp(x->tag, y->tag)) != 0)
		return (order);
	return (digest_cmp(&x->key, &y->key));
}

static void
rows_sort(struct listing *l)
{
	const struct arc_listed *row;
	uint32_t i;

	l->rows = xcalloc((size_t)l->w->listed.n + 1, sizeof(*l->rows));
	for (i = 0; i < l->w->listed.n; i++) {
		row = arc_table_at(&l->w->listed, i);
		if (!row->named)
			l->rows[l->n++].of = row;
	}
	qsort(l->rows, l->n, sizeof(*l->rows), rows_cmp);
}

/* "team/app:1.0", "team/app@sha256:..." */
static void
name_add(struct listing *l, const struct arc_listed *row)
{
	char digest[DIGEST_STR_BYTES], *name;

	if (row->tag.n > 0)
		name = xasprintf(SPAN_FMT ":" SPAN_FMT,
		    SPAN_ARG(row->repository), SPAN_ARG(row->tag));
	else
		name = xasprintf(SPAN_FMT "@%s", SPAN_ARG(row->repository),
		    digest_str(&l->w->manifests[row->manifest].digest, digest));
	buf_json(&l->text, span_of(name));
	free(name);
}

static void
annotations_add(struct listing *l, const struct arc_listed *row)
{
	const struct arc_written_manifest *m = &l->w->manifests[row->manifest];

	buf_str(&l->text, ",\"annotations\":{");
	if (row->tag.n == 0 && m->has_subject &&
	    listed_find(l->w, row->repository, &m->subject) != NULL) {
		buf_str(&l->text, "\"registryd.repository\":");
		buf_json(&l->text, row->repository);
	} else {
		buf_str(&l->text, "\"io.containerd.image.name\":");
		name_add(l, row);
	}
	if (row->tag.n > 0) {
		buf_str(&l->text, ",\"org.opencontainers.image.ref.name\":");
		buf_json(&l->text, row->tag);
	}
	buf_char(&l->text, '}');
}

static void
descriptor_add(struct listing *l, const struct arc_listed *row)
{
	const struct arc_written_manifest *m = &l->w->manifests[row->manifest];
	char digest[DIGEST_STR_BYTES];

	buf_str(&l->text, "{\"mediaType\":");
	buf_json(&l->text, m->type);
	buf_printf(&l->text, ",\"digest\":\"%s\",\"size\":%llu",
	    digest_str(&m->digest, digest), (unsigned long long)m->size_bytes);
	if (m->has_subject && m->artifact_type.n > 0) {
		buf_str(&l->text, ",\"artifactType\":");
		buf_json(&l->text, m->artifact_type);
	}
	annotations_add(l, row);
	buf_char(&l->text, '}');
}

static enum rc
index_write(struct listing *l)
{
	size_t i;

	buf_init(&l->text, ARCHIVE_JSON_MAX_BYTES);
	buf_str(&l->text, INDEX_HEAD);
	for (i = 0; i < l->n; i++) {
		if (i > 0)
			buf_char(&l->text, ',');
		descriptor_add(l, l->rows[i].of);
	}
	buf_str(&l->text, "]}");
	if (l->n > ARCHIVE_IMAGES_MAX || !buf_ok(&l->text))
		return (arc_writer_fail(l->w, RC_TOOBIG,
		    "there are more images, and what refers to them, than the "
		    "%d that one archive takes: write several",
		    ARCHIVE_IMAGES_MAX));
	return (arc_writer_file(l->w, "index.json", buf_as_span(&l->text)));
}

/* --- for docker load ----------------------------------------------------- */

/* All of it is in the file. */
static bool
is_whole(const struct archive_writer *w, const struct arc_written_manifest *m)
{
	size_t i;

	if (!m->loadable)
		return (false);
	for (i = 0; i < m->n_layers; i++)
		if (arc_table_find(&w->written, &m->layers[i]) == ARC_NONE)
			return (false);
	return (true);
}

/* The child of this machine's platform, or the only one that is here. */
static uint32_t
child_choose(
    const struct archive_writer *w, const struct arc_written_manifest *m)
{
	const struct arc_written *written;
	uint32_t at, only = ARC_NONE;
	size_t i, n = 0;

	for (i = 0; i < m->n_children; i++) {
		at = arc_table_find(&w->written, &m->children[i].digest);
		if (at == ARC_NONE)
			continue;
		written = arc_table_at(&w->written, at);
		if (written->manifest == 0 ||
		    !is_whole(w, &w->manifests[written->manifest - 1]))
			continue;
		only = written->manifest - 1;
		if (m->children[i].ours)
			return (only);
		n++;
	}
	return (n == 1 ? only : ARC_NONE);
}

static uint32_t
load_choose(const struct archive_writer *w, const struct arc_listed *row)
{
	const struct arc_written_manifest *m = &w->manifests[row->manifest];

	if (row->tag.n == 0)
		return (ARC_NONE);
	if (m->n_children > 0)
		return (child_choose(w, m));
	return (is_whole(w, m) ? row->manifest : ARC_NONE);
}

static void
path_add(struct buf *b, const struct digest *d)
{
	char path[ARC_PATH_BYTES];

	buf_printf(b, "\"%s\"", arc_blob_path(d, path));
}

/* One image with all of its names. */
static void
load_add(struct listing *l, size_t first, uint32_t load)
{
	const struct arc_written_manifest *m = &l->w->manifests[load];
	size_t i;

	buf_str(&l->text, "{\"Config\":");
	path_add(&l->text, &m->layers[0]);
	buf_str(&l->text, ",\"RepoTags\":[");
	for (i = first; i < l->n; i++) {
		if (l->loads[i] != load)
			continue;
		if (i > first)
			buf_char(&l->text, ',');
		name_add(l, l->rows[i].of);
		l->loads[i] = ARC_NONE;
	}
	buf_str(&l->text, "],\"Layers\":[");
	for (i = 1; i < m->n_layers; i++) {
		if (i > 1)
			buf_char(&l->text, ',');
		path_add(&l->text, &m->layers[i]);
	}
	buf_str(&l->text, "]}");
}

static enum rc
loads_write(struct listing *l)
{
	bool any = false;
	size_t i;

	buf_free(&l->text);
	buf_init(&l->text, LOAD_MAX_BYTES);
	l->loads = xcalloc(l->n + 1, sizeof(*l->loads));
	for (i = 0; i < l->n; i++)
		l->loads[i] = load_choose(l->w, l->rows[i].of);
	buf_char(&l->text, '[');
	for (i = 0; i < l->n; i++) {
		if (l->loads[i] == ARC_NONE)
			continue;
		if (any)
			buf_char(&l->text, ',');
		load_add(l, i, l->loads[i]);
		any = true;
	}
	buf_char(&l->text, ']');
	if (!buf_ok(&l->text))
		return (arc_writer_fail(l->w, RC_TOOBIG,
		    "its manifest.json would be larger than a GiB"));
	/* What has nothing to load is better not taken for what docker saves.
	 */
	if (!any)
		return (RC_OK);
	return (arc_writer_file(l->w, "manifest.json", buf_as_span(&l->text)));
}

enum rc
arc_list_write(struct archive_writer *w)
{
	struct listing l = { .w = w };
	enum rc rc;

	rows_mark(w);
	rows_sort(&l);
	if ((rc = index_write(&l)) == RC_OK)
		rc = loads_write(&l);
	buf_free(&l.text);
	free(l.rows);
	free(l.loads);
	return (rc);
}
