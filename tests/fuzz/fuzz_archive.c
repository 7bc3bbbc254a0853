#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "base/manifest.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/archive_int.h"

/*
 * The input is an archive.  What is taken for one lists images whose names are
 * names and whose content is in it, and goes into a place as it is; else the
 * refusal says why.
 *
 * Few inputs would get past the checksums of tar and the digests of content.
 * So one that begins with ':' is a list of entries, of which a tar file is made
 * here, with a NUL between two of them:
 *
 *	TYPE NAME LF CONTENT
 *
 * TYPE is that of tar ('0' a file, '1' and '2' links, '5' a folder...), or 'b',
 * a blob that is named by its digest.  In what stands there "@N" is the digest
 * of entry number N, if it stands before, and "#N" its size.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ENTRIES_MAX 10

struct made {
	struct buf out;
	struct digest digests[ENTRIES_MAX];
	size_t sizes[ENTRIES_MAX];
	unsigned n;
};

static void
expand(const struct made *m, struct span in, struct buf *out)
{
	char text[DIGEST_STR_BYTES];
	unsigned n;
	size_t i;

	for (i = 0; i < in.n; i++) {
		n = i + 1 < in.n ? (unsigned)(uint8_t)in.p[i + 1] - '0'
				 : ENTRIES_MAX;
		if ((in.p[i] != '@' && in.p[i] != '#') || n >= m->n) {
			buf_char(out, in.p[i]);
			continue;
		}
		if (in.p[i] == '@')
			buf_str(out, digest_str(&m->digests[n], text));
		else
			buf_u64(out, m->sizes[n]);
		i++;
	}
}

/* ustar. */
static void
header_add(struct made *m, char type, struct span name, struct span content)
{
	bool link = type == '1' || type == '2';
	char head[512] = { 0 };
	unsigned sum = 0;
	size_t i;

	if (name.n > 0)
		memcpy(head, name.p, name.n < 100 ? name.n : 100);
	(void)snprintf(head + 100, 8, "%07o", 0644);
	(void)snprintf(head + 124, 12, "%011zo", link ? 0 : content.n);
	memset(head + 148, ' ', 8);
	head[156] = type;
	if (link && content.n > 0)
		memcpy(
		    head + 157, content.p, content.n < 100 ? content.n : 100);
	memcpy(head + 257, "ustar\00000", 8);
	for (i = 0; i < sizeof(head); i++)
		sum += (uint8_t)head[i];
	(void)snprintf(head + 148, 8, "%06o", sum);
	buf_add(&m->out, head, sizeof(head));
	if (link)
		return;
	buf_span(&m->out, content);
	while (m->out.n % 512 != 0)
		buf_char(&m->out, '\0');
}

static void
entry_add(struct made *m, struct span in)
{
	char type = in.p[0], text[DIGEST_STR_BYTES], name[128];
	struct span rest = { in.p + 1, in.n - 1 }, given = SPAN("");
	struct digest d;
	struct buf content;

	(void)span_split(&rest, '\n', &given);
	buf_init(&content, (size_t)1 << 20);
	expand(m, rest, &content);
	digest_of(DIGEST_SHA256, content.n > 0 ? content.p : "", content.n, &d);
	if (type == 'b') {
		(void)snprintf(name, sizeof(name), "blobs/sha256/%s",
		    digest_str(&d, text) + 7);
		given = span_of(name);
		type = '0';
	}
	header_add(m, type, given, buf_as_span(&content));
	if (m->n < ENTRIES_MAX) {
		m->digests[m->n] = d;
		m->sizes[m->n++] = content.n;
	}
	buf_free(&content);
}

static void
entries_add(struct made *m, struct span in)
{
	struct span entry;

	buf_init(&m->out, (size_t)16 << 20);
	while (span_split(&in, '\0', &entry))
		if (entry.n > 0)
			entry_add(m, entry);
	while (buf_ok(&m->out) && m->out.n % 10240 != 0)
		buf_char(&m->out, '\0');
}

struct sink {
	struct place base;
	unsigned manifests;
};

static enum rc
sink_has(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct upstream_error *error)
{
	(void)p;
	(void)d;
	(void)size_bytes;
	(void)error;
	return (RC_NOTFOUND);
}

static enum rc
sink_take(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob *from, struct upstream_error *error)
{
	struct hasher *hasher = hasher_new(d->alg);
	struct digest is;
	uint64_t all = 0;
	char some[4096];
	size_t n;

	(void)p;
	/* It was read before. */
	do {
		must(from->read(from, some, sizeof(some), &n, error) == RC_OK);
		hasher_update(hasher, some, n);
		all += n;
	} while (n > 0);
	hasher_final(hasher, &is);
	hasher_free(&hasher);
	must(digest_eq(&is, d));
	must(all == size_bytes);
	return (RC_OK);
}

static enum rc
sink_manifest(struct place *p, const struct place_manifest *pm, struct span tag,
    struct upstream_error *error)
{
	struct sink *s = (struct sink *)p;
	char why[MANIFEST_WHY_BYTES];
	struct arena arena;
	struct manifest m;

	(void)error;
	arena_init(&arena, ARC_MANIFEST_ARENA_BYTES);
	must(
	    manifest_parse(pm->media_type, pm->text, &arena, &m, why) == RC_OK);
	arena_reset(&arena);
	must(tag.n == 0 || name_tag_ok(tag));
	s->manifests++;
	return (RC_OK);
}

static const struct place_ops sink_ops = {
	.blob_has = sink_has,
	.blob_put = sink_take,
	.manifest_put = sink_manifest,
};

static struct place *
sink_open(void *arg, const struct archive_image *i)
{
	must(i->name.n == 0 || name_repository_ok(i->name));
	must(i->tag.n == 0 || name_tag_ok(i->tag));
	must(manifest_media_type_known(i->media_type));
	return (&((struct sink *)arg)->base);
}

static void
reader_check(struct archive_reader *r)
{
	struct sink sink = { .base = { .ops = &sink_ops, .name = "sink" } };
	const struct archive_image *images;
	struct upstream_error error;
	size_t n = archive_reader_images(r, &images);
	uint64_t done;
	enum rc rc;

	rc = archive_reader_import(r, sink_open, &sink, NULL, &done, &error);
	must(rc == RC_OK || rc == RC_MISSING);
	must(rc == RC_OK ? done == n : error.why[0] != '\0');
	must(rc != RC_OK || n == 0 || sink.manifests > 0);
}

static void
archive_try(const void *p, size_t n_bytes)
{
	char why[ARCHIVE_WHY_BYTES];
	struct archive_reader *r;
	int fd = memfd_create("archive", MFD_CLOEXEC);
	enum rc rc;

	must(fd != -1);
	must(n_bytes == 0 || write(fd, p, n_bytes) == (ssize_t)n_bytes);
	rc = archive_reader_open_fd(fd, "archive", NULL, &r, why);
	if (rc == RC_OK) {
		reader_check(r);
		archive_reader_close(&r);
	} else {
		must(rc == RC_INVALID || rc == RC_TOOBIG);
		must(why[0] != '\0');
		must(memchr(why, '\0', sizeof(why)) != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct made m = { 0 };

	if (n_bytes == 0 || data[0] != ':') {
		archive_try(data, n_bytes);
		return (0);
	}
	entries_add(&m, (struct span){ (const char *)data + 1, n_bytes - 1 });
	archive_try(m.out.p, m.out.n);
	buf_free(&m.out);
	return (0);
}
