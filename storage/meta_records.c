#include "storage/records_int.h"
#include "storage/sealed.h"

/*
 * Values to bytes and back.
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
	[TABLE_REPOSITORY_SETTINGS] = "repository_settings",
	[TABLE_REPOSITORY_TAGS] = "repository_tags",
	[TABLE_REPOSITORY_POLICIES] = "repository_policies",
	[TABLE_DOOMED] = "doomed",
	[TABLE_ENTITIES] = "entities",
	[TABLE_IMAGE_COUNTS] = "image_counts",
	[TABLE_IMAGE_SCANS] = "image_scans",
	[TABLE_SCAN_QUEUE] = "scan_queue",
	[TABLE_LIFECYCLE_POLICIES] = "lifecycle_policies",
	[TABLE_LIFECYCLE_PREVIEWS] = "lifecycle_previews",
	[TABLE_PREVIEW_QUEUE] = "preview_queue",
	[TABLE_LIFECYCLE_PREVIEW_RESULTS] = "lifecycle_preview_results",
	[TABLE_IDLE_LINKS] = "idle_links",
	[TABLE_ORPHAN_SUBJECTS] = "orphan_subjects",
	[TABLE_DELETED_IMAGES] = "deleted_images",
	[TABLE_DELETED_QUEUE] = "deleted_queue",
	[TABLE_REMOVALS] = "removals",
	[TABLE_ARCHIVE_QUEUE] = "archive_queue",
	[TABLE_ACTIVATIONS] = "activations",
	[TABLE_LIFECYCLE_RUNS] = "lifecycle_runs",
	[TABLE_LIFECYCLE_QUEUE] = "lifecycle_queue",
	[TABLE_IMPORT_IMAGES] = "import_images",
	[TABLE_IMPORT_TAGS] = "import_tags",
	[TABLE_IMPORT_REFERRERS] = "import_referrers",
	[TABLE_REPLICATION_TASKS] = "replication_tasks",
	[TABLE_REPLICATION_QUEUE] = "replication_queue",
	[TABLE_REPLICATION_STATUS] = "replication_status",
	[TABLE_LAYER_INDEXES] = "layer_indexes",
	[TABLE_SCAN_FINDINGS] = "scan_findings",
	[TABLE_SCANNED_SYSTEMS] = "scanned_systems",
	[TABLE_ADVISORIES] = "advisories",
};

#define COUNTS_VERSION 2
#define MANIFEST_VERSION 2
#define LINK_VERSION 2
#define BLOB_VERSION 2

const char *
meta_table_name(enum meta_table table)
{

	must((unsigned)table < META_TABLES);
	return (table_names[table]);
}

/* A version of those that are read, the last of which is written. */
static bool
version_ok(uint8_t version, uint8_t last)
{

	return (version == RECORD_VERSION || version == last);
}

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

	p = put_u8(p, COUNTS_VERSION);
	p = put_u64(p, c->next_repository);
	p = put_u64(p, c->inline_blobs);
	p = put_u64(p, c->inline_bytes);
	p = put_u64(p, c->file_blobs);
	p = put_u64(p, c->file_bytes);
	p = put_u64(p, c->unheld_blobs);
	p = put_u64(p, c->unheld_bytes);
	p = put_u64(p, c->archived_blobs);
	p = put_u64(p, c->archived_bytes);
	(void)put_u64(p, c->archived_stored_bytes);
}

bool
rec_counts_read(struct span value, struct meta_counts *c)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);

	c->next_repository = get_u64(&r);
	c->inline_blobs = get_u64(&r);
	c->inline_bytes = get_u64(&r);
	c->file_blobs = get_u64(&r);
	c->file_bytes = get_u64(&r);
	c->unheld_blobs = get_u64(&r);
	c->unheld_bytes = get_u64(&r);
	c->archived_blobs = 0;
	c->archived_bytes = 0;
	c->archived_stored_bytes = 0;
	if (version == COUNTS_VERSION) {
		c->archived_blobs = get_u64(&r);
		c->archived_bytes = get_u64(&r);
		c->archived_stored_bytes = get_u64(&r);
	}
	return (reader_end(&r) && version_ok(version, COUNTS_VERSION));
}

void
rec_number_write(uint64_t n, uint8_t *p)
{

	(void)put_u64(put_u8(p, RECORD_VERSION), n);
}

bool
rec_number_read(struct span value, uint64_t *n)
{
	struct reader r = reader_of_value(value);

	*n = get_u64(&r);
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
	size_t n = 1 + 1 + 8 + 8 + 8 + 8 + 1 + 8 + 8;

	n += 4 + m->media_type.n + 4 + m->artifact_type.n;
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		n += 1 + digest_len(m->subject.alg);
	return (n);
}

static bool
image_status_ok(uint8_t status)
{

	return (status >= IMAGE_ACTIVE && status <= IMAGE_ACTIVATING);
}

void
rec_manifest_write(const struct manifest_rec *m, uint8_t *p)
{

	must(image_status_ok(m->status));
	p = put_u8(put_u8(p, MANIFEST_VERSION), m->flags);
	p = put_u64(p, m->size_bytes);
	p = put_i64(p, m->pushed_ms);
	p = put_i64(p, m->pulled_ms);
	p = put_str(p, m->media_type);
	p = put_str(p, m->artifact_type);
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		p = put_digest(p, &m->subject);
	p = put_u64(p, m->image_bytes);
	p = put_u8(p, m->status);
	(void)put_i64(put_i64(p, m->archived_ms), m->activated_ms);
}

/* What version 1 has too. */
static void
manifest_read_common(struct reader *r, struct manifest_rec *m)
{

	m->flags = get_u8(r);
	m->size_bytes = get_u64(r);
	m->pushed_ms = get_i64(r);
	m->pulled_ms = get_i64(r);
	m->media_type = get_str(r);
	m->artifact_type = get_str(r);
	if ((m->flags & MANIFEST_HAS_SUBJECT) != 0)
		get_digest(r, &m->subject);
	else
		memset(&m->subject, 0, sizeof(m->subject));
}

bool
rec_manifest_read(struct span value, struct manifest_rec *m)
{
	const uint8_t known =
	    MANIFEST_HAS_SUBJECT | MANIFEST_QUARANTINED | MANIFEST_DELETED;
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);

	manifest_read_common(&r, m);
	m->image_bytes = MANIFEST_BYTES_UNKNOWN;
	m->status = IMAGE_ACTIVE;
	m->archived_ms = 0;
	m->activated_ms = 0;
	if (version == MANIFEST_VERSION) {
		m->image_bytes = get_u64(&r);
		m->status = get_u8(&r);
		m->archived_ms = get_i64(&r);
		m->activated_ms = get_i64(&r);
	}
	return (reader_end(&r) && (m->flags & ~known) == 0 &&
		version_ok(version, MANIFEST_VERSION) &&
		image_status_ok(m->status));
}

enum { LINK_QUEUED = 1, LINK_HIDDEN = 2 };

void
rec_link_write(const struct link_rec *l, uint8_t *p)
{

	p = put_i64(put_u8(p, LINK_VERSION), l->linked_ms);
	p = put_u64(put_i64(p, l->idle_ms), l->users);
	(void)put_u8(
	    p, (l->queued ? LINK_QUEUED : 0) | (l->hidden ? LINK_HIDDEN : 0));
}

bool
rec_link_read(struct span value, struct link_rec *l)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r), flags = 0;

	l->linked_ms = get_i64(&r);
	l->idle_ms = 0;
	l->users = LINK_USERS_UNKNOWN;
	if (version == LINK_VERSION) {
		l->idle_ms = get_i64(&r);
		l->users = get_u64(&r);
		flags = get_u8(&r);
	}
	l->queued = (flags & LINK_QUEUED) != 0;
	l->hidden = (flags & LINK_HIDDEN) != 0;
	return (reader_end(&r) && version_ok(version, LINK_VERSION) &&
		(flags & ~(LINK_QUEUED | LINK_HIDDEN)) == 0);
}

/* Only what lies in the archive is ever written in another way. */
static bool
blob_place_ok(const struct blob_rec *b)
{

	if (b->location < BLOB_IN_META || b->location > BLOB_IN_ARCHIVE)
		return (false);
	if (b->encoding == BLOB_ZSTD)
		return (b->location == BLOB_IN_ARCHIVE);
	if (b->encoding != BLOB_PLAIN)
		return (false);
	/* Which it is says the key domain, which is in the key. */
	return (b->stored_bytes == b->size_bytes ||
		(b->location == BLOB_IN_ARCHIVE &&
		    b->stored_bytes == sealed_file_bytes(b->size_bytes)));
}

void
rec_blob_write(const struct blob_rec *b, uint8_t *p)
{

	must(blob_place_ok(b));
	p = put_u8(p, BLOB_VERSION);
	p = put_u8(p, (uint8_t)b->location);
	p = put_u8(p, (uint8_t)b->encoding);
	p = put_u8(p, (uint8_t)b->state);
	p = put_u64(p, b->size_bytes);
	p = put_i64(p, b->created_ms);
	p = put_i64(p, b->unheld_ms);
	(void)put_u64(p, b->stored_bytes);
}

bool
rec_blob_read(struct span value, struct blob_rec *b)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);
	uint8_t location = get_u8(&r), encoding = get_u8(&r);
	uint8_t state = get_u8(&r);

	b->location = (enum blob_location)location;
	b->encoding = (enum blob_encoding)encoding;
	b->state = (enum blob_state)state;
	b->size_bytes = get_u64(&r);
	b->created_ms = get_i64(&r);
	b->unheld_ms = get_i64(&r);
	b->stored_bytes = version == BLOB_VERSION ? get_u64(&r) : b->size_bytes;
	return (reader_end(&r) && version_ok(version, BLOB_VERSION) &&
		(version == BLOB_VERSION || location != BLOB_IN_ARCHIVE) &&
		blob_place_ok(b) &&
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
rec_scan_size(const struct scan_rec *rec)
{

	return (1 + 1 + 8 + 8 + 4 + rec->reason.n + 8 * rec->n_earlier);
}

void
rec_scan_write(const struct scan_rec *rec, uint8_t *p)
{
	size_t i;

	must(rec->n_earlier <= SCAN_EARLIER_MAX);
	p = put_u8(put_u8(p, RECORD_VERSION), rec->status);
	p = put_i64(put_i64(p, rec->started_ms), rec->ended_ms);
	p = put_str(p, rec->reason);
	for (i = 0; i < rec->n_earlier; i++)
		p = put_i64(p, rec->earlier_ms[i]);
}

bool
rec_scan_read(struct span value, struct scan_rec *rec)
{
	struct reader r = reader_of_value(value);

	rec->status = get_u8(&r);
	rec->started_ms = get_i64(&r);
	rec->ended_ms = get_i64(&r);
	rec->reason = get_str(&r);
	rec->n_earlier = 0;
	while (!r.bad && r.n > 0 && rec->n_earlier < SCAN_EARLIER_MAX)
		rec->earlier_ms[rec->n_earlier++] = get_i64(&r);
	return (reader_end(&r) && rec->status >= SCAN_IN_PROGRESS &&
		rec->status <= SCAN_UNSUPPORTED_IMAGE);
}
