#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Content that is to be removed from where it lies.  The row is written in
 * the transaction after which no record leads there any more, and goes when
 * the file has; so what a crash leaves behind is known, and nobody searches.
 */

static bool
location_ok(enum blob_location location)
{

	return (location == BLOB_IN_FILE || location == BLOB_IN_ARCHIVE);
}

enum rc
removal_put(struct meta_txn *t, enum blob_location location, uint32_t domain,
    const struct digest *d, int64_t now_ms)
{
	uint8_t value[REC_MOMENT_BYTES];
	struct rec_key k;

	must(location_ok(location));
	key_removal(&k, (uint8_t)location, domain, d);
	rec_moment_write(now_ms, value);
	return (kv_put(t, TABLE_REMOVALS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
removal_drop(struct meta_txn *t, enum blob_location location, uint32_t domain,
    const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	must(location_ok(location));
	key_removal(&k, (uint8_t)location, domain, d);
	rc = kv_delete(t, TABLE_REMOVALS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
