#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * Layers, one upon another.  First all files that were read in any of them are
 * listed, then a table of every folder on the way to one is made, and each layer
 * notes there what it covers.  A file is there unless a layer above its own has
 * covered it or a folder that it is in.
 */
struct inventory_file {
	struct layer_file file;
	size_t layer;
	struct span packages; /* where they stand in the index */
	bool hidden;
};

/* Of a path: the uppermost layers, counted from 1, that cover it. */
struct place {
	uint64_t hash;
	uint32_t cover;
	uint32_t folder;
};

struct places {
	struct place *rows; /* .hash 0: free */
	size_t mask;
};

struct making {
	const struct layer_index *layers;
	size_t n_layers;
	struct arena *arena;
	char *why;
	struct inventory_file *files;
	size_t n_files;
	size_t n_packages;
	struct places places;
	struct span *digests; /* of the layers, in the arena */
};

static enum rc
refuse(struct making *m, enum rc rc, const char *what)
{
	(void)snprintf(m->why, LAYER_WHY_BYTES, "%s", what);
	return (rc);
}

static enum rc
refuse_memory(struct making *m)
{
	return (refuse(m, RC_TOOBIG,
	    "the packages of the image take more memory than there is for "
	    "them"));
}

/* --- files ----------------------------------------------------------------- */

static enum rc
layers_check(struct making *m)
{
	struct index_reader r;
	size_t i;

	for (i = 0; i < m->n_layers; i++) {
		if (layer_index_check(m->layers[i].bytes) != RC_OK ||
		    index_begin(&r, m->layers[i].bytes) != RC_OK)
			return (refuse(
			    m, RC_INVALID, "the index of a layer is damaged"));
		m->n_files += r.n_files;
	}
	return (RC_OK);
}

/* Of an index that was checked. */
static void
layer_files(struct making *m, size_t layer, struct inventory_file **next)
{
	struct inventory_file *file;
	struct index_reader r;
	struct package p;

	must(index_begin(&r, m->layers[layer].bytes) == RC_OK);
	while (r.n_files > 0) {
		file = (*next)++;
		must(index_file(&r, &file->file) == RC_OK);
		file->layer = layer;
		file->packages = r.rest;
		while (r.n_packages_file > 0)
			must(index_package(&r, file->file.kind, &p) == RC_OK);
		file->packages.n -= r.rest.n;
	}
}

static enum rc
files_list(struct making *m)
{
	struct inventory_file *next;
	size_t i;

	m->files = arena_calloc(m->arena, m->n_files + 1, sizeof(m->files[0]));
	m->digests =
	    arena_calloc(m->arena, m->n_layers + 1, sizeof(m->digests[0]));
	if (m->files == NULL || m->digests == NULL)
		return (refuse_memory(m));
	next = m->files;
	for (i = 0; i < m->n_layers; i++) {
		layer_files(m, i, &next);
		m->digests[i] = arena_span(m->arena, m->layers[i].digest);
		if (m->digests[i].p == NULL)
			return (refuse_memory(m));
	}
	must(next == m->files + m->n_files);
	return (RC_OK);
}

/* --- what hides what ------------------------------------------------------- */

static struct place *
place_of(const struct places *t, uint64_t hash)
{
	size_t at = (size_t)hash & t->mask;

	while (t->rows[at].hash != 0 && t->rows[at].hash != hash)
		at = (at + 1) & t->mask;
	return (&t->rows[at]);
}

static size_t
places_count(const struct making *m)
{
	struct path_walk walk;
	uint64_t hash;
	size_t i, n = 0;

	for (i = 0; i < m->n_files; i++) {
		path_walk_begin(&walk, m->files[i].file.path);
		while (path_walk_next(&walk, &hash))
			n++;
	}
	return (n);
}

static enum rc
places_make(struct making *m)
{
	size_t i, need = places_count(m), room = 16;
	struct path_walk walk;
	uint64_t hash;

	while (room < 2 * need)
		room *= 2;
	m->places.mask = room - 1;
	m->places.rows =
	    arena_calloc(m->arena, room, sizeof(m->places.rows[0]));
	if (m->places.rows == NULL)
		return (refuse_memory(m));
	for (i = 0; i < m->n_files; i++) {
		path_walk_begin(&walk, m->files[i].file.path);
		while (path_walk_next(&walk, &hash))
			place_of(&m->places, hash)->hash = hash;
	}
	return (RC_OK);
}

static void
layer_covers(struct making *m, size_t layer)
{
	struct inventory_file skipped[1];
	struct index_reader r;
	struct place *place;
	struct span hashes;
	struct package p;
	bool folders;
	size_t i, n;

	must(index_begin(&r, m->layers[layer].bytes) == RC_OK);
	while (r.n_files > 0) {
		must(index_file(&r, &skipped->file) == RC_OK);
		while (r.n_packages_file > 0)
			must(
			    index_package(&r, skipped->file.kind, &p) == RC_OK);
	}
	for (folders = false;; folders = true) {
		must(index_hashes(&r, &hashes, &n) == RC_OK);
		for (i = 0; i < n; i++) {
			place = place_of(&m->places, index_hash(hashes, i));
			if (place->hash == 0)
				continue;
			if (folders)
				place->folder = (uint32_t)layer + 1;
			else
				place->cover = (uint32_t)layer + 1;
		}
		if (folders)
			return;
	}
}

static bool
file_hidden(const struct making *m, const struct inventory_file *f)
{
	const struct place *place;
	struct path_walk walk;
	uint64_t hash;

	path_walk_begin(&walk, f->file.path);
	while (path_walk_next(&walk, &hash)) {
		place = place_of(&m->places, hash);
		if (place->cover > f->layer + 1 ||
		    (path_walk_last(&walk) && place->folder > f->layer + 1))
			return (true);
	}
	return (false);
}

/* --- what another list says better ----------------------------------- */

static bool
hash_among(uint64_t hash, const uint64_t *hashes, size_t n)
{
	size_t low = 0, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (hashes[mid] == hash)
			return (true);
		if (hashes[mid] < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return (false);
}

static enum rc
locks_hide(struct making *m)
{
	uint64_t *installed;
	struct inventory_file *f;
	size_t i, n = 0;

	installed =
	    arena_calloc(m->arena, m->n_files + 1, sizeof(installed[0]));
	if (installed == NULL)
		return (refuse_memory(m));
	for (i = 0; i < m->n_files; i++) {
		f = &m->files[i];
		if (!f->hidden && f->file.kind == FILE_NPM_INSTALLED)
			installed[n++] =
			    path_hash(path_dir(path_dir(f->file.path)));
	}
	n = hashes_settle(installed, n);
	for (i = 0; i < m->n_files; i++) {
		f = &m->files[i];
		if (f->file.kind == FILE_NPM_LOCK &&
		    hash_among(path_hash(path_dir(f->file.path)), installed, n))
			f->hidden = true;
	}
	return (RC_OK);
}

/*
 * What a package of the system brought is that package's: its versions have the
 * distribution's corrections, of which Python's own advisories know nothing.
 */
static enum rc
owned_hide(struct making *m)
{
	const struct inventory_file *f;
	size_t i, h, n = 0, room = 0;
	uint64_t *owned;

	for (i = 0; i < m->n_files; i++)
		room += m->files[i].hidden ? 0 : m->files[i].file.n_owned;
	owned = arena_calloc(m->arena, room + 1, sizeof(owned[0]));
	if (owned == NULL)
		return (refuse_memory(m));
	for (i = 0; i < m->n_files; i++) {
		f = &m->files[i];
		for (h = 0; !f->hidden && h < f->file.n_owned; h++)
			owned[n++] = index_hash(f->file.owned, h);
	}
	n = hashes_settle(owned, n);
	for (i = 0; i < m->n_files; i++)
		if (m->files[i].file.kind == FILE_PYTHON_METADATA &&
		    hash_among(path_hash(m->files[i].file.path), owned, n))
			m->files[i].hidden = true;
	return (RC_OK);
}

/* --- what is left ------------------------------------------------------------ */

static struct span
kept(struct making *m, struct span s, bool *full)
{
	struct span copy;

	if (s.n == 0)
		return (SPAN(""));
	copy = arena_span(m->arena, s);
	*full |= copy.p == NULL;
	return (copy);
}

static bool
package_keep(struct making *m, const struct package *in, struct package *p)
{
	bool full = false;

	*p = *in;
	p->name = kept(m, in->name, &full);
	p->version = kept(m, in->version, &full);
	p->arch = kept(m, in->arch, &full);
	p->source_name = kept(m, in->source_name, &full);
	p->source_version = kept(m, in->source_version, &full);
	p->license = kept(m, in->license, &full);
	return (!full);
}

static enum rc
file_packages(
    struct making *m, const struct inventory_file *f, struct inventory *v)
{
	struct index_reader r = { .rest = f->packages,
		.n_packages_file = f->file.n_packages };
	bool full = false;
	struct span path = SPAN_NONE;
	struct package p;

	if (r.n_packages_file > 0)
		path = kept(m, f->file.path, &full);
	while (r.n_packages_file > 0) {
		must(index_package(&r, f->file.kind, &p) == RC_OK);
		p.path = path;
		p.layer = m->digests[f->layer];
		if (full || !package_keep(m, &p, &v->packages[v->n_packages++]))
			return (refuse_memory(m));
	}
	return (RC_OK);
}

static enum rc
file_unread(
    struct making *m, const struct inventory_file *f, struct inventory *v)
{
	char *text;

	if (f->file.unread.n == 0)
		return (RC_OK);
	text = arena_printf(m->arena, SPAN_FMT ": " SPAN_FMT,
	    SPAN_ARG(f->file.unread), SPAN_ARG(f->file.path));
	if (text == NULL)
		return (refuse_memory(m));
	v->unread[v->n_unread++] = span_of(text);
	return (RC_OK);
}

/* That of etc/ before that of usr/lib/, which it often is a link to. */
static enum rc
os_take(struct making *m, struct inventory *v)
{
	const struct inventory_file *best = NULL;
	bool full = false;
	size_t i;

	for (i = 0; i < m->n_files; i++)
		if (!m->files[i].hidden &&
		    m->files[i].file.kind == FILE_OS_RELEASE &&
		    (best == NULL ||
			span_has_prefix(m->files[i].file.path, SPAN("etc/"))))
			best = &m->files[i];
	v->os = (struct os_release){ SPAN(""), SPAN(""), SPAN(""), SPAN("") };
	if (best == NULL)
		return (RC_OK);
	v->os.id = kept(m, best->file.os.id, &full);
	v->os.version_id = kept(m, best->file.os.version_id, &full);
	v->os.codename = kept(m, best->file.os.codename, &full);
	v->os.pretty_name = kept(m, best->file.os.pretty_name, &full);
	return (full ? refuse_memory(m) : RC_OK);
}

static enum rc
inventory_room(struct making *m, struct inventory *v)
{
	size_t i, packages = 0, unread = 0;

	for (i = 0; i < m->n_files; i++)
		if (!m->files[i].hidden) {
			packages += m->files[i].file.n_packages;
			unread += m->files[i].file.unread.n > 0;
		}
	if (packages > PACKAGES_MAX) {
		(void)snprintf(m->why, LAYER_WHY_BYTES,
		    "the image has more than %d packages", PACKAGES_MAX);
		return (RC_TOOBIG);
	}
	v->packages =
	    arena_calloc(m->arena, packages + 1, sizeof(v->packages[0]));
	v->unread = arena_calloc(m->arena, unread + 1, sizeof(v->unread[0]));
	if (v->packages == NULL || v->unread == NULL)
		return (refuse_memory(m));
	return (RC_OK);
}

static int
package_cmp(const void *a, const void *b)
{
	const struct package *x = a, *y = b;
	int order;

	if (x->type != y->type)
		return (x->type < y->type ? -1 : 1);
	if ((order = span_cmp(x->name, y->name)) != 0 ||
	    (order = span_cmp(x->version, y->version)) != 0 ||
	    (order = span_cmp(x->path, y->path)) != 0 ||
	    (order = span_cmp(x->arch, y->arch)) != 0 ||
	    (order = span_cmp(x->source_name, y->source_name)) != 0 ||
	    (order = span_cmp(x->source_version, y->source_version)) != 0 ||
	    (order = span_cmp(x->license, y->license)) != 0)
		return (order);
	return (span_cmp(x->layer, y->layer));
}

/* A tree of node_modules has the same package in many places: it is one. */
static bool
package_same(const struct package *a, const struct package *b)
{
	return (a->type == b->type && span_eq(a->name, b->name) &&
		span_eq(a->version, b->version) && span_eq(a->path, b->path) &&
		span_eq(a->arch, b->arch));
}

static void
inventory_settle(struct inventory *v)
{
	size_t i, n = 0;

	qsort(v->packages, v->n_packages, sizeof(v->packages[0]), package_cmp);
	for (i = 0; i < v->n_packages; i++)
		if (n == 0 ||
		    !package_same(&v->packages[n - 1], &v->packages[i]))
			v->packages[n++] = v->packages[i];
	v->n_packages = n;
}

static enum rc
inventory_fill(struct making *m, struct inventory *v)
{
	enum rc rc;
	size_t i;

	if ((rc = os_take(m, v)) != RC_OK ||
	    (rc = inventory_room(m, v)) != RC_OK)
		return (rc);
	for (i = 0; i < m->n_files; i++)
		if (!m->files[i].hidden &&
		    ((rc = file_packages(m, &m->files[i], v)) != RC_OK ||
			(rc = file_unread(m, &m->files[i], v)) != RC_OK))
			return (rc);
	inventory_settle(v);
	return (RC_OK);
}

enum rc
inventory_make(const struct layer_index *layers, size_t n, struct arena *arena,
    char why[LAYER_WHY_BYTES], struct inventory *inventory_r)
{
	struct making m = {
		.layers = layers, .n_layers = n, .arena = arena, .why = why
	};
	enum rc rc;
	size_t i;

	why[0] = '\0';
	memset(inventory_r, 0, sizeof(*inventory_r));
	if ((rc = layers_check(&m)) != RC_OK ||
	    (rc = files_list(&m)) != RC_OK || (rc = places_make(&m)) != RC_OK)
		return (rc);
	for (i = 0; i < n; i++)
		layer_covers(&m, i);
	for (i = 0; i < m.n_files; i++)
		m.files[i].hidden = file_hidden(&m, &m.files[i]);
	if ((rc = locks_hide(&m)) != RC_OK || (rc = owned_hide(&m)) != RC_OK)
		return (rc);
	return (inventory_fill(&m, inventory_r));
}
