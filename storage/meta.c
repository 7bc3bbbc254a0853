#include "storage/meta_env_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/advisories_int.h"
#include "storage/ballast_int.h"
#include "storage/commit_int.h"
#include "storage/keys_int.h"
#include "storage/lease.h"
#include "storage/store.h"

/*
 * The metadata store as a whole: opened and closed.
 *
 * LMDB runs with all its syncs.  The map is read-only for us (no WRITEMAP: a
 * stray pointer must not reach the database), read-ahead stays on: values of
 * several pages and a cold start gain more by it than large databases lose.
 */
#define META_FILE "meta.mdb"
#define MAP_MIN_BYTES ((uint64_t)1 << 20)
#define READERS_SLACK 16
#define READERS_DEFAULT 126
#define TABLES_SLACK 8 /* room for those of later formats */

static enum rc
open_rc(int err)
{

	if (err == MDB_INVALID || err == MDB_VERSION_MISMATCH ||
	    err == MDB_CORRUPTED || err == MDB_NOTFOUND)
		return (RC_CORRUPT);
	if (err == ENOMEM)
		return (RC_LIMIT);
	return (err > 0 ? rc_of_errno(err) : RC_IO);
}

static enum rc
open_fail(const struct meta *m, char *why, int err, const char *what)
{

	(void)snprintf(why, STORE_WHY_BYTES, "%s: %s: %s", m->path, what,
	    mdb_strerror(err));
	return (open_rc(err));
}

static enum rc
file_check(const struct meta_options *o, const struct meta *m, char *why)
{
	struct stat st;

	if (fstatat(o->dir_fd, META_FILE, &st, 0) == 0) {
		if (st.st_size > 0 || o->create)
			return (RC_OK);
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s is empty; restore it from a backup", m->path);
		return (RC_CORRUPT);
	}
	if (errno == ENOENT && o->create)
		return (RC_OK);
	if (errno == ENOENT) {
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s is missing; restore it from a backup", m->path);
		return (RC_CORRUPT);
	}
	return (open_fail(m, why, errno, "look at it"));
}

/*
 * A file that was cut off would end the process with SIGBUS where it is read
 * behind its end.  Filled up with zeros it gives errors instead.  It need not
 * be damage: pages at the end that a commit took and gave back are not
 * written, so after a crash a sound file may be short of them.
 */
static enum rc
file_fill(const struct meta *m, char *why)
{
	struct stat st;
	MDB_envinfo info;
	MDB_stat ms;
	uint64_t n_bytes;
	int fd;

	must(mdb_env_info(m->env, &info) == 0);
	must(mdb_env_stat(m->env, &ms) == 0);
	must(mdb_env_get_fd(m->env, &fd) == 0);
	n_bytes = ((uint64_t)info.me_last_pgno + 1) * ms.ms_psize;
	if (fstat(fd, &st) != 0)
		return (open_fail(m, why, errno, "look at it"));
	if ((uint64_t)st.st_size >= n_bytes)
		return (RC_OK);
	if (m->read_only) {
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s ends after %llu bytes of %llu: start registryd on it "
		    "once, or restore it from a backup",
		    m->path, (unsigned long long)st.st_size,
		    (unsigned long long)n_bytes);
		return (RC_CORRUPT);
	}
	log_warn("%s ends after %llu bytes of %llu", m->path,
	    (unsigned long long)st.st_size, (unsigned long long)n_bytes);
	if (ftruncate(fd, (off_t)n_bytes) != 0)
		return (open_fail(m, why, errno, "fill up"));
	return (RC_OK);
}

static unsigned
env_flags(const struct meta *m)
{
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;

	/* Whoever holds the folder's lock is alone with it, so that LMDB's
	 * own file, which may be out of reach here, is not needed. */
	if (m->read_only)
		flags |= MDB_RDONLY | MDB_NOLOCK;
	return (flags);
}

static enum rc
env_open(struct meta *m, const struct meta_options *o, char *why)
{
	unsigned readers = READERS_DEFAULT;
	MDB_envinfo info;
	uint64_t map = o->map_bytes;
	int err, dead;
	enum rc rc;

	if (map < MAP_MIN_BYTES)
		map = MAP_MIN_BYTES;
	if (o->max_threads > 0)
		readers = o->max_threads + READERS_SLACK;
	if ((err = mdb_env_create(&m->env)) != 0)
		return (open_fail(m, why, err, "prepare"));
	if ((err = mdb_env_set_mapsize(m->env, map)) != 0 ||
	    (err = mdb_env_set_maxreaders(m->env, readers)) != 0 ||
	    (err = mdb_env_set_maxdbs(m->env, META_TABLES + TABLES_SLACK)) !=
		0 ||
	    (err = mdb_env_open(m->env, m->path, env_flags(m), 0600)) != 0)
		goto err0;
	if (!m->read_only)
		(void)mdb_reader_check(m->env, &dead);
	must(mdb_env_info(m->env, &info) == 0);
	m->map_bytes = info.me_mapsize;
	if ((rc = file_fill(m, why)) != RC_OK)
		goto err1;
	return (RC_OK);

err0:
	rc = open_fail(m, why, err, "open");
err1:
	mdb_env_close(m->env);
	m->env = NULL;
	return (rc);
}

/* Tables. */

enum rc
meta_format_get(struct meta_txn *t, unsigned *format_r)
{
	struct span key = SPAN("format"), value;
	enum rc rc;

	if ((rc = kv_get(t, TABLE_REGISTRY, key, &value)) != RC_OK)
		return (rc);
	if (!rec_format_read(value, format_r))
		return (meta_corrupt(TABLE_REGISTRY, key));
	return (RC_OK);
}

enum rc
meta_format_set(struct meta_txn *t, unsigned format)
{
	uint8_t value[REC_FORMAT_BYTES];

	rec_format_write(format, value);
	return (kv_put(t, TABLE_REGISTRY, SPAN("format"),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
meta_counts_kept(struct meta_txn *t, struct meta_counts *c_r)
{
	struct span key = SPAN("counts"), value;
	enum rc rc;

	if (t->counts != NULL) {
		*c_r = *t->counts;
		return (RC_OK);
	}
	if ((rc = kv_get(t, TABLE_REGISTRY, key, &value)) != RC_OK)
		return (
		    rc == RC_NOTFOUND ? meta_corrupt(TABLE_REGISTRY, key) : rc);
	if (!rec_counts_read(value, c_r))
		return (meta_corrupt(TABLE_REGISTRY, key));
	return (RC_OK);
}

enum rc
meta_number_get(struct meta_txn *t, struct span key, uint64_t *n_r)
{
	struct span value;
	enum rc rc;

	*n_r = 0;
	if ((rc = kv_get(t, TABLE_REGISTRY, key, &value)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_number_read(value, n_r))
		return (meta_corrupt(TABLE_REGISTRY, key));
	return (RC_OK);
}

enum rc
meta_number_set(struct meta_txn *t, struct span key, uint64_t n)
{
	uint8_t value[REC_NUMBER_BYTES];

	rec_number_write(n, value);
	return (kv_put(t, TABLE_REGISTRY, key,
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
registry_create(struct meta_txn *t, unsigned format)
{
	const struct meta_counts counts = { .next_repository = 1 };
	uint8_t value[REC_COUNTS_BYTES];
	enum rc rc;

	if ((rc = meta_format_set(t, format)) != RC_OK)
		return (rc);
	rec_counts_write(&counts, value);
	return (kv_put(t, TABLE_REGISTRY, SPAN("counts"),
	    (struct span){ (const char *)value, sizeof(value) }));
}

/* Which tables a folder of that format has. */
static unsigned
tables_of_format(unsigned format)
{

	if (format == 1)
		return (META_TABLES_OF_FORMAT_1);
	if (format == 2)
		return (META_TABLES_OF_FORMAT_2);
	if (format == 3)
		return (META_TABLES_OF_FORMAT_3);
	if (format == 4)
		return (META_TABLES_OF_FORMAT_4);
	return (format == 5 ? META_TABLES_OF_FORMAT_5 : META_TABLES);
}

static bool
tables_absent(const struct meta *m, unsigned format)
{
	unsigned i;

	for (i = 0; i < tables_of_format(format); i++)
		if (m->tables[i] == TABLE_ABSENT)
			return (true);
	return (false);
}

/* What stands in the registry's own table; made when all is new. */
static enum rc
registry_read(struct meta_txn *t, const struct meta_options *o, char *why)
{
	unsigned format;
	enum rc rc;

	rc = meta_format_get(t, &format);
	if (rc == RC_NOTFOUND && o->create)
		rc = registry_create(t, o->format);
	else if (rc == RC_OK && tables_absent(t->m, format))
		rc = RC_CORRUPT;
	if (rc == RC_OK)
		rc = meta_counts_kept(t, &t->m->counts);
	if (rc == RC_OK)
		return (RC_OK);
	(void)snprintf(why, STORE_WHY_BYTES,
	    "%s: not the metadata of a registry, or damaged (%s)", t->m->path,
	    rc_text(rc));
	return (rc == RC_NOTFOUND ? RC_CORRUPT : rc);
}

static int
tables_open(struct meta *m, MDB_txn *txn)
{
	unsigned flags = m->read_only ? 0 : MDB_CREATE;
	unsigned i;
	int err = 0;

	for (i = 0; i < META_TABLES && err == 0; i++) {
		err = mdb_dbi_open(txn, meta_table_name((enum meta_table)i),
		    flags, &m->tables[i]);
		/* A folder of an old format that is not to be changed. */
		if (err == MDB_NOTFOUND && i >= META_TABLES_OF_FORMAT_1) {
			m->tables[i] = TABLE_ABSENT;
			err = 0;
		}
	}
	return (err);
}

static enum rc
tables_setup(struct meta *m, const struct meta_options *o, char *why)
{
	struct meta_txn t = { .m = m };
	int err;
	enum rc rc;

	err =
	    mdb_txn_begin(m->env, NULL, m->read_only ? MDB_RDONLY : 0, &t.mdb);
	if (err != 0)
		return (open_fail(m, why, err, "begin"));
	if ((err = tables_open(m, t.mdb)) != 0) {
		rc = open_fail(m, why, err, "open its tables");
		goto err0;
	}
	if ((rc = registry_read(&t, o, why)) != RC_OK)
		goto err0;
	/* Of a read, too: this is what keeps the handles. */
	if ((err = mdb_txn_commit(t.mdb)) != 0)
		return (open_fail(m, why, err, "commit"));
	return (RC_OK);

err0:
	mdb_txn_abort(t.mdb);
	return (rc);
}

/* Files. */

static enum rc
files_settle(struct meta *m, const struct meta_options *o, char *why)
{

	m->witness_fd = openat(o->dir_fd, META_FILE, O_RDONLY | O_CLOEXEC);
	if (m->witness_fd < 0)
		return (open_fail(m, why, errno, "open once more"));
	if (!m->read_only && fsync(o->dir_fd) != 0)
		return (open_fail(m, why, errno, "sync the folder"));
	return (RC_OK);
}

/* Undoes whatever meta_open() has done so far. */
static void
meta_free(struct meta *m)
{

	commit_stop(&m->commit);
	pulled_free(&m->pulled);
	leases_free(&m->leases);
	keys_free(&m->keys);
	advisories_free(&m->advisories);
	meta_gate_free(m);
	if (m->witness_fd >= 0)
		(void)close(m->witness_fd);
	if (m->env != NULL)
		mdb_env_close(m->env);
	free(m->path);
	m->magic = 0;
	free(m);
}

static enum rc
meta_start(struct meta *m, const struct meta_options *o, char *why)
{
	enum rc rc;

	if ((rc = file_check(o, m, why)) != RC_OK)
		return (rc);
	if ((rc = env_open(m, o, why)) != RC_OK)
		return (rc);
	if ((rc = tables_setup(m, o, why)) != RC_OK)
		return (rc);
	if ((rc = files_settle(m, o, why)) != RC_OK)
		return (rc);
	if (m->read_only)
		return (RC_OK);
	if ((rc = commit_start(m, &m->commit)) != RC_OK)
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s: cannot start its thread", m->path);
	return (rc);
}

enum rc
meta_open(const struct meta_options *o, char *why, struct meta **m_r)
{
	struct meta *m = xcalloc(1, sizeof(*m));
	enum rc rc;

	m->magic = META_MAGIC;
	m->read_only = o->read_only;
	m->witness_fd = -1;
	m->path = xasprintf("%s/%s", o->dir, META_FILE);
	m->pulled = pulled_new();
	m->leases = leases_new();
	m->keys = keys_new(m);
	m->advisories = advisories_new();
	meta_gate_init(m);
	if ((rc = meta_start(m, o, why)) != RC_OK) {
		meta_free(m);
		return (rc);
	}
	*m_r = m;
	return (RC_OK);
}

void
meta_close(struct meta **m_r)
{
	struct meta *m = *m_r;

	if (m == NULL)
		return;
	OBJ_CHECK(m, META_MAGIC);
	meta_free(m);
	*m_r = NULL;
}

/* In use. */

bool
meta_failed(const struct meta *m)
{

	return (m->commit != NULL && commit_failed(m->commit));
}

enum rc
meta_change(struct meta *m, meta_change_fn *fn, void *arg, size_t weight_bytes)
{

	if (m->read_only)
		return (RC_READONLY);
	/* The commit may have to wait until nobody reads. */
	must(!meta_reading(m));
	return (commit_run(m->commit, fn, arg, weight_bytes));
}

void
meta_ballast_set(struct meta *m, struct ballast *b)
{

	m->ballast = b;
}

enum rc
meta_change_freeing(struct meta *m, meta_change_fn *fn, void *arg)
{
	struct ballast *b = m->ballast;
	unsigned drops = b != NULL ? ballast_drops(b) : 0;
	enum rc rc;

	rc = meta_change(m, fn, arg, 0);
	if (rc == RC_NOSPACE && b != NULL && ballast_drop(b, drops))
		rc = meta_change(m, fn, arg, 0);
	return (rc);
}

void
meta_manifest_pulled(struct meta *m, struct span repository,
    const struct digest *d, int64_t now_ms)
{

	if (m->read_only)
		return;
	if (pulled_add(m->pulled, repository, d, now_ms))
		commit_pulled(m->commit);
}

struct leases *
meta_leases(struct meta *m)
{

	return (m->leases);
}

struct keys *
meta_keys(struct meta *m)
{

	return (m->keys);
}

void
meta_undelete_set(struct meta *m, int64_t undelete_ms)
{

	atomic_store(&m->undelete_ms, undelete_ms);
}

int64_t
meta_undelete_ms(const struct meta *m)
{

	return (atomic_load(&m->undelete_ms));
}
