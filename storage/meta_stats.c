#include "storage/meta_env_int.h"

#include <string.h>

#include "storage/commit_int.h"
#include "storage/store.h"

/*
 * The figures of the metadata store: what transactions have counted, and what
 * LMDB knows of its own pages.  Nothing here walks over anything of ours.
 */

/* Of LMDB's list of free pages no more rows than that are looked at. */
#define FREE_ROWS_MAX 1024

static void
stats_of_tables(struct meta_txn *t, struct store_stats *st)
{
	uint64_t manifests = kv_count(t, TABLE_MANIFESTS);

	st->deleted_images = kv_count(t, TABLE_DELETED_IMAGES);
	if (st->deleted_images < manifests)
		st->manifests = manifests - st->deleted_images;
	st->repositories = kv_count(t, TABLE_REPOSITORIES);
	st->tags = kv_count(t, TABLE_TAGS);
	st->blobs = kv_count(t, TABLE_BLOBS);
	st->blob_links = kv_count(t, TABLE_BLOB_LINKS);
	st->referrers = kv_count(t, TABLE_REFERRERS);
	st->upload_sessions = kv_count(t, TABLE_UPLOADS);
	st->idle_links = kv_count(t, TABLE_IDLE_LINKS);
}

static void
stats_of_counts(struct meta_txn *t, struct store_stats *st)
{
	struct meta_counts c = { 0 };

	if (meta_counts_kept(t, &c) != RC_OK)
		return;
	st->inline_blobs = c.inline_blobs;
	st->inline_bytes = c.inline_bytes;
	st->file_blobs = c.file_blobs;
	st->file_bytes = c.file_bytes;
	st->unreferenced_blobs = c.unheld_blobs;
	st->unreferenced_bytes = c.unheld_bytes;
	st->archived_blobs = c.archived_blobs;
	st->archived_bytes = c.archived_bytes;
	st->archived_stored_bytes = c.archived_stored_bytes;
}

/*
 * Each row of the list holds the pages that one transaction has freed: a
 * number of them, then their numbers.  They are few, and short, but for a
 * database that has just lost much; there the rest is taken to be like the
 * first ones.
 */
static uint64_t
free_pages(struct meta_txn *t)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_stat ms;
	size_t one, n_rows = 0;
	uint64_t n = 0;

	if (mdb_stat(t->mdb, TABLE_FREE, &ms) != 0 ||
	    mdb_cursor_open(t->mdb, TABLE_FREE, &cursor) != 0)
		return (0);
	while (n_rows < FREE_ROWS_MAX &&
	       mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0 &&
	       v.mv_size >= sizeof(one)) {
		memcpy(&one, v.mv_data, sizeof(one));
		n += one;
		n_rows++;
	}
	mdb_cursor_close(cursor);
	return (n_rows > 0 ? n * ms.ms_entries / n_rows : 0);
}

/* While the gate is ours, since growing changes what is asked here. */
static void
stats_of_map(struct meta_txn *t, struct store_stats *st)
{
	MDB_envinfo info;
	MDB_stat ms;

	if (mdb_env_info(t->m->env, &info) != 0 ||
	    mdb_env_stat(t->m->env, &ms) != 0)
		return;
	st->map_bytes = info.me_mapsize;
	st->map_used_bytes = (info.me_last_pgno + 1) * ms.ms_psize;
	st->page_bytes = ms.ms_psize;
	st->map_free_bytes = free_pages(t) * ms.ms_psize;
}

void
meta_stats(struct meta *m, struct store_stats *st)
{
	struct commit_figures f = { 0 };
	struct meta_txn t;

	if (meta_read_begin(m, &t) == RC_OK) {
		stats_of_tables(&t, st);
		stats_of_counts(&t, st);
		stats_of_map(&t, st);
		meta_read_end(&t);
	}
	if (m->commit != NULL)
		commit_figures(m->commit, &f);
	st->commit_queue = f.queue;
	st->commits = f.commits;
	st->commit_ops = f.ops;
}
