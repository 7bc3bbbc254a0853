#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/place_int.h"
#include "storage/content.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * A repository of a store that is open here.  What is written goes the ways
 * that a push goes: content through an upload session, manifests in one
 * transaction with their tags.
 */
#define STORE_PLACE_MAGIC 0x570e91acU
#define BLOB_READ_MAGIC 0xb10b4eadU

/* Of one look at the metadata, or of one small blob. */
#define LOOK_ARENA_BYTES ((size_t)1 << 20)
#define PARSE_ARENA_BYTES ((size_t)64 << 20)
#define CHUNK_BYTES ((size_t)256 * 1024)
#define TAGS_PAGE 1000
#define REFERRERS_PAGE 256
#define REFERRERS_PAGE_BYTES ((size_t)1 << 20)

struct store_place {
	struct place place;
	uint64_t magic;
	struct store *store;
	char *repository, *name;
	struct place_store_options o;
	struct span *destinations;
};

static struct store_place *
place_of(struct place *p)
{
	struct store_place *sp = (struct store_place *)p;

	OBJ_CHECK(sp, STORE_PLACE_MAGIC);
	return (sp);
}

static struct span
repository_of(const struct store_place *sp)
{
	return (sp->place.repository);
}

/* What the store says, in words that name the place. */
static enum rc
store_failure(const struct store_place *sp, enum rc rc, const char *what,
    struct upstream_error *error)
{
	if (rc == RC_OK)
		return (rc);
	return (place_fail(
	    error, rc, "%s: %s: %s", sp->place.name, what, rc_text(rc)));
}

/* --- manifests out ------------------------------------------------------- */

static enum rc
manifest_look(struct place *p, const struct reference *ref,
    enum manifest_want want, struct arena *a, struct place_manifest *m_r,
    struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	struct manifest_row row;
	enum rc rc;

	rc = meta_manifest_get(store_meta(sp->store), repository_of(sp), ref,
	    want, READ_BLOCKING, a, &row);
	if (rc == RC_OK && row.status != IMAGE_ACTIVE)
		return (place_fail(
		    error, RC_NOTFOUND, "%s: the image is archived", p->name));
	if (rc == RC_NOTFOUND)
		return (place_fail(
		    error, rc, "%s: there is no such image", p->name));
	if (rc != RC_OK)
		return (store_failure(sp, rc, "reading a manifest", error));
	*m_r = (struct place_manifest){
		.digest = row.digest,
		.media_type = row.media_type,
		.text = want == MANIFEST_TEXT ? row.text : SPAN_NONE,
		.size_bytes = row.size_bytes,
	};
	return (RC_OK);
}

static enum rc
store_manifest_head(struct place *p, const struct reference *ref,
    struct arena *a, struct place_manifest *m_r, struct upstream_error *error)
{
	return (manifest_look(p, ref, MANIFEST_ROW, a, m_r, error));
}

static enum rc
store_manifest_get(struct place *p, const struct reference *ref,
    struct arena *a, struct place_manifest *m_r, struct upstream_error *error)
{
	return (manifest_look(p, ref, MANIFEST_TEXT, a, m_r, error));
}

/* --- blobs out ----------------------------------------------------------- */

struct blob_read {
	struct place_blob blob;
	uint64_t magic;
	struct store_place *place;
	struct arena arena; /* of small content */
	struct content content;
	uint64_t offset;
};

static enum rc
read_memory(struct blob_read *r, void *p, size_t room, size_t *n_r)
{
	uint64_t left = r->content.size_bytes - r->offset;

	*n_r = left < room ? (size_t)left : room;
	if (*n_r > 0)
		memcpy(p, r->content.bytes.p + r->offset, *n_r);
	r->offset += *n_r;
	return (RC_OK);
}

static enum rc
blob_read(struct place_blob *blob, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct blob_read *r = (struct blob_read *)blob;
	enum rc rc;

	OBJ_CHECK(r, BLOB_READ_MAGIC);
	if (r->content.kind == CONTENT_MEMORY)
		return (read_memory(r, p, room, n_r));
	rc = blob_file_read(&r->content.file, r->offset, p, room, true, n_r);
	if (rc != RC_OK)
		return (store_failure(r->place, rc, "reading a blob", error));
	r->offset += *n_r;
	return (RC_OK);
}

static void
blob_close(struct place_blob *blob)
{
	struct blob_read *r = (struct blob_read *)blob;

	OBJ_CHECK(r, BLOB_READ_MAGIC);
	content_close(&r->content);
	arena_reset(&r->arena);
	free(r);
}

static enum rc
store_blob_open(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob **b_r, struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	struct blob_read *r = xcalloc(1, sizeof(*r));
	char text[DIGEST_STR_BYTES];
	enum rc rc;

	(void)size_bytes;
	*r = (struct blob_read){
		.blob = { .read = blob_read,
		    .close = blob_close,
		    .home = p->home,
		    .repository = p->repository },
		.magic = BLOB_READ_MAGIC,
		.place = sp,
		.content.file = BLOB_FILE_NONE,
	};
	arena_init(&r->arena, PARSE_ARENA_BYTES);
	rc = content_open(sp->store, repository_of(sp), d, READ_BLOCKING,
	    &r->arena, &r->content);
	if (rc != RC_OK) {
		arena_reset(&r->arena);
		free(r);
		return (place_fail(error, rc, "%s: blob %s: %s", p->name,
		    digest_str(d, text), rc_text(rc)));
	}
	*b_r = &r->blob;
	return (RC_OK);
}

/* --- lists --------------------------------------------------------------- */

static enum rc
store_tags(struct place *p, struct span next, struct arena *a,
    struct place_names *names_r, struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	struct page page;
	enum rc rc;

	rc = meta_tag_page(store_meta(sp->store), repository_of(sp), next,
	    TAGS_PAGE, a, &page);
	if (rc == RC_NOTFOUND)
		return (place_fail(
		    error, rc, "%s: there is no such repository", p->name));
	if (rc != RC_OK)
		return (store_failure(sp, rc, "reading its tags", error));
	*names_r = (struct place_names){ .items = page.items, .n = page.n };
	if (page.more && page.n > 0)
		names_r->next = page.items[page.n - 1];
	return (RC_OK);
}

static void
referrers_add(
    const struct referrer_page *page, struct upstream_referrer *rows, size_t *n)
{
	size_t i;

	for (i = 0; i < page->n; i++)
		rows[(*n)++] = (struct upstream_referrer){
			.digest = page->rows[i].digest,
			.media_type = page->rows[i].media_type,
			.artifact_type = page->rows[i].artifact_type,
			.size_bytes = page->rows[i].size_bytes,
		};
}

/* Room for a page more than there are now; the arena keeps what was. */
static struct upstream_referrer *
rows_grow(struct arena *a, const struct upstream_referrer *rows, size_t n,
    size_t more)
{
	struct upstream_referrer *grown;

	grown = arena_calloc(a, n + more, sizeof(*grown));
	if (grown != NULL && n > 0)
		memcpy(grown, rows, n * sizeof(*rows));
	return (grown);
}

static enum rc
store_referrers(struct place *p, const struct digest *subject, struct arena *a,
    struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	struct referrer_query query = {
		.repository = repository_of(sp),
		.subject = *subject,
		.max_rows = REFERRERS_PAGE,
		.max_bytes = REFERRERS_PAGE_BYTES,
	};
	struct referrer_page page = { 0 };
	enum rc rc = RC_OK;

	*rows_r = NULL;
	*n_r = 0;
	do {
		rc = meta_referrer_page(
		    store_meta(sp->store), &query, READ_BLOCKING, a, &page);
		if (rc != RC_OK)
			break;
		if (*n_r + page.n > UPSTREAM_REFERRERS_MAX) {
			rc = RC_TOOBIG;
			break;
		}
		*rows_r = rows_grow(a, *rows_r, *n_r, page.n + 1);
		if (*rows_r == NULL) {
			rc = RC_TOOBIG;
			break;
		}
		referrers_add(&page, *rows_r, n_r);
		if (page.n > 0)
			query.after = &page.rows[page.n - 1].digest;
	} while (page.more && page.n > 0);
	return (store_failure(sp, rc, "reading referrers", error));
}

/* --- blobs in ------------------------------------------------------------ */

/* Another repository of the store has it: a link is all that is needed. */
static enum rc
blob_link(struct store_place *sp, const struct digest *d, struct arena *a)
{
	struct meta *m = store_meta(sp->store);
	struct blob_mount mount = {
		.to = repository_of(sp),
		.digest = *d,
		.create = sp->o.create,
		.now_ms = clock_real_ms(),
	};
	struct page holders;
	enum rc rc;

	rc = meta_blob_holders(m, mount.to, mount.create, d, 1, a, &holders);
	if (rc != RC_OK)
		return (rc);
	if (holders.n == 0)
		return (RC_NOTFOUND);
	mount.from = holders.items[0];
	return (meta_blob_mount(m, &mount));
}

static enum rc
store_blob_has(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	struct arena a;
	uint64_t size;
	enum rc rc;

	(void)size_bytes;
	arena_init(&a, LOOK_ARENA_BYTES);
	rc = content_stat(
	    sp->store, repository_of(sp), d, READ_BLOCKING, &a, &size);
	if (rc == RC_NOTFOUND && sp->o.links &&
	    (rc = blob_link(sp, d, &a)) == RC_OK)
		rc = content_stat(
		    sp->store, repository_of(sp), d, READ_BLOCKING, &a, &size);
	arena_reset(&a);
	return (store_failure(sp, rc, "looking for a blob", error));
}

/* What is put, as it comes. */
struct blob_in {
	struct store_place *place;
	const struct digest *digest;
	uint64_t size_bytes; /* said; UINT64_MAX: not */
	struct place_blob *from;
	char *chunk;
	struct upstream_error *error;
};

static enum rc
in_failure(const struct blob_in *in, enum rc rc)
{
	char text[DIGEST_STR_BYTES];

	if (rc == RC_OK)
		return (rc);
	return (place_fail(in->error, rc, "%s: blob %s: %s",
	    in->place->place.name, digest_str(in->digest, text), rc_text(rc)));
}

/* Fills the chunk, unless it ends before. */
static enum rc
in_read(struct blob_in *in, size_t *n_r)
{
	size_t n;
	enum rc rc;

	*n_r = 0;
	do {
		if (place_cancelled(&in->place->place))
			return (in_failure(in, RC_CANCELLED));
		rc = in->from->read(in->from, in->chunk + *n_r,
		    CHUNK_BYTES - *n_r, &n, in->error);
		if (rc != RC_OK)
			return (rc);
		*n_r += n;
	} while (n > 0 && *n_r < CHUNK_BYTES);
	return (RC_OK);
}

static enum rc
in_stream(struct blob_in *in, struct upload *u, size_t n)
{
	enum rc rc;

	while (n > 0) {
		if (upload_offset(u) + n > in->size_bytes)
			return (in_failure(in, RC_DIGEST));
		rc = upload_write(u, in->chunk, n);
		if (rc != RC_OK)
			return (in_failure(in, rc));
		if ((rc = in_read(in, &n)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* By a session; the first chunk is there. */
static enum rc
in_session(struct blob_in *in, size_t n)
{
	struct store_place *sp = in->place;
	struct upload *u = NULL;
	char id[UPLOAD_ID_BYTES];
	enum rc rc;

	rc = upload_start(
	    sp->store, repository_of(sp), in->digest->alg, sp->o.create, id);
	if (rc == RC_OK)
		rc = upload_acquire(
		    sp->store, repository_of(sp), span_of(id), &u);
	if (rc != RC_OK)
		return (in_failure(in, rc));
	if ((rc = in_stream(in, u, n)) == RC_OK)
		rc =
		    in_failure(in, upload_finish(&u, in->digest, sp->o.create));
	if (rc != RC_OK) {
		upload_release(&u);
		(void)!upload_cancel(sp->store, repository_of(sp), span_of(id));
	}
	return (rc);
}

static enum rc
in_all(struct blob_in *in)
{
	struct store_place *sp = in->place;
	size_t n;
	enum rc rc;

	if ((rc = in_read(in, &n)) != RC_OK)
		return (rc);
	if (n == CHUNK_BYTES || n > upload_whole_max(sp->store))
		return (in_session(in, n));
	if (in->size_bytes != UINT64_MAX && n != in->size_bytes)
		return (in_failure(in, RC_DIGEST));
	rc = upload_whole(sp->store, repository_of(sp), in->digest,
	    (struct span){ in->chunk, n }, SPAN_NONE, sp->o.create);
	return (in_failure(in, rc));
}

static enum rc
store_blob_put(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob *from, struct upstream_error *error)
{
	struct blob_in in = {
		.place = place_of(p),
		.digest = d,
		.size_bytes = size_bytes,
		.from = from,
		.error = error,
	};
	enum rc rc;

	in.chunk = xmalloc(CHUNK_BYTES);
	rc = in_all(&in);
	free(in.chunk);
	return (rc);
}

/* --- manifests in -------------------------------------------------------- */

bool
manifest_scannable(const struct manifest *m)
{
	return (m->kind == MANIFEST_IMAGE &&
		(span_is(m->artifact_type,
		     "application/vnd.oci.image.config.v1+json") ||
		    span_is(m->artifact_type,
			"application/vnd.docker.container.image.v1+json")));
}

static enum sparse
sparse_of(const struct store_place *sp)
{
	if (!sp->o.sparse)
		return (SPARSE_NONE);
	return (sp->o.imports ? SPARSE_ALL : SPARSE_INDEX);
}

static enum rc
put_failure(const struct store_place *sp, const struct manifest_put *put,
    const struct manifest_put_result *r, enum rc rc,
    struct upstream_error *error)
{
	const char *name = sp->place.name;
	char text[DIGEST_STR_BYTES];

	if (rc == RC_MISSING && r->n_missing > 0)
		return (place_fail(error, rc,
		    "%s: the %s %s, which it "
		    "refers to, is not there",
		    name, r->missing_kind == EDGE_MANIFEST ? "image" : "blob",
		    digest_str(&r->missing[0], text)));
	if (rc == RC_EXISTS)
		return (place_fail(error, rc,
		    "%s: the tag " SPAN_FMT
		    " is immutable and points at another image",
		    name, SPAN_ARG(r->immutable_tag)));
	if (rc == RC_NOTFOUND)
		return (place_fail(
		    error, rc, "%s: there is no such repository", name));
	if (rc == RC_LIMIT)
		return (
		    place_fail(error, rc, "%s: there may be no more %s", name,
			r->limit == LIMIT_IMAGES ? "images in it"
			: r->limit == LIMIT_TAGS ? "tags of the image"
						 : "repositories"));
	(void)put;
	return (store_failure(sp, rc, "storing a manifest", error));
}

static enum rc
put_parsed(struct store_place *sp, const struct place_manifest *m,
    const struct manifest *parsed, struct span tag,
    struct upstream_error *error)
{
	const struct place_store_options *o = &sp->o;
	struct manifest_put_result result = { 0 };
	struct manifest_put put = {
		.repository = repository_of(sp),
		.digest = m->digest,
		.text = m->text,
		.manifest = parsed,
		.tags = &tag,
		.n_tags = tag.n > 0 ? 1 : 0,
		.sparse = sparse_of(sp),
		.create = o->create,
		.scan = o->scan,
		.scannable = manifest_scannable(parsed),
		.import = o->imports,
		.destinations = sp->destinations,
		.n_destinations = o->n_destinations,
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	if (o->quota != NULL)
		put.quota = *o->quota;
	rc = store_room(sp->store, m->text.n);
	if (rc == RC_OK)
		rc = meta_manifest_put(store_meta(sp->store), &put, &result);
	return (put_failure(sp, &put, &result, rc, error));
}

static enum rc
store_manifest_put(struct place *p, const struct place_manifest *m,
    struct span tag, struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	char why[MANIFEST_WHY_BYTES];
	struct manifest parsed;
	struct digest got;
	struct arena a;
	enum rc rc;

	digest_of(m->digest.alg, m->text.p, m->text.n, &got);
	if (!digest_eq(&got, &m->digest))
		return (
		    store_failure(sp, RC_DIGEST, "storing a manifest", error));
	arena_init(&a, PARSE_ARENA_BYTES);
	rc = manifest_parse(m->media_type, m->text, &a, &parsed, why);
	if (rc != RC_OK)
		rc = place_fail(error, rc, "%s: %s", p->name, why);
	else
		rc = put_parsed(sp, m, &parsed, tag, error);
	arena_reset(&a);
	return (rc);
}

static enum rc
store_tag_delete(struct place *p, struct span tag, struct upstream_error *error)
{
	struct store_place *sp = place_of(p);
	enum rc rc;

	rc = meta_tag_delete(store_meta(sp->store), repository_of(sp), tag);
	return (store_failure(sp, rc, "removing a tag", error));
}

/* --- the place ----------------------------------------------------------- */

static void
store_place_free(struct place *p)
{
	struct store_place *sp = place_of(p);

	free(sp->destinations);
	free(sp->repository);
	free(sp->name);
	sp->magic = 0;
	free(sp);
}

static const struct place_ops store_ops = {
	.manifest_head = store_manifest_head,
	.manifest_get = store_manifest_get,
	.blob_open = store_blob_open,
	.tags = store_tags,
	.referrers = store_referrers,
	.blob_has = store_blob_has,
	.blob_put = store_blob_put,
	.manifest_put = store_manifest_put,
	.tag_delete = store_tag_delete,
	.free = store_place_free,
};

/* One piece of memory: the list, and behind it what it points to. */
static struct span *
destinations_copy(const struct span *from, size_t n)
{
	struct span *copy;
	size_t i, bytes = 0;
	char *p;

	if (n == 0)
		return (NULL);
	for (i = 0; i < n; i++)
		bytes += from[i].n;
	copy = xmalloc(n * sizeof(*copy) + bytes);
	p = (char *)(copy + n);
	for (i = 0; i < n; i++) {
		memcpy(p, from[i].p, from[i].n);
		copy[i] = (struct span){ p, from[i].n };
		p += from[i].n;
	}
	return (copy);
}

struct place *
place_store(const struct place_store_options *o)
{
	struct store_place *sp = xcalloc(1, sizeof(*sp));

	sp->magic = STORE_PLACE_MAGIC;
	sp->store = o->store;
	sp->o = *o;
	sp->repository = xstrndup(o->repository.p, o->repository.n);
	sp->name = xstrdup(o->name != NULL ? o->name : sp->repository);
	sp->destinations =
	    destinations_copy(o->destinations, o->n_destinations);
	sp->place = (struct place){
		.ops = &store_ops,
		.name = sp->name,
		.cancel = o->cancel,
		.here = true,
		.repository = { sp->repository, o->repository.n },
	};
	return (&sp->place);
}
