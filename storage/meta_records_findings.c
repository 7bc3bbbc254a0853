#include "storage/findings.h"
#include "storage/records_int.h"

/*
 * Rows of what scans found: indexes of layers, findings, and which images have
 * packages of which ecosystem.
 */

size_t
rec_layer_index_size(size_t stored_bytes)
{

	return (1 + 8 + 4 + stored_bytes);
}

uint8_t *
rec_layer_index_write(int64_t indexed_ms, uint32_t layer_reader, uint8_t *p)
{

	p = put_i64(put_u8(p, RECORD_VERSION), indexed_ms);
	return (put_u32(p, layer_reader));
}

bool
rec_layer_index_read(struct span value, struct layer_index_rec *rec)
{
	struct reader r = reader_of_value(value);

	rec->indexed_ms = get_i64(&r);
	rec->reader = get_u32(&r);
	rec->stored = get_rest(&r);
	return (reader_end(&r));
}

size_t
rec_findings_size(const struct findings_rec *rec)
{
	size_t i, n = 1 + 3 * 8 + 4 * FINDING_SEVERITIES + 4;

	for (i = 0; i < rec->n_ecosystems; i++)
		n += 4 + rec->ecosystems[i].n;
	return (n + rec->stored.n);
}

uint8_t *
rec_findings_write(const struct findings_rec *rec, uint8_t *p)
{
	size_t i;

	p = put_i64(put_u8(p, RECORD_VERSION), rec->completed_ms);
	p = put_i64(put_u64(p, rec->revision), rec->updated_ms);
	for (i = 0; i < FINDING_SEVERITIES; i++)
		p = put_u32(p, rec->counts[i]);
	p = put_u32(p, (uint32_t)rec->n_ecosystems);
	for (i = 0; i < rec->n_ecosystems; i++)
		p = put_str(p, rec->ecosystems[i]);
	return (p);
}

bool
rec_findings_read(struct span value, struct findings_rec *rec)
{
	struct reader r = reader_of_value(value);
	uint32_t n;
	size_t i;

	rec->completed_ms = get_i64(&r);
	rec->revision = get_u64(&r);
	rec->updated_ms = get_i64(&r);
	for (i = 0; i < FINDING_SEVERITIES; i++)
		rec->counts[i] = get_u32(&r);
	n = get_u32(&r);
	if (n > FINDINGS_ECOSYSTEMS_MAX)
		return (false);
	rec->n_ecosystems = n;
	for (i = 0; i < n; i++) {
		rec->ecosystems[i] = get_str(&r);
		if (rec->ecosystems[i].n == 0 ||
		    rec->ecosystems[i].n > SYSTEM_MAX_BYTES)
			return (false);
	}
	rec->stored = get_rest(&r);
	return (reader_end(&r));
}

/* str8 ecosystem, repo, digest; ${d} NULL: the prefix of that ecosystem. */
void
key_system(struct rec_key *k, struct span ecosystem, uint64_t repo,
    const struct digest *d)
{
	uint8_t *p;

	k->n = 0;
	if (ecosystem.n > SYSTEM_MAX_BYTES)
		return;
	p = put_bytes(put_u8(k->p, (uint8_t)ecosystem.n), ecosystem);
	if (d != NULL)
		p = put_digest(put_u64(p, repo), d);
	k->n = (size_t)(p - k->p);
}

bool
key_read_system(struct span key, struct span *ecosystem_r, uint64_t *repo_r,
    struct digest *d)
{
	struct reader r = reader_of(key);

	*ecosystem_r = get_span(&r, get_u8(&r));
	*repo_r = get_u64(&r);
	get_digest(&r, d);
	return (reader_end(&r) && ecosystem_r->n <= SYSTEM_MAX_BYTES);
}
