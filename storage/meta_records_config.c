#include "storage/records_int.h"

/*
 * Values to bytes and back: what is set of a repository, sessions of uploads,
 * and entities.
 */

#define UPLOAD_VERSION 2
#define DOOMED_VERSION 2

static bool
repo_settings_ok(const struct repository_settings *s)
{

	return (s->mutability >= TAGS_MUTABLE &&
		s->mutability <= TAGS_MUTABLE_WITH_EXCLUSION &&
		s->encryption >= ENCRYPTION_AES256 &&
		s->encryption <= ENCRYPTION_NONE &&
		s->n_exclusions <= REPOSITORY_EXCLUSIONS_MAX);
}

size_t
rec_settings_size(const struct repository_settings *s)
{
	size_t n = 1 + 1 + 1 + 1 + 4 + s->kms_key.n + 4;
	size_t i;

	for (i = 0; i < s->n_exclusions; i++)
		n += 4 + s->exclusions[i].n;
	return (n);
}

void
rec_settings_write(const struct repository_settings *s, uint8_t *p)
{
	size_t i;

	must(repo_settings_ok(s));
	p = put_u8(put_u8(p, RECORD_VERSION), (uint8_t)s->mutability);
	p = put_u8(p, s->scan_on_push ? 1 : 0);
	p = put_u8(p, (uint8_t)s->encryption);
	p = put_str(p, s->kms_key);
	p = put_u32(p, (uint32_t)s->n_exclusions);
	for (i = 0; i < s->n_exclusions; i++)
		p = put_str(p, s->exclusions[i]);
}

bool
rec_settings_read(struct span value,
    struct span room[REPOSITORY_EXCLUSIONS_MAX], struct repository_settings *s)
{
	struct reader r = reader_of_value(value);
	uint8_t mutability = get_u8(&r), scan = get_u8(&r);
	uint8_t encryption = get_u8(&r);
	size_t i;

	s->mutability = (enum tag_mutability)mutability;
	s->scan_on_push = scan == 1;
	s->encryption = (enum encryption_type)encryption;
	s->kms_key = get_str(&r);
	s->exclusions = room;
	s->n_exclusions = get_u32(&r);
	if (scan > 1 || !repo_settings_ok(s))
		return (false);
	for (i = 0; i < s->n_exclusions; i++)
		room[i] = get_str(&r);
	return (reader_end(&r));
}

size_t
rec_resource_tags_size(const struct resource_tag *tags, size_t n)
{
	size_t size = 1 + 4;
	size_t i;

	for (i = 0; i < n; i++)
		size += 4 + tags[i].key.n + 4 + tags[i].value.n;
	return (size);
}

void
rec_resource_tags_write(const struct resource_tag *tags, size_t n, uint8_t *p)
{
	size_t i;

	must(n <= REPOSITORY_TAGS_MAX);
	p = put_u32(put_u8(p, RECORD_VERSION), (uint32_t)n);
	for (i = 0; i < n; i++)
		p = put_str(put_str(p, tags[i].key), tags[i].value);
}

bool
rec_resource_tags_read(struct span value,
    struct resource_tag room[REPOSITORY_TAGS_MAX], size_t *n_r)
{
	struct reader r = reader_of_value(value);
	size_t i;

	*n_r = get_u32(&r);
	if (r.bad || *n_r > REPOSITORY_TAGS_MAX)
		return (false);
	for (i = 0; i < *n_r; i++) {
		room[i].key = get_str(&r);
		room[i].value = get_str(&r);
		if (i > 0 && span_cmp(room[i - 1].key, room[i].key) >= 0)
			return (false);
	}
	return (reader_end(&r));
}

size_t
rec_policy_size(const struct policy_rec *rec)
{

	return (1 + 8 + rec->text.n);
}

void
rec_policy_write(const struct policy_rec *rec, uint8_t *p)
{

	p = put_u64(put_u8(p, RECORD_VERSION), rec->revision);
	(void)put_bytes(p, rec->text);
}

bool
rec_policy_read(struct span value, struct policy_rec *rec)
{
	struct reader r = reader_of_value(value);

	rec->revision = get_u64(&r);
	rec->text = get_rest(&r);
	return (reader_end(&r) && rec->revision != 0);
}

size_t
rec_lifecycle_size(const struct lifecycle_row *row)
{

	return (1 + 8 + 8 + 8 + row->text.n);
}

void
rec_lifecycle_write(const struct lifecycle_row *row, uint8_t *p)
{

	p = put_u64(put_u8(p, RECORD_VERSION), row->revision);
	p = put_i64(put_i64(p, row->set_ms), row->evaluated_ms);
	(void)put_bytes(p, row->text);
}

bool
rec_lifecycle_read(struct span value, struct lifecycle_row *row)
{
	struct reader r = reader_of_value(value);

	row->revision = get_u64(&r);
	row->set_ms = get_i64(&r);
	row->evaluated_ms = get_i64(&r);
	row->text = get_rest(&r);
	return (reader_end(&r) && row->revision != 0 && row->text.n > 0);
}

size_t
rec_preview_size(const struct preview_row *row)
{

	return (1 + 8 + 1 + 8 + 8 + 8 + 8 + row->text.n);
}

void
rec_preview_write(const struct preview_row *row, uint8_t *p)
{

	p = put_u64(put_u8(p, RECORD_VERSION), row->run);
	p = put_u8(p, (uint8_t)row->status);
	p = put_i64(put_i64(p, row->started_ms), row->ended_ms);
	p = put_u64(put_u64(p, row->sums.expiring), row->sums.transitioning);
	(void)put_bytes(p, row->text);
}

bool
rec_preview_read(struct span value, struct preview_row *row)
{
	struct reader r = reader_of_value(value);
	uint8_t status;

	row->run = get_u64(&r);
	status = get_u8(&r);
	row->status = (enum preview_status)status;
	row->started_ms = get_i64(&r);
	row->ended_ms = get_i64(&r);
	row->sums.expiring = get_u64(&r);
	row->sums.transitioning = get_u64(&r);
	row->text = get_rest(&r);
	return (reader_end(&r) && row->run != 0 &&
		status >= PREVIEW_IN_PROGRESS && status <= PREVIEW_EXPIRED &&
		row->text.n > 0);
}

size_t
rec_preview_result_size(const struct preview_result *row)
{

	return (1 + 1 + digest_len(row->digest.alg) + 1 + 1 + 8 + 8);
}

void
rec_preview_result_write(const struct preview_result *row, uint8_t *p)
{

	p = put_digest(put_u8(p, RECORD_VERSION), &row->digest);
	p = put_u8(put_u8(p, (uint8_t)row->action), (uint8_t)row->status);
	(void)put_i64(put_i64(p, row->priority), row->pushed_ms);
}

bool
rec_preview_result_read(struct span value, struct preview_result *row)
{
	struct reader r = reader_of_value(value);
	uint8_t action, status;

	get_digest(&r, &row->digest);
	action = get_u8(&r);
	status = get_u8(&r);
	row->action = (enum preview_action)action;
	row->status = (enum image_status)status;
	row->priority = get_i64(&r);
	row->pushed_ms = get_i64(&r);
	row->sequence = 0;
	return (reader_end(&r) && action >= PREVIEW_EXPIRE &&
		action <= PREVIEW_TRANSITION && status >= IMAGE_ACTIVE &&
		status <= IMAGE_ACTIVATING);
}

size_t
rec_upload_size(const struct upload_rec *u)
{

	return (1 + 1 + 8 + 4 + 1 + u->repository.n);
}

void
rec_upload_write(const struct upload_rec *u, uint8_t *p)
{

	p = put_u8(put_u8(p, UPLOAD_VERSION), u->alg);
	p = put_u32(put_i64(p, u->started_ms), u->parts);
	(void)put_bytes(put_u8(p, u->part_flags), u->repository);
}

bool
rec_upload_read(struct span value, struct upload_rec *u)
{
	const uint8_t known = UPLOAD_SHORT_PART | UPLOAD_SHORT_INNER;
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r);

	u->alg = get_u8(&r);
	u->started_ms = get_i64(&r);
	u->parts = version == UPLOAD_VERSION ? get_u32(&r) : 0;
	u->part_flags = version == UPLOAD_VERSION ? get_u8(&r) : 0;
	u->repository = get_rest(&r);
	return (reader_end(&r) && (u->part_flags & ~known) == 0 &&
		(version == RECORD_VERSION || version == UPLOAD_VERSION));
}

size_t
rec_doomed_size(const struct doomed_rec *rec)
{

	return (1 + 8 + 8 + 1 + rec->name.n);
}

void
rec_doomed_write(const struct doomed_rec *rec, uint8_t *p)
{

	p = put_i64(put_u8(p, DOOMED_VERSION), rec->deleted_ms);
	p = put_u8(put_i64(p, rec->created_ms), rec->purging ? 1 : 0);
	(void)put_bytes(p, rec->name);
}

bool
rec_doomed_read(struct span value, struct doomed_rec *rec)
{
	struct reader r = reader_of(value);
	uint8_t version = get_u8(&r), purging = 1;

	rec->deleted_ms = get_i64(&r);
	rec->created_ms = version == DOOMED_VERSION ? get_i64(&r) : 0;
	if (version == DOOMED_VERSION)
		purging = get_u8(&r);
	rec->purging = purging != 0;
	rec->name = get_rest(&r);
	return (reader_end(&r) && purging <= 1 &&
		(version == RECORD_VERSION || version == DOOMED_VERSION));
}

size_t
rec_entity_size(struct span record)
{

	return (1 + record.n);
}

void
rec_entity_write(struct span record, uint8_t *p)
{

	(void)put_bytes(put_u8(p, RECORD_VERSION), record);
}

bool
rec_entity_read(struct span value, struct span *record_r)
{
	struct reader r = reader_of_value(value);

	*record_r = get_rest(&r);
	return (reader_end(&r) && record_r->n > 0);
}
