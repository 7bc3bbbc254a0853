#include "storage/store_report.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#include "base/obj.h"

#define ROW(member) \
	{ \
#member, offsetof(struct store_stats, member) \
	}

static const struct row {
	const char *name;
	size_t offset;
} rows[] = {
	ROW(repositories),
	ROW(manifests),
	ROW(tags),
	ROW(blobs),
	ROW(blob_links),
	ROW(referrers),
	ROW(upload_sessions),
	ROW(inline_blobs),
	ROW(inline_bytes),
	ROW(file_blobs),
	ROW(file_bytes),
	ROW(unreferenced_blobs),
	ROW(unreferenced_bytes),
	ROW(archived_blobs),
	ROW(archived_bytes),
	ROW(archived_stored_bytes),
	ROW(idle_links),
	ROW(deleted_images),
	ROW(map_bytes),
	ROW(map_used_bytes),
	ROW(page_bytes),
	ROW(map_free_bytes),
	ROW(disk_free_bytes),
	ROW(disk_reserve_bytes),
	ROW(ballast_bytes),
	ROW(archive_away),
	ROW(commit_queue),
	ROW(commits),
	ROW(commit_ops),
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) * sizeof(uint64_t) ==
		   sizeof(struct store_stats),
    "a row for each figure");

void
store_stats_json(const struct store_stats *st, struct buf *out)
{
	const char *base = (const char *)st;
	size_t i;

	buf_char(out, '{');
	for (i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
		    rows[i].name, *(const uint64_t *)(base + rows[i].offset));
	buf_char(out, '}');
}
