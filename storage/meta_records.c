#include "storage/records.h"

#include <endian.h>
#include <string.h>

#include "base/obj.h"

/*
 * Keys and values to bytes and back.  The writers trust their caller; the
 * readers trust nothing: a cursor that ran over the end stays bad, and what
 * was read with it is thrown away.
 */

static const char *const table_names[META_TABLES] = {
	[TABLE_REGISTRY] = "registry",
	[TABLE_REPOSITORIES] = "repositories",
	[TABLE_REPOSITORY_NAMES] = "repository_names",
	[TABLE_TAGS] = "tags",
	[TABLE_DIGEST_TAGS] = "digest_tags",
	[TABLE_MANIFESTS] = "manifests",
	[TABLE_BLOB_LINKS] = "blob_links",
	[TABLE_BLOBS] = "blobs",
	[TABLE_CONTENT] = "content",
	[TABLE_HOLDERS] = "holders",
	[TABLE_EDGES] = "edges",
	[TABLE_PARENTS] = "parents",
	[TABLE_REFERRERS] = "referrers",
	[TABLE_UPLOADS] = "uploads",
	[TABLE_UNHELD] = "unheld",
};

const char *
meta_table_name(enum meta_table table)
{

	must((unsigned)table < META_TABLES);
	return (table_names[table]);
}

/* Writing.  Each returns the place behind what it wrote. */

static uint8_t *
put_u8(uint8_t *p, uint8_t v)
{

	*p = v;
	return (p + 1);
}

static uint8_t *
put_u32(uint8_t *p, uint32_t v)
{
	uint32_t be = htobe32(v);

	memcpy(p, &be, sizeof(be));
	return (p + sizeof(be));
}

static uint8_t *
put_u64(uint8_t *p, uint64_t v)
{
	uint64_t be = htobe64(v);

	memcpy(p, &be, sizeof(be));
	return (p + sizeof(be));
}

static uint8_t *
put_i64(uint8_t *p, int64_t v)
{

	return (put_u64(p, (uint64_t)v));
}

static uint8_t *
put_bytes(uint8_t *p, struct span s)
{

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (p + s.n);
}

static uint8_t *
put_str(uint8_t *p, struct span s)
{

	return (put_bytes(put_u32(p, (uint32_t)s.n), s));
}

static uint8_t *
put_digest(uint8_t *p, const struct digest *d)
{
	size_t n = digest_len(d->alg);

	must(n > 0);
	*p = d->alg;
	memcpy(p + 1, d->bytes, n);
	return (p + 1 + n);
}

/* Reading. */

struct reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static struct reader
reader_of(struct span s)
{

	return ((struct reader){ (const uint8_t *)s.p, s.n, s.p == NULL });
}

static struct reader
reader_of_value(struct span s)
{
	struct reader r = reader_of(s);

	if (r.bad || r.n < 1 || r.p[0] != RECORD_VERSION) {
		r.bad = true;
	} else {
		r.p++;
		r.n--;
	}
	return (r);
}

static const uint8_t *
get_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || r->n < n) {
		r->bad = true;
		return (NULL);
	}
	r->p += n;
	r->n -= n;
	return (p);
}

static uint8_t
get_u8(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 1);

	return (p != NULL ? *p : 0);
}

static uint32_t
get_u32(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 4);
	uint32_t be;

	if (p == NULL)
		return (0);
	memcpy(&be, p, sizeof(be));
	return (be32toh(be));
}

static uint64_t
get_u64(struct reader *r)
{
	const uint8_t *p = get_bytes(r, 8);
	uint64_t be;

	if (p == NULL)
		return (0);
	memcpy(&be, p, sizeof(be));
	return (be64toh(be));
}

static int64_t
get_i64(struct reader *r)
{

	return ((int64_t)get_u64(r));
}

static struct span
get_span(struct reader *r, size_t n)
{
	const uint8_t *p = get_bytes(r, n);

	return (p != NULL ? (struct span){ (const char *)p, n } : SPAN_NONE);
}

static struct span
get_str(struct reader *r)
{
	uint32_t n = get_u32(r);

	return (get_span(r, n));
}

static struct span
get_rest(struct reader *r)
{

	return (get_span(r, r->n));
}

static void
get_digest(struct reader *r, struct digest *d)
{
	uint8_t alg = get_u8(r);
	size_t n = digest_len(alg);
	const uint8_t *p;

	memset(d, 0, sizeof(*d));
	if (n == 0)
		r->bad = true;
	if ((p = get_bytes(r, n)) == NULL)
		return;
	d->alg = alg;
	memcpy(d->bytes, p, n);
}

static bool
reader_end(const struct reader *r)
{

	return (!r->bad && r->n == 0);
}

/* Keys. */

static void
key_end(struct rec_key *k, const uint8_t *end)
{

	k->n = (size_t)(end - k->p);
	must(k->n <= KEY_MAX_BYTES);
}

void
key_str(struct rec_key *k, struct span name)
{

	k->n = 0;
	if (name.n <= KEY_MAX_BYTES)
		key_end(k, put_bytes(k->p, name));
}

void
key_repo(struct rec_key *k, uint64_t repo)
{

	key_end(k, put_u64(k->p, repo));
}

void
key_tag(struct rec_key *k, uint64_t repo, struct span tag)
{

	k->n = 0;
	if (tag.n <= KEY_MAX_BYTES - 8)
		key_end(k, put_bytes(put_u64(k->p, repo), tag));
}

void
key_repo_digest(struct rec_key *k, uint64_t repo, const struct digest *d)
{

	key_end(k, put_digest(put_u64(k->p, repo), d));
}

void
key_digest_tag(
    struct rec_key *k, uint64_t repo, const struct digest *d, struct span tag)
{
	uint8_t *p = put_digest(put_u64(k->p, repo), d);

	k->n = 0;
	if (tag.n <= KEY_MAX_BYTES - (size_t)(p - k->p))
		key_end(k, put_bytes(p, tag));
}

void
key_blob(struct rec_key *k, uint32_t key_domain, const struct digest *d)
{

	key_end(k, put_digest(put_u32(k->p, key_domain), d));
}

void
key_holder(struct rec_key *k, uint32_t key_domain, const struct digest *d,
    uint8_t kind, uint64_t repo)
{
	uint8_t *p = put_digest(put_u32(k->p, key_domain), d);

	key_end(k, put_u64(put_u8(p, kind), repo));
}

void
key_edge(struct rec_key *k, uint64_t repo, const struct digest *from,
    uint8_t kind, const struct digest *other)
{
	uint8_t *p = put_digest(put_u64(k->p, repo), from);

	if (kind != 0)
		p = put_u8(p, kind);
	if (kind != 0 && other != NULL)
		p = put_digest(p, other);
	key_end(k, p);
}

void
key_referrer(struct rec_key *k, uint64_t repo, const struct digest *subject,
    const struct digest *referrer)
{
	uint8_t *p = put_digest(put_u64(k->p, repo), subject);

	key_end(k, put_digest(p, referrer));
}

void
key_unheld(struct rec_key *k, int64_t since_ms, uint32_t key_domain,
    const struct digest *d)
{
	uint8_t *p = put_u32(put_i64(k->p, since_ms), key_domain);

	key_end(k, put_digest(p, d));
}

bool
key_read_repo(struct span key, uint64_t *repo_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	return (reader_end(&r));
}

bool
key_read_tag(struct span key, uint64_t *repo_r, struct span *tag_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	*tag_r = get_rest(&r);
	return (reader_end(&r));
}

bool
key_read_repo_digest(struct span key, uint64_t *repo_r, struct digest *d)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	get_digest(&r, d);
	return (reader_end(&r));
}

bool
key_read_digest_tag(
    struct span key, uint64_t *repo_r, struct digest *d, struct span *tag_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	get_digest(&r, d);
	*tag_r = get_rest(&r);
	return (reader_end(&r));
}

bool
key_read_blob(struct span key, uint32_t *domain_r, struct digest *d)
{
	struct reader r = reader_of(key);

	*domain_r = get_u32(&r);
	get_digest(&r, d);
	return (reader_end(&r));
}

bool
key_read_holder(struct span key, uint32_t *domain_r, struct digest *d,
    uint8_t *kind_r, uint64_t *repo_r)
{
	struct reader r = reader_of(key);

	*domain_r = get_u32(&r);
	get_digest(&r, d);
	*kind_r = get_u8(&r);
	*repo_r = get_u64(&r);
	return (reader_end(&r) &&
		(*kind_r == HOLDER_LINK || *kind_r == HOLDER_MANIFEST));
}

static bool
edge_kind_ok(uint8_t kind)
{

	return (
	    kind == EDGE_CONFIG || kind == EDGE_LAYER || kind == EDGE_MANIFEST);
}

bool
key_read_edge(struct span key, uint64_t *repo_r, struct digest *from_r,
    uint8_t *kind_r, struct digest *other_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	get_digest(&r, from_r);
	*kind_r = get_u8(&r);
	get_digest(&r, other_r);
	return (reader_end(&r) && edge_kind_ok(*kind_r));
}

bool
key_read_referrer(struct span key, uint64_t *repo_r, struct digest *subject_r,
    struct digest *referrer_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	get_digest(&r, subject_r);
	get_digest(&r, referrer_r);
	return (reader_end(&r));
}

bool
key_read_unheld(
    struct span key, int64_t *since_r, uint32_t *domain_r, struct digest *d)
{
	struct reader r = reader_of(key);

	*since_r = get_i64(&r);
	*domain_r = get_u32(&r);
	get_digest(&r, d);
	return (reader_end(&r));
}

/* Values. */

struct span
rec_none(void)
{
	static const char version[1] = { RECORD_VERSION };

	return ((struct span){ version, sizeof(version) });
}

bool
rec_none_read(struct span value)
{
	struct reader r = reader_of_value(value);

	return (reader_end(&r));
}

void
rec_format_write(unsigned format, uint8_t *p)
{

	put_u32(put_u8(p, RECORD_VERSION), format);
}

bool
rec_format_read(struct span value, unsigned *format_r)
{
	struct reader r = reader_of_value(value);

	*format_r = get_u32(&r);
	return (reader_end(&r));
}

void
rec_counts_write(const struct meta_counts *c, uint8_t *p)
{

	p = put_u8(p, RECORD_VERSION);
	p = put_u64(p, c->next_repository);
	p = put_u64(p, c->inline_blobs);
	p = put_u64(p, c->inline_bytes);
	p = put_u64(p, c->file_blobs);
	p = put_u64(p, c->file_bytes);
	p = put_u64(p, c->unheld_blobs);
	(void)put_u64(p, c->unheld_bytes);
}

bool
rec_counts_read(struct span value, struct meta_counts *c)
{
	struct reader r = reader_of_value(value);

	c->next_repository = get_u64(&r);
	c->inline_blobs = get_u64(&r);
	c->inline_bytes = get_u64(&r);
	c->file_blobs = get_u64(&r);
	c->file_bytes = get_u64(&r);
	c->unheld_blobs = get_u64(&r);
	c->unheld_bytes = get_u64(&r);
	return (reader_end(&r));
}

void
rec_repository_write(const struct repository_row *row, uint8_t *p)
{

	p = put_u64(put_u8(p, RECORD_VERSION), row->id);
	(void)put_i64(p, row->created_ms);
}

bool
rec_repository_read(struct span value, struct repository_row *row)
{
	struct reader r = reader_of_value(value);

	row->id = get_u64(&r);
	row->created_ms = get_i64(&r);
	return (reader_end(&r));
}

size_t
rec_repository_name_size(struct span name)
{

	return (1 + name.n);
}

void
rec_repository_name_write(struct span name, uint8_t *p)
{

	(void)put_bytes(put_u8(p, RECORD_VERSION), name);
}

bool
rec_repository_name_read(struct span value, struct span *name_r)
{
	struct reader r = reader_of_value(value);

	*name_r = get_rest(&r);
	return (reader_end(&r));
}

size_t
rec_tag_size(const struct tag_rec *t)
{

	return (1 + 8 + 1 + digest_len(t->digest.alg));
}

void
rec_tag_write(const struct tag_rec *t, uint8_t *p)
{

	p = put_i64(put_u8(p, RECORD_VERSION), t->tagged_ms);
	(void)put_digest(p, &t->digest);
}

bool
rec_tag_read(struct span value, struct tag_rec *t)
{
	struct reader r = reader_of_value(value);

	t->tagged_ms = get_i64(&r);
	get_digest(&r, &t->digest);
	return (reader_end(&r));
}

size_t
rec_manifest_size(const struct manifest_rec *m)
{
	size_t n = 1 + 1 + 8 + 8 + 8;

	n += 4 + m->media_type.n + 4 + m->artifact_type.n;
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		n += 1 + digest_len(m->subject.alg);
	return (n);
}

void
rec_manifest_write(const struct manifest_rec *m, uint8_t *p)
{

	p = put_u8(put_u8(p, RECORD_VERSION), m->flags);
	p = put_u64(p, m->size_bytes);
	p = put_i64(p, m->pushed_ms);
	p = put_i64(p, m->pulled_ms);
	p = put_str(p, m->media_type);
	p = put_str(p, m->artifact_type);
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		(void)put_digest(p, &m->subject);
}

bool
rec_manifest_read(struct span value, struct manifest_rec *m)
{
	const uint8_t known = MANIFEST_HAS_SUBJECT | MANIFEST_QUARANTINED;
	struct reader r = reader_of_value(value);

	m->flags = get_u8(&r);
	m->size_bytes = get_u64(&r);
	m->pushed_ms = get_i64(&r);
	m->pulled_ms = get_i64(&r);
	m->media_type = get_str(&r);
	m->artifact_type = get_str(&r);
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		get_digest(&r, &m->subject);
	else
		memset(&m->subject, 0, sizeof(m->subject));
	return (reader_end(&r) && (m->flags & ~known) == 0);
}

void
rec_link_write(int64_t linked_ms, uint8_t *p)
{

	(void)put_i64(put_u8(p, RECORD_VERSION), linked_ms);
}

bool
rec_link_read(struct span value, int64_t *linked_ms_r)
{
	struct reader r = reader_of_value(value);

	*linked_ms_r = get_i64(&r);
	return (reader_end(&r));
}

void
rec_blob_write(const struct blob_rec *b, uint8_t *p)
{

	p = put_u8(p, RECORD_VERSION);
	p = put_u8(p, (uint8_t)b->location);
	p = put_u8(p, (uint8_t)b->encoding);
	p = put_u8(p, (uint8_t)b->state);
	p = put_u64(p, b->size_bytes);
	p = put_i64(p, b->created_ms);
	(void)put_i64(p, b->unheld_ms);
}

bool
rec_blob_read(struct span value, struct blob_rec *b)
{
	struct reader r = reader_of_value(value);
	uint8_t location = get_u8(&r), encoding = get_u8(&r);
	uint8_t state = get_u8(&r);

	b->location = (enum blob_location)location;
	b->encoding = (enum blob_encoding)encoding;
	b->state = (enum blob_state)state;
	b->size_bytes = get_u64(&r);
	b->created_ms = get_i64(&r);
	b->unheld_ms = get_i64(&r);
	return (reader_end(&r) &&
		(location == BLOB_IN_META || location == BLOB_IN_FILE) &&
		encoding == BLOB_PLAIN &&
		(state == BLOB_SERVED || state == BLOB_QUARANTINED));
}

void
rec_edge_write(const struct edge_rec *e, uint8_t *p)
{

	p = put_u8(put_u8(p, RECORD_VERSION), e->flags);
	(void)put_u64(p, e->size_bytes);
}

bool
rec_edge_read(struct span value, struct edge_rec *e)
{
	struct reader r = reader_of_value(value);

	e->flags = get_u8(&r);
	e->size_bytes = get_u64(&r);
	return (reader_end(&r) && (e->flags & ~EDGE_ABSENT) == 0);
}

size_t
rec_referrer_size(const struct referrer_rec *f)
{

	return (1 + 8 + 4 + f->media_type.n + 4 + f->artifact_type.n + 4 +
		f->annotations.n);
}

void
rec_referrer_write(const struct referrer_rec *f, uint8_t *p)
{

	p = put_u64(put_u8(p, RECORD_VERSION), f->size_bytes);
	p = put_str(p, f->media_type);
	p = put_str(p, f->artifact_type);
	(void)put_str(p, f->annotations);
}

bool
rec_referrer_read(struct span value, struct referrer_rec *f)
{
	struct reader r = reader_of_value(value);

	f->size_bytes = get_u64(&r);
	f->media_type = get_str(&r);
	f->artifact_type = get_str(&r);
	f->annotations = get_str(&r);
	return (reader_end(&r));
}

size_t
rec_upload_size(const struct upload_rec *u)
{

	return (1 + 1 + 8 + u->repository.n);
}

void
rec_upload_write(const struct upload_rec *u, uint8_t *p)
{

	p = put_u8(put_u8(p, RECORD_VERSION), u->alg);
	(void)put_bytes(put_i64(p, u->started_ms), u->repository);
}

bool
rec_upload_read(struct span value, struct upload_rec *u)
{
	struct reader r = reader_of_value(value);

	u->alg = get_u8(&r);
	u->started_ms = get_i64(&r);
	u->repository = get_rest(&r);
	return (reader_end(&r));
}
