#include "base/clock.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * The advisory database.  What a record says is not known here; rows of sets
 * that nobody sees are to be swept, and no fault.
 */

enum rc
fsck_advisory_row(struct fsck_check *c)
{
	struct span ecosystem, package, record;
	uint64_t set;

	if (!key_read_advisory(c->key, &set, &ecosystem, &package) ||
	    !rec_advisory_read(c->value, &record))
		return (fsck_unreadable(c));
	return (RC_OK);
}

/* Microseconds since 1970 are above all numbers that were given out. */
enum rc
fsck_advisory_number(struct fsck_check *c)
{
	uint64_t n;

	if (rec_number_read(c->value, &n))
		return (RC_OK);
	if (fsck_found(c, FSCK_RECORD, true,
		"table registry: the record \"" SPAN_FMT "\" cannot be read",
		SPAN_ARG(c->key)))
		return (meta_number_set(
		    c->t, c->key, (uint64_t)clock_real_ms() * 1000));
	return (RC_OK);
}
