#include "storage/records_int.h"

#include <assert.h>

#include "storage/advisories.h"

/*
 * Rows of the advisory database.
 */

static_assert(
    8 + 1 + ADVISORY_ECOSYSTEM_MAX_BYTES + 1 + ADVISORY_PACKAGE_MAX_BYTES + 4 <=
	KEY_MAX_BYTES,
    "the longest names that there may be");

void
key_advisory_set(struct rec_key *k, uint64_t set)
{

	k->n = (size_t)(put_u64(k->p, set) - k->p);
}

bool
key_advisory(
    struct rec_key *k, uint64_t set, struct span ecosystem, struct span package)
{
	uint8_t *p;

	k->n = 0;
	if (ecosystem.n > ADVISORY_ECOSYSTEM_MAX_BYTES ||
	    package.n > ADVISORY_PACKAGE_MAX_BYTES)
		return (false);
	p = put_u8(put_u64(k->p, set), (uint8_t)ecosystem.n);
	p = put_u8(put_bytes(p, ecosystem), (uint8_t)package.n);
	k->n = (size_t)(put_bytes(p, package) - k->p);
	return (true);
}

void
key_advisory_sequence(struct rec_key *k, uint32_t sequence)
{

	must(k->n + 4 <= KEY_MAX_BYTES);
	(void)put_u32(k->p + k->n, sequence);
	k->n += 4;
}

bool
key_read_advisory_set(struct span key, uint64_t *set_r)
{
	struct reader r = reader_of(key);

	*set_r = get_u64(&r);
	return (!r.bad);
}

bool
key_read_advisory(struct span key, uint64_t *set_r, struct span *ecosystem_r,
    struct span *package_r)
{
	struct reader r = reader_of(key);

	*set_r = get_u64(&r);
	*ecosystem_r = get_span(&r, get_u8(&r));
	*package_r = get_span(&r, get_u8(&r));
	(void)get_u32(&r);
	return (reader_end(&r) &&
		ecosystem_r->n <= ADVISORY_ECOSYSTEM_MAX_BYTES &&
		package_r->n <= ADVISORY_PACKAGE_MAX_BYTES);
}

size_t
rec_advisory_size(struct span record)
{

	return (1 + record.n);
}

void
rec_advisory_write(struct span record, uint8_t *p)
{

	(void)put_bytes(put_u8(p, RECORD_VERSION), record);
}

bool
rec_advisory_read(struct span value, struct span *record_r)
{
	struct reader r = reader_of_value(value);

	*record_r = get_rest(&r);
	return (reader_end(&r) && record_r->n > 0);
}
