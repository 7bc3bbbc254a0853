#include "storage/meta_env_int.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/obj.h"

/*
 * Tables of bytes on LMDB.
 */

static MDB_val
val_of(struct span s)
{

	return ((MDB_val){ s.n, (void *)(uintptr_t)s.p });
}

static struct span
span_of_val(const MDB_val *v)
{

	return ((struct span){ v->mv_data, v->mv_size });
}

enum rc
meta_rc(struct meta_txn *t, int err, const char *what)
{

	switch (err) {
	case 0:
		return (RC_OK);
	case MDB_NOTFOUND:
		return (RC_NOTFOUND);
	case MDB_MAP_FULL:
		t->map_full = true;
		return (RC_NOSPACE);
	case MDB_BAD_VALSIZE:
	case MDB_TXN_FULL:
		log_error("%s: %s: %s", t->m->path, what, mdb_strerror(err));
		return (RC_TOOBIG);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		log_error("%s: %s: %s", t->m->path, what, mdb_strerror(err));
		return (RC_CORRUPT);
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		log_error("%s: %s: %s", t->m->path, what, mdb_strerror(err));
		return (RC_NOSPACE);
	default:
		log_error("%s: %s: %s", t->m->path, what, mdb_strerror(err));
		return (RC_IO);
	}
}

enum rc
meta_corrupt(enum meta_table table, struct span key)
{
	char hex[2 * KEY_MAX_BYTES + 1];
	size_t n = key.n < KEY_MAX_BYTES ? key.n : KEY_MAX_BYTES;

	hex_encode((const uint8_t *)key.p, n, hex);
	log_error("damaged record in table %s, key %s; fsck tells more",
	    meta_table_name(table), hex);
	return (RC_CORRUPT);
}

enum rc
kv_get(struct meta_txn *t, enum meta_table table, struct span key,
    struct span *value_r)
{
	MDB_val k = val_of(key), v;
	int err;

	*value_r = SPAN_NONE;
	if (key.n == 0 || t->m->tables[table] == TABLE_ABSENT)
		return (RC_NOTFOUND);
	if ((err = mdb_get(t->mdb, t->m->tables[table], &k, &v)) != 0)
		return (meta_rc(t, err, "read"));
	*value_r = span_of_val(&v);
	return (RC_OK);
}

uint64_t
kv_count(struct meta_txn *t, enum meta_table table)
{
	MDB_stat st;

	if (t->m->tables[table] == TABLE_ABSENT)
		return (0);
	if (mdb_stat(t->mdb, t->m->tables[table], &st) != 0)
		return (0);
	return (st.ms_entries);
}

enum rc
kv_put(struct meta_txn *t, enum meta_table table, struct span key,
    struct span value)
{
	MDB_val k = val_of(key), v = val_of(value);

	return (meta_rc(
	    t, mdb_put(t->mdb, t->m->tables[table], &k, &v, 0), "write"));
}

enum rc
kv_reserve(struct meta_txn *t, enum meta_table table, struct span key,
    size_t n_bytes, uint8_t **p_r)
{
	MDB_val k = val_of(key), v = { n_bytes, NULL };
	int err;

	err = mdb_put(t->mdb, t->m->tables[table], &k, &v, MDB_RESERVE);
	*p_r = v.mv_data;
	return (meta_rc(t, err, "write"));
}

enum rc
kv_delete(struct meta_txn *t, enum meta_table table, struct span key)
{
	MDB_val k = val_of(key);

	if (key.n == 0)
		return (RC_NOTFOUND);
	return (meta_rc(
	    t, mdb_del(t->mdb, t->m->tables[table], &k, NULL), "delete"));
}

enum rc
kv_walk_begin(struct meta_txn *t, enum meta_table table, struct span prefix,
    struct span from, struct kv_walk *w)
{
	int err;

	*w = (struct kv_walk){ .t = t, .table = table, .prefix = prefix };
	w->key = span_cmp(from, prefix) > 0 ? from : prefix;
	if (t->m->tables[table] == TABLE_ABSENT)
		return (RC_OK);
	err = mdb_cursor_open(t->mdb, t->m->tables[table], &w->cursor);
	return (meta_rc(t, err, "walk"));
}

enum rc
kv_walk_next(struct kv_walk *w)
{
	MDB_cursor_op op = MDB_NEXT;
	MDB_val k = { 0, NULL }, v;
	enum rc rc;

	if (w->cursor == NULL)
		return (RC_NOTFOUND);
	if (!w->begun) {
		k = val_of(w->key);
		op = k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST;
		w->begun = true;
	}
	rc = meta_rc(w->t, mdb_cursor_get(w->cursor, &k, &v, op), "walk");
	if (rc != RC_OK)
		return (rc);
	if (!span_has_prefix(span_of_val(&k), w->prefix))
		return (RC_NOTFOUND);
	w->key = span_of_val(&k);
	w->value = span_of_val(&v);
	return (RC_OK);
}

enum rc
kv_walk_delete(struct kv_walk *w)
{

	return (meta_rc(w->t, mdb_cursor_del(w->cursor, 0), "delete"));
}

void
kv_walk_end(struct kv_walk *w)
{

	if (w->cursor != NULL)
		mdb_cursor_close(w->cursor);
	w->cursor = NULL;
}

enum rc
kv_any(
    struct meta_txn *t, enum meta_table table, struct span prefix, bool *any_r)
{
	struct kv_walk w;
	enum rc rc;

	*any_r = false;
	if ((rc = kv_walk_begin(t, table, prefix, SPAN_NONE, &w)) != RC_OK)
		return (rc);
	rc = kv_walk_next(&w);
	kv_walk_end(&w);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
