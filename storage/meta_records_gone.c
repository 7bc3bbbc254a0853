#include "storage/records_int.h"

#include "storage/deleted.h"

/*
 * Values to bytes and back: what is about to go, and who takes it away: rows
 * of the queues, deleted images, runs of lifecycle policies.
 */
#define ORPHAN_VERSION 2

size_t
rec_unheld_size(struct span repository)
{

	return (1 + repository.n);
}

void
rec_unheld_write(struct span repository, uint8_t *p)
{

	(void)put_bytes(put_u8(p, RECORD_VERSION), repository);
}

bool
rec_unheld_read(struct span value, struct span *repository_r)
{
	struct reader r = reader_of_value(value);

	*repository_r = get_rest(&r);
	return (reader_end(&r));
}

void
rec_moment_write(int64_t ms, uint8_t *p)
{

	(void)put_i64(put_u8(p, RECORD_VERSION), ms);
}

bool
rec_moment_read(struct span value, int64_t *ms_r)
{
	struct reader r = reader_of_value(value);

	*ms_r = get_i64(&r);
	return (reader_end(&r));
}

size_t
rec_deleted_size(const struct deleted_rec *rec)
{
	size_t n = 1 + 8 + 1 + 8 + 8 + 4;
	size_t i;

	for (i = 0; i < rec->n_tags; i++)
		n += 4 + rec->tags[i].n;
	return (n);
}

static bool
deleted_why_ok(uint8_t why)
{

	return (why == DELETED_BY_REQUEST || why == DELETED_EXPIRED);
}

void
rec_deleted_write(const struct deleted_rec *rec, uint8_t *p)
{
	size_t i;

	must(deleted_why_ok(rec->why) && rec->n_tags <= UINT32_MAX);
	p = put_i64(put_u8(p, RECORD_VERSION), rec->deleted_ms);
	p = put_i64(put_u8(p, rec->why), rec->priority);
	p = put_u64(p, rec->revision);
	p = put_u32(p, (uint32_t)rec->n_tags);
	for (i = 0; i < rec->n_tags; i++)
		p = put_str(p, rec->tags[i]);
}

bool
rec_deleted_read(struct span value, struct deleted_rec *rec)
{
	struct reader r = reader_of_value(value);
	struct reader tags;
	size_t i;

	rec->deleted_ms = get_i64(&r);
	rec->why = get_u8(&r);
	rec->priority = get_i64(&r);
	rec->revision = get_u64(&r);
	rec->n_tags = get_u32(&r);
	rec->tags = NULL;
	tags = r;
	rec->tag_bytes = get_rest(&r);
	for (i = 0; i < rec->n_tags && !tags.bad; i++)
		(void)get_str(&tags);
	return (reader_end(&tags) && deleted_why_ok(rec->why));
}

bool
rec_deleted_tag(struct span *tag_bytes, struct span *tag_r)
{
	struct reader r = reader_of(*tag_bytes);

	*tag_r = get_str(&r);
	if (r.bad)
		return (false);
	*tag_bytes = get_rest(&r);
	return (true);
}

enum { ORPHAN_HELD = 1, ORPHAN_BACK = 2 };

/* What is as ever is written as ever. */
static bool
orphan_again(const struct orphan_rec *rec)
{

	return (rec->gone_ms != 0 || rec->held || rec->back);
}

static uint8_t
orphan_state(const struct orphan_rec *rec)
{

	if (rec->back)
		return (ORPHAN_BACK);
	return (rec->held ? ORPHAN_HELD : 0);
}

size_t
rec_orphan_size(const struct orphan_rec *rec)
{

	return (1 + (orphan_again(rec) ? 8 + 1 : 0) +
		(rec->begun ? 1 + digest_len(rec->at.alg) : 0));
}

void
rec_orphan_write(const struct orphan_rec *rec, uint8_t *p)
{

	if (orphan_again(rec)) {
		p = put_i64(put_u8(p, ORPHAN_VERSION), rec->gone_ms);
		p = put_u8(p, orphan_state(rec));
	} else {
		p = put_u8(p, RECORD_VERSION);
	}
	if (rec->begun)
		(void)put_digest(p, &rec->at);
}

bool
rec_orphan_read(struct span value, struct orphan_rec *rec)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r), state = 0;

	*rec = (struct orphan_rec){ 0 };
	if (version == ORPHAN_VERSION) {
		rec->gone_ms = get_i64(&r);
		state = get_u8(&r);
		rec->held = state == ORPHAN_HELD;
		rec->back = state == ORPHAN_BACK;
	}
	rec->begun = r.n > 0;
	if (rec->begun)
		get_digest(&r, &rec->at);
	return (reader_end(&r) && state <= ORPHAN_BACK &&
		(version == RECORD_VERSION ||
		    (version == ORPHAN_VERSION && orphan_again(rec))));
}

size_t
rec_lifecycle_run_size(const struct lifecycle_result *row)
{

	return (1 + 8 + 1 + 8 + 8 + 5 * 8 + row->why.n);
}

static bool
run_ok(const struct lifecycle_result *row)
{

	return (row->outcome >= LIFECYCLE_RUNNING &&
		row->outcome <= LIFECYCLE_STOPPED &&
		row->why.n <= LIFECYCLE_RESULT_WHY_MAX);
}

void
rec_lifecycle_run_write(const struct lifecycle_result *row, uint8_t *p)
{

	must(run_ok(row));
	p = put_u64(put_u8(p, RECORD_VERSION), row->revision);
	p = put_u8(p, (uint8_t)row->outcome);
	p = put_i64(put_i64(p, row->started_ms), row->ended_ms);
	p = put_u64(put_u64(p, row->images), row->expired);
	p = put_u64(put_u64(p, row->archived), row->held);
	p = put_u64(p, row->changed);
	(void)put_bytes(p, row->why);
}

bool
rec_lifecycle_run_read(struct span value, struct lifecycle_result *row)
{
	struct reader r = reader_of_value(value);

	row->revision = get_u64(&r);
	row->outcome = (enum lifecycle_outcome)get_u8(&r);
	row->started_ms = get_i64(&r);
	row->ended_ms = get_i64(&r);
	row->images = get_u64(&r);
	row->expired = get_u64(&r);
	row->archived = get_u64(&r);
	row->held = get_u64(&r);
	row->changed = get_u64(&r);
	row->why = get_rest(&r);
	return (reader_end(&r) && run_ok(row));
}
