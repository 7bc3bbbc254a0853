#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/mem.h"
#include "storage/blobs.h"
#include "storage/sealed.h"
#include "storage/store_int.h"
#include "storage/tier.h"
#include "storage_tools.h"

/*
 * The archive by itself: content goes in and comes out as it was, whatever
 * became of the folder meanwhile.
 */
#define ID "0123456789abcdef0123456789abcdef"
#define LEFT_OVER "put-0123456789abcdef0123456789abcdef-7"

/* All tests run twice: plain, and with content sealed. */
static uint32_t domain = KEY_DOMAIN_PLAIN;

struct tt {
	char dir[TOOL_PATH_BYTES];     /* the registry's */
	char other[TOOL_PATH_BYTES];   /* as if on another disk */
	char archive[TOOL_PATH_BYTES]; /* in it; not there at first */
	struct blobs *blobs;
	struct tier *tier;
	uint64_t id; /* what its owner knows of it */
	bool content;
	_Atomic bool stop;
};

static enum rc
recall(void *arg, uint64_t *id_r, bool *content_r)
{
	const struct tt *t = arg;

	*id_r = t->id;
	*content_r = t->content;
	return (RC_OK);
}

static enum rc
adopt(void *arg, uint64_t id)
{
	struct tt *t = arg;

	if (t->content && t->id != 0)
		return (RC_EXISTS);
	t->id = id;
	return (RC_OK);
}

static enum rc
open_tier(struct tt *t, const char *dir, bool read_only, struct tier **tier_r)
{
	const struct tier_owner owner = { recall, adopt, t };

	enum rc rc;

	rc = tier_open(dir, read_only, &owner, tier_r);
	if (rc == RC_OK)
		tier_keys_set(*tier_r, tool_key, NULL);
	return (rc);
}

static int
setup(void **state)
{
	struct tt *t = xcalloc(1, sizeof(*t));
	int fd;

	tool_folder(t->dir);
	tool_folder(t->other);
	assert_in_range(snprintf(t->archive, sizeof(t->archive),
			    "%.400s/archive", t->other),
	    1, sizeof(t->archive) - 1);
	fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(blobs_fs_open(fd, t->dir, false, &t->blobs), RC_OK);
	assert_int_equal(close(fd), 0);
	blobs_keys_set(t->blobs, tool_key, NULL);
	assert_int_equal(open_tier(t, t->archive, false, &t->tier), RC_OK);
	*state = t;
	return (0);
}

static int
teardown(void **state)
{
	struct tt *t = *state;

	tier_close(&t->tier);
	blobs_fs_close(&t->blobs);
	tool_folder_remove(t->dir);
	tool_folder_remove(t->other);
	free(t);
	return (0);
}

/* --- content ------------------------------------------------------------- */

struct piece {
	char *p;
	size_t n;
	struct digest digest;
	struct tier_place place;
};

/* As a tar file of text would be: much of it alike, and far apart. */
static struct piece
piece_soft(size_t n)
{
	struct piece c = { .p = xmalloc(n + 64), .n = n };
	size_t i;

	for (i = 0; i < n; i += 32)
		(void)snprintf(c.p + i, 64, "line %010zu of 0123456789abc\n",
		    (i * 7919) % 65536);
	c.digest = tool_digest(c.p, n);
	return (c);
}

static struct piece
piece_hard(size_t n, unsigned seed)
{
	struct piece c = { .p = tool_bytes(n, seed), .n = n };

	c.digest = tool_digest(c.p, n);
	return (c);
}

static struct blob_file *
source(struct tt *t, const struct piece *c)
{
	char path[TOOL_PATH_BYTES + 16];
	struct blob_file *f = xcalloc(1, sizeof(*f));

	(void)snprintf(path, sizeof(path), "%s/source", t->other);
	tool_file_write(path, c->p, c->n);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	f->size_bytes = c->n;
	assert_true(f->fd >= 0);
	assert_int_equal(unlink(path), 0);
	return (f);
}

static void
source_close(struct blob_file *f)
{
	blob_file_close(f);
	free(f);
}

static enum rc
put_as(struct tt *t, struct piece *c, const struct digest *d, uint64_t size)
{
	struct tier_put put = {
		.key_domain = domain,
		.digest = *d,
		.file = source(t, c),
		.size_bytes = size,
		.pace.stop = &t->stop,
	};
	enum rc rc;

	rc = tier_put(t->tier, &put, &c->place);
	source_close(put.file);
	return (rc);
}

static enum rc
put(struct tt *t, struct piece *c)
{
	return (put_as(t, c, &c->digest, c->n));
}

static enum rc
verify(struct tt *t, const struct piece *c)
{
	return (tier_verify(
	    t->tier, domain, &c->digest, &c->place, c->n, &t->stop));
}

/* RC_OK: and it is the same. */
static enum rc
get(struct tt *t, const struct piece *c)
{
	const struct tier_pace pace = { .stop = &t->stop };
	struct scratch *s;
	char *p = xmalloc(c->n + 1);
	enum rc rc;

	assert_int_equal(scratch_create(t->blobs, domain, ID, &s), RC_OK);
	rc = tier_get(t->tier, domain, &c->digest, &c->place, c->n, s, &pace);
	if (rc == RC_OK) {
		assert_int_equal(scratch_size(s), c->n);
		assert_int_equal(scratch_read(s, 0, p, c->n), RC_OK);
		assert_memory_equal(p, c->p, c->n);
	}
	scratch_close(&s);
	assert_int_equal(scratch_remove(t->blobs, ID), RC_OK);
	free(p);
	return (rc);
}

static const char *
path_of(struct tt *t, const struct piece *c, char out[TOOL_PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(c->digest.bytes, digest_len(c->digest.alg), hex);
	(void)snprintf(out, TOOL_PATH_BYTES, "%.300s/%s%s/%.2s/%s", t->archive,
	    domain != KEY_DOMAIN_PLAIN ? "k7/" : "",
	    digest_alg_name(c->digest.alg), hex, hex);
	return (out);
}

/* Entries at the top of the archive. */
static unsigned
entries(struct tt *t)
{
	DIR *dir = opendir(t->archive);
	struct dirent *e;
	unsigned n = 0;

	if (dir == NULL)
		return (0);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.' && strcmp(e->d_name, TIER_MARKER) != 0;
	assert_int_equal(closedir(dir), 0);
	return (n);
}

static void
piece_free(struct piece *c)
{
	free(c->p);
	c->p = NULL;
}

/* In and out again. */
static void
goes_round(struct tt *t, struct piece *c, enum blob_encoding encoding)
{
	char path[TOOL_PATH_BYTES];

	assert_int_equal(put(t, c), RC_OK);
	assert_int_equal(c->place.encoding, encoding);
	assert_int_equal(
	    tool_file_size(path_of(t, c, path)), c->place.stored_bytes);
	if (encoding == BLOB_PLAIN)
		assert_int_equal(c->place.stored_bytes,
		    domain != KEY_DOMAIN_PLAIN ? sealed_file_bytes(c->n)
					       : c->n);
	else
		assert_in_range(c->place.stored_bytes, 1, c->n - 1);
	assert_int_equal(verify(t, c), RC_OK);
	assert_int_equal(get(t, c), RC_OK);
	assert_int_equal(entries(t), 1);
}

/* --- what goes in -------------------------------------------------------- */

static void
what_shrinks_is_compressed(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft((size_t)5 << 20);

	goes_round(t, &c, BLOB_ZSTD);
	assert_in_range(c.place.stored_bytes, 1, c.n / 4);
	piece_free(&c);
}

static void
what_repeats_far_away_is_found(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft((size_t)41 << 20);
	struct piece noise = piece_hard((size_t)12 << 20, 3);

	/* Twice the same noise, 27 MiB apart. */
	memcpy(c.p + ((size_t)2 << 20), noise.p, noise.n);
	memcpy(c.p + ((size_t)29 << 20), noise.p, noise.n);
	c.digest = tool_digest(c.p, c.n);
	goes_round(t, &c, BLOB_ZSTD);
	assert_in_range(c.place.stored_bytes, 1, noise.n * 3 / 2);
	piece_free(&c);
	piece_free(&noise);
}

static void
what_does_not_shrink_is_copied(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_hard(((size_t)3 << 20) + 17, 1);

	goes_round(t, &c, BLOB_PLAIN);
	piece_free(&c);
}

static void
what_is_compressed_already_is_copied(void **state)
{
	static const struct {
		const char *magic;
		size_t n;
	} known[] = {
		{ "\x1f\x8b", 2 },
		{ "\x28\xb5\x2f\xfd", 4 },
		{ "\xfd\x37\x7a\x58\x5a\x00", 6 },
		{ "BZh9", 4 },
	};
	struct tt *t = *state;
	struct piece c;
	size_t i;

	for (i = 0; i < 4; i++) {
		c = piece_soft((size_t)2 << 20);
		memcpy(c.p, known[i].magic, known[i].n);
		c.digest = tool_digest(c.p, c.n);
		goes_round(t, &c, BLOB_PLAIN);
		piece_free(&c);
	}
}

static void
the_smallest_goes_round_too(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_hard(0, 1);

	goes_round(t, &c, BLOB_PLAIN);
	piece_free(&c);
	c = piece_hard(1, 1);
	goes_round(t, &c, BLOB_PLAIN);
	piece_free(&c);
	c = piece_soft(1024);
	goes_round(t, &c, BLOB_ZSTD);
	piece_free(&c);
	/* A whole number of chunks. */
	c = piece_soft((size_t)2 << 20);
	goes_round(t, &c, BLOB_ZSTD);
	piece_free(&c);
}

static void
content_of_other_algorithms_and_domains_has_its_own_place(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000);
	struct tier_put p = { .size_bytes = c.n, .key_domain = 7 };
	struct digest d;

	digest_of(DIGEST_SHA512, c.p, c.n, &d);
	p.digest = d;
	p.file = source(t, &c);
	assert_int_equal(tier_put(t->tier, &p, &c.place), RC_OK);
	assert_int_equal(
	    tier_verify(t->tier, 7, &d, &c.place, c.n, NULL), RC_OK);
	assert_int_equal(
	    tier_verify(t->tier, 0, &d, &c.place, c.n, NULL), RC_NOTFOUND);
	assert_int_equal(tier_remove(t->tier, 0, &d), RC_NOTFOUND);
	assert_int_equal(tier_remove(t->tier, 7, &d), RC_OK);
	assert_int_equal(entries(t), 0);
	source_close(p.file);
	piece_free(&c);
}

static void
what_is_not_what_it_should_be_does_not_go_in(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft((size_t)2 << 20);
	struct piece other = piece_hard(77, 2);

	assert_int_equal(put_as(t, &c, &other.digest, c.n), RC_DIGEST);
	/* It ends before it should, or goes on behind. */
	assert_int_equal(put_as(t, &c, &c.digest, c.n + 1), RC_DIGEST);
	assert_int_equal(put_as(t, &c, &c.digest, c.n - 1), RC_DIGEST);
	assert_int_equal(entries(t), 0);
	assert_int_equal(put(t, &c), RC_OK);
	assert_int_equal(verify(t, &c), RC_OK);
	piece_free(&c);
	piece_free(&other);
}

static void
what_is_put_again_replaces_what_was_there(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft((size_t)1 << 20);
	char path[TOOL_PATH_BYTES];

	assert_int_equal(put(t, &c), RC_OK);
	tool_file_truncate(path_of(t, &c, path), 10);
	assert_int_equal(verify(t, &c), RC_CORRUPT);
	goes_round(t, &c, BLOB_ZSTD);
	piece_free(&c);
}

static void
who_is_stopped_leaves_nothing_behind(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft((size_t)2 << 20);

	atomic_store(&t->stop, true);
	assert_int_equal(put(t, &c), RC_CANCELLED);
	assert_int_equal(entries(t), 0);
	atomic_store(&t->stop, false);
	assert_int_equal(put(t, &c), RC_OK);
	atomic_store(&t->stop, true);
	assert_int_equal(get(t, &c), RC_CANCELLED);
	assert_int_equal(verify(t, &c), RC_CANCELLED);
	piece_free(&c);
}

/* --- what comes out ------------------------------------------------------ */

static void
damage_is_seen_wherever_it_is(void **state)
{
	struct tt *t = *state;
	char path[TOOL_PATH_BYTES];
	struct piece c;
	unsigned i, k;
	int64_t n;

	for (k = 0; k < 2; k++) {
		c = k == 0 ? piece_soft((size_t)1 << 20)
			   : piece_hard((size_t)1 << 20, 5);
		assert_int_equal(put(t, &c), RC_OK);
		(void)path_of(t, &c, path);
		n = tool_file_size(path);
		for (i = 0; i < 16; i++) {
			tool_file_flip(path, n * i / 16);
			assert_int_equal(verify(t, &c), RC_CORRUPT);
			assert_int_equal(get(t, &c), RC_CORRUPT);
			tool_file_flip(path, n * i / 16);
			assert_int_equal(verify(t, &c), RC_OK);
		}
		assert_int_equal(
		    tier_remove(t->tier, domain, &c.digest), RC_OK);
		piece_free(&c);
	}
}

static void
what_is_cut_off_is_damaged(void **state)
{
	struct tt *t = *state;
	char path[TOOL_PATH_BYTES];
	struct piece c;
	unsigned k;
	int64_t n;

	for (k = 0; k < 2; k++) {
		c = k == 0 ? piece_soft((size_t)3 << 20)
			   : piece_hard((size_t)3 << 20, 5);
		assert_int_equal(put(t, &c), RC_OK);
		(void)path_of(t, &c, path);
		n = tool_file_size(path);
		tool_file_truncate(path, n - 1);
		assert_int_equal(get(t, &c), RC_CORRUPT);
		/* Also where the record says that it is that long. */
		c.place.stored_bytes = (uint64_t)n - 1;
		assert_int_equal(get(t, &c), RC_CORRUPT);
		tool_file_truncate(path, 0);
		c.place.stored_bytes = 0;
		assert_int_equal(get(t, &c), RC_CORRUPT);
		piece_free(&c);
	}
}

static void
what_goes_on_behind_its_end_is_damaged(void **state)
{
	struct tt *t = *state;
	char path[TOOL_PATH_BYTES];
	struct piece c = piece_soft((size_t)1 << 20);
	size_t n;
	char *p;
	int fd;

	assert_int_equal(put(t, &c), RC_OK);
	n = c.place.stored_bytes;
	p = xmalloc(2 * n);
	fd = open(path_of(t, &c, path), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, p, n), n);
	assert_int_equal(close(fd), 0);
	/* The same once more: zstd would take that for one file. */
	memcpy(p + n, p, n);
	tool_file_write(path, p, 2 * n);
	c.place.stored_bytes = 2 * n;
	assert_int_equal(get(t, &c), RC_CORRUPT);
	/* Nothing is written beyond the size that is known. */
	c.n /= 2;
	tool_file_write(path, p, n);
	c.place.stored_bytes = n;
	assert_int_equal(get(t, &c), RC_CORRUPT);
	free(p);
	piece_free(&c);
}

static void
what_is_not_there_is_not_found(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(1000);

	/* Nor is the folder. */
	assert_int_equal(verify(t, &c), RC_NOTFOUND);
	assert_int_equal(get(t, &c), RC_NOTFOUND);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_NOTFOUND);
	assert_false(tool_exists(t->archive));
	assert_int_equal(put(t, &c), RC_OK);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_OK);
	assert_int_equal(verify(t, &c), RC_NOTFOUND);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_NOTFOUND);
	piece_free(&c);
}

/* What is said while it is looked for. */
static enum rc
find(struct tt *t, const struct piece *c, struct tier_place *place_r,
    uint64_t *size_r, bool *said_r)
{
	char path[TOOL_PATH_BYTES];
	int to, err;
	enum rc rc;

	(void)snprintf(path, sizeof(path), "%.400s/said", t->other);
	to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(to >= 0);
	err = dup(STDERR_FILENO);
	assert_true(err >= 0);
	assert_int_equal(dup2(to, STDERR_FILENO), STDERR_FILENO);
	rc = tier_find(t->tier, domain, &c->digest, place_r, size_r, &t->stop);
	assert_int_equal(dup2(err, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(err), 0);
	*said_r = lseek(to, 0, SEEK_END) > 0;
	assert_int_equal(close(to), 0);
	assert_int_equal(unlink(path), 0);
	return (rc);
}

static void
is_found(struct tt *t, const struct piece *c)
{
	struct tier_place place;
	uint64_t size;
	bool said;

	assert_int_equal(find(t, c, &place, &size, &said), RC_OK);
	assert_false(said);
	assert_int_equal(place.encoding, c->place.encoding);
	assert_int_equal(place.stored_bytes, c->place.stored_bytes);
	assert_int_equal(size, c->n);
}

static void
what_is_sound_is_found_without_a_word(void **state)
{
	struct tt *t = *state;
	struct piece soft = piece_soft(100000), hard = piece_hard(100000, 1);
	struct piece came = piece_soft(100000);

	/* It came as if zstd had made it: it lies there as it came. */
	memcpy(came.p, "\x28\xb5\x2f\xfd", 4);
	came.digest = tool_digest(came.p, came.n);
	assert_int_equal(put(t, &soft), RC_OK);
	assert_int_equal(put(t, &hard), RC_OK);
	assert_int_equal(put(t, &came), RC_OK);
	assert_int_equal(soft.place.encoding, BLOB_ZSTD);
	assert_int_equal(hard.place.encoding, BLOB_PLAIN);
	assert_int_equal(came.place.encoding, BLOB_PLAIN);
	is_found(t, &soft);
	is_found(t, &hard);
	is_found(t, &came);
	piece_free(&soft);
	piece_free(&hard);
	piece_free(&came);
}

static void
what_is_damaged_is_said_when_it_is_looked_for(void **state)
{
	struct tt *t = *state;
	struct piece pieces[2] = { piece_soft(100000), piece_hard(100000, 1) };
	char path[TOOL_PATH_BYTES];
	struct tier_place place;
	uint64_t size;
	bool said;
	size_t i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(put(t, &pieces[i]), RC_OK);
		tool_file_flip(path_of(t, &pieces[i], path), 50);
		assert_int_equal(
		    find(t, &pieces[i], &place, &size, &said), RC_CORRUPT);
		assert_true(said);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(
		    find(t, &pieces[i], &place, &size, &said), RC_NOTFOUND);
		piece_free(&pieces[i]);
	}
}

struct others {
	unsigned n;
	unsigned until; /* then it is enough */
};

static enum rc
others_turn(void *arg, int64_t began_ns)
{
	struct others *o = arg;

	assert_true(began_ns > 0);
	return (++o->n == o->until ? RC_BUSY : RC_OK);
}

/* In, and out again. */
static enum rc
go_with_others(
    struct tt *t, struct piece *c, struct others *in, struct others *out)
{
	struct tier_put p = {
		.key_domain = domain, .digest = c->digest, .size_bytes = c->n
	};
	struct tier_pace pace = { .between = others_turn, .arg = out };
	struct scratch *s;
	enum rc rc;

	p.file = source(t, c);
	p.pace = (struct tier_pace){ .between = others_turn, .arg = in };
	rc = tier_put(t->tier, &p, &c->place);
	source_close(p.file);
	if (rc != RC_OK)
		return (rc);
	assert_int_equal(scratch_create(t->blobs, domain, ID, &s), RC_OK);
	rc = tier_get(t->tier, domain, &c->digest, &c->place, c->n, s, &pace);
	scratch_close(&s);
	assert_int_equal(scratch_remove(t->blobs, ID), RC_OK);
	return (rc);
}

static void
others_have_their_turn_at_each_mib(void **state)
{
	struct tt *t = *state;
	/* However small the file of the one is. */
	struct piece pieces[2] = { piece_soft((size_t)5 << 20),
		piece_hard((size_t)5 << 20, 1) };
	struct others in, out;
	size_t i;

	for (i = 0; i < 2; i++) {
		in = out = (struct others){ 0 };
		assert_int_equal(
		    go_with_others(t, &pieces[i], &in, &out), RC_OK);
		assert_in_range(in.n, 4, 5);
		assert_in_range(out.n, 4, 5);
		in = out = (struct others){ .until = 3 };
		assert_int_equal(
		    go_with_others(t, &pieces[i], &in, &out), RC_BUSY);
		assert_int_equal(in.n, 3);
		in = (struct others){ 0 };
		assert_int_equal(
		    go_with_others(t, &pieces[i], &in, &out), RC_BUSY);
		assert_int_equal(out.n, 3);
		piece_free(&pieces[i]);
	}
}

static void
what_is_no_file_is_not_read(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(1000);
	char path[TOOL_PATH_BYTES], elsewhere[TOOL_PATH_BYTES];

	assert_int_equal(put(t, &c), RC_OK);
	(void)path_of(t, &c, path);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%.400s/x", t->other);
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_not_equal(get(t, &c), RC_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(get(t, &c), RC_CORRUPT);
	piece_free(&c);
}

/* --- the folder ---------------------------------------------------------- */

static void
folders_go_when_they_are_empty(void **state)
{
	struct tt *t = *state;
	struct piece a = piece_soft(1000), b = piece_soft(2000);

	assert_int_equal(put(t, &a), RC_OK);
	assert_int_equal(put(t, &b), RC_OK);
	assert_int_equal(entries(t), 1);
	assert_int_equal(tier_remove(t->tier, domain, &a.digest), RC_OK);
	assert_int_equal(entries(t), 1);
	assert_int_equal(verify(t, &b), RC_OK);
	assert_int_equal(tier_remove(t->tier, domain, &b.digest), RC_OK);
	assert_int_equal(entries(t), 0);
	assert_true(tool_exists(t->archive));
	assert_int_equal(put(t, &a), RC_OK);
	assert_int_equal(verify(t, &a), RC_OK);
	piece_free(&a);
	piece_free(&b);
}

struct seen {
	struct digest digests[4];
	unsigned n, others;
	char other[TOOL_PATH_BYTES];
	uint64_t bytes;
};

static int
see(void *arg, uint32_t key_domain, const struct digest *d, uint64_t size,
    const char *path)
{
	struct seen *seen = arg;

	assert_int_equal(key_domain, d != NULL ? domain : 0);
	if (d == NULL) {
		seen->others++;
		(void)snprintf(
		    seen->other, sizeof(seen->other), "%.500s", path);
		return (0);
	}
	assert_true(tool_exists(path));
	assert_in_range(seen->n, 0, 3);
	seen->digests[seen->n++] = *d;
	seen->bytes += size;
	return (0);
}

static void
the_walk_tells_of_each_and_of_what_does_not_belong(void **state)
{
	struct tt *t = *state;
	struct piece a = piece_soft(1000), b = piece_hard(2000, 1);
	char path[TOOL_PATH_BYTES];
	struct seen seen = { 0 };

	assert_int_equal(tier_walk(t->tier, see, &seen), RC_OK);
	assert_int_equal(seen.n + seen.others, 0);
	assert_int_equal(put(t, &a), RC_OK);
	assert_int_equal(put(t, &b), RC_OK);
	(void)snprintf(path, sizeof(path), "%.400s/lost+found", t->archive);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(tier_walk(t->tier, see, &seen), RC_OK);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.others, 0);
	assert_int_equal(
	    seen.bytes, a.place.stored_bytes + b.place.stored_bytes);
	(void)snprintf(path, sizeof(path), "%.400s/readme", t->archive);
	tool_file_write(path, "x", 1);
	seen = (struct seen){ 0 };
	assert_int_equal(tier_walk(t->tier, see, &seen), RC_OK);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.others, 1);
	assert_string_equal(seen.other, path);
	piece_free(&a);
	piece_free(&b);
}

static void
what_a_crash_left_is_known_and_swept(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(1000);
	char path[TOOL_PATH_BYTES];
	struct seen seen = { 0 };
	unsigned n;

	assert_int_equal(tier_sweep(t->tier, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(put(t, &c), RC_OK);
	(void)snprintf(path, sizeof(path), "%.400s/" LEFT_OVER, t->archive);
	tool_file_write(path, "half", 4);
	assert_int_equal(tier_walk(t->tier, see, &seen), RC_OK);
	assert_int_equal(seen.others, 1);
	assert_string_equal(seen.other, path);
	assert_int_equal(tier_sweep(t->tier, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_false(tool_exists(path));
	assert_int_equal(verify(t, &c), RC_OK);
	/* What somebody else has put there stays. */
	(void)snprintf(path, sizeof(path), "%.400s/put-it-here", t->archive);
	tool_file_write(path, "x", 1);
	assert_int_equal(tier_sweep(t->tier, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_true(tool_exists(path));
	piece_free(&c);
}

static void
two_registries_do_not_share_an_archive(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(1000);
	struct tier *other = NULL, *reader;

	/* It may be made by either. */
	assert_int_equal(open_tier(t, t->archive, false, &other), RC_OK);
	assert_int_equal(put(t, &c), RC_OK);
	assert_int_equal(tier_remove(other, domain, &c.digest), RC_BUSY);
	tier_close(&other);
	assert_int_equal(open_tier(t, t->archive, false, &other), RC_BUSY);
	/* Reading harms nobody. */
	assert_int_equal(open_tier(t, t->archive, true, &reader), RC_OK);
	assert_int_equal(
	    tier_verify(reader, domain, &c.digest, &c.place, c.n, NULL), RC_OK);
	tier_close(&reader);
	piece_free(&c);
}

/* As somebody would by hand, without the end of the line. */
static void
mark(struct tt *t, uint64_t id)
{
	char path[TOOL_PATH_BYTES], text[64];

	(void)snprintf(path, sizeof(path), "%.400s/" TIER_MARKER, t->archive);
	(void)snprintf(
	    text, sizeof(text), TIER_MARKER " %016llx", (unsigned long long)id);
	tool_file_write(path, text, strlen(text));
}

/* There is content in the archive, which is opened anew. */
static void
reopen_with_content(struct tt *t)
{
	t->content = true;
	tier_close(&t->tier);
	assert_int_equal(open_tier(t, t->archive, false, &t->tier), RC_OK);
}

static void
an_archive_whose_disk_is_away_is_not_made_anew(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000), more = piece_soft(200000);
	char away[TOOL_PATH_BYTES];

	(void)snprintf(away, sizeof(away), "%.400s/away", t->other);
	assert_int_equal(put(t, &c), RC_OK);
	assert_false(tier_away(t->tier));
	assert_int_equal(rename(t->archive, away), 0);
	reopen_with_content(t);
	assert_true(tier_away(t->tier));
	assert_int_equal(put(t, &more), RC_MISSING);
	assert_int_equal(get(t, &c), RC_NOTFOUND);
	assert_false(tool_exists(t->archive));
	/* Where it was mounted there is a folder now. */
	assert_int_equal(mkdir(t->archive, 0700), 0);
	assert_int_equal(put(t, &more), RC_MISSING);
	assert_int_equal(get(t, &c), RC_NOTFOUND);
	assert_int_equal(rmdir(t->archive), 0);
	/* It is there again, and is seen without another start. */
	assert_int_equal(rename(away, t->archive), 0);
	assert_int_equal(get(t, &c), RC_OK);
	assert_int_equal(put(t, &more), RC_OK);
	assert_false(tier_away(t->tier));
	piece_free(&c);
	piece_free(&more);
}

static void
an_archive_without_its_mark_can_be_marked_by_hand(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000);
	char path[TOOL_PATH_BYTES];

	assert_int_equal(put(t, &c), RC_OK);
	(void)snprintf(path, sizeof(path), "%.400s/" TIER_MARKER, t->archive);
	assert_int_equal(unlink(path), 0);
	reopen_with_content(t);
	assert_int_equal(get(t, &c), RC_NOTFOUND);
	assert_int_equal(put(t, &c), RC_MISSING);
	mark(t, t->id + 1);
	assert_int_equal(put(t, &c), RC_MISSING);
	mark(t, t->id);
	assert_int_equal(get(t, &c), RC_OK);
	assert_int_equal(put(t, &c), RC_OK);
	piece_free(&c);
}

static void
the_archive_of_another_registry_is_left_alone(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000), more = piece_soft(200000);
	char path[TOOL_PATH_BYTES];
	uint64_t stored;
	unsigned n;

	assert_int_equal(put(t, &c), RC_OK);
	(void)snprintf(path, sizeof(path), "%.400s/" LEFT_OVER, t->archive);
	tool_file_write(path, "x", 1);
	/* Of another owner, who has nothing archived yet. */
	t->id = 0;
	tier_close(&t->tier);
	assert_int_equal(open_tier(t, t->archive, false, &t->tier), RC_OK);
	assert_int_equal(put(t, &more), RC_MISSING);
	assert_int_equal(t->id, 0);
	assert_int_equal(
	    tier_stat(t->tier, domain, &c.digest, &stored), RC_NOTFOUND);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_NOTFOUND);
	assert_int_equal(tier_sweep(t->tier, &n), RC_OK);
	assert_true(tool_exists(path));
	assert_true(tool_exists(path_of(t, &c, path)));
	assert_false(tool_exists(path_of(t, &more, path)));
	piece_free(&c);
	piece_free(&more);
}

static void
one_that_was_the_archive_before_is_not_taken_for_it(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000), more = piece_soft(200000);
	char away[TOOL_PATH_BYTES], here[TOOL_PATH_BYTES];

	(void)snprintf(away, sizeof(away), "%.400s/away", t->other);
	(void)snprintf(here, sizeof(here), "%.400s/here", t->other);
	/* All came out of it again, and its disk went. */
	assert_int_equal(put(t, &c), RC_OK);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_OK);
	assert_int_equal(rename(t->archive, away), 0);
	tier_close(&t->tier);
	assert_int_equal(open_tier(t, t->archive, false, &t->tier), RC_OK);
	assert_int_equal(put(t, &more), RC_OK);
	assert_int_equal(rename(t->archive, here), 0);
	assert_int_equal(rename(away, t->archive), 0);
	reopen_with_content(t);
	assert_int_equal(put(t, &c), RC_MISSING);
	assert_int_equal(get(t, &more), RC_NOTFOUND);
	piece_free(&c);
	piece_free(&more);
}

static void
a_folder_that_cannot_be_one_is_refused(void **state)
{
	struct tt *t = *state;
	struct tier *tier = NULL;
	char path[TOOL_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%.400s/file", t->other);
	tool_file_write(path, "x", 1);
	assert_int_equal(open_tier(t, path, false, &tier), RC_IO);
	assert_null(tier);
}

static void
the_disk_is_the_same_or_another(void **state)
{
	struct tt *t = *state;
	char path[TOOL_PATH_BYTES];
	struct tier *far;
	int fd;

	fd = open(t->other, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(tier_shares_disk(t->tier, fd));
	(void)snprintf(path, sizeof(path), "%.400s/mount", t->other);
	assert_int_equal(mkdir(path, 0700), 0);
	if (tool_tmpfs(path, (size_t)4 << 20)) {
		assert_int_equal(open_tier(t, path, false, &far), RC_OK);
		assert_false(tier_shares_disk(far, fd));
		tier_close(&far);
		tool_tmpfs_remove(path);
	}
	assert_int_equal(close(fd), 0);
}

static void
a_full_disk_says_so_and_keeps_nothing(void **state)
{
	struct tt *t = *state;
	struct piece large = piece_hard((size_t)6 << 20, 9);
	struct piece small = piece_soft(1000);

	assert_int_equal(mkdir(t->archive, 0700), 0);
	if (!tool_tmpfs(t->archive, (size_t)4 << 20)) {
		piece_free(&large);
		piece_free(&small);
		skip();
	}
	assert_int_equal(put(t, &large), RC_NOSPACE);
	assert_int_equal(entries(t), 0);
	assert_int_equal(put(t, &small), RC_OK);
	assert_int_equal(get(t, &small), RC_OK);
	tier_close(&t->tier);
	tool_tmpfs_remove(t->archive);
	piece_free(&large);
	piece_free(&small);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- sealed -------------------------------------------------------------- */

static void
nothing_of_what_is_sealed_can_be_read_there(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_hard((size_t)1 << 20, 5);
	char path[TOOL_PATH_BYTES];
	char *p = xmalloc((size_t)2 << 20);
	size_t n;
	int fd;

	assert_int_equal(put(t, &c), RC_OK);
	fd = open(path_of(t, &c, path), O_RDONLY | O_CLOEXEC);
	n = (size_t)read(fd, p, (size_t)2 << 20);
	assert_int_equal(close(fd), 0);
	assert_int_equal(n, c.place.stored_bytes);
	assert_int_equal(
	    memmem(p, n, c.p + 70000, 20) == NULL, domain != KEY_DOMAIN_PLAIN);
	free(p);
	piece_free(&c);
}

static void
what_no_key_is_here_for_is_locked(void **state)
{
	struct tt *t = *state;
	struct piece c = piece_soft(100000);
	uint32_t was = domain;
	uint64_t size;

	domain = TOOL_DOMAIN_LOCKED;
	assert_int_equal(put(t, &c), RC_LOCKED);
	assert_int_equal(entries(t), 0);
	domain = 7;
	assert_int_equal(put(t, &c), RC_OK);
	tier_close(&t->tier);
	assert_int_equal(open_tier(t, t->archive, false, &t->tier), RC_OK);
	tier_keys_set(t->tier, NULL, NULL);
	assert_int_equal(verify(t, &c), RC_LOCKED);
	assert_int_equal(get(t, &c), RC_LOCKED);
	assert_int_equal(
	    tier_find(t->tier, domain, &c.digest, &c.place, &size, NULL),
	    RC_LOCKED);
	assert_int_equal(tier_stat(t->tier, domain, &c.digest, &size), RC_OK);
	assert_int_equal(tier_remove(t->tier, domain, &c.digest), RC_OK);
	domain = was;
	piece_free(&c);
}

static void
a_file_of_other_content_is_not_taken_for_it(void **state)
{
	struct tt *t = *state;
	struct piece a = piece_hard(200000, 1), b = piece_hard(200000, 2);
	char from[TOOL_PATH_BYTES], to[TOOL_PATH_BYTES];

	assert_int_equal(put(t, &a), RC_OK);
	assert_int_equal(put(t, &b), RC_OK);
	assert_int_equal(a.place.stored_bytes, b.place.stored_bytes);
	assert_int_equal(rename(path_of(t, &a, from), path_of(t, &b, to)), 0);
	assert_int_equal(verify(t, &b), RC_CORRUPT);
	assert_int_equal(get(t, &b), RC_CORRUPT);
	piece_free(&a);
	piece_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_shrinks_is_compressed),
		TEST(what_repeats_far_away_is_found),
		TEST(what_does_not_shrink_is_copied),
		TEST(what_is_compressed_already_is_copied),
		TEST(the_smallest_goes_round_too),
		TEST(content_of_other_algorithms_and_domains_has_its_own_place),
		TEST(what_is_not_what_it_should_be_does_not_go_in),
		TEST(what_is_put_again_replaces_what_was_there),
		TEST(who_is_stopped_leaves_nothing_behind),
		TEST(damage_is_seen_wherever_it_is),
		TEST(what_is_cut_off_is_damaged),
		TEST(what_goes_on_behind_its_end_is_damaged),
		TEST(what_is_not_there_is_not_found),
		TEST(what_is_sound_is_found_without_a_word),
		TEST(what_is_damaged_is_said_when_it_is_looked_for),
		TEST(others_have_their_turn_at_each_mib),
		TEST(what_is_no_file_is_not_read),
		TEST(folders_go_when_they_are_empty),
		TEST(the_walk_tells_of_each_and_of_what_does_not_belong),
		TEST(what_a_crash_left_is_known_and_swept),
		TEST(two_registries_do_not_share_an_archive),
		TEST(an_archive_whose_disk_is_away_is_not_made_anew),
		TEST(an_archive_without_its_mark_can_be_marked_by_hand),
		TEST(the_archive_of_another_registry_is_left_alone),
		TEST(one_that_was_the_archive_before_is_not_taken_for_it),
		TEST(a_folder_that_cannot_be_one_is_refused),
		TEST(the_disk_is_the_same_or_another),
		TEST(a_full_disk_says_so_and_keeps_nothing),
		TEST(nothing_of_what_is_sealed_can_be_read_there),
		TEST(what_no_key_is_here_for_is_locked),
		TEST(a_file_of_other_content_is_not_taken_for_it),
	};

	int failed;

	failed = cmocka_run_group_tests_name("tier", tests, NULL, NULL);
	domain = 7;
	return (failed +
		cmocka_run_group_tests_name("tier, sealed", tests, NULL, NULL));
}
