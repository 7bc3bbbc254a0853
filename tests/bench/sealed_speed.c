/*
 * sealed_speed [--mib N] [--rounds N] [--dir DIR]: what sealing costs.
 *
 * N MiB (512) are written to a file and read back out of the page cache, in
 * pieces of 256 KiB, plain and sealed, and the same bytes are put through bare
 * AES-256-GCM (EVP) in pieces of 64 KiB.  What sealed content costs more than
 * plain content is held against that: 1.0 is what cannot be avoided.  Each
 * figure is the best of N rounds (5), as other programs only make it worse.
 *
 * Prints one JSON object; speeds are of the CPU's time, in GB/s.
 */

#include <fcntl.h>
#include <getopt.h>
#include <time.h>

#include "base/keyring.h"
#include "storage/blob_file.h"
#include "storage/sealed.h"
#include "tests/bench/bench.h"

#define PIECE_BYTES ((size_t)256 * 1024)

static struct {
	uint64_t mib, rounds;
	const char *dir;
} opt = { .mib = 512, .rounds = 5, .dir = "/tmp" };

static struct seal_key key;
static struct digest digest;
static uint64_t total_bytes;
static uint8_t *piece;

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == -1)
		bench_die("clock_gettime: %s", strerror(errno));
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static void
check(enum rc rc, const char *what)
{
	if (rc != RC_OK)
		bench_die("%s: %s", what, rc_text(rc));
}

/* --- bare ----------------------------------------------------------------- */

/* The context is made once, as a good program does. */
static void
bare_run(EVP_CIPHER_CTX *ctx, int encrypt)
{
	uint8_t nonce[12] = { 0 }, tag[16] = { 0 };
	uint64_t done;
	size_t at;
	int n;

	for (done = 0; done < total_bytes; done += SEALED_FRAME_BYTES) {
		at = done % PIECE_BYTES;
		memcpy(nonce, &done, sizeof(done));
		if (EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, encrypt, NULL) !=
			1 ||
		    EVP_CipherUpdate(ctx, piece + at, &n, piece + at,
			(int)SEALED_FRAME_BYTES) != 1)
			bench_die("AES-256-GCM");
		/* Of what it decrypts here nothing is genuine. */
		if (encrypt == 0 && EVP_CIPHER_CTX_ctrl(ctx,
					EVP_CTRL_AEAD_SET_TAG, 16, tag) != 1)
			bench_die("AES-256-GCM");
		(void)EVP_CipherFinal_ex(ctx, tag, &n);
	}
}

static int64_t
bare(int encrypt)
{
	EVP_CIPHER *aead = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int64_t began;

	if (aead == NULL || ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, aead, key.bytes, NULL, encrypt, NULL) != 1)
		bench_die("AES-256-GCM");
	began = cpu_ns();
	bare_run(ctx, encrypt);
	began = cpu_ns() - began;
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(aead);
	return (began);
}

static int64_t
bare_encrypt(int fd)
{
	(void)fd;
	return (bare(1));
}

static int64_t
bare_decrypt(int fd)
{
	(void)fd;
	return (bare(0));
}

/* --- files ---------------------------------------------------------------- */

static int
file_new(void)
{
	int fd = open(opt.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		bench_die("%s: %s", opt.dir, strerror(errno));
	return (fd);
}

static int64_t
plain_write(int fd)
{
	int64_t began = cpu_ns();
	uint64_t at;

	for (at = 0; at < total_bytes; at += PIECE_BYTES)
		if (pwrite(fd, piece, PIECE_BYTES, (off_t)at) !=
		    (ssize_t)PIECE_BYTES)
			bench_die("write: %s", strerror(errno));
	return (cpu_ns() - began);
}

static int64_t
sealed_write(int fd)
{
	struct sealed_writer *w;
	int64_t began = cpu_ns();
	uint64_t at;

	check(sealed_writer_new(fd, &key, 1, &w), "seal");
	for (at = 0; at < total_bytes; at += PIECE_BYTES)
		check(sealed_writer_append(w, piece, PIECE_BYTES), "seal");
	check(sealed_writer_complete(w, &digest), "seal");
	sealed_writer_close(&w);
	return (cpu_ns() - began);
}

static int64_t
file_read(struct blob_file *f, size_t step)
{
	int64_t began = cpu_ns();
	uint64_t at;
	size_t n;

	for (at = 0; at < total_bytes; at += n) {
		check(blob_file_read(f, at, piece, step, true, &n), "read");
		if (n == 0)
			bench_die("read: it ends early");
	}
	return (cpu_ns() - began);
}

static int64_t
plain_read(int fd)
{
	struct blob_file f = { .fd = fd, .size_bytes = total_bytes };

	return (file_read(&f, PIECE_BYTES));
}

static void
sealed_open(int fd, struct blob_file *f)
{
	const struct sealed_expect expect = {
		.key_domain = 1, .size_bytes = total_bytes, .digest = &digest
	};

	*f = (struct blob_file){ .fd = fd, .size_bytes = total_bytes };
	check(sealed_reader_open(fd, &key, &expect, &f->sealed), "open");
}

static int64_t
sealed_read_steps(int fd, size_t step)
{
	struct blob_file f;
	int64_t took;

	sealed_open(fd, &f);
	took = file_read(&f, step);
	sealed_reader_close(&f.sealed);
	return (took);
}

static int64_t
sealed_read(int fd)
{
	return (sealed_read_steps(fd, PIECE_BYTES));
}

/* As over TLS: a record at a time. */
static int64_t
sealed_read_records(int fd)
{
	return (sealed_read_steps(fd, 16384));
}

static int64_t
sealed_view(int fd)
{
	struct blob_file f;
	int64_t began = cpu_ns();
	const void *p;
	uint64_t at;
	size_t n;

	sealed_open(fd, &f);
	for (at = 0; at < total_bytes; at += n) {
		check(blob_file_view(&f, at, true, &p, &n), "view");
		if (n == 0)
			bench_die("view: it ends early");
	}
	sealed_reader_close(&f.sealed);
	return (cpu_ns() - began);
}

/* --- what is told --------------------------------------------------------- */

enum what {
	BARE_ENCRYPT,
	BARE_DECRYPT,
	PLAIN_WRITE,
	SEALED_WRITE,
	PLAIN_READ,
	SEALED_READ,
	SEALED_READ_RECORDS,
	SEALED_VIEW,
	WHATS
};

static const struct {
	const char *name;
	int64_t (*run)(int fd);
	bool sealed; /* which of the two files */
} whats[WHATS] = {
	[BARE_ENCRYPT] = { "bare_encrypt", bare_encrypt, false },
	[BARE_DECRYPT] = { "bare_decrypt", bare_decrypt, false },
	[PLAIN_WRITE] = { "plain_write", plain_write, false },
	[SEALED_WRITE] = { "sealed_write", sealed_write, true },
	[PLAIN_READ] = { "plain_read", plain_read, false },
	[SEALED_READ] = { "sealed_read", sealed_read, true },
	[SEALED_READ_RECORDS] = { "sealed_read_16k", sealed_read_records,
	    true },
	[SEALED_VIEW] = { "sealed_view", sealed_view, true },
};

static int64_t best_ns[WHATS];

static void
round_run(bool first)
{
	int plain_fd = file_new(), sealed_fd = file_new();
	int64_t ns;
	unsigned i;

	for (i = 0; i < WHATS; i++) {
		ns = whats[i].run(whats[i].sealed ? sealed_fd : plain_fd);
		if (first || ns < best_ns[i])
			best_ns[i] = ns;
	}
	(void)close(plain_fd);
	(void)close(sealed_fd);
}

static double
gbps(enum what what)
{
	return ((double)total_bytes / (double)best_ns[what]);
}

static double
ratio(enum what sealed, enum what plain, enum what raw)
{
	return (
	    (double)(best_ns[sealed] - best_ns[plain]) / (double)best_ns[raw]);
}

static void
told(void)
{
	unsigned i;

	printf("{\"mib\":%llu", (unsigned long long)opt.mib);
	for (i = 0; i < WHATS; i++)
		printf(",\"%s_gbps\":%.2f", whats[i].name, gbps(i));
	printf(",\"write_extra_cpu\":%.2f,\"read_extra_cpu\":%.2f,"
	       "\"read_16k_extra_cpu\":%.2f,\"view_extra_cpu\":%.2f}\n",
	    ratio(SEALED_WRITE, PLAIN_WRITE, BARE_ENCRYPT),
	    ratio(SEALED_READ, PLAIN_READ, BARE_DECRYPT),
	    ratio(SEALED_READ_RECORDS, PLAIN_READ, BARE_DECRYPT),
	    ratio(SEALED_VIEW, PLAIN_READ, BARE_DECRYPT));
}

static void
options_read(int argc, char **argv)
{
	static const struct option known[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "dir", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t *to;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'd') {
			opt.dir = optarg;
			continue;
		}
		to = c == 'm' ? &opt.mib : &opt.rounds;
		if ((c != 'm' && c != 'r') ||
		    num_u64(span_of(optarg), 1 << 20, to) != RC_OK || *to == 0)
			bench_die("usage: sealed_speed [--mib N] [--rounds N] "
				  "[--dir DIR]");
	}
}

int
main(int argc, char **argv)
{
	uint64_t i;

	options_read(argc, argv);
	total_bytes = opt.mib << 20;
	seal_key_make(&key);
	piece = xmalloc(PIECE_BYTES);
	random_bytes(piece, PIECE_BYTES);
	digest_of(DIGEST_SHA256, piece, PIECE_BYTES, &digest);
	for (i = 0; i < opt.rounds; i++)
		round_run(i == 0);
	told();
	free(piece);
	mem_wipe(&key, sizeof(key));
	return (0);
}
