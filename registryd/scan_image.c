#include "registryd/scan_image.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "scan/advisory.h"
#include "scan/match.h"
#include "scan/sandbox.h"
#include "scan/version.h"
#include "storage/advisories.h"
#include "storage/content.h"

/*
 * A layer is read once, however many images have it: what was found in it is
 * kept with it.  All else is made anew from that, which takes no longer than a
 * look at the advisories.
 */
#define CHUNK_BYTES ((size_t)256 << 10)
#define FIND_BYTES ((size_t)64 << 20)
#define NS_PER_MS ((int64_t)1000000)
#define TYPES 5 /* of packages */

__attribute__((format(printf, 3, 4))) static enum rc
fail(struct scan_image *si, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(si->why, sizeof(si->why), fmt, ap);
	va_end(ap);
	return (rc);
}

static enum rc
store_failure(struct scan_image *si, enum rc rc)
{

	return (fail(si, rc, "the image cannot be read: %s", rc_text(rc)));
}

/* --- a layer ------------------------------------------------------------- */

struct feeding {
	struct content content;
	uint64_t at;
	char *chunk;
	struct hasher *hasher; /* of all that was read */
	enum rc rc;
};

static long
feed(void *arg, const void **p_r)
{
	struct feeding *f = arg;
	size_t n = 0;

	if (f->content.kind == CONTENT_MEMORY) {
		*p_r = f->content.bytes.p + f->at;
		n = f->content.bytes.n - (size_t)f->at;
	} else {
		f->rc = blob_file_read(
		    &f->content.file, f->at, f->chunk, CHUNK_BYTES, true, &n);
		*p_r = f->chunk;
	}
	if (f->rc != RC_OK)
		return (-1);
	f->at += n;
	hasher_update(f->hasher, *p_r, n);
	return ((long)n);
}

static struct sandbox_limits
limits_of(const struct scan_image *si, int64_t end_ns)
{
	int64_t left_ms = (end_ns - clock_mono_ns()) / NS_PER_MS;
	struct sandbox_limits l = {
		.memory_bytes = si->settings->memory_bytes,
		.timeout_ms = left_ms > 0 ? left_ms : 0,
		.cpu_ms = left_ms > 0 ? left_ms : 1,
		.output_bytes = LAYER_INDEX_MAX_BYTES,
		.layer = layer_limits_default,
	};

	l.layer.max_bytes = si->settings->layer_bytes;
	return (l);
}

/* What the process wrote is not trusted. */
static enum rc
index_make(struct scan_image *si, struct feeding *f, int64_t end_ns,
    struct buf *out, char why[LAYER_WHY_BYTES])
{
	struct sandbox_limits limits = limits_of(si, end_ns);
	enum rc rc;

	rc = sandbox_run(&limits, feed, f, si->stop, out, why);
	if (rc == RC_IO && f->rc != RC_OK)
		return (f->rc);
	if (rc != RC_OK)
		return (rc);
	si->layers_read++;
	if ((rc = layer_index_check(buf_as_span(out))) != RC_OK)
		(void)snprintf(why, LAYER_WHY_BYTES,
		    "the process that read the layer wrote what it cannot "
		    "have found");
	return (rc);
}

/* What the process did not want of it. */
static enum rc
rest_read(struct scan_image *si, struct feeding *f, int64_t end_ns)
{
	const void *p;
	long n;

	while ((n = feed(f, &p)) > 0) {
		if (si->stop != NULL && atomic_load(si->stop))
			return (RC_CANCELLED);
		if (clock_mono_ns() >= end_ns)
			return (RC_TIMEOUT);
	}
	return (n == 0 ? RC_OK : f->rc);
}

/* Is it what was pushed?  Else what was found in it is of no use, and what is
 * wrong with it nobody's fault who made it. */
static enum rc
content_check(struct scan_image *si, const struct digest *d, struct feeding *f,
    int64_t end_ns, char why[LAYER_WHY_BYTES])
{
	struct digest is;
	enum rc rc;

	rc = rest_read(si, f, end_ns);
	hasher_final(f->hasher, &is);
	if (rc == RC_OK && !digest_eq(&is, d))
		rc = RC_CORRUPT;
	if (rc != RC_OK)
		(void)snprintf(why, LAYER_WHY_BYTES, "%s",
		    rc == RC_CORRUPT
			? "its content is damaged here: registryctl fsck"
			: rc_text(rc));
	return (rc);
}

static enum rc
layer_open(struct scan_image *si, const struct descriptor *layer,
    struct arena *a, struct content *c_r)
{
	enum rc rc;
	char digest[DIGEST_STR_BYTES];

	rc = content_open(
	    si->store, si->repository, &layer->digest, READ_BLOCKING, a, c_r);
	if (rc == RC_NOTFOUND)
		return (
		    fail(si, RC_MISSING, "the layer %s is not in this registry",
			digest_str(&layer->digest, digest)));
	return (rc == RC_OK ? RC_OK : store_failure(si, rc));
}

static enum rc
layer_read(struct scan_image *si, const struct descriptor *layer,
    struct feeding *f, int64_t end_ns, struct buf *out)
{
	char digest[DIGEST_STR_BYTES], why[LAYER_WHY_BYTES];
	enum rc rc, checked;

	rc = index_make(si, f, end_ns, out, why);
	if (rc == RC_OK || rc == RC_INVALID) {
		checked = content_check(si, &layer->digest, f, end_ns, why);
		if (checked != RC_OK)
			rc = checked;
	}
	si->bytes_read += f->at;
	if (rc == RC_OK || rc == RC_CANCELLED)
		return (rc);
	return (fail(
	    si, rc, "layer %s: %s", digest_str(&layer->digest, digest), why));
}

/* Kept for all images that have the layer; one that went meanwhile is read
 * nevertheless. */
static enum rc
layer_index_new(struct scan_image *si, const struct descriptor *layer,
    int64_t end_ns, struct arena *a, struct span *bytes_r)
{
	struct feeding f = { .rc = RC_OK };
	struct buf out;
	enum rc rc;

	if ((rc = layer_open(si, layer, a, &f.content)) != RC_OK)
		return (rc);
	f.chunk = xmalloc(CHUNK_BYTES);
	f.hasher = hasher_new(layer->digest.alg);
	buf_init(&out, LAYER_INDEX_MAX_BYTES);
	rc = layer_read(si, layer, &f, end_ns, &out);
	hasher_free(&f.hasher);
	free(f.chunk);
	content_close(&f.content);
	if (rc == RC_OK) {
		rc = meta_layer_index_put(store_meta(si->store), si->repository,
		    &layer->digest, LAYER_READER, buf_as_span(&out),
		    clock_real_ms());
		if (rc == RC_NOTFOUND)
			rc = RC_OK;
		if (rc != RC_OK)
			rc = store_failure(si, rc);
	}
	if (rc == RC_OK) {
		*bytes_r = arena_span(a, buf_as_span(&out));
		if (bytes_r->p == NULL)
			rc = fail(si, RC_TOOBIG,
			    "what is in its layers is too much for one image");
	}
	buf_free(&out);
	return (rc);
}

static enum rc
layer_index_of(struct scan_image *si, const struct descriptor *layer,
    int64_t end_ns, struct arena *a, struct span *bytes_r)
{
	enum rc rc;

	rc = meta_layer_index_get(store_meta(si->store), si->repository,
	    &layer->digest, LAYER_READER, a, bytes_r);
	if (rc == RC_TOOBIG)
		return (fail(
		    si, rc, "what is in its layers is too much for one image"));
	/* A damaged one is made anew. */
	if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc == RC_OK ? RC_OK : store_failure(si, rc));
	if (!si->read_layers)
		return (fail(si, RC_MISSING,
		    "its layers have not been read: the image has to be "
		    "scanned first"));
	if (si->stop != NULL && atomic_load(si->stop))
		return (fail(si, RC_CANCELLED, "the scan was stopped"));
	return (layer_index_new(si, layer, end_ns, a, bytes_r));
}

/* --- all of them --------------------------------------------------------- */

/* A tar, and what may stand behind its media type. */
static bool
is_file_system(struct span type)
{
	static const struct span known[] = {
		SPAN_INIT("application/vnd.oci.image.layer.v1.tar"),
		SPAN_INIT("application/vnd.oci.image.layer.v1.tar+gzip"),
		SPAN_INIT("application/vnd.oci.image.layer.v1.tar+zstd"),
		SPAN_INIT(
		    "application/vnd.oci.image.layer.nondistributable.v1.tar"),
		SPAN_INIT("application/vnd.oci.image.layer.nondistributable.v1."
			  "tar+gzip"),
		SPAN_INIT("application/vnd.oci.image.layer.nondistributable.v1."
			  "tar+zstd"),
		SPAN_INIT("application/vnd.docker.image.rootfs.diff.tar"),
		SPAN_INIT("application/vnd.docker.image.rootfs.diff.tar.gzip"),
		SPAN_INIT("application/vnd.docker.image.rootfs.diff.tar.zstd"),
		SPAN_INIT(
		    "application/vnd.docker.image.rootfs.foreign.diff.tar"),
		SPAN_INIT("application/vnd.docker.image.rootfs.foreign.diff."
			  "tar.gzip"),
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (span_eq(type, known[i]))
			return (true);
	return (false);
}

static enum rc
manifest_of(struct scan_image *si, struct arena *a, struct manifest *m_r)
{
	const struct reference ref = { .is_digest = true,
		.digest = si->digest };
	char why[MANIFEST_WHY_BYTES];
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(store_meta(si->store), si->repository, &ref,
	    MANIFEST_TEXT, READ_BLOCKING, a, &row);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND
			    ? fail(si, rc, "the image does not exist")
			    : store_failure(si, rc));
	rc = manifest_parse(row.media_type, row.text, a, m_r, why);
	if (rc != RC_OK)
		return (fail(si, rc, "its manifest cannot be read: %s", why));
	if (m_r->kind != MANIFEST_IMAGE)
		return (fail(si, RC_UNSUPPORTED,
		    "an index has no file system of its own; scan the images "
		    "that it refers to"));
	return (RC_OK);
}

static enum rc
layers_check(struct scan_image *si, const struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->n_edges; i++)
		if (m->edges[i].kind == EDGE_LAYER &&
		    !is_file_system(m->edges[i].media_type))
			return (fail(si, RC_UNSUPPORTED,
			    "a layer of type " SPAN_FMT
			    " is no file system of an image",
			    SPAN_ARG(m->edges[i].media_type)));
	return (RC_OK);
}

static enum rc
layers_gather(struct scan_image *si, const struct manifest *m, struct arena *a,
    struct layer_index *layers, size_t *n_r)
{
	int64_t end_ns = clock_mono_ns() + si->settings->timeout_ms * NS_PER_MS;
	char digest[DIGEST_STR_BYTES];
	size_t i;
	enum rc rc;

	*n_r = 0;
	for (i = 0; i < m->n_edges; i++) {
		if (m->edges[i].kind != EDGE_LAYER)
			continue;
		rc = layer_index_of(
		    si, &m->edges[i], end_ns, a, &layers[*n_r].bytes);
		if (rc != RC_OK)
			return (rc);
		layers[*n_r].digest = arena_span(
		    a, span_of(digest_str(&m->edges[i].digest, digest)));
		if (layers[(*n_r)++].digest.p == NULL)
			return (fail(si, RC_TOOBIG, "it has too many layers"));
	}
	return (RC_OK);
}

enum rc
scan_image_inventory(
    struct scan_image *si, struct arena *a, struct inventory *inventory_r)
{
	char why[LAYER_WHY_BYTES];
	struct layer_index *layers;
	struct manifest m = { 0 };
	size_t n;
	enum rc rc;

	si->why[0] = '\0';
	if ((rc = manifest_of(si, a, &m)) != RC_OK ||
	    (rc = layers_check(si, &m)) != RC_OK)
		return (rc);
	layers = arena_calloc(a, m.n_edges + 1, sizeof(*layers));
	if (layers == NULL)
		return (fail(si, RC_TOOBIG, "it has too many layers"));
	if ((rc = layers_gather(si, &m, a, layers, &n)) != RC_OK)
		return (rc);
	rc = inventory_make(layers, n, a, why, inventory_r);
	return (rc == RC_OK ? RC_OK : fail(si, rc, "%s", why));
}

/* --- which advisories are for it ----------------------------------------- */

struct system {
	enum package_type type;
	struct span ecosystem; /* empty: none is known for it */
	bool covered;	       /* there are advisories for it */
};

struct systems {
	struct system rows[TYPES];
	size_t n;
	uint64_t revision;
	int64_t updated_ms;
};

static bool
is_of_distribution(enum package_type type)
{

	return (
	    type == PACKAGE_DEB || type == PACKAGE_APK || type == PACKAGE_RPM);
}

static struct system *
system_find(struct systems *s, enum package_type type)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->rows[i].type == type)
			return (&s->rows[i]);
	return (NULL);
}

static enum rc
systems_of(const struct inventory *inv, struct arena *a, struct systems *s)
{
	struct system *row;
	size_t i;
	enum rc rc;

	for (i = 0; i < inv->n_packages; i++) {
		if (system_find(s, inv->packages[i].type) != NULL)
			continue;
		must(s->n < TYPES);
		row = &s->rows[s->n++];
		row->type = inv->packages[i].type;
		rc = ecosystem_of(&inv->os, row->type, a, &row->ecosystem);
		if (rc == RC_NOTFOUND)
			row->ecosystem = SPAN_NONE;
		else if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static void
set_note(struct systems *s, const struct advisory_set *set)
{
	size_t i, k;

	for (i = 0; i < s->n; i++)
		for (k = 0; k < set->n_ecosystems; k++) {
			if (s->rows[i].ecosystem.n == 0 ||
			    !span_eq(s->rows[i].ecosystem, set->ecosystems[k]))
				continue;
			s->rows[i].covered = true;
			if (set->imported_ms > s->updated_ms)
				s->updated_ms = set->imported_ms;
		}
}

/* The revision comes first: what is imported from here on is another. */
static enum rc
systems_cover(struct scan_image *si, struct systems *s, struct arena *a)
{
	struct meta *m = store_meta(si->store);
	struct advisory_set *sets;
	size_t i, n;
	enum rc rc;

	if ((rc = meta_advisories_revision(m, &s->revision)) != RC_OK ||
	    (rc = meta_advisory_sets(m, a, &sets, &n)) != RC_OK)
		return (rc);
	for (i = 0; i < n; i++)
		set_note(s, &sets[i]);
	return (RC_OK);
}

static struct span
os_name(const struct inventory *inv)
{
	if (inv->os.pretty_name.n > 0)
		return (inv->os.pretty_name);
	return (inv->os.id.n > 0 ? inv->os.id
				 : SPAN("an unknown operating system"));
}

/* Is there anything to be matched? */
static enum rc
systems_check(
    struct scan_image *si, const struct inventory *inv, const struct systems *s)
{
	size_t i;

	if (inv->n_packages == 0 && inv->n_unread > 0)
		return (fail(si, RC_UNSUPPORTED,
		    "no packages can be read in " SPAN_FMT ": " SPAN_FMT,
		    SPAN_ARG(os_name(inv)), SPAN_ARG(inv->unread[0])));
	if (inv->n_packages == 0)
		return (fail(si, RC_UNSUPPORTED,
		    "no packages were found in " SPAN_FMT,
		    SPAN_ARG(os_name(inv))));
	for (i = 0; i < s->n; i++)
		if (s->rows[i].ecosystem.n > 0)
			return (RC_OK);
	return (fail(si, RC_UNSUPPORTED,
	    "no advisories are known for the packages of " SPAN_FMT,
	    SPAN_ARG(os_name(inv))));
}

/* --- matching ------------------------------------------------------------ */

struct finding_db {
	struct meta *m;
	const _Atomic bool *stop;
	int64_t end_ns;
	struct arena records, parsed;
	advisory_fn *fn;
	void *arg;
};

static enum rc
record_take(void *arg, struct span record)
{
	struct finding_db *db = arg;
	struct advisory a;
	enum rc rc;

	rc = advisory_parse(record, &db->parsed, &a);
	if (rc == RC_OK)
		rc = db->fn(db->arg, &a);
	arena_reset(&db->parsed);
	return (rc);
}

static enum rc
advisories_for(void *arg, struct span ecosystem, struct span package,
    advisory_fn *fn, void *fn_arg)
{
	struct finding_db *db = arg;
	enum rc rc;

	/* As many packages as one likes can be of a source with thousands. */
	if (db->stop != NULL && atomic_load(db->stop))
		return (RC_CANCELLED);
	if (clock_mono_ns() >= db->end_ns)
		return (RC_TIMEOUT);
	db->fn = fn;
	db->arg = fn_arg;
	rc = meta_advisories_find(
	    db->m, ecosystem, package, &db->records, record_take, db);
	arena_reset(&db->records);
	return (rc);
}

static enum rc
packages_match(struct scan_image *si, const struct inventory *inv,
    struct arena *a, struct findings *found_r)
{
	int64_t timeout_ms = si->settings->timeout_ms;
	struct finding_db db = {
		.m = store_meta(si->store),
		.stop = si->stop,
		.end_ns = clock_mono_ns() + timeout_ms * NS_PER_MS,
	};
	enum rc rc;

	arena_init(&db.records, FIND_BYTES);
	arena_init(&db.parsed, FIND_BYTES);
	rc = match(inv, advisories_for, &db, a, found_r);
	arena_reset(&db.records);
	arena_reset(&db.parsed);
	if (rc == RC_TIMEOUT)
		return (fail(si, rc,
		    "matching its packages takes longer than %" PRId64 " ms",
		    timeout_ms));
	if (rc != RC_OK)
		return (fail(
		    si, rc, "the advisories cannot be read: %s", rc_text(rc)));
	return (RC_OK);
}

/* --- findings, as the ECR API tells them --------------------------------- */

static void
attribute(struct buf *out, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	if (out->n > 0 && out->p[out->n - 1] != '[')
		buf_char(out, ',');
	buf_str(out, "{\"key\":");
	buf_json(out, span_of(key));
	buf_str(out, ",\"value\":");
	buf_json(out, value);
	buf_char(out, '}');
}

/* "CVSS:3.1/..." is of version 3; one that does not say is of version 2. */
static char
cvss_version(struct span vector)
{

	return (span_has_prefix(vector, SPAN("CVSS:")) && vector.n > 5
		    ? vector.p[5]
		    : '2');
}

static void
cvss_attributes(struct buf *out, const struct advisory *a)
{
	char version = cvss_version(a->cvss_vector), key[16], score[16];

	if (a->cvss_vector.n == 0 && a->cvss_score <= 0)
		return;
	if (a->cvss_vector.n == 0)
		version = '3';
	(void)snprintf(key, sizeof(key), "CVSS%c_VECTOR", version);
	attribute(out, key, a->cvss_vector);
	if (a->cvss_score <= 0)
		return;
	(void)snprintf(key, sizeof(key), "CVSS%c_SCORE", version);
	(void)snprintf(score, sizeof(score), "%.1f", a->cvss_score);
	attribute(out, key, span_of(score));
}

static void
member(struct buf *out, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(out, ",\"%s\":", key);
	buf_json(out, value);
}

static void
finding_write(struct buf *out, const struct finding *f)
{
	const struct package *p = f->package;

	buf_str(out, "{\"name\":");
	buf_json(out, f->advisory.id);
	member(out, "description", f->advisory.summary);
	member(out, "uri", f->advisory.uri);
	member(out, "severity", span_of(severity_text(f->advisory.severity)));
	buf_str(out, ",\"attributes\":[");
	attribute(out, "package_version", p->version);
	attribute(out, "package_name", p->name);
	attribute(out, "fixed_version", f->fixed_version);
	cvss_attributes(out, &f->advisory);
	buf_str(out, "]}");
}

static void
text_write(const struct findings *found, struct buf *out)
{
	size_t i;

	buf_str(out, "{\"findings\":[");
	for (i = 0; i < found->n; i++) {
		if (i > 0)
			buf_char(out, ',');
		finding_write(out, &found->rows[i]);
	}
	buf_str(out, "]}");
}

static enum rc
text_make(struct scan_image *si, const struct findings *found, struct arena *a,
    struct span *text_r)
{
	struct buf out;

	buf_init(&out, FINDINGS_TEXT_MAX_BYTES);
	text_write(found, &out);
	*text_r = buf_ok(&out) ? arena_span(a, buf_as_span(&out)) : SPAN_NONE;
	buf_free(&out);
	if (text_r->p == NULL)
		return (fail(si, RC_TOOBIG,
		    "%zu findings are more than can be told of an image",
		    found->n));
	return (RC_OK);
}

/* --- what is to be said of it -------------------------------------------- */

/* Of an operating system without advisories to be complete would be a lie; of
 * packages of a language it is said. */
static bool
is_blind(const struct systems *s)
{
	bool any = false;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->rows[i].covered)
			any = true;
		else if (is_of_distribution(s->rows[i].type))
			return (true);
	}
	return (!any);
}

static void
lacking_write(const struct systems *s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->rows[i].covered || s->rows[i].ecosystem.n == 0)
			continue;
		if (out->n > 0)
			buf_str(out, ", ");
		buf_span(out, s->rows[i].ecosystem);
	}
}

static void
unknown_write(
    const struct systems *s, const struct inventory *inv, struct buf *out)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->rows[i].ecosystem.n == 0 &&
		    is_of_distribution(s->rows[i].type)) {
			buf_printf(out,
			    "no advisories are known for the packages "
			    "of " SPAN_FMT,
			    SPAN_ARG(os_name(inv)));
			return;
		}
}

static void
unread_write(const struct inventory *inv, struct buf *out)
{
	size_t i;

	for (i = 0; i < inv->n_unread; i++) {
		buf_str(out, out->n == 0 ? "not read: "
			     : i == 0	 ? "; not read: "
					 : ", ");
		buf_span(out, inv->unread[i]);
	}
}

static void
reason_write(const struct systems *s, const struct inventory *inv, bool blind,
    struct buf *out)
{
	struct buf lacking;

	buf_init(&lacking, (size_t)TYPES * (ECOSYSTEM_MAX_BYTES + 2));
	lacking_write(s, &lacking);
	if (lacking.n > 0 && blind)
		buf_printf(out,
		    "no advisories for " SPAN_FMT " have been imported: "
		    "registryctl advisories import FILE",
		    SPAN_ARG(buf_as_span(&lacking)));
	else if (lacking.n > 0)
		buf_printf(out,
		    "packages of " SPAN_FMT " were not looked at: no "
		    "advisories for them have been imported",
		    SPAN_ARG(buf_as_span(&lacking)));
	else
		unknown_write(s, inv, out);
	buf_free(&lacking);
	unread_write(inv, out);
}

/* What the files of an image say stands in it. */
static enum rc
reason_make(const struct systems *s, const struct inventory *inv, bool blind,
    struct arena *a, struct span *reason_r)
{
	struct buf out;
	enum rc rc = RC_OK;

	buf_init(&out, (size_t)1 << 20);
	reason_write(s, inv, blind, &out);
	*reason_r = SPAN_NONE;
	if (out.n > 0) {
		*reason_r = arena_span(a, buf_as_span(&out));
		rc = reason_r->p != NULL ? RC_OK : RC_TOOBIG;
	}
	buf_free(&out);
	return (rc);
}

static enum rc
ecosystems_make(
    const struct systems *s, struct arena *a, struct scan_findings *f)
{
	struct span *names = arena_calloc(a, TYPES, sizeof(*names));
	size_t i;

	if (names == NULL)
		return (RC_TOOBIG);
	f->n_ecosystems = 0;
	for (i = 0; i < s->n; i++)
		if (s->rows[i].ecosystem.n > 0)
			names[f->n_ecosystems++] = s->rows[i].ecosystem;
	f->ecosystems = names;
	return (RC_OK);
}

enum rc
scan_image_match(struct scan_image *si, const struct inventory *inv,
    struct arena *a, struct scan_findings *f_r)
{
	struct systems s = { 0 };
	struct findings found = { 0 };
	bool blind;
	enum rc rc;

	*f_r = (struct scan_findings){ .status = SCAN_COMPLETE };
	if ((rc = systems_of(inv, a, &s)) != RC_OK)
		return (fail(si, rc, "%s", rc_text(rc)));
	if ((rc = systems_check(si, inv, &s)) != RC_OK)
		return (rc);
	if ((rc = systems_cover(si, &s, a)) != RC_OK)
		return (store_failure(si, rc));
	blind = is_blind(&s);
	if (!blind && (rc = packages_match(si, inv, a, &found)) != RC_OK)
		return (rc);
	f_r->status = blind ? SCAN_FAILED : SCAN_COMPLETE;
	f_r->revision = s.revision;
	f_r->updated_ms = s.updated_ms;
	memcpy(f_r->counts, found.counts, sizeof(f_r->counts));
	if ((rc = ecosystems_make(&s, a, f_r)) != RC_OK ||
	    (rc = reason_make(&s, inv, blind, a, &f_r->reason)) != RC_OK)
		return (fail(si, rc, "%s", rc_text(rc)));
	return (text_make(si, &found, a, &f_r->text));
}
