#include "storage/records_int.h"

#include "storage/imports.h"
#include "storage/replication.h"

/*
 * Values to bytes and back: what came from other registries, and what is to be
 * sent to some.
 */

size_t
rec_import_tag_size(const struct import_tag *row)
{

	return (1 + 8 + 1 + digest_len(row->digest.alg));
}

void
rec_import_tag_write(const struct import_tag *row, uint8_t *p)
{

	p = put_i64(put_u8(p, RECORD_VERSION), row->checked_ms);
	(void)put_digest(p, &row->digest);
}

bool
rec_import_tag_read(struct span value, struct import_tag *row)
{
	struct reader r = reader_of_value(value);

	row->checked_ms = get_i64(&r);
	get_digest(&r, &row->digest);
	return (reader_end(&r));
}

static bool
task_ok(const struct task_rec *rec)
{

	return (rec->destination.n > 0 &&
		rec->destination.n <= REPLICATION_DESTINATION_MAX_BYTES &&
		rec->tag.n <= NAME_TAG_MAX_BYTES);
}

size_t
rec_task_size(const struct task_rec *rec)
{

	return (1 + 8 + 8 + 4 + 4 + rec->destination.n + rec->tag.n);
}

void
rec_task_write(const struct task_rec *rec, uint8_t *p)
{

	must(task_ok(rec));
	p = put_i64(put_u8(p, RECORD_VERSION), rec->due_ms);
	p = put_u32(put_i64(p, rec->queued_ms), rec->attempts);
	p = put_str(p, rec->destination);
	(void)put_bytes(p, rec->tag);
}

bool
rec_task_read(struct span value, struct task_rec *rec)
{
	struct reader r = reader_of_value(value);

	rec->due_ms = get_i64(&r);
	rec->queued_ms = get_i64(&r);
	rec->attempts = get_u32(&r);
	rec->destination = get_str(&r);
	rec->tag = get_rest(&r);
	return (reader_end(&r) && task_ok(rec));
}

size_t
rec_task_of_size(const struct digest *d)
{

	return (1 + 8 + 1 + digest_len(d->alg));
}

void
rec_task_of_write(uint64_t repo, const struct digest *d, uint8_t *p)
{

	(void)put_digest(put_u64(put_u8(p, RECORD_VERSION), repo), d);
}

bool
rec_task_of_read(struct span value, uint64_t *repo_r, struct digest *d)
{
	struct reader r = reader_of_value(value);

	*repo_r = get_u64(&r);
	get_digest(&r, d);
	return (reader_end(&r));
}

static bool
status_ok(const struct status_rec *rec)
{

	return (rec->state >= REPLICATION_IN_PROGRESS &&
		rec->state <= REPLICATION_FAILED &&
		rec->code.n <= REPLICATION_CODE_MAX_BYTES &&
		rec->why.n <= REPLICATION_WHY_MAX_BYTES);
}

size_t
rec_status_size(const struct status_rec *rec)
{

	return (1 + 1 + 8 + 4 + rec->code.n + rec->why.n);
}

void
rec_status_write(const struct status_rec *rec, uint8_t *p)
{

	must(status_ok(rec));
	p = put_u8(put_u8(p, RECORD_VERSION), rec->state);
	p = put_str(put_i64(p, rec->changed_ms), rec->code);
	(void)put_bytes(p, rec->why);
}

bool
rec_status_read(struct span value, struct status_rec *rec)
{
	struct reader r = reader_of_value(value);

	rec->state = get_u8(&r);
	rec->changed_ms = get_i64(&r);
	rec->code = get_str(&r);
	rec->why = get_rest(&r);
	return (reader_end(&r) && status_ok(rec));
}
