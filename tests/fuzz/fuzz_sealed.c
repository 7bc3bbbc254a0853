#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/sealed.h"
#include "storage/sealed_int.h"

/*
 * The input is a sealed file, of a key that is known here: what is given of it
 * is no more than its length allows, what cannot be genuine is refused, and one
 * that can be gone on with is a sound file at its end.
 *
 * No input gets past the HMAC and the tags by itself.  So one that begins with
 * ':' is a list of what is done to a file that is made here, and one that begins
 * with 'v' a value.  Each step is a letter and two bytes of a number:
 *
 *	a append, f flush, t truncate, c complete, o open again, x flip a bit,
 *	k cut the file off, e extend it
 *
 * What was written is held against what is read, unless the file was changed
 * behind the writer's back: then all that is read must be what was written
 * there, or nothing is.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define FILE_MAX (4 * SEALED_FRAME_BYTES)

static const struct seal_key key = { { 1, 2, 3 } };

/* --- as it is ------------------------------------------------------------- */

static void
file_try(const uint8_t *p, size_t n)
{
	struct sealed_expect expect = { .key_domain = 7,
		.size_bytes = UINT64_MAX };
	struct sealed_header h;
	struct sealed_reader *r = NULL;
	struct sealed_writer *w = NULL;
	uint32_t domain;
	int fd = memfd_create("sealed", MFD_CLOEXEC);

	must(fd >= 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
	must(n < SEALED_HEADER_BYTES ||
	     sealed_header_parse(p, &h) == RC_CORRUPT ||
	     (sealed_reader_domain(fd, &domain) == RC_OK &&
		 domain == h.key_domain));
	must(sealed_reader_open(fd, &key, &expect, &r) == RC_CORRUPT);
	must(sealed_reader_open(fd, &key, NULL, &r) == RC_CORRUPT);
	must(sealed_writer_open(fd, &key, &w) == RC_CORRUPT);
	must(r == NULL && w == NULL);
	must(sealed_content_bytes(n) <= n);
	(void)close(fd);
}

static void
value_try(const uint8_t *p, size_t n)
{
	const struct span s = { (const char *)p, n };
	uint8_t *out = xmalloc(n + 1);
	size_t got = 1;

	must(sealed_value_read(&key, SPAN("what"), s, out, &got) == RC_CORRUPT);
	must(got == 0);
	free(out);
}

/* --- made here ------------------------------------------------------------ */

struct model {
	int fd;
	struct sealed_writer *w;
	uint8_t *p; /* what was written last at each place */
	size_t n;
	bool changed; /* behind its back */
	struct digest digest;
	bool complete;
};

/* Bytes that differ wherever they are, and with each time they are written. */
static void
bytes_make(struct model *m, size_t at, size_t n, uint8_t seed)
{
	size_t i;

	for (i = at; i < at + n; i++)
		m->p[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

static void
append(struct model *m, size_t n, uint8_t seed)
{
	if (n > FILE_MAX - m->n)
		n = FILE_MAX - m->n;
	bytes_make(m, m->n, n, seed);
	must(sealed_writer_append(m->w, m->p + m->n, n) == RC_OK);
	m->n += n;
	m->complete = m->complete && n == 0;
}

/* It may be refused if it was changed; so all ends. */
static bool
again(struct model *m)
{
	enum rc rc;

	sealed_writer_close(&m->w);
	rc = sealed_writer_open(m->fd, &key, &m->w);
	must(rc == RC_OK || (rc == RC_CORRUPT && m->changed));
	if (rc != RC_OK)
		return (false);
	must(sealed_writer_size(m->w) <= m->n);
	m->n = sealed_writer_size(m->w);
	return (true);
}

static void
file_change(struct model *m, uint8_t what, size_t to)
{
	struct stat st;
	size_t at;
	uint8_t byte;

	must(fstat(m->fd, &st) == 0 && st.st_size > 0);
	at = to * 4 % (size_t)st.st_size;
	m->changed = true;
	if (what == 'x') {
		must(pread(m->fd, &byte, 1, (off_t)at) == 1);
		byte ^= 4;
		must(pwrite(m->fd, &byte, 1, (off_t)at) == 1);
	} else if (what == 'k') {
		must(ftruncate(m->fd, (off_t)at) == 0);
	} else {
		must(ftruncate(m->fd, st.st_size + (off_t)to + 1) == 0);
	}
}

static bool
step(struct model *m, uint8_t what, size_t to, uint8_t seed)
{
	switch (what) {
	case 'a':
		append(m, to * 3, seed);
		break;
	case 'f':
		must(sealed_writer_flush(m->w) == RC_OK);
		must(sealed_writer_readable(m->w) == m->n);
		break;
	case 't':
		m->n = m->n > 0 ? to * 3 % (m->n + 1) : 0;
		must(sealed_writer_truncate(m->w, m->n) == RC_OK);
		m->complete = false;
		break;
	case 'c':
		digest_of(DIGEST_SHA256, m->p, m->n, &m->digest);
		must(sealed_writer_complete(m->w, &m->digest) == RC_OK);
		m->complete = true;
		break;
	case 'o':
		return (again(m));
	default:
		return (true);
	}
	return (true);
}

static void
content_read(struct model *m, struct sealed_reader *r)
{
	uint8_t *got = xmalloc(FILE_MAX);
	uint64_t at = 0;
	size_t n = 1;

	while (n > 0) {
		if (sealed_reader_read(r, at, got, 100000, true, &n) != RC_OK) {
			must(m->changed);
			at = (at / SEALED_FRAME_BYTES + 1) * SEALED_FRAME_BYTES;
			continue;
		}
		must(at + n <= m->n || n == 0);
		must(n == 0 || memcmp(got, m->p + at, n) == 0);
		at += n;
	}
	free(got);
}

static void
end_look(struct model *m)
{
	const struct sealed_expect expect = {
		.key_domain = 7, .size_bytes = m->n, .digest = &m->digest
	};
	struct sealed_reader *r = NULL;
	enum rc rc;

	if (!m->complete)
		return;
	rc = sealed_reader_open(m->fd, &key, &expect, &r);
	must(rc == RC_OK || m->changed);
	if (rc == RC_OK)
		content_read(m, r);
	sealed_reader_close(&r);
}

/* Nothing goes on after the file was changed but to open it again. */
static void
steps_try(const uint8_t *p, size_t n)
{
	struct model m = { .fd = memfd_create("sealed", MFD_CLOEXEC) };
	bool goes_on = true;
	size_t i;

	must(m.fd >= 0);
	m.p = xcalloc(1, FILE_MAX);
	must(sealed_writer_new(m.fd, &key, 7, &m.w) == RC_OK);
	for (i = 0; i + 3 <= n && goes_on; i += 3) {
		if (strchr("xke", p[i]) != NULL && p[i] != 0) {
			file_change(&m, p[i], p[i + 1] * 256U + p[i + 2]);
			goes_on = false;
		} else {
			goes_on = step(
			    &m, p[i], p[i + 1] * 256U + p[i + 2], (uint8_t)i);
		}
	}
	end_look(&m);
	if (m.changed)
		(void)again(&m);
	sealed_writer_close(&m.w);
	(void)close(m.fd);
	free(m.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool quiet;

	if (!quiet) {
		log_set_level(LOG_LVL_ERROR);
		quiet = true;
	}
	if (n > 0 && p[0] == ':')
		steps_try(p + 1, n < 100 ? n - 1 : 99);
	else if (n > 0 && p[0] == 'v')
		value_try(p + 1, n - 1);
	else
		file_try(p, n);
	return (0);
}
