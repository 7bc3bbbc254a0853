#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/blob_file.h"
#include "storage/sealed.h"
#include "storage_tools.h"

/*
 * Sealed files by themselves: whatever is done to one from outside is found,
 * and nothing that is done by its writer uses a nonce twice.
 */
#define F SEALED_FRAME_BYTES
#define STORED (F + SEALED_FRAME_OVERHEAD_BYTES)
#define H SEALED_HEADER_BYTES
#define DOMAIN 7

/* --- files in memory ----------------------------------------------------- */

static int
file_new(void)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return (fd);
}

static uint64_t
file_size(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return ((uint64_t)st.st_size);
}

static uint8_t *
file_load(int fd, size_t *n_r)
{
	uint8_t *p;

	*n_r = file_size(fd);
	p = xmalloc(*n_r + 1);
	assert_int_equal(pread(fd, p, *n_r, 0), *n_r);
	return (p);
}

static int
file_of(const uint8_t *p, size_t n)
{
	int fd = file_new();

	assert_int_equal(pwrite(fd, p, n, 0), n);
	return (fd);
}

static int
file_copy(int from)
{
	size_t n;
	uint8_t *p = file_load(from, &n);
	int fd = file_of(p, n);

	free(p);
	return (fd);
}

static void
file_flip(int fd, uint64_t at)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* ${n} bytes at ${from} of one over those at ${to} of another. */
static void
file_paste(int from_fd, uint64_t from, int to_fd, uint64_t to, size_t n)
{
	uint8_t *p = xmalloc(n);

	assert_int_equal(pread(from_fd, p, n, (off_t)from), n);
	assert_int_equal(pwrite(to_fd, p, n, (off_t)to), n);
	free(p);
}

static struct seal_key
key_of(uint32_t domain)
{
	struct seal_key k;

	assert_int_equal(tool_key(NULL, domain, READ_BLOCKING, &k), RC_OK);
	return (k);
}

static struct sealed_writer *
writer_new(int fd)
{
	struct seal_key k = key_of(DOMAIN);
	struct sealed_writer *w;

	assert_int_equal(sealed_writer_new(fd, &k, DOMAIN, &w), RC_OK);
	return (w);
}

static struct sealed_writer *
writer_again(int fd)
{
	struct seal_key k = key_of(DOMAIN);
	struct sealed_writer *w;

	assert_int_equal(sealed_writer_open(fd, &k, &w), RC_OK);
	assert_int_equal(sealed_writer_domain(w), DOMAIN);
	return (w);
}

/* Content that is sealed, complete, in a file. */
struct piece {
	char *p;
	size_t n;
	struct digest digest;
	int fd;
};

static struct piece
piece_in_steps(size_t n, unsigned seed, size_t step)
{
	struct piece c = { .p = tool_bytes(n, seed), .n = n };
	struct sealed_writer *w;
	size_t at, part;

	c.digest = tool_digest(c.p, n);
	c.fd = file_new();
	w = writer_new(c.fd);
	for (at = 0; at < n; at += part) {
		part = n - at < step ? n - at : step;
		assert_int_equal(
		    sealed_writer_append(w, c.p + at, part), RC_OK);
	}
	assert_int_equal(sealed_writer_size(w), n);
	assert_int_equal(sealed_writer_complete(w, &c.digest), RC_OK);
	sealed_writer_close(&w);
	return (c);
}

static struct piece
piece_new(size_t n, unsigned seed)
{
	return (piece_in_steps(n, seed, n > 0 ? n : 1));
}

static void
piece_free(struct piece *c)
{
	free(c->p);
	(void)close(c->fd);
}

static enum rc
open_with(int fd, uint32_t domain, const struct seal_key *k, uint64_t size,
    const struct digest *d, struct sealed_reader **r)
{
	const struct sealed_expect expect = {
		.key_domain = domain, .size_bytes = size, .digest = d
	};

	return (sealed_reader_open(fd, k, &expect, r));
}

static enum rc
open_as(int fd, const struct piece *c, struct sealed_reader **r)
{
	struct seal_key k = key_of(DOMAIN);

	return (open_with(fd, DOMAIN, &k, c->n, &c->digest, r));
}

static void
assert_refused(int fd, const struct piece *c)
{
	struct sealed_reader *r;

	assert_int_equal(open_as(fd, c, &r), RC_CORRUPT);
	assert_null(r);
}

static void
read_all(struct sealed_reader *r, uint64_t at, char *p, size_t n)
{
	size_t got;

	while (n > 0) {
		assert_int_equal(
		    sealed_reader_read(r, at, p, n, true, &got), RC_OK);
		assert_in_range(got, 1, n);
		at += got;
		p += got;
		n -= got;
	}
}

static void
assert_same(int fd, const struct piece *c)
{
	struct sealed_reader *r;
	char *got = xmalloc(c->n + 1);
	size_t more;

	assert_int_equal(open_as(fd, c, &r), RC_OK);
	assert_int_equal(sealed_reader_size(r), c->n);
	read_all(r, 0, got, c->n);
	assert_memory_equal(got, c->p, c->n);
	assert_int_equal(
	    sealed_reader_read(r, c->n, got, 1, true, &more), RC_OK);
	assert_int_equal(more, 0);
	sealed_reader_close(&r);
	assert_null(r);
	sealed_reader_close(&r);
	free(got);
}

/* --- there and back ------------------------------------------------------ */

static const size_t sizes[] = { 0, 1, 27, 28, 29, 1000, F - 29, F - 28, F - 1,
	F, F + 1, 2 * F - 1, 2 * F, 3 * F + 17, 4 * F, 5 * F, 8 * F + 1,
	9 * F - 1, 13 * F + 4711 };

static void
content_comes_back_whatever_its_size(void **state)
{
	struct piece c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		c = piece_new(sizes[i], (unsigned)i);
		assert_int_equal(file_size(c.fd), sealed_file_bytes(c.n));
		assert_int_equal(sealed_content_bytes(file_size(c.fd)), c.n);
		assert_same(c.fd, &c);
		piece_free(&c);
	}
}

static void
content_comes_back_however_it_was_appended(void **state)
{
	static const size_t steps[] = { 1000, F - 1, F, F + 1, 100000, 4 * F,
		5 * F + 3 };
	struct piece c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		c = piece_in_steps(11 * F + 999, (unsigned)i, steps[i]);
		assert_int_equal(file_size(c.fd), sealed_file_bytes(c.n));
		assert_same(c.fd, &c);
		piece_free(&c);
	}
}

static void
a_file_length_inside_of_overhead_counts_what_is_before(void **state)
{
	uint64_t n;

	(void)state;
	for (n = 0; n <= H + SEALED_FRAME_OVERHEAD_BYTES; n++)
		assert_int_equal(sealed_content_bytes(n), 0);
	assert_int_equal(sealed_content_bytes(n), 1);
	for (n = 0; n <= SEALED_FRAME_OVERHEAD_BYTES; n++)
		assert_int_equal(
		    sealed_content_bytes(H + 3 * STORED + n), 3 * F);
	assert_int_equal(sealed_content_bytes(H + 3 * STORED + n), 3 * F + 1);
}

static void
any_range_can_be_read(void **state)
{
	static const size_t edges[] = { 0, 1, F - 1, F, F + 1, 2 * F - 1, 2 * F,
		4 * F, 5 * F - 7, 5 * F, 6 * F, 6 * F + 99, 6 * F + 100 };
	struct piece c = piece_new(6 * F + 100, 3);
	struct sealed_reader *r;
	char *got = xmalloc(c.n);
	size_t i, j, at, n;

	(void)state;
	assert_int_equal(open_as(c.fd, &c, &r), RC_OK);
	for (i = 0; i < ARRAY_LEN(edges); i++)
		for (j = i; j < ARRAY_LEN(edges); j++) {
			n = edges[j] - edges[i];
			read_all(r, edges[i], got, n);
			assert_memory_equal(got, c.p + edges[i], n);
		}
	srand(5);
	for (i = 0; i < 2000; i++) {
		at = (size_t)rand() % c.n;
		n = (size_t)rand() % (i % 2 == 0 ? 300 : 3 * F);
		if (n > c.n - at)
			n = c.n - at;
		read_all(r, at, got, n);
		assert_memory_equal(got, c.p + at, n);
	}
	sealed_reader_close(&r);
	piece_free(&c);
	free(got);
}

static void
behind_the_end_there_is_nothing(void **state)
{
	struct piece c = piece_new(F + 5, 3);
	struct sealed_reader *r;
	char got[32];
	size_t n = 1;

	(void)state;
	assert_int_equal(open_as(c.fd, &c, &r), RC_OK);
	assert_int_equal(
	    sealed_reader_read(r, c.n + 1, got, 1, true, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(
	    sealed_reader_read(r, UINT64_MAX, got, 1, true, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(
	    sealed_reader_read(r, F, got, sizeof(got), true, &n), RC_OK);
	assert_int_equal(n, 5);
	sealed_reader_close(&r);
	piece_free(&c);
}

static void
what_is_viewed_lies_where_it_is(void **state)
{
	struct piece c = piece_new(2 * F + 100, 3);
	struct sealed_reader *r;
	const void *p;
	size_t at, n;

	(void)state;
	assert_int_equal(open_as(c.fd, &c, &r), RC_OK);
	for (at = 0; at < c.n; at += n) {
		assert_int_equal(
		    sealed_reader_view(r, at, true, &p, &n), RC_OK);
		assert_in_range(n, 1, c.n - at);
		assert_memory_equal(p, c.p + at, n);
		n = n > 20000 ? 20000 : n;
	}
	assert_int_equal(sealed_reader_view(r, c.n, true, &p, &n), RC_OK);
	assert_int_equal(n, 0);
	sealed_reader_close(&r);
	piece_free(&c);
}

static void
what_is_cached_is_read_without_waiting(void **state)
{
	struct piece c = piece_new(3 * F, 3);
	struct seal_key k = key_of(DOMAIN);
	struct sealed_expect expect = {
		.key_domain = DOMAIN,
		.size_bytes = c.n,
		.digest = &c.digest,
		.no_wait = true,
	};
	struct sealed_reader *r;
	char *got = xmalloc(c.n);
	size_t n;

	(void)state;
	assert_int_equal(sealed_reader_open(c.fd, &k, &expect, &r), RC_OK);
	assert_int_equal(sealed_reader_read(r, 0, got, c.n, false, &n), RC_OK);
	assert_int_equal(n, c.n);
	assert_memory_equal(got, c.p, c.n);
	sealed_reader_close(&r);
	piece_free(&c);
	free(got);
}

static void
copies_of_a_reader_read_by_themselves(void **state)
{
	struct piece c = piece_new(2 * F + 9, 3);
	struct blob_file f = { .fd = dup(c.fd), .size_bytes = c.n }, copy;
	char *got = xmalloc(c.n);

	(void)state;
	assert_int_equal(open_as(f.fd, &c, &f.sealed), RC_OK);
	assert_int_equal(blob_file_dup(&f, &copy), RC_OK);
	blob_file_close(&f);
	assert_int_equal(f.fd, -1);
	blob_file_warm(&copy, 100, F);
	assert_int_equal(blob_file_read_all(&copy, 0, got, c.n), RC_OK);
	assert_memory_equal(got, c.p, c.n);
	assert_int_equal(blob_file_read_all(&copy, 1, got, c.n), RC_RANGE);
	blob_file_close(&copy);
	blob_file_close(&copy);
	piece_free(&c);
	free(got);
}

static void
nothing_of_the_content_is_in_the_file(void **state)
{
	struct piece c = piece_new(3 * F + 500, 3);
	size_t n, at;
	uint8_t *p = file_load(c.fd, &n);

	(void)state;
	for (at = 0; at + 16 <= c.n; at += 4099)
		assert_null(memmem(p, n, c.p + at, 16));
	free(p);
	piece_free(&c);
}

/* --- the format, by hand ------------------------------------------------- */

static void
hmac(const uint8_t *key, size_t n_key, const void *p, size_t n, uint8_t *out)
{
	unsigned len = 0;

	assert_non_null(HMAC(EVP_sha256(), key, (int)n_key, p, n, out, &len));
	assert_int_equal(len, 32);
}

/* RFC 5869 with two blocks of output. */
static void
hkdf_by_hand(const struct seal_key *k, const uint8_t *salt, const char *info,
    uint8_t out[64])
{
	uint8_t prk[32], text[128];
	size_t n = strlen(info);

	hmac(salt, 32, k->bytes, sizeof(k->bytes), prk);
	memcpy(text, info, n);
	text[n] = 1;
	hmac(prk, sizeof(prk), text, n + 1, out);
	memcpy(text, out, 32);
	memcpy(text + 32, info, n);
	text[32 + n] = 2;
	hmac(prk, sizeof(prk), text, 32 + n + 1, out + 32);
}

static bool
gcm_by_hand(const uint8_t *key, const uint8_t *nonce, const void *aad,
    size_t n_aad, const uint8_t *text, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[16];
	int got;
	bool ok;

	memcpy(tag, text + n, sizeof(tag));
	must(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1);
	if (n_aad > 0)
		must(EVP_DecryptUpdate(ctx, NULL, &got, aad, (int)n_aad) == 1);
	must(EVP_DecryptUpdate(ctx, out, &got, text, (int)n) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1);
	ok = EVP_DecryptFinal_ex(ctx, out + got, &got) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return (ok);
}

static void
the_format_is_what_is_written_of_it(void **state)
{
	struct piece c = piece_new(F + 1234, 3);
	struct seal_key k = key_of(DOMAIN);
	size_t n;
	uint8_t *p = file_load(c.fd, &n);
	uint8_t keys[64], mac[32], aad[8] = { 0 };
	uint8_t *out = xmalloc(F);

	(void)state;
	assert_memory_equal(p, "rgdseal\n\1\1\0\0\0\0\0\7", 16);
	assert_memory_equal(p + 48, "\0\0\0\0\0\1\4\xd2", 8);
	assert_int_equal(p[56], c.digest.alg);
	assert_memory_equal(p + 57, c.digest.bytes, 32);
	hkdf_by_hand(&k, p + 16, "registryd sealed file 1", keys);
	hmac(keys + 32, 32, p, H - 32, mac);
	assert_memory_equal(p + H - 32, mac, 32);
	assert_true(gcm_by_hand(keys, p + H, aad, 8, p + H + 12, F, out));
	assert_memory_equal(out, c.p, F);
	aad[7] = 1;
	assert_true(gcm_by_hand(
	    keys, p + H + STORED, aad, 8, p + H + STORED + 12, 1234, out));
	assert_memory_equal(out, c.p + F, 1234);
	free(out);
	free(p);
	piece_free(&c);
}

static void
the_format_of_a_value_is_what_is_written_of_it(void **state)
{
	struct seal_key k = key_of(DOMAIN);
	uint8_t sealed[5 + SEALED_VALUE_OVERHEAD_BYTES], keys[64], out[5];
	const uint8_t nonce[12] = { 0 };

	(void)state;
	sealed_value_write(&k, SPAN("what"), SPAN("hello"), sealed);
	assert_int_equal(sealed[0], 1);
	hkdf_by_hand(&k, sealed + 1, "registryd sealed value 1", keys);
	assert_true(gcm_by_hand(keys, nonce, "what", 4, sealed + 33, 5, out));
	assert_memory_equal(out, "hello", 5);
}

/* --- what was changed is found ------------------------------------------- */

static void
a_file_that_was_cut_is_refused(void **state)
{
	struct piece c = piece_new(2 * F + 1000, 3);
	static const size_t frames[] = { H, H + STORED, H + 2 * STORED };
	static const int near[] = { 0, 1, 11, 12, 13, 27, 28, 29, 1000 };
	uint64_t end = file_size(c.fd);
	size_t i, j;
	int fd;

	(void)state;
	for (i = 0; i < ARRAY_LEN(frames); i++)
		for (j = 0; j < ARRAY_LEN(near); j++) {
			fd = file_copy(c.fd);
			assert_int_equal(
			    ftruncate(fd, (off_t)frames[i] + near[j]), 0);
			assert_refused(fd, &c);
			(void)close(fd);
		}
	for (i = 1; i <= 32; i++) {
		fd = file_copy(c.fd);
		assert_int_equal(ftruncate(fd, (off_t)(end - i)), 0);
		assert_refused(fd, &c);
		(void)close(fd);
	}
	for (i = 0; i <= H; i += 17) {
		fd = file_copy(c.fd);
		assert_int_equal(ftruncate(fd, (off_t)i), 0);
		assert_refused(fd, &c);
		(void)close(fd);
	}
	piece_free(&c);
}

static void
a_file_that_was_extended_is_refused(void **state)
{
	static const size_t more[] = { 1, 12, 28, 29, 100, STORED - 1, STORED,
		STORED + 1 };
	struct piece cs[] = { piece_new(2 * F + 1000, 3), piece_new(2 * F, 3),
		piece_new(0, 3) };
	size_t i, j;
	int fd;

	(void)state;
	for (j = 0; j < ARRAY_LEN(cs); j++) {
		for (i = 0; i < ARRAY_LEN(more); i++) {
			fd = file_copy(cs[j].fd);
			assert_int_equal(
			    ftruncate(fd, (off_t)(file_size(fd) + more[i])), 0);
			assert_refused(fd, &cs[j]);
			(void)close(fd);
		}
		piece_free(&cs[j]);
	}
}

static void
a_frame_repeated_at_the_end_is_refused(void **state)
{
	struct piece c = piece_new(2 * F, 3);

	(void)state;
	file_paste(c.fd, H + STORED, c.fd, H + 2 * STORED, STORED);
	assert_refused(c.fd, &c);
	piece_free(&c);
}

static void
no_byte_of_the_header_can_be_changed(void **state)
{
	struct piece c = piece_new(100, 3);
	size_t i;

	(void)state;
	for (i = 0; i < H; i++) {
		file_flip(c.fd, i);
		assert_refused(c.fd, &c);
		file_flip(c.fd, i);
	}
	assert_same(c.fd, &c);
	piece_free(&c);
}

/* Frame ${bad} is not served, those beside it are; nor does anything of it
 * come out. */
static void
assert_frame_refused(int fd, const struct piece *c, uint64_t bad)
{
	uint64_t frames = (c->n + F - 1) / F, i;
	struct sealed_reader *r;
	char *got = xmalloc(c->n);
	size_t n, length, part;
	const void *view;

	assert_int_equal(open_as(fd, c, &r), RC_OK);
	for (i = 0; i < frames; i++) {
		length = c->n - i * F < F ? c->n - i * F : F;
		if (i != bad) {
			read_all(r, i * F, got, length);
			assert_memory_equal(got, c->p + i * F, length);
			continue;
		}
		memset(got, 0xaa, c->n);
		assert_int_equal(
		    sealed_reader_read(r, i * F, got, length, true, &n),
		    RC_CORRUPT);
		assert_int_equal(n, 0);
		part = length < 16 ? length : 16;
		assert_null(memmem(got, c->n, c->p + i * F, part));
		assert_int_equal(
		    sealed_reader_read(r, i * F + length - 1, got, 1, true, &n),
		    RC_CORRUPT);
		assert_int_equal(
		    sealed_reader_view(r, i * F, true, &view, &n), RC_CORRUPT);
	}
	/* One read over all gives what is before it, or nothing. */
	assert_int_equal(sealed_reader_read(r, 0, got, c->n, true, &n),
	    bad == 0 ? RC_CORRUPT : RC_OK);
	assert_true(n <= bad * F);
	assert_memory_equal(got, c->p, n);
	sealed_reader_close(&r);
	free(got);
}

static void
no_part_of_a_frame_can_be_changed(void **state)
{
	struct piece c = piece_new(5 * F + 100, 3);
	uint64_t i, at, length, edges[8];
	size_t j;

	(void)state;
	for (i = 0; i < 6; i++) {
		at = H + i * STORED;
		length = i < 5 ? F : 100;
		edges[0] = at; /* nonce */
		edges[1] = at + 7;
		edges[2] = at + 11;
		edges[3] = at + 12; /* ciphertext */
		edges[4] = at + 12 + length / 2;
		edges[5] = at + 12 + length - 1;
		edges[6] = at + 12 + length; /* tag */
		edges[7] = at + 12 + length + 15;
		for (j = 0; j < ARRAY_LEN(edges); j++) {
			file_flip(c.fd, edges[j]);
			assert_frame_refused(c.fd, &c, i);
			file_flip(c.fd, edges[j]);
		}
	}
	assert_same(c.fd, &c);
	piece_free(&c);
}

static void
frames_cannot_change_places(void **state)
{
	struct piece c = piece_new(4 * F, 3);
	int fd = file_copy(c.fd);

	(void)state;
	file_paste(c.fd, H + STORED, fd, H + 2 * STORED, STORED);
	assert_frame_refused(fd, &c, 2);
	file_paste(c.fd, H + 2 * STORED, fd, H + STORED, STORED);
	file_paste(c.fd, H + 2 * STORED, fd, H + 2 * STORED, STORED);
	assert_frame_refused(fd, &c, 1);
	(void)close(fd);
	piece_free(&c);
}

static void
frames_of_another_file_are_refused(void **state)
{
	/* The same content, and the same key domain. */
	struct piece a = piece_new(3 * F, 3), b = piece_new(3 * F, 3);
	struct sealed_reader *r;
	char *got = xmalloc(F);
	size_t n;

	(void)state;
	file_paste(b.fd, H + STORED, a.fd, H + STORED, STORED);
	assert_frame_refused(a.fd, &a, 1);
	/* With its header all of them are. */
	file_paste(b.fd, 0, a.fd, 0, H);
	assert_int_equal(open_as(a.fd, &b, &r), RC_OK);
	assert_int_equal(
	    sealed_reader_read(r, 0, got, F, true, &n), RC_CORRUPT);
	assert_int_equal(
	    sealed_reader_read(r, 2 * F, got, F, true, &n), RC_CORRUPT);
	read_all(r, F, got, F);
	sealed_reader_close(&r);
	free(got);
	piece_free(&a);
	piece_free(&b);
}

static void
a_file_in_the_place_of_another_is_refused(void **state)
{
	struct piece a = piece_new(3 * F, 3), b = piece_new(3 * F, 4);

	(void)state;
	assert_refused(a.fd, &b);
	assert_refused(b.fd, &a);
	assert_same(a.fd, &a);
	piece_free(&a);
	piece_free(&b);
}

static void
another_size_key_or_domain_is_refused(void **state)
{
	struct piece c = piece_new(1000, 3);
	struct seal_key good = key_of(DOMAIN), bad = key_of(DOMAIN + 1);
	struct sealed_reader *r;

	(void)state;
	assert_int_equal(
	    open_with(c.fd, DOMAIN, &bad, c.n, &c.digest, &r), RC_CORRUPT);
	assert_int_equal(
	    open_with(c.fd, DOMAIN + 1, &good, c.n, &c.digest, &r), RC_CORRUPT);
	assert_int_equal(
	    open_with(c.fd, DOMAIN, &good, c.n + 1, &c.digest, &r), RC_CORRUPT);
	assert_int_equal(
	    open_with(c.fd, DOMAIN, &good, UINT64_MAX, &c.digest, &r), RC_OK);
	assert_int_equal(sealed_reader_size(r), c.n);
	sealed_reader_close(&r);
	assert_int_equal(
	    open_with(c.fd, DOMAIN, &good, UINT64_MAX, NULL, &r), RC_OK);
	sealed_reader_close(&r);
	piece_free(&c);
}

static void
what_was_never_completed_is_no_blob(void **state)
{
	struct piece c = piece_new(1000, 3);
	struct sealed_writer *w;
	uint32_t domain;

	(void)state;
	w = writer_again(c.fd);
	assert_int_equal(sealed_writer_append(w, "x", 1), RC_OK);
	assert_refused(c.fd, &c);
	sealed_writer_close(&w);
	assert_int_equal(sealed_reader_domain(c.fd, &domain), RC_OK);
	assert_int_equal(domain, DOMAIN);
	/* What is added and taken away again leaves it as it was. */
	w = writer_again(c.fd);
	assert_int_equal(sealed_writer_size(w), c.n);
	assert_int_equal(sealed_writer_complete(w, &c.digest), RC_OK);
	sealed_writer_close(&w);
	assert_same(c.fd, &c);
	piece_free(&c);
}

static void
what_is_no_sealed_file_is_refused(void **state)
{
	struct piece c = piece_new(1000, 3);
	char *noise = tool_bytes(5000, 9);
	struct seal_key k = key_of(DOMAIN);
	int fd = file_of((uint8_t *)noise, 5000), empty = file_new();
	struct sealed_reader *r;
	struct sealed_writer *w;
	uint32_t domain;

	(void)state;
	assert_refused(fd, &c);
	assert_refused(empty, &c);
	assert_int_equal(sealed_reader_open(fd, &k, NULL, &r), RC_CORRUPT);
	assert_int_equal(sealed_writer_open(fd, &k, &w), RC_CORRUPT);
	assert_int_equal(sealed_writer_open(empty, &k, &w), RC_CORRUPT);
	assert_int_equal(sealed_reader_domain(fd, &domain), RC_CORRUPT);
	assert_int_equal(sealed_reader_domain(empty, &domain), RC_CORRUPT);
	(void)close(fd);
	(void)close(empty);
	free(noise);
	piece_free(&c);
}

/* --- going on ------------------------------------------------------------ */

static void
assert_written(struct sealed_writer *w, const char *p, size_t n)
{
	char *got = xmalloc(n + 1);

	assert_int_equal(sealed_writer_size(w), n);
	assert_int_equal(sealed_writer_read(w, 0, got, n), RC_OK);
	assert_memory_equal(got, p, n);
	if (n > 0) {
		assert_int_equal(
		    sealed_writer_read(w, n / 3, got, n - n / 3), RC_OK);
		assert_memory_equal(got, p + n / 3, n - n / 3);
	}
	assert_int_equal(sealed_writer_read(w, 0, got, n + 1), RC_RANGE);
	assert_int_equal(sealed_writer_read(w, n + 1, got, 0), RC_RANGE);
	free(got);
}

static void
what_was_not_flushed_is_lost_and_no_more(void **state)
{
	char *p = tool_bytes(2 * F + 500, 1);
	struct sealed_writer *w;
	int fd = file_new();

	(void)state;
	w = writer_new(fd);
	assert_int_equal(sealed_writer_readable(w), 0);
	assert_int_equal(sealed_writer_append(w, p, 2 * F + 100), RC_OK);
	assert_int_equal(sealed_writer_readable(w), 2 * F);
	assert_int_equal(sealed_writer_flush(w), RC_OK);
	assert_int_equal(sealed_writer_readable(w), 2 * F + 100);
	assert_int_equal(sealed_writer_append(w, p + 2 * F + 100, 400), RC_OK);
	assert_int_equal(sealed_writer_readable(w), 2 * F);
	assert_written(w, p, 2 * F + 500);
	sealed_writer_close(&w);
	w = writer_again(fd);
	assert_written(w, p, 2 * F + 100);
	assert_int_equal(sealed_writer_readable(w), 2 * F + 100);
	sealed_writer_close(&w);
	(void)close(fd);
	free(p);
}

static void
a_torn_frame_is_cut_off(void **state)
{
	static const size_t cuts[] = { 1, 11, 12, 28, 29, 500, 5000, F,
		F + 27 };
	static const size_t full[] = { 2 * F + 6000, 3 * F };
	char *p = tool_bytes(4 * F, 1);
	struct sealed_writer *w;
	struct digest d = tool_digest(p, 4 * F);
	struct piece c = { .p = p, .n = 4 * F, .digest = d };
	size_t i, j;
	bool torn;
	int fd;

	(void)state;
	for (j = 0; j < ARRAY_LEN(full); j++)
		for (i = 0; i < ARRAY_LEN(cuts); i++) {
			fd = file_new();
			w = writer_new(fd);
			assert_int_equal(
			    sealed_writer_append(w, p, full[j]), RC_OK);
			assert_int_equal(sealed_writer_flush(w), RC_OK);
			sealed_writer_close(&w);
			torn = H + 2 * STORED + cuts[i] < file_size(fd);
			if (torn)
				assert_int_equal(
				    ftruncate(
					fd, (off_t)(H + 2 * STORED + cuts[i])),
				    0);
			w = writer_again(fd);
			assert_int_equal(
			    sealed_writer_size(w), torn ? 2 * F : full[j]);
			assert_written(w, p, sealed_writer_size(w));
			assert_int_equal(
			    sealed_writer_append(w, p + sealed_writer_size(w),
				4 * F - sealed_writer_size(w)),
			    RC_OK);
			assert_int_equal(sealed_writer_complete(w, &d), RC_OK);
			sealed_writer_close(&w);
			assert_same(fd, &c);
			(void)close(fd);
		}
	free(p);
}

static void
a_file_whose_last_frame_was_changed_is_not_gone_on_with(void **state)
{
	struct piece c = piece_new(2 * F, 3);
	struct seal_key k = key_of(DOMAIN), other = key_of(DOMAIN + 1);
	struct sealed_writer *w;

	(void)state;
	assert_int_equal(sealed_writer_open(c.fd, &other, &w), RC_CORRUPT);
	file_flip(c.fd, H + STORED + 100);
	assert_int_equal(sealed_writer_open(c.fd, &k, &w), RC_CORRUPT);
	assert_null(w);
	file_flip(c.fd, H + STORED + 100);
	file_flip(c.fd, 20);
	assert_int_equal(sealed_writer_open(c.fd, &k, &w), RC_CORRUPT);
	piece_free(&c);
}

static void
what_is_cut_down_is_what_is_left(void **state)
{
	static const size_t to[] = { 0, 1, 100, F - 1, F, F + 1, 2 * F,
		2 * F + 99, 2 * F + 100, 2 * F + 101, 2 * F + 300 };
	char *p = tool_bytes(2 * F + 300, 1);
	struct sealed_writer *w;
	size_t i, j;
	int fd;

	(void)state;
	for (j = 0; j < 2; j++)
		for (i = 0; i < ARRAY_LEN(to); i++) {
			fd = file_new();
			w = writer_new(fd);
			assert_int_equal(
			    sealed_writer_append(w, p, 2 * F + 100), RC_OK);
			assert_int_equal(sealed_writer_flush(w), RC_OK);
			assert_int_equal(
			    sealed_writer_append(w, p + 2 * F + 100, 200),
			    RC_OK);
			if (j == 1)
				assert_int_equal(sealed_writer_flush(w), RC_OK);
			assert_int_equal(
			    sealed_writer_truncate(w, to[i]), RC_OK);
			assert_written(w, p, to[i]);
			assert_int_equal(
			    sealed_writer_truncate(w, to[i] + 1), RC_RANGE);
			/* What was in the file goes with a mark. */
			assert_int_equal(sealed_writer_cut(w),
			    to[i] < 2 * F + (j == 1 ? 300 : 100));
			sealed_writer_close(&w);
			w = writer_again(fd);
			assert_written(w, p,
			    j == 0 && to[i] > 2 * F + 100 ? 2 * F + 100
							  : to[i]);
			assert_int_equal(sealed_writer_cut(w),
			    to[i] < 2 * F + (j == 1 ? 300 : 100));
			sealed_writer_close(&w);
			(void)close(fd);
		}
	free(p);
}

/* --- nonces -------------------------------------------------------------- */

/* All that were ever in a file, and what they were used for. */
struct nonce {
	uint8_t *frame; /* begins with it */
	size_t n;
};

struct nonces {
	struct nonce *seen;
	size_t n, room;
};

/* One that is seen again is in the same frame, or what is left of that. */
static void
nonce_note(struct nonces *all, const uint8_t *frame, size_t n)
{
	const struct nonce *was;
	size_t i;

	for (i = 0; i < all->n; i++) {
		was = &all->seen[i];
		if (memcmp(was->frame, frame, 12) != 0)
			continue;
		assert_true(n <= was->n);
		assert_memory_equal(was->frame, frame, n);
		return;
	}
	if (all->n == all->room) {
		all->room = 2 * all->room + 64;
		all->seen =
		    xrealloc(all->seen, all->room * sizeof(all->seen[0]));
	}
	all->seen[all->n].frame = xmalloc(n);
	memcpy(all->seen[all->n].frame, frame, n);
	all->seen[all->n++].n = n;
}

static void
nonces_forget(struct nonces *all)
{
	while (all->n > 0)
		free(all->seen[--all->n].frame);
	free(all->seen);
	*all = (struct nonces){ 0 };
}

static void
nonces_note(struct nonces *all, int fd)
{
	size_t n, at, length;
	uint8_t *p = file_load(fd, &n);

	for (at = H; at + SEALED_FRAME_OVERHEAD_BYTES < n; at += STORED) {
		length = n - at < STORED ? n - at : STORED;
		nonce_note(all, p + at, length);
	}
	free(p);
}

/* What the content should be. */
struct model {
	char *p;
	size_t n;
};

#define MODEL_MAX (5 * F)

static void
model_append(struct sealed_writer *w, struct model *m, unsigned seed)
{
	size_t n = (size_t)rand() % (rand() % 2 == 0 ? 3000 : 2 * F);
	char *p;

	if (n > MODEL_MAX - m->n)
		n = MODEL_MAX - m->n;
	p = tool_bytes(n, seed);
	assert_int_equal(sealed_writer_append(w, p, n), RC_OK);
	memcpy(m->p + m->n, p, n);
	m->n += n;
	free(p);
}

static void
model_cut(struct sealed_writer *w, struct model *m)
{
	m->n = m->n > 0 ? (size_t)rand() % (m->n + 1) : 0;
	assert_int_equal(sealed_writer_truncate(w, m->n), RC_OK);
}

/* The process ends, perhaps in the middle of writing. */
static struct sealed_writer *
model_crash(struct sealed_writer *w, struct model *m, int fd, bool torn)
{
	uint64_t size;

	sealed_writer_close(&w);
	size = file_size(fd);
	if (torn && size > H)
		assert_int_equal(
		    ftruncate(fd,
			(off_t)(size - (size_t)rand() % (size - H) % 70000)),
		    0);
	w = writer_again(fd);
	assert_true(sealed_writer_size(w) <= m->n);
	m->n = sealed_writer_size(w);
	assert_written(w, m->p, m->n);
	return (w);
}

static struct sealed_writer *
model_step(struct sealed_writer *w, struct model *m, int fd, unsigned seed)
{
	struct digest d;

	switch (rand() % 8) {
	case 0:
		model_cut(w, m);
		break;
	case 1:
		assert_int_equal(sealed_writer_flush(w), RC_OK);
		assert_int_equal(sealed_writer_readable(w), m->n);
		break;
	case 2:
		w = model_crash(w, m, fd, false);
		break;
	case 3:
		w = model_crash(w, m, fd, true);
		break;
	case 4:
		d = tool_digest(m->p, m->n);
		assert_int_equal(sealed_writer_complete(w, &d), RC_OK);
		break;
	default:
		model_append(w, m, seed);
	}
	return (w);
}

static void
no_nonce_is_used_twice_whatever_happens(void **state)
{
	struct model m = { .p = xmalloc(MODEL_MAX) };
	struct nonces all = { 0 };
	struct sealed_writer *w;
	unsigned file, step;
	int fd;

	(void)state;
	srand(17);
	for (file = 0; file < 12; file++) {
		m.n = 0;
		fd = file_new();
		w = writer_new(fd);
		for (step = 0; step < 80; step++) {
			w = model_step(w, &m, fd, step);
			nonces_note(&all, fd);
			assert_int_equal(sealed_writer_size(w), m.n);
			if (step % 8 == 0)
				assert_written(w, m.p, m.n);
		}
		assert_in_range(all.n, 10, 10000);
		nonces_forget(&all);
		sealed_writer_close(&w);
		(void)close(fd);
	}
	free(m.p);
}

static void
no_two_files_share_a_salt_or_a_nonce(void **state)
{
	struct piece c;
	uint8_t salts[40][32], nonces[40][12];
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(salts); i++) {
		c = piece_new(100, 1);
		assert_int_equal(pread(c.fd, salts[i], 32, 16), 32);
		assert_int_equal(pread(c.fd, nonces[i], 12, H), 12);
		for (j = 0; j < i; j++) {
			assert_memory_not_equal(salts[i], salts[j], 32);
			assert_memory_not_equal(nonces[i], nonces[j], 12);
		}
		piece_free(&c);
	}
}

/* --- a disk that is full ------------------------------------------------- */

static void
file_limit(rlim_t n)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void
an_append_that_fails_takes_nothing(void **state)
{
	char path[TOOL_PATH_BYTES], dir[TOOL_PATH_BYTES];
	char *p = tool_bytes(12 * F, 1);
	struct sealed_writer *w;
	struct digest d = tool_digest(p, 9 * F);
	struct piece c = { .p = p, .n = 9 * F, .digest = d };
	int fd;

	(void)state;
	tool_folder(dir);
	(void)snprintf(path, sizeof(path), "%.400s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	w = writer_new(fd);
	assert_int_equal(sealed_writer_append(w, p, F + 50), RC_OK);
	assert_int_equal(sealed_writer_flush(w), RC_OK);
	/* Some batches can be written, and part of one. */
	file_limit(H + 6 * STORED + 77);
	assert_int_not_equal(sealed_writer_append(w, p + F + 50, 9 * F), RC_OK);
	assert_written(w, p, F + 50);
	assert_int_equal(sealed_writer_readable(w), F + 50);
	assert_int_equal(file_size(fd), sealed_file_bytes(F + 50));
	file_limit(H + STORED + 40);
	assert_int_equal(sealed_writer_append(w, p + F + 50, 100), RC_OK);
	assert_int_not_equal(sealed_writer_flush(w), RC_OK);
	assert_written(w, p, F + 150);
	file_limit(RLIM_INFINITY);
	assert_int_equal(
	    sealed_writer_append(w, p + F + 150, 8 * F - 150), RC_OK);
	assert_int_equal(sealed_writer_complete(w, &d), RC_OK);
	sealed_writer_close(&w);
	assert_same(fd, &c);
	(void)close(fd);
	tool_folder_remove(dir);
	free(p);
}

/* --- beside -------------------------------------------------------------- */

#define BESIDE_BYTES (40 * F + 777)

struct beside {
	int fd;
	const char *p;
	struct sealed_reader *reader;
	_Atomic uint64_t readable;
};

static void *
reads_beside(void *arg)
{
	struct beside *b = arg;
	uint64_t at = 0, to;
	char *got = xmalloc(3 * F);
	size_t n;

	while (at < BESIDE_BYTES) {
		to = atomic_load(&b->readable);
		if (to == at)
			continue;
		n = to - at < 3 * F ? (size_t)(to - at) : 3 * F;
		must(sealed_reader_read(b->reader, at, got, n, true, &n) ==
		     RC_OK);
		must(n > 0 && at + n <= to);
		must(memcmp(got, b->p + at, n) == 0);
		at += n;
	}
	free(got);
	return (NULL);
}

/* What was flushed is written anew once there is more, so it is not told. */
static void
a_reader_beside_the_writer_reads_what_is_readable(void **state)
{
	char *p = tool_bytes(BESIDE_BYTES, 1);
	struct beside b = { .fd = file_new(), .p = p };
	struct sealed_writer *w = writer_new(b.fd);
	size_t at, n;
	pthread_t t;

	(void)state;
	b.reader = sealed_writer_reader(w, b.fd);
	assert_int_equal(sealed_reader_size(b.reader), UINT64_MAX);
	assert_int_equal(pthread_create(&t, NULL, reads_beside, &b), 0);
	srand(3);
	for (at = 0; at < BESIDE_BYTES; at += n) {
		n = (size_t)rand() % 200000 + 1;
		if (n > BESIDE_BYTES - at)
			n = BESIDE_BYTES - at;
		assert_int_equal(sealed_writer_append(w, p + at, n), RC_OK);
		atomic_store(&b.readable, sealed_writer_readable(w));
	}
	assert_int_equal(sealed_writer_flush(w), RC_OK);
	atomic_store(&b.readable, sealed_writer_readable(w));
	assert_int_equal(pthread_join(t, NULL), 0);
	sealed_reader_close(&b.reader);
	sealed_writer_close(&w);
	(void)close(b.fd);
	free(p);
}

static void
a_reader_beside_sees_a_frame_that_has_grown(void **state)
{
	char *p = tool_bytes(2 * F, 1);
	struct sealed_reader *r;
	struct sealed_writer *w;
	char *got = xmalloc(2 * F);
	int fd = file_new();
	size_t n;

	(void)state;
	w = writer_new(fd);
	r = sealed_writer_reader(w, fd);
	assert_int_equal(sealed_reader_read(r, 0, got, 1, true, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(sealed_writer_append(w, p, 100), RC_OK);
	assert_int_equal(sealed_writer_flush(w), RC_OK);
	read_all(r, 0, got, 50);
	read_all(r, 50, got + 50, 50);
	assert_int_equal(sealed_writer_append(w, p + 100, F), RC_OK);
	read_all(r, 90, got + 90, F - 90);
	assert_int_equal(sealed_writer_flush(w), RC_OK);
	read_all(r, 0, got, F + 100);
	assert_memory_equal(got, p, F + 100);
	sealed_reader_close(&r);
	sealed_writer_close(&w);
	(void)close(fd);
	free(got);
	free(p);
}

/* --- values -------------------------------------------------------------- */

static void
a_value_comes_back_to_who_has_key_and_purpose(void **state)
{
	struct seal_key k = key_of(DOMAIN), other = key_of(DOMAIN + 1);
	uint8_t sealed[200 + SEALED_VALUE_OVERHEAD_BYTES],
	    again[sizeof(sealed)];
	uint8_t out[sizeof(sealed)];
	char *p = tool_bytes(200, 1);
	size_t n, i;

	(void)state;
	sealed_value_write(&k, SPAN("what"), (struct span){ p, 200 }, sealed);
	sealed_value_write(&k, SPAN("what"), (struct span){ p, 200 }, again);
	assert_memory_not_equal(sealed + 33, again + 33, 200);
	assert_null(memmem(sealed, sizeof(sealed), p, 16));
	const struct span s = { (const char *)sealed, sizeof(sealed) };

	assert_int_equal(
	    sealed_value_read(&k, SPAN("what"), s, out, &n), RC_OK);
	assert_int_equal(n, 200);
	assert_memory_equal(out, p, 200);
	assert_int_equal(
	    sealed_value_read(&k, SPAN("else"), s, out, &n), RC_CORRUPT);
	assert_int_equal(n, 0);
	assert_int_equal(
	    sealed_value_read(&k, SPAN_NONE, s, out, &n), RC_CORRUPT);
	assert_int_equal(
	    sealed_value_read(&other, SPAN("what"), s, out, &n), RC_CORRUPT);
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(
		    sealed_value_read(&k, SPAN("what"), s, out, &n),
		    RC_CORRUPT);
		sealed[i] ^= 1;
		assert_int_equal(
		    sealed_value_read(&k, SPAN("what"),
			(struct span){ (const char *)sealed, i }, out, &n),
		    RC_CORRUPT);
	}
	free(p);
}

static void
an_empty_value_is_a_value(void **state)
{
	struct seal_key k = key_of(DOMAIN);
	uint8_t sealed[SEALED_VALUE_OVERHEAD_BYTES], out[sizeof(sealed)];
	size_t n = 1;

	(void)state;
	sealed_value_write(&k, SPAN_NONE, SPAN_NONE, sealed);
	assert_int_equal(
	    sealed_value_read(&k, SPAN_NONE,
		(struct span){ (const char *)sealed, sizeof(sealed) }, out, &n),
	    RC_OK);
	assert_int_equal(n, 0);
}

static int
quiet(void **state)
{
	(void)state;
	log_set_level(LOG_LVL_ERROR);
	return (0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_comes_back_whatever_its_size),
		cmocka_unit_test(content_comes_back_however_it_was_appended),
		cmocka_unit_test(
		    a_file_length_inside_of_overhead_counts_what_is_before),
		cmocka_unit_test(any_range_can_be_read),
		cmocka_unit_test(behind_the_end_there_is_nothing),
		cmocka_unit_test(what_is_viewed_lies_where_it_is),
		cmocka_unit_test(what_is_cached_is_read_without_waiting),
		cmocka_unit_test(copies_of_a_reader_read_by_themselves),
		cmocka_unit_test(nothing_of_the_content_is_in_the_file),
		cmocka_unit_test(the_format_is_what_is_written_of_it),
		cmocka_unit_test(
		    the_format_of_a_value_is_what_is_written_of_it),
		cmocka_unit_test(a_file_that_was_cut_is_refused),
		cmocka_unit_test(a_file_that_was_extended_is_refused),
		cmocka_unit_test(a_frame_repeated_at_the_end_is_refused),
		cmocka_unit_test(no_byte_of_the_header_can_be_changed),
		cmocka_unit_test(no_part_of_a_frame_can_be_changed),
		cmocka_unit_test(frames_cannot_change_places),
		cmocka_unit_test(frames_of_another_file_are_refused),
		cmocka_unit_test(a_file_in_the_place_of_another_is_refused),
		cmocka_unit_test(another_size_key_or_domain_is_refused),
		cmocka_unit_test(what_was_never_completed_is_no_blob),
		cmocka_unit_test(what_is_no_sealed_file_is_refused),
		cmocka_unit_test(what_was_not_flushed_is_lost_and_no_more),
		cmocka_unit_test(a_torn_frame_is_cut_off),
		cmocka_unit_test(
		    a_file_whose_last_frame_was_changed_is_not_gone_on_with),
		cmocka_unit_test(what_is_cut_down_is_what_is_left),
		cmocka_unit_test(no_nonce_is_used_twice_whatever_happens),
		cmocka_unit_test(no_two_files_share_a_salt_or_a_nonce),
		cmocka_unit_test(an_append_that_fails_takes_nothing),
		cmocka_unit_test(
		    a_reader_beside_the_writer_reads_what_is_readable),
		cmocka_unit_test(a_reader_beside_sees_a_frame_that_has_grown),
		cmocka_unit_test(a_value_comes_back_to_who_has_key_and_purpose),
		cmocka_unit_test(an_empty_value_is_a_value),
	};

	return (cmocka_run_group_tests_name("sealed", tests, quiet, NULL));
}
