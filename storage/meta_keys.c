#include "storage/records_int.h"

#include "storage/replication.h"

/*
 * Keys to bytes and back.
 */

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

void
key_entity(struct rec_key *k, uint8_t kind, struct span name)
{

	k->n = 0;
	if (name.n <= ENTITY_NAME_MAX_BYTES)
		key_end(k, put_bytes(put_u8(k->p, kind), name));
}

void
key_timed(struct rec_key *k, int64_t ms, uint64_t repo, const struct digest *d)
{
	uint8_t *p = put_u64(put_i64(k->p, ms), repo);

	key_end(k, put_digest(p, d));
}

void
key_timed_repo(struct rec_key *k, int64_t ms, uint64_t repo)
{

	key_end(k, put_u64(put_i64(k->p, ms), repo));
}

void
key_removal(struct rec_key *k, uint8_t location, uint32_t key_domain,
    const struct digest *d)
{
	uint8_t *p = put_u32(put_u8(k->p, location), key_domain);

	key_end(k, put_digest(p, d));
}

void
key_task(struct rec_key *k, uint64_t repo, const struct digest *d, uint64_t id)
{

	key_end(k, put_u64(put_digest(put_u64(k->p, repo), d), id));
}

void
key_task_due(struct rec_key *k, int64_t due_ms, uint64_t id)
{

	key_end(k, put_u64(put_i64(k->p, due_ms), id));
}

void
key_status(struct rec_key *k, uint64_t repo, const struct digest *d,
    struct span destination)
{

	key_digest_tag(k, repo, d, destination);
}

void
key_preview_run(struct rec_key *k, uint64_t repo, uint64_t run)
{

	key_end(k, put_u64(put_u64(k->p, repo), run));
}

void
key_preview_result(
    struct rec_key *k, uint64_t repo, uint64_t run, uint32_t sequence)
{

	key_end(k, put_u32(put_u64(put_u64(k->p, repo), run), sequence));
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

bool
key_read_entity(struct span key, uint8_t *kind_r, struct span *name_r)
{
	struct reader r = reader_of(key);

	*kind_r = get_u8(&r);
	*name_r = get_rest(&r);
	return (reader_end(&r) && *kind_r >= ENTITY_USER &&
		*kind_r <= ENTITY_STACK && name_r->n > 0 &&
		name_r->n <= ENTITY_NAME_MAX_BYTES);
}

bool
key_read_timed(
    struct span key, int64_t *ms_r, uint64_t *repo_r, struct digest *d)
{
	struct reader r = reader_of(key);

	*ms_r = get_i64(&r);
	*repo_r = get_u64(&r);
	get_digest(&r, d);
	return (reader_end(&r));
}

bool
key_read_timed_repo(struct span key, int64_t *ms_r, uint64_t *repo_r)
{
	struct reader r = reader_of(key);

	*ms_r = get_i64(&r);
	*repo_r = get_u64(&r);
	return (reader_end(&r));
}

bool
key_read_removal(
    struct span key, uint8_t *location_r, uint32_t *domain_r, struct digest *d)
{
	struct reader r = reader_of(key);

	*location_r = get_u8(&r);
	*domain_r = get_u32(&r);
	get_digest(&r, d);
	return (reader_end(&r) && (*location_r == BLOB_IN_FILE ||
				      *location_r == BLOB_IN_ARCHIVE));
}

bool
key_read_task(
    struct span key, uint64_t *repo_r, struct digest *d, uint64_t *id_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	get_digest(&r, d);
	*id_r = get_u64(&r);
	return (reader_end(&r));
}

bool
key_read_task_due(struct span key, int64_t *due_r, uint64_t *id_r)
{
	struct reader r = reader_of(key);

	*due_r = get_i64(&r);
	*id_r = get_u64(&r);
	return (reader_end(&r));
}

bool
key_read_status(struct span key, uint64_t *repo_r, struct digest *d,
    struct span *destination_r)
{

	return (key_read_digest_tag(key, repo_r, d, destination_r) &&
		destination_r->n > 0 &&
		destination_r->n <= REPLICATION_DESTINATION_MAX_BYTES);
}

bool
key_read_preview_result(
    struct span key, uint64_t *repo_r, uint64_t *run_r, uint32_t *sequence_r)
{
	struct reader r = reader_of(key);

	*repo_r = get_u64(&r);
	*run_r = get_u64(&r);
	*sequence_r = get_u32(&r);
	return (reader_end(&r));
}
