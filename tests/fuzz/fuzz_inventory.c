#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "layer_make.h"
#include "scan/layer_int.h"

/*
 * The input is an image: a line for each entry, TYPE NAME as of tar ('0' a file,
 * '2' a link, '5' a folder), and a line "-" where the next layer begins.  Its
 * inventory is held against a model that unpacks layer by layer: the files that
 * name packages, and where they came from.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define LAYERS_MAX 8
#define ENTRIES_MAX 64
#define MAX_BYTES 4096

/* What is there at a path; each file has a package with its number. */
struct node {
	char path[LAYER_PATH_MAX_BYTES + 1];
	unsigned number;
	unsigned layer;
	bool folder;
	bool gone;
};

struct model {
	struct node nodes[ENTRIES_MAX];
	unsigned n;
	unsigned layer;
};

/* Is ${path} ${at}, or below it? */
static bool
is_in(const char *path, struct span at)
{
	if (at.n == 0)
		return (true);
	return (strncmp(path, at.p, at.n) == 0 &&
		(path[at.n] == '\0' || path[at.n] == '/'));
}

/* ${before}: of the layers before this one only; ${below}: what is in it too. */
static void
model_remove(struct model *m, struct span path, bool before, bool below)
{
	struct node *node;
	unsigned i;

	for (i = 0; i < m->n; i++) {
		node = &m->nodes[i];
		if (before && node->layer == m->layer)
			continue;
		if (below ? is_in(node->path, path)
			  : span_is(path, node->path) && !node->folder)
			node->gone = true;
	}
}

static void
model_whiteout(struct model *m, struct span path, struct span name)
{
	struct span folder = path_dir(path);
	char hidden[LAYER_PATH_MAX_BYTES + 1];

	if (span_is(name, ".wh..wh..opq")) {
		model_remove(m, folder, true, true);
		return;
	}
	if (span_has_prefix(name, SPAN(".wh..wh.")))
		return;
	(void)snprintf(hidden, sizeof(hidden), SPAN_FMT "%s" SPAN_FMT,
	    SPAN_ARG(folder), folder.n > 0 ? "/" : "", (int)name.n - 4,
	    name.p + 4);
	model_remove(m, span_of(hidden), true, true);
}

/* False: such an entry makes the layer invalid. */
static bool
model_entry(struct model *m, char type, struct span name, unsigned number)
{
	struct node *node = &m->nodes[m->n];
	struct span path, base;

	if (layer_path(name, node->path, &path) != RC_OK)
		return (false);
	base = path_base(path);
	if (span_has_prefix(base, SPAN(".wh."))) {
		if (base.n == 4 || span_is(base, ".wh..") ||
		    span_is(base, ".wh..."))
			return (false);
		model_whiteout(m, path, base);
		return (true);
	}
	if (path.n == 0)
		return (true);
	model_remove(m, path, false, type != '5');
	node->number = type == '0' ? number : 0;
	node->folder = type == '5';
	node->layer = m->layer;
	node->gone = false;
	m->n++;
	return (true);
}

static const struct node *
model_find(const struct model *m, const struct package *p)
{
	char name[16];
	unsigned i;

	for (i = 0; i < m->n; i++) {
		(void)snprintf(name, sizeof(name), "n%u", m->nodes[i].number);
		if (!m->nodes[i].gone && span_is(p->path, m->nodes[i].path) &&
		    span_is(p->name, name))
			return (&m->nodes[i]);
	}
	return (NULL);
}

static size_t
model_count(const struct model *m)
{
	const struct node *node;
	size_t n = 0;
	unsigned i;

	for (i = 0; i < m->n; i++) {
		node = &m->nodes[i];
		n += !node->gone && node->number > 0 &&
		     file_kind_of(span_of(node->path)) == FILE_REQUIREMENTS;
	}
	return (n);
}

static long
read_all(void *arg, const void **p_r)
{
	struct span *rest = arg;
	long n = (long)rest->n;

	*p_r = rest->p;
	rest->n = 0;
	return (n);
}

/* What an entry of type '0' has in it. */
static void
entry_add(struct buf *tar, char type, struct span name, unsigned number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "n%u==1\n", number);
	tar_entry(tar, type, name,
	    type == '0'	  ? span_of(text)
	    : type == '2' ? SPAN("elsewhere")
			  : SPAN_NONE);
}

static bool
layer_end(struct buf *tar, struct buf *index)
{
	static const char zeros[1024];
	char why[LAYER_WHY_BYTES];
	struct span rest;
	enum rc rc;

	buf_add(tar, zeros, sizeof(zeros));
	rest = buf_as_span(tar);
	buf_init(index, LAYER_INDEX_MAX_BYTES);
	rc = layer_index_make(
	    read_all, &rest, &layer_limits_default, index, why);
	buf_clear(tar);
	must(rc == RC_OK || rc == RC_INVALID);
	return (rc == RC_OK);
}

static void
image_check(const struct model *m, const struct buf *indexes, unsigned n)
{
	static const char *const digests[] = { "0", "1", "2", "3", "4", "5",
		"6", "7" };
	struct layer_index layers[LAYERS_MAX];
	const struct node *node;
	char why[LAYER_WHY_BYTES];
	struct inventory v;
	struct arena arena;
	size_t i;

	for (i = 0; i < n; i++)
		layers[i] = (struct layer_index){ span_of(digests[i]),
			buf_as_span(&indexes[i]) };
	arena_init(&arena, (size_t)16 << 20);
	must(inventory_make(layers, n, &arena, why, &v) == RC_OK);
	must(v.n_packages == model_count(m));
	for (i = 0; i < v.n_packages; i++) {
		node = model_find(m, &v.packages[i]);
		must(node != NULL);
		must(span_is(v.packages[i].layer, digests[node->layer]));
	}
	arena_reset(&arena);
}

struct image {
	struct model model;
	struct buf indexes[LAYERS_MAX];
	unsigned n;
	struct buf tar;
	bool invalid;
};

static void
image_layer_end(struct image *im)
{
	/* An empty one is none that anybody has pushed. */
	bool ok = layer_end(&im->tar, &im->indexes[im->n++]);

	must(ok == !im->invalid);
	im->model.layer++;
}

/* Lines that are no entry, and names that a tar of ours cannot have, say
 * nothing. */
static void
image_line(struct image *im, struct span line)
{
	struct span name = { line.p + 1, line.n - 1 };
	unsigned number = im->model.n + 1;

	if (span_is(line, "-") && im->n + 1 < LAYERS_MAX) {
		image_layer_end(im);
		return;
	}
	if (line.n < 2 || name.n > 99 || im->model.n == ENTRIES_MAX ||
	    (line.p[0] != '0' && line.p[0] != '2' && line.p[0] != '5') ||
	    (line.p[0] != '5' && name.p[name.n - 1] == '/') ||
	    memchr(name.p, '\0', name.n) != NULL)
		return;
	entry_add(&im->tar, line.p[0], name, number);
	im->invalid = !model_entry(&im->model, line.p[0], name, number);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span rest = { (const char *)data, n_bytes }, line;
	struct image *im = calloc(1, sizeof(*im));
	unsigned i;

	must(im != NULL);
	buf_init(&im->tar, (size_t)1 << 20);
	while (n_bytes <= MAX_BYTES && !im->invalid &&
	       span_split(&rest, '\n', &line))
		image_line(im, line);
	image_layer_end(im);
	if (!im->invalid)
		image_check(&im->model, im->indexes, im->n);
	for (i = 0; i < im->n; i++)
		buf_free(&im->indexes[i]);
	buf_free(&im->tar);
	free(im);
	return (0);
}
