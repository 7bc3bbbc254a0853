#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "meta_tools.h"
#include "storage/commit_int.h"
#include "storage/meta_int.h"

/*
 * The committer: many at once, a map that grows under readers, and disks that
 * fail.  What the database asks of the disk goes through the functions here,
 * which fail when they are told to.
 */
static _Atomic bool sync_fails;
static _Atomic int write_errno; /* of the next writes, while not 0 */
static _Atomic bool meta_fails; /* the write of the root page */
static _Atomic bool write_short;

int fdatasync(int fd);
ssize_t pwrite(int fd, const void *p, size_t n, off_t offset);
ssize_t writev(int fd, const struct iovec *v, int n);

int
fdatasync(int fd)
{
	if (atomic_load(&sync_fails)) {
		errno = EIO;
		return (-1);
	}
	return ((int)syscall(SYS_fdatasync, fd));
}

static bool
write_fails(void)
{
	if (atomic_load(&write_errno) == 0)
		return (false);
	errno = atomic_load(&write_errno);
	return (true);
}

/* Single pages, and the root page. */
ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	if (write_fails())
		return (-1);
	if (atomic_load(&meta_fails) && offset < 2 * 4096) {
		errno = ENOSPC;
		return (-1);
	}
	if (atomic_load(&write_short) && n > 1)
		n--;
	return (syscall(SYS_pwrite64, fd, p, n, offset));
}

/* Runs of pages. */
ssize_t
writev(int fd, const struct iovec *v, int n)
{
	if (write_fails())
		return (-1);
	return (syscall(SYS_writev, fd, v, atomic_load(&write_short) ? 1L : n));
}

/* A repository of its own for each thread, so that names do not meet. */

#define THREADS 6
#define EACH 40

struct pusher {
	struct mt *t;
	unsigned id;
	size_t size_bytes;
	unsigned n_ok;
	enum rc failed; /* the first that was not as wanted */
};

static void
pusher_text(const struct pusher *p, unsigned i, char *text)
{
	memset(text, 'a' + (int)p->id, p->size_bytes);
	(void)snprintf(text, p->size_bytes, "%u.%u", p->id, i);
}

static enum rc
pusher_put(struct pusher *p, unsigned i, char *text)
{
	struct blob_put put = {
		.size_bytes = p->size_bytes,
		.location = BLOB_IN_META,
		.content = { text, p->size_bytes },
		.create = &repository_preset_default,
		.now_ms = 1,
	};
	char repo[16];

	(void)snprintf(repo, sizeof(repo), "r%u", p->id);
	pusher_text(p, i, text);
	put.repository = span_of(repo);
	put.digest = tool_digest(text, p->size_bytes);
	return (meta_blob_put(p->t->m, &put));
}

static bool
pusher_has(struct pusher *p, unsigned i, char *text)
{
	struct arena a;
	struct blob_row row;
	struct digest d;
	char repo[16];
	enum rc rc;

	(void)snprintf(repo, sizeof(repo), "r%u", p->id);
	pusher_text(p, i, text);
	d = tool_digest(text, p->size_bytes);
	arena_init(&a, (size_t)1 << 20);
	rc = meta_blob_get(
	    p->t->m, span_of(repo), &d, BLOB_CONTENT, READ_BLOCKING, &a, &row);
	if (rc == RC_OK &&
	    !span_eq(row.content, (struct span){ text, p->size_bytes }))
		rc = RC_CORRUPT;
	arena_reset(&a);
	return (rc == RC_OK);
}

static void
push(void *arg)
{
	struct pusher *p = arg;
	char *text = malloc(p->size_bytes);
	unsigned i;
	enum rc rc;

	for (i = 0; i < EACH && p->failed == RC_OK; i++) {
		if ((rc = pusher_put(p, i, text)) != RC_OK)
			p->failed = rc;
		else if (!pusher_has(p, i, text))
			p->failed = RC_NOTFOUND;
		else
			p->n_ok++;
	}
	free(text);
}

static void
push_all(struct mt *t, struct pusher *p, size_t size_bytes)
{
	pthread_t threads[THREADS];
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		p[i] = (struct pusher){
			.t = t, .id = i, .size_bytes = size_bytes
		};
		assert_int_equal(
		    thread_start("push", push, &p[i], &threads[i]), RC_OK);
	}
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}

static void
all_are_there(struct pusher *p)
{
	char *text = malloc(p[0].size_bytes);
	unsigned i, k;

	for (i = 0; i < THREADS; i++) {
		assert_int_equal(p[i].failed, RC_OK);
		assert_int_equal(p[i].n_ok, EACH);
		for (k = 0; k < EACH; k++)
			assert_true(pusher_has(&p[i], k, text));
	}
	free(text);
}

static void
pushes_at_once_share_commits(void **state)
{
	struct mt *t = *state;
	struct pusher p[THREADS];
	struct store_stats st;

	push_all(t, p, 200);
	all_are_there(p);
	st = mt_stats(t);
	assert_int_equal(st.commit_ops, THREADS * EACH);
	assert_true(st.commits < st.commit_ops);
	assert_int_equal(st.commit_queue, 0);
	mt_reopen(t);
	p[0].t = t;
	all_are_there(p);
	mt_check(t);
}

/* The commit thread, held up so that a batch gathers behind it. */

struct gate {
	sem_t entered, open;
};

static enum rc
gate_pass(struct meta_txn *txn, void *arg)
{
	struct gate *g = arg;

	(void)txn;
	(void)sem_post(&g->entered);
	while (sem_wait(&g->open) != 0)
		;
	return (RC_OK);
}

struct gate_keeper {
	struct mt *t;
	struct gate gate;
	pthread_t thread;
};

static void
gate_hold(void *arg)
{
	struct gate_keeper *k = arg;

	assert_int_equal(meta_change(k->t->m, gate_pass, &k->gate, 0), RC_OK);
}

static void
gate_close(struct gate_keeper *k, struct mt *t)
{
	k->t = t;
	assert_int_equal(sem_init(&k->gate.entered, 0, 0), 0);
	assert_int_equal(sem_init(&k->gate.open, 0, 0), 0);
	assert_int_equal(thread_start("gate", gate_hold, k, &k->thread), RC_OK);
	while (sem_wait(&k->gate.entered) != 0)
		;
}

static void
gate_open(struct gate_keeper *k)
{
	assert_int_equal(sem_post(&k->gate.open), 0);
	thread_join(k->thread);
}

static void
queue_reaches(struct mt *t, uint64_t n)
{
	int64_t start = clock_mono_ns();

	while (mt_stats(t).commit_queue < n) {
		assert_true(clock_mono_ns() - start < INT64_C(60000000000));
		(void)usleep(500);
	}
}

struct one {
	struct mt *t;
	char key[16];
	enum rc give, got;
	pthread_t thread;
};

/* Writes, and then perhaps fails. */
static enum rc
one_write(struct meta_txn *txn, void *arg)
{
	struct one *o = arg;
	enum rc rc;

	rc = kv_put(txn, TABLE_UPLOADS, span_of(o->key), SPAN("x"));
	if (rc == RC_OK && o->give != RC_OK)
		txn->counts->inline_blobs++;
	return (rc == RC_OK ? o->give : rc);
}

static void
one_run(void *arg)
{
	struct one *o = arg;

	o->got = meta_change(o->t->m, one_write, o, 0);
}

static bool
key_there(struct mt *t, const char *key)
{
	struct meta_txn txn;
	struct span value;
	enum rc rc;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	rc = kv_get(&txn, TABLE_UPLOADS, span_of(key), &value);
	meta_read_end(&txn);
	return (rc == RC_OK);
}

static void
one_that_fails_spoils_no_other_of_its_batch(void **state)
{
	static const enum rc give[] = { RC_OK, RC_MISSING, RC_OK, RC_REFERENCED,
		RC_OK, RC_NOTFOUND };
	struct gate_keeper keeper;
	struct one ones[ARRAY_LEN(give)];
	struct mt *t = *state;
	struct store_stats before;
	size_t i;

	gate_close(&keeper, t);
	before = mt_stats(t);
	for (i = 0; i < ARRAY_LEN(give); i++) {
		ones[i] = (struct one){ .t = t, .give = give[i] };
		snprintf(ones[i].key, sizeof(ones[i].key), "key%zu", i);
		assert_int_equal(
		    thread_start("one", one_run, &ones[i], &ones[i].thread),
		    RC_OK);
	}
	queue_reaches(t, ARRAY_LEN(give));
	gate_open(&keeper);
	for (i = 0; i < ARRAY_LEN(give); i++) {
		thread_join(ones[i].thread);
		assert_int_equal(ones[i].got, give[i]);
		assert_int_equal(key_there(t, ones[i].key), give[i] == RC_OK);
	}
	/* One commit for the gate, which wrote nothing, one for them all. */
	assert_in_range(
	    mt_stats(t).commits, before.commits + 1, before.commits + 2);
	assert_int_equal(mt_stats(t).inline_blobs, 0);
}

static void
one_that_fails_alone_leaves_nothing(void **state)
{
	struct mt *t = *state;
	struct one o = { .t = t, .key = "key", .give = RC_REFERENCED };

	one_run(&o);
	assert_int_equal(o.got, RC_REFERENCED);
	assert_false(key_there(t, "key"));
	assert_int_equal(mt_stats(t).inline_blobs, 0);
}

static void
posts_are_bounded_and_done_at_the_close(void **state)
{
	struct upload_row row = { .repository = SPAN("app"),
		.alg = DIGEST_SHA256 };
	struct gate_keeper keeper;
	struct mt *t = *state;
	unsigned i, n = 0;
	enum rc rc;

	gate_close(&keeper, t);
	for (i = 0; i < COMMIT_POSTS_MAX + 10; i++) {
		snprintf(row.id, sizeof(row.id), "%032x", i);
		rc = meta_upload_add(t->m, &row);
		assert_true(rc == RC_OK || rc == RC_BUSY);
		n += rc == RC_OK;
	}
	assert_int_equal(n, COMMIT_POSTS_MAX);
	gate_open(&keeper);
	mt_reopen(t);
	assert_int_equal(mt_stats(t).upload_sessions, COMMIT_POSTS_MAX);
}

/* The map grows. */

static int
tiny_setup(void **state)
{
	struct mt *t;

	(void)mt_setup(state);
	t = *state;
	t->options.map_bytes = 1;
	mt_reopen(t);
	return (0);
}

struct watcher {
	struct mt *t;
	_Atomic bool stop;
	uint64_t n_reads;
	bool torn;
};

/* Two rows that change together are never seen apart. */
static enum rc
twins_write(struct meta_txn *txn, void *arg)
{
	struct span value = *(const struct span *)arg;
	enum rc rc;

	rc = kv_put(txn, TABLE_UPLOADS, SPAN("twin a"), value);
	if (rc == RC_OK)
		rc = kv_put(txn, TABLE_UPLOADS, SPAN("twin b"), value);
	return (rc);
}

static bool
twins_equal(struct meta *m)
{
	struct meta_txn txn;
	struct span a, b;
	bool equal = false;

	if (meta_read_begin(m, &txn) != RC_OK)
		return (false);
	if (kv_get(&txn, TABLE_UPLOADS, SPAN("twin a"), &a) == RC_OK &&
	    kv_get(&txn, TABLE_UPLOADS, SPAN("twin b"), &b) == RC_OK)
		equal = span_eq(a, b);
	meta_read_end(&txn);
	return (equal);
}

static void
watch(void *arg)
{
	struct watcher *w = arg;

	while (!atomic_load(&w->stop)) {
		w->torn |= !twins_equal(w->t->m);
		w->n_reads++;
	}
}

static void
the_map_grows_under_readers_and_writers(void **state)
{
	struct mt *t = *state;
	struct span value = SPAN("0");
	struct watcher w[2] = { { .t = t }, { .t = t } };
	struct pusher p[THREADS];
	pthread_t threads[2];
	uint64_t map_bytes = mt_stats(t).map_bytes;
	char *large = calloc(1, 100000);
	unsigned i;

	assert_true(map_bytes <= 1 << 20);
	assert_int_equal(meta_change(t->m, twins_write, &value, 0), RC_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(
		    thread_start("watch", watch, &w[i], &threads[i]), RC_OK);
	push_all(t, p, 20000);
	for (i = 1; i < 30; i++) {
		large[0] = (char)i;
		value = (struct span){ large, i * 3000 };
		assert_int_equal(
		    meta_change(t->m, twins_write, &value, value.n), RC_OK);
	}
	for (i = 0; i < 2; i++) {
		atomic_store(&w[i].stop, true);
		thread_join(threads[i]);
		assert_false(w[i].torn);
		assert_true(w[i].n_reads > 0);
	}
	free(large);
	all_are_there(p);
	assert_true(mt_stats(t).map_bytes >= 8 << 20);
	mt_reopen(t);
	all_are_there(p);
}

static void
one_value_larger_than_the_map_grows_it_at_once(void **state)
{
	size_t n = (size_t)5 << 20;
	char *text = calloc(1, n);
	struct span value = { text, n };
	struct mt *t = *state;

	assert_int_equal(meta_change(t->m, twins_write, &value, n), RC_OK);
	assert_true(twins_equal(t->m));
	free(text);
}

/* Threads that read come and go, more of them than there are places. */

static void
read_once(void *arg)
{
	struct mt *t = arg;

	assert_true(twins_equal(t->m));
}

static void
a_thread_that_ends_gives_its_place_back(void **state)
{
	struct span value = SPAN("0");
	struct mt *t = *state;
	pthread_t thread;
	unsigned i;

	assert_int_equal(meta_change(t->m, twins_write, &value, 0), RC_OK);
	for (i = 0; i < 300; i++) {
		assert_int_equal(
		    thread_start("reader", read_once, t, &thread), RC_OK);
		thread_join(thread);
	}
	assert_true(twins_equal(t->m));
}

/* Failures of the disk. */

static void
faults_clear(void)
{
	atomic_store(&sync_fails, false);
	atomic_store(&write_errno, 0);
	atomic_store(&write_short, false);
	atomic_store(&meta_fails, false);
}

static int
fault_teardown(void **state)
{
	faults_clear();
	return (mt_teardown(state));
}

static enum rc
put_x(struct mt *t, const char *text)
{
	struct blob_put put = { .repository = SPAN("app"),
		.digest = mt_digest(text),
		.size_bytes = strlen(text),
		.location = BLOB_IN_META,
		.content = span_of(text),
		.create = &repository_preset_default };

	return (meta_blob_put(t->m, &put));
}

static void
after_a_failed_sync_nothing_is_acknowledged(void **state)
{
	const struct upload_row row = { .id =
					    "00112233445566778899aabbccddeeff",
		.repository = SPAN("app"),
		.alg = DIGEST_SHA256 };
	struct mt *t = *state;
	struct digest before = mt_blob(t, "app", "before"), during;

	during = mt_digest("during");
	assert_false(store_failed(t->s));
	atomic_store(&sync_fails, true);
	assert_int_equal(put_x(t, "during"), RC_IO);
	faults_clear();
	assert_true(store_failed(t->s));
	assert_int_equal(put_x(t, "after"), RC_IO);
	assert_int_equal(meta_upload_add(t->m, &row), RC_IO);
	/* What is known can still be read ... */
	assert_true(mt_has_blob(t, "app", &before));
	assert_false(mt_has_blob(t, "app", &during));
	/* ... and a restart sees what is really there. */
	mt_reopen(t);
	assert_false(store_failed(t->s));
	assert_true(mt_has_blob(t, "app", &before));
	assert_int_equal(put_x(t, "after"), RC_OK);
	mt_check(t);
}

static void
a_write_error_of_the_disk_is_final_too(void **state)
{
	struct mt *t = *state;
	struct digest before = mt_blob(t, "app", "before");

	atomic_store(&write_errno, EIO);
	assert_int_equal(put_x(t, "during"), RC_IO);
	faults_clear();
	assert_true(store_failed(t->s));
	assert_int_equal(put_x(t, "after"), RC_IO);
	mt_reopen(t);
	assert_true(mt_has_blob(t, "app", &before));
}

static void
a_root_page_that_cannot_be_written_is_final(void **state)
{
	struct mt *t = *state;
	struct digest before = mt_blob(t, "app", "before");

	atomic_store(&meta_fails, true);
	assert_int_equal(put_x(t, "during"), RC_IO);
	faults_clear();
	assert_true(store_failed(t->s));
	mt_reopen(t);
	assert_true(mt_has_blob(t, "app", &before));
	assert_int_equal(put_x(t, "after"), RC_OK);
	mt_check(t);
}

static void
a_full_disk_passes(void **state)
{
	static const int errors[] = { ENOSPC, EDQUOT, EFBIG, 0 };
	struct mt *t = *state;
	struct digest before = mt_blob(t, "app", "before"), d;
	char text[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(errors); i++) {
		snprintf(text, sizeof(text), "text %zu", i);
		d = mt_digest(text);
		atomic_store(&write_errno, errors[i]);
		atomic_store(&write_short, errors[i] == 0);
		assert_int_equal(put_x(t, text), RC_NOSPACE);
		assert_false(mt_has_blob(t, "app", &d));
		faults_clear();
		assert_false(store_failed(t->s));
		assert_true(mt_has_blob(t, "app", &before));
		assert_int_equal(put_x(t, text), RC_OK);
		assert_true(mt_has_blob(t, "app", &d));
		mt_check(t);
	}
}

static void
a_filesystem_turned_read_only_is_told(void **state)
{
	struct mt *t = *state;

	mt_blob(t, "app", "before");
	atomic_store(&write_errno, EROFS);
	assert_int_equal(put_x(t, "during"), RC_READONLY);
	faults_clear();
	assert_int_equal(put_x(t, "after"), RC_OK);
}

static void
pulls_wait_for_a_disk_with_room(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "m", "v1");
	struct manifest_row row;

	(void)usleep((COMMIT_PULLED_MIN_MS + 50) * 1000);
	meta_manifest_pulled(t->m, SPAN("app"), &d, 5000);
	atomic_store(&write_errno, ENOSPC);
	assert_int_equal(put_x(t, "during"), RC_NOSPACE);
	faults_clear();
	mt_reopen(t);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 5000);
}

static void
pulls_ride_along_with_a_commit(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "m", "v1");
	struct manifest_row row;

	(void)usleep((COMMIT_PULLED_MIN_MS + 50) * 1000);
	meta_manifest_pulled(t->m, SPAN("app"), &d, 5000);
	mt_blob(t, "app", "x");
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 5000);
	assert_int_equal(row.pushed_ms, 1000);
	mt_check(t);
}

/* A disk that is really full. */

static unsigned
fill(struct mt *t, struct pusher *p, char *text)
{
	unsigned i;
	enum rc rc;

	*p = (struct pusher){ .t = t, .size_bytes = 30000 };
	for (i = 0; (rc = pusher_put(p, i, text)) == RC_OK; i++)
		assert_true(i < 10000);
	assert_int_equal(rc, RC_NOSPACE);
	return (i);
}

static void
nothing_is_lost(struct pusher *p, unsigned n, char *text)
{
	unsigned i;

	assert_true(n > 10);
	assert_false(store_failed(p->t->s));
	for (i = 0; i < n; i++)
		assert_true(pusher_has(p, i, text));
	assert_false(pusher_has(p, n, text));
}

static void
a_full_filesystem_loses_nothing_and_recovers(void **state)
{
	struct mt *t = *state;
	struct pusher p;
	char ballast[TOOL_PATH_BYTES + 16], dir[TOOL_PATH_BYTES];
	char *text = malloc(30000), *zeros = calloc(1, 1 << 20);
	unsigned n, round;

	tool_folder(dir);
	if (!tool_tmpfs(dir, (size_t)4 << 20)) {
		tool_folder_remove(dir);
		free(text);
		free(zeros);
		skip();
		return;
	}
	snprintf(ballast, sizeof(ballast), "%s/lost+found", dir);
	tool_file_write(ballast, zeros, 1 << 20);
	store_close(&t->s);
	t->options.dir = dir;
	mt_reopen(t);
	n = fill(t, &p, text);
	nothing_is_lost(&p, n, text);
	for (round = 0; round < 5; round++)
		assert_int_equal(pusher_put(&p, n, text), RC_NOSPACE);
	nothing_is_lost(&p, n, text);
	assert_int_equal(unlink(ballast), 0);
	assert_int_equal(pusher_put(&p, n, text), RC_OK);
	mt_reopen(t);
	nothing_is_lost(&p, n + 1, text);
	mt_check(t);

	store_close(&t->s);
	tool_tmpfs_remove(dir);
	tool_folder_remove(dir);
	t->options.dir = t->dir;
	mt_reopen(t);
	free(text);
	free(zeros);
}

struct sized {
	struct mt *t;
	size_t n_bytes;
	char key[16];
	enum rc got;
	pthread_t thread;
};

static enum rc
sized_write(struct meta_txn *txn, void *arg)
{
	struct sized *o = arg;
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(txn, TABLE_UPLOADS, span_of(o->key), o->n_bytes, &p);
	if (rc == RC_OK)
		memset(p, 'x', o->n_bytes);
	return (rc);
}

static void
sized_run(void *arg)
{
	struct sized *o = arg;

	o->got = meta_change(o->t->m, sized_write, o, o->n_bytes);
}

/* Larger than the disk, and two small ones in the same batch. */
static void
batch_of_sizes(struct mt *t)
{
	struct sized s[] = { { t, 100, "small a", RC_IO, 0 },
		{ t, 3 << 20, "large", RC_IO, 0 },
		{ t, 100, "small b", RC_IO, 0 } };
	struct gate_keeper keeper;
	size_t i;

	gate_close(&keeper, t);
	for (i = 0; i < ARRAY_LEN(s); i++) {
		assert_int_equal(
		    thread_start("sized", sized_run, &s[i], &s[i].thread),
		    RC_OK);
		queue_reaches(t, i + 1);
	}
	gate_open(&keeper);
	for (i = 0; i < ARRAY_LEN(s); i++)
		thread_join(s[i].thread);
	assert_int_equal(s[0].got, RC_OK);
	assert_int_equal(s[1].got, RC_NOSPACE);
	assert_int_equal(s[2].got, RC_OK);
	assert_true(key_there(t, "small a"));
	assert_false(key_there(t, "large"));
	assert_true(key_there(t, "small b"));
}

static void
one_that_finds_no_room_takes_no_other_along(void **state)
{
	struct mt *t = *state;
	char dir[TOOL_PATH_BYTES];

	tool_folder(dir);
	if (!tool_tmpfs(dir, (size_t)2 << 20)) {
		tool_folder_remove(dir);
		skip();
		return;
	}
	store_close(&t->s);
	t->options.dir = dir;
	mt_reopen(t);
	batch_of_sizes(t);
	assert_false(store_failed(t->s));
	store_close(&t->s);
	tool_tmpfs_remove(dir);
	tool_folder_remove(dir);
	t->options.dir = t->dir;
	mt_reopen(t);
}

static void
a_limit_on_the_size_of_files_is_a_full_disk(void **state)
{
	struct rlimit old, small;
	struct mt *t = *state;
	struct pusher p;
	char *text = malloc(30000);
	unsigned n;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 2000000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	n = fill(t, &p, text);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	nothing_is_lost(&p, n, text);
	assert_int_equal(pusher_put(&p, n, text), RC_OK);
	mt_reopen(t);
	nothing_is_lost(&p, n + 1, text);
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)
#define TINY(f) cmocka_unit_test_setup_teardown(f, tiny_setup, mt_teardown)
#define FAULT(f) cmocka_unit_test_setup_teardown(f, mt_setup, fault_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pushes_at_once_share_commits),
		TEST(one_that_fails_spoils_no_other_of_its_batch),
		TEST(one_that_fails_alone_leaves_nothing),
		TEST(posts_are_bounded_and_done_at_the_close),
		TINY(the_map_grows_under_readers_and_writers),
		TINY(one_value_larger_than_the_map_grows_it_at_once),
		TEST(a_thread_that_ends_gives_its_place_back),
		FAULT(after_a_failed_sync_nothing_is_acknowledged),
		FAULT(a_write_error_of_the_disk_is_final_too),
		FAULT(a_root_page_that_cannot_be_written_is_final),
		FAULT(a_full_disk_passes),
		FAULT(a_filesystem_turned_read_only_is_told),
		FAULT(pulls_wait_for_a_disk_with_room),
		TEST(pulls_ride_along_with_a_commit),
		TEST(a_full_filesystem_loses_nothing_and_recovers),
		TEST(one_that_finds_no_room_takes_no_other_along),
		TEST(a_limit_on_the_size_of_files_is_a_full_disk),
	};

	return (cmocka_run_group_tests_name("commit", tests, NULL, NULL));
}
