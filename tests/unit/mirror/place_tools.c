#include "place_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/manifest.h"
#include "base/mem.h"
#include "base/thread.h"

#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define READ_BYTES 1000

static struct mem *
mem_of(struct place *p)
{
	return ((struct mem *)p);
}

const char *
mem_str(const struct digest *d)
{
	static _Thread_local char rooms[8][DIGEST_STR_BYTES];
	static _Thread_local unsigned turn;

	return (digest_str(d, rooms[turn++ % 8]));
}

/* --- asked --------------------------------------------------------------- */

static enum rc
op_begin(struct mem *m, enum mem_op op, struct upstream_error *error)
{
	enum rc rc = RC_OK;

	if (m->hook != NULL)
		m->hook(m->hook_arg, op);
	mutex_lock(&m->lock);
	m->count[op]++;
	if (m->fail_times > 0 && m->fail_op == op) {
		if (m->fail_at > 1) {
			m->fail_at--;
		} else {
			m->fail_times--;
			rc = m->fail_rc;
		}
	}
	mutex_unlock(&m->lock);
	if (rc != RC_OK)
		(void)snprintf(error->why, sizeof(error->why),
		    "%s: told to fail: %s", m->place.name, rc_text(rc));
	return (rc);
}

static enum rc
not_there(struct mem *m, struct upstream_error *error)
{
	(void)snprintf(
	    error->why, sizeof(error->why), "%s: not there", m->place.name);
	return (RC_NOTFOUND);
}

/* Under the lock, all of these. */
static struct mem_blob *
blob_find(struct mem *m, const struct digest *d)
{
	size_t i;

	for (i = 0; i < m->n_blobs; i++)
		if (digest_eq(&m->blobs[i].digest, d))
			return (&m->blobs[i]);
	return (NULL);
}

static struct mem_manifest *
manifest_find(struct mem *m, const struct digest *d)
{
	size_t i;

	for (i = 0; i < m->n_manifests; i++)
		if (digest_eq(&m->manifests[i].digest, d))
			return (&m->manifests[i]);
	return (NULL);
}

static struct mem_tag *
tag_find(struct mem *m, struct span tag)
{
	size_t i;

	for (i = 0; i < m->n_tags; i++)
		if (span_is(tag, m->tags[i].name))
			return (&m->tags[i]);
	return (NULL);
}

static enum rc
manifest_look(struct mem *m, const struct reference *ref, struct arena *a,
    bool text, struct place_manifest *m_r, struct upstream_error *error)
{
	const struct mem_manifest *found = NULL;
	const struct mem_tag *tag;

	mutex_lock(&m->lock);
	if (ref->is_digest)
		found = manifest_find(m, &ref->digest);
	else if ((tag = tag_find(m, ref->tag)) != NULL)
		found = manifest_find(m, &tag->digest);
	mutex_unlock(&m->lock);
	if (found == NULL)
		return (not_there(m, error));
	*m_r = (struct place_manifest){
		.digest = found->digest,
		.media_type = arena_span(a, span_of(found->type)),
		.text = text ? arena_span(a, span_of(found->text)) : SPAN_NONE,
		.size_bytes = strlen(found->text),
	};
	return (RC_OK);
}

static enum rc
mem_manifest_head(struct place *p, const struct reference *ref, struct arena *a,
    struct place_manifest *m_r, struct upstream_error *error)
{
	enum rc rc = op_begin(mem_of(p), MEM_HEAD, error);

	return (rc != RC_OK
		    ? rc
		    : manifest_look(mem_of(p), ref, a, false, m_r, error));
}

static enum rc
mem_manifest_get(struct place *p, const struct reference *ref, struct arena *a,
    struct place_manifest *m_r, struct upstream_error *error)
{
	enum rc rc = op_begin(mem_of(p), MEM_GET, error);

	return (rc != RC_OK
		    ? rc
		    : manifest_look(mem_of(p), ref, a, true, m_r, error));
}

struct mem_stream {
	struct place_blob blob;
	struct mem *m;
	const struct mem_blob *what;
	size_t offset;
};

static enum rc
stream_read(struct place_blob *blob, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct mem_stream *s = (struct mem_stream *)blob;
	size_t left = s->what->n - s->offset;
	enum rc rc;

	if ((rc = op_begin(s->m, MEM_BLOB_READ, error)) != RC_OK)
		return (rc);
	if (left > room)
		left = room;
	if (left > READ_BYTES)
		left = READ_BYTES;
	memcpy(p, s->what->p + s->offset, left);
	if (s->what->corrupt && left > 0)
		((char *)p)[0] ^= 1;
	s->offset += left;
	*n_r = left;
	mutex_lock(&s->m->lock);
	s->m->bytes_out += left;
	mutex_unlock(&s->m->lock);
	return (RC_OK);
}

static void
stream_close(struct place_blob *blob)
{
	free(blob);
}

static enum rc
mem_blob_open(struct place *p, const struct digest *d, uint64_t size,
    struct place_blob **b_r, struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	struct mem_stream *s;
	const struct mem_blob *what;
	enum rc rc;

	(void)size;
	if ((rc = op_begin(m, MEM_BLOB_OPEN, error)) != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	what = blob_find(m, d);
	mutex_unlock(&m->lock);
	if (what == NULL)
		return (not_there(m, error));
	s = xcalloc(1, sizeof(*s));
	s->blob = (struct place_blob){
		.read = stream_read,
		.close = stream_close,
	};
	s->m = m;
	s->what = what;
	*b_r = &s->blob;
	return (RC_OK);
}

static int
tag_compare(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

static enum rc
mem_tags(struct place *p, struct span next, struct arena *a,
    struct place_names *names_r, struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	size_t i;
	enum rc rc;

	if ((rc = op_begin(m, MEM_TAGS, error)) != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	*names_r = (struct place_names){ 0 };
	names_r->items = arena_calloc(a, m->n_tags + 1, sizeof(struct span));
	for (i = 0; i < m->n_tags; i++)
		if (next.p == NULL ||
		    span_cmp(span_of(m->tags[i].name), next) > 0)
			names_r->items[names_r->n++] =
			    arena_span(a, span_of(m->tags[i].name));
	mutex_unlock(&m->lock);
	qsort(names_r->items, names_r->n, sizeof(struct span), tag_compare);
	if (m->page > 0 && names_r->n > m->page) {
		names_r->n = m->page;
		names_r->next = names_r->items[m->page - 1];
	}
	return (RC_OK);
}

/* --- referrers ----------------------------------------------------------- */

static void
row_add(struct mem *m, const struct mem_manifest *from, struct arena *a,
    struct upstream_referrer *rows, size_t *n)
{
	(void)m;
	rows[(*n)++] = (struct upstream_referrer){
		.digest = from->digest,
		.media_type = arena_span(a, span_of(from->type)),
		.artifact_type = SPAN("application/example"),
		.size_bytes = strlen(from->text),
	};
}

static const char *
fallback_tag(const struct digest *d, char out[DIGEST_STR_BYTES])
{
	(void)digest_str(d, out);
	*strchr(out, ':') = '-';
	return (out);
}

/* What the index under the subject's tag lists. */
static void
fallback_rows(struct mem *m, const struct digest *subject, struct arena *a,
    struct upstream_referrer *rows, size_t *n)
{
	char tag[DIGEST_STR_BYTES];
	const struct mem_manifest *index;
	const struct mem_tag *found;
	size_t i;

	found = tag_find(m, span_of(fallback_tag(subject, tag)));
	index = found != NULL ? manifest_find(m, &found->digest) : NULL;
	for (i = 0; index != NULL && i < m->n_manifests; i++)
		if (strstr(index->text, mem_str(&m->manifests[i].digest)) !=
		    NULL)
			row_add(m, &m->manifests[i], a, rows, n);
}

static enum rc
mem_referrers(struct place *p, const struct digest *subject, struct arena *a,
    struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	size_t i;
	enum rc rc;

	if ((rc = op_begin(m, MEM_REFERRERS, error)) != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	*rows_r = arena_calloc(a, m->n_manifests + 1, sizeof(**rows_r));
	*n_r = 0;
	if (m->no_referrers)
		fallback_rows(m, subject, a, *rows_r, n_r);
	for (i = 0; !m->no_referrers && i < m->n_manifests; i++)
		if (m->manifests[i].has_subject &&
		    digest_eq(&m->manifests[i].subject, subject))
			row_add(m, &m->manifests[i], a, *rows_r, n_r);
	mutex_unlock(&m->lock);
	return (RC_OK);
}

/* --- writing ------------------------------------------------------------- */

static enum rc
mem_blob_has(struct place *p, const struct digest *d, uint64_t size,
    struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	bool there;
	enum rc rc;

	(void)size;
	if ((rc = op_begin(m, MEM_BLOB_HAS, error)) != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	there = blob_find(m, d) != NULL;
	mutex_unlock(&m->lock);
	return (there ? RC_OK : not_there(m, error));
}

static enum rc
all_read(struct place_blob *from, char **p_r, size_t *n_r,
    struct upstream_error *error)
{
	size_t n, room = READ_BYTES;
	enum rc rc;

	*p_r = xmalloc(room);
	*n_r = 0;
	for (;;) {
		if (*n_r + READ_BYTES > room) {
			room *= 2;
			*p_r = xrealloc(*p_r, room);
		}
		rc = from->read(from, *p_r + *n_r, READ_BYTES, &n, error);
		if (rc != RC_OK || n == 0)
			return (rc);
		*n_r += n;
	}
}

static void
blob_keep(struct mem *m, const struct digest *d, char *p, size_t n)
{
	mutex_lock(&m->lock);
	assert_true(m->n_blobs < MEM_MAX);
	m->blobs[m->n_blobs++] =
	    (struct mem_blob){ .digest = *d, .p = p, .n = n };
	m->bytes_in += n;
	mutex_unlock(&m->lock);
}

static void
at_once_add(struct mem *m, int n)
{
	mutex_lock(&m->lock);
	m->at_once += (unsigned)n;
	if (m->at_once > m->at_once_max)
		m->at_once_max = m->at_once;
	mutex_unlock(&m->lock);
}

static enum rc
blob_take(struct mem *m, const struct digest *d, struct place_blob *from,
    struct upstream_error *error)
{
	struct digest got;
	size_t n;
	char *p;
	enum rc rc;

	rc = all_read(from, &p, &n, error);
	if (rc == RC_OK) {
		digest_of(d->alg, p, n, &got);
		rc = digest_eq(&got, d) ? RC_OK : RC_DIGEST;
	}
	if (rc == RC_OK)
		blob_keep(m, d, p, n);
	else
		free(p);
	return (rc);
}

static enum rc
mem_blob_put(struct place *p, const struct digest *d, uint64_t size,
    struct place_blob *from, struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	enum rc rc;

	(void)size;
	if ((rc = op_begin(m, MEM_BLOB_PUT, error)) != RC_OK)
		return (rc);
	if (m->closes_early)
		return (RC_OK);
	at_once_add(m, 1);
	rc = blob_take(m, d, from, error);
	at_once_add(m, -1);
	return (rc);
}

/* Is all there that it refers to?  Under the lock. */
static bool
is_whole(struct mem *m, const struct manifest *parsed)
{
	const struct descriptor *e;
	size_t i;

	for (i = 0; i < parsed->n_edges; i++) {
		e = &parsed->edges[i];
		if (e->nondistributable)
			continue;
		if (e->kind == EDGE_MANIFEST
			? m->strict && manifest_find(m, &e->digest) == NULL
			: blob_find(m, &e->digest) == NULL)
			return (false);
	}
	return (true);
}

static void
manifest_keep(struct mem *m, const struct place_manifest *from,
    const struct manifest *parsed)
{
	struct mem_manifest *kept = manifest_find(m, &from->digest);

	if (kept == NULL) {
		assert_true(m->n_manifests < MEM_MAX);
		kept = &m->manifests[m->n_manifests++];
		*kept = (struct mem_manifest){
			.digest = from->digest,
			.type =
			    xstrndup(from->media_type.p, from->media_type.n),
			.text = xstrndup(from->text.p, from->text.n),
			.has_subject = parsed->has_subject,
			.subject = parsed->subject,
		};
	}
	kept->puts++;
}

static void
tag_keep(struct mem *m, struct span name, const struct digest *d)
{
	struct mem_tag *tag = tag_find(m, name);

	if (tag == NULL) {
		assert_true(m->n_tags < MEM_MAX);
		tag = &m->tags[m->n_tags++];
		tag->name = xstrndup(name.p, name.n);
	}
	tag->digest = *d;
}

static void
log_add(struct mem *m, const struct place_manifest *from, struct span tag)
{
	size_t n = strlen(m->log);

	(void)snprintf(m->log + n, sizeof(m->log) - n, "%.12s" SPAN_FMT " ",
	    mem_str(&from->digest) + 7, SPAN_ARG(tag));
}

static enum rc
manifest_take(struct mem *m, const struct place_manifest *from,
    const struct manifest *parsed, struct span tag,
    struct upstream_error *error)
{
	const struct mem_tag *was = tag.n > 0 ? tag_find(m, tag) : NULL;

	error->why[0] = '\0';
	if (!is_whole(m, parsed)) {
		(void)snprintf(error->why, sizeof(error->why), "missing");
		return (RC_MISSING);
	}
	if (m->immutable && was != NULL &&
	    !digest_eq(&was->digest, &from->digest))
		return (RC_EXISTS);
	manifest_keep(m, from, parsed);
	if (tag.n > 0)
		tag_keep(m, tag, &from->digest);
	log_add(m, from, tag);
	return (RC_OK);
}

static enum rc
mem_manifest_put(struct place *p, const struct place_manifest *from,
    struct span tag, struct upstream_error *error)
{
	char why[MANIFEST_WHY_BYTES];
	struct mem *m = mem_of(p);
	struct manifest parsed;
	struct arena a;
	enum rc rc;

	if ((rc = op_begin(m, MEM_MANIFEST_PUT, error)) != RC_OK)
		return (rc);
	arena_init(&a, (size_t)16 << 20);
	rc = manifest_parse(from->media_type, from->text, &a, &parsed, why);
	assert_int_equal(rc, RC_OK);
	mutex_lock(&m->lock);
	rc = manifest_take(m, from, &parsed, tag, error);
	mutex_unlock(&m->lock);
	arena_reset(&a);
	return (rc);
}

static enum rc
mem_tag_delete(struct place *p, struct span name, struct upstream_error *error)
{
	struct mem *m = mem_of(p);
	struct mem_tag *tag;
	enum rc rc;

	if ((rc = op_begin(m, MEM_TAG_DELETE, error)) != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	tag = tag_find(m, name);
	if (tag != NULL) {
		free(tag->name);
		*tag = m->tags[--m->n_tags];
	}
	mutex_unlock(&m->lock);
	return (tag != NULL ? RC_OK : not_there(m, error));
}

static void
mem_place_free(struct place *p)
{
	(void)p;
}

static const struct place_ops mem_ops = {
	.manifest_head = mem_manifest_head,
	.manifest_get = mem_manifest_get,
	.blob_open = mem_blob_open,
	.tags = mem_tags,
	.referrers = mem_referrers,
	.blob_has = mem_blob_has,
	.blob_put = mem_blob_put,
	.manifest_put = mem_manifest_put,
	.tag_delete = mem_tag_delete,
	.free = mem_place_free,
};

/* --- for the test -------------------------------------------------------- */

struct mem *
mem_new(const char *name)
{
	struct mem *m = xcalloc(1, sizeof(*m));

	m->place = (struct place){ .ops = &mem_ops, .name = name };
	m->strict = true;
	mutex_init(&m->lock);
	return (m);
}

void
mem_free(struct mem **m_p)
{
	struct mem *m = *m_p;
	size_t i;

	*m_p = NULL;
	for (i = 0; i < m->n_blobs; i++)
		free(m->blobs[i].p);
	for (i = 0; i < m->n_manifests; i++) {
		free(m->manifests[i].type);
		free(m->manifests[i].text);
	}
	for (i = 0; i < m->n_tags; i++)
		free(m->tags[i].name);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

void
mem_reset(struct mem *m)
{
	memset(m->count, 0, sizeof(m->count));
	m->bytes_in = m->bytes_out = 0;
	m->log[0] = '\0';
	m->fail_times = 0;
	m->at_once_max = 0;
}

void
mem_fail(struct mem *m, enum mem_op op, unsigned at, unsigned times, enum rc rc)
{
	mutex_lock(&m->lock);
	m->fail_op = op;
	m->fail_at = at;
	m->fail_times = times;
	m->fail_rc = rc;
	mutex_unlock(&m->lock);
}

static struct digest
blob_add(struct mem *m, char *p, size_t n)
{
	struct digest d;

	digest_of(DIGEST_SHA256, p, n, &d);
	if (blob_find(m, &d) != NULL)
		free(p);
	else
		blob_keep(m, &d, p, n);
	return (d);
}

struct digest
mem_blob(struct mem *m, const char *text)
{
	return (blob_add(m, xstrdup(text), strlen(text)));
}

struct digest
mem_big_blob(struct mem *m, size_t n, unsigned seed)
{
	char *p = xmalloc(n);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (char)((i * 2654435761U + seed) >> 13);
	return (blob_add(m, p, n));
}

struct digest
mem_manifest(struct mem *m, const char *type, const char *text, const char *tag)
{
	struct place_manifest from = { .media_type = span_of(type),
		.text = span_of(text),
		.size_bytes = strlen(text) };
	char why[MANIFEST_WHY_BYTES];
	struct manifest parsed;
	struct arena a;

	arena_init(&a, (size_t)16 << 20);
	assert_int_equal(
	    manifest_parse(from.media_type, from.text, &a, &parsed, why),
	    RC_OK);
	digest_of(DIGEST_SHA256, text, strlen(text), &from.digest);
	manifest_keep(m, &from, &parsed);
	if (tag[0] != '\0')
		tag_keep(m, span_of(tag), &from.digest);
	arena_reset(&a);
	return (from.digest);
}

static size_t
descriptor_add(char *out, size_t room, const char *type, const struct digest *d,
    size_t size, const char *more)
{
	return ((size_t)snprintf(out, room,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", type,
	    mem_str(d), size, more));
}

static size_t
size_of(struct mem *m, const struct digest *d)
{
	const struct mem_blob *b = blob_find(m, d);
	const struct mem_manifest *f = manifest_find(m, d);

	return (b != NULL ? b->n : f != NULL ? strlen(f->text) : 7);
}

#define TEXT_BYTES 65536

/* {"schemaVersion":2,...,"config":...,"layers":[...] ${tail} } */
static struct digest
image_make(struct mem *m, const char *tag, const char *layers,
    const char *config_type, const char *tail)
{
	struct span rest = span_of(layers), word;
	char *text = xmalloc(TEXT_BYTES), layer[128];
	struct digest d, config;
	size_t n, first = 1;

	config = mem_blob(m, tag[0] != '\0' ? tag : layers);
	n = (size_t)snprintf(text, TEXT_BYTES,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":",
	    MEDIA_OCI_MANIFEST);
	n += descriptor_add(text + n, TEXT_BYTES - n, config_type, &config,
	    size_of(m, &config), "");
	n += (size_t)snprintf(text + n, TEXT_BYTES - n, ",\"layers\":[");
	while (span_split(&rest, ' ', &word)) {
		(void)snprintf(
		    layer, sizeof(layer), "layer " SPAN_FMT, SPAN_ARG(word));
		d = mem_blob(m, layer);
		n += (size_t)snprintf(
		    text + n, TEXT_BYTES - n, "%s", first ? "" : ",");
		n += descriptor_add(text + n, TEXT_BYTES - n, OCI_LAYER, &d,
		    size_of(m, &d), "");
		first = 0;
	}
	(void)snprintf(text + n, TEXT_BYTES - n, "]%s}", tail);
	d = mem_manifest(m, MEDIA_OCI_MANIFEST, text, tag);
	free(text);
	return (d);
}

struct digest
mem_image(struct mem *m, const char *tag, const char *layers)
{
	return (image_make(m, tag, layers, OCI_CONFIG, ""));
}

struct digest
mem_referrer(struct mem *m, const struct digest *subject, const char *word)
{
	char tail[512];
	size_t n;

	n = (size_t)snprintf(tail, sizeof(tail), ",\"subject\":");
	(void)descriptor_add(tail + n, sizeof(tail) - n, MEDIA_OCI_MANIFEST,
	    subject, size_of(m, subject), "");
	return (image_make(m, "", word, "application/example", tail));
}

struct digest
mem_index(struct mem *m, const char *tag, const char *children)
{
	struct span rest = span_of(children), word, platform, os, arch, variant;
	char *text = xmalloc(TEXT_BYTES), more[256];
	const struct mem_manifest *child;
	struct digest d;
	size_t n, first = 1;

	n = (size_t)snprintf(text, TEXT_BYTES,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
	    MEDIA_OCI_INDEX);
	while (span_split(&rest, ' ', &word)) {
		assert_true(span_split(&word, '=', &platform));
		assert_int_equal(digest_parse(word, &d), RC_OK);
		os = arch = variant = SPAN_NONE;
		(void)span_split(&platform, '/', &os);
		(void)span_split(&platform, '/', &arch);
		(void)span_split(&platform, '/', &variant);
		(void)snprintf(more, sizeof(more),
		    ",\"platform\":{\"os\":\"" SPAN_FMT
		    "\",\"architecture\":\"" SPAN_FMT "\"%s" SPAN_FMT "%s}",
		    SPAN_ARG(os), SPAN_ARG(arch),
		    variant.n > 0 ? ",\"variant\":\"" : "", SPAN_ARG(variant),
		    variant.n > 0 ? "\"" : "");
		child = manifest_find(m, &d);
		n += (size_t)snprintf(
		    text + n, TEXT_BYTES - n, "%s", first ? "" : ",");
		n += descriptor_add(text + n, TEXT_BYTES - n,
		    child != NULL ? child->type : MEDIA_OCI_MANIFEST, &d,
		    size_of(m, &d), os.n > 0 ? more : "");
		first = 0;
	}
	(void)snprintf(text + n, TEXT_BYTES - n, "]}");
	d = mem_manifest(m, MEDIA_OCI_INDEX, text, tag);
	free(text);
	return (d);
}

void
mem_tag(struct mem *m, const char *tag, const struct digest *d)
{
	tag_keep(m, span_of(tag), d);
}

void
mem_untag(struct mem *m, const char *name)
{
	struct mem_tag *tag = tag_find(m, span_of(name));

	assert_non_null(tag);
	free(tag->name);
	*tag = m->tags[--m->n_tags];
}

void
mem_drop_blob(struct mem *m, const struct digest *d)
{
	struct mem_blob *b = blob_find(m, d);

	assert_non_null(b);
	free(b->p);
	*b = m->blobs[--m->n_blobs];
}

bool
mem_has_blob(struct mem *m, const struct digest *d)
{
	bool has;

	mutex_lock(&m->lock);
	has = blob_find(m, d) != NULL;
	mutex_unlock(&m->lock);
	return (has);
}

bool
mem_has_manifest(struct mem *m, const struct digest *d)
{
	bool has;

	mutex_lock(&m->lock);
	has = manifest_find(m, d) != NULL;
	mutex_unlock(&m->lock);
	return (has);
}

bool
mem_has_tag(struct mem *m, const char *tag)
{
	bool has;

	mutex_lock(&m->lock);
	has = tag_find(m, span_of(tag)) != NULL;
	mutex_unlock(&m->lock);
	return (has);
}

bool
mem_tag_is(struct mem *m, const char *name, const struct digest *d)
{
	const struct mem_tag *tag;
	bool is;

	mutex_lock(&m->lock);
	tag = tag_find(m, span_of(name));
	is = tag != NULL && digest_eq(&tag->digest, d);
	mutex_unlock(&m->lock);
	return (is);
}

size_t
mem_tags_count(struct mem *m)
{
	size_t n;

	mutex_lock(&m->lock);
	n = m->n_tags;
	mutex_unlock(&m->lock);
	return (n);
}
