#include "mirror/archive_int.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/name.h"
#include "base/obj.h"

/*
 * What may stand in an archive.  Of an OCI image layout (image-spec,
 * image-layout.md):
 *
 *	oci-layout, index.json, blobs/ALG/HEX
 *
 * Of a saved image:
 *
 *	manifest.json, repositories
 *	NAME.json, sha256:HEX		configurations
 *	NAME.tar, NAME.tar.gz, NAME.tgz	layers
 *	ID/layer.tar, ID/VERSION, ID/json	as docker once wrote it
 *
 * where a NAME is of letters, digits, '_', '-' and '.', with no dot in front.
 * tar may have put "./" before each.  There is nothing in this grammar that
 * leads out of anywhere.
 */
#define ID_BYTES 64
#define PLAIN \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

static bool
id_ok(struct span s)
{
	uint8_t bytes[ID_BYTES / 2];

	return (
	    s.n == ID_BYTES && hex_decode(s, bytes, sizeof(bytes)) == RC_OK);
}

static bool
plain_ok(struct span s)
{
	size_t i;

	if (s.n == 0 || s.p[0] == '.' || s.p[0] == '-')
		return (false);
	for (i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(PLAIN, s.p[i]) == NULL)
			return (false);
	return (true);
}

static enum rc
blob_parse(struct span rest, struct arc_name *n)
{
	char text[ARC_NAME_MAX_BYTES + 1];
	const char *slash = memchr(rest.p, '/', rest.n);

	if (slash == NULL)
		return (RC_INVALID);
	memcpy(text, rest.p, rest.n);
	text[slash - rest.p] = ':';
	n->kind = ARC_BLOB;
	return (digest_parse((struct span){ text, rest.n }, &n->digest));
}

/* In the folder of a layer. */
static enum rc
legacy_parse(struct span s, struct arc_name *n)
{
	struct span file = { s.p + ID_BYTES + 1, s.n - ID_BYTES - 1 };

	n->kind = span_is(file, "layer.tar") ? ARC_LAYER : ARC_LEGACY;
	return (n->kind == ARC_LAYER || span_is(file, "VERSION") ||
			span_is(file, "json")
		    ? RC_OK
		    : RC_INVALID);
}

static enum rc
top_parse(struct span s, struct arc_name *n)
{
	static const struct {
		const char *name;
		enum arc_kind kind;
	} fixed[] = {
		{ "oci-layout", ARC_LAYOUT },
		{ "index.json", ARC_INDEX },
		{ "manifest.json", ARC_MANIFEST },
		{ "repositories", ARC_LEGACY },
	};
	struct digest d;
	size_t i;

	for (i = 0; i < ARRAY_LEN(fixed); i++)
		if (span_is(s, fixed[i].name)) {
			n->kind = fixed[i].kind;
			return (RC_OK);
		}
	n->kind = ARC_CONFIG;
	if (digest_parse(s, &d) == RC_OK)
		return (RC_OK);
	if (!plain_ok(s))
		return (RC_INVALID);
	if (span_has_suffix(s, SPAN(".json")))
		return (RC_OK);
	n->kind = ARC_LAYER;
	return (span_has_suffix(s, SPAN(".tar")) ||
			span_has_suffix(s, SPAN(".tar.gz")) ||
			span_has_suffix(s, SPAN(".tgz"))
		    ? RC_OK
		    : RC_INVALID);
}

static enum rc
folder_parse(struct span s, struct arc_name *n)
{
	struct span alg;
	uint8_t known;

	n->kind = ARC_FOLDER;
	if (s.n == 0 || span_is(s, ".") || span_is(s, "blobs") || id_ok(s))
		return (RC_OK);
	if (!span_has_prefix(s, SPAN("blobs/")))
		return (RC_INVALID);
	alg = (struct span){ s.p + 6, s.n - 6 };
	return (digest_alg_parse(alg, &known));
}

enum rc
arc_name_parse(struct span path, bool folder, struct arc_name *n_r)
{
	struct span s = path;

	memset(n_r, 0, sizeof(*n_r));
	if (s.n > ARC_NAME_MAX_BYTES)
		return (RC_INVALID);
	if (span_has_prefix(s, SPAN("./")))
		s = (struct span){ s.p + 2, s.n - 2 };
	if (folder && s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	n_r->text = s;
	if (folder)
		return (folder_parse(s, n_r));
	if (span_has_prefix(s, SPAN("blobs/")))
		return (blob_parse((struct span){ s.p + 6, s.n - 6 }, n_r));
	if (s.n > ID_BYTES && s.p[ID_BYTES] == '/' &&
	    id_ok((struct span){ s.p, ID_BYTES }))
		return (legacy_parse(s, n_r));
	return (top_parse(s, n_r));
}

void
arc_name_key(struct span text, struct digest *key_r)
{
	digest_of(DIGEST_SHA256, text.p != NULL ? text.p : "", text.n, key_r);
}

const char *
arc_blob_path(const struct digest *d, char out[ARC_PATH_BYTES])
{
	const char *alg = digest_alg_name(d->alg);
	char text[DIGEST_STR_BYTES];

	must(alg != NULL);
	(void)snprintf(out, ARC_PATH_BYTES, "blobs/%s/%s", alg,
	    digest_str(d, text) + strlen(alg) + 1);
	return (out);
}

/* Is what stands before the first slash a registry?  As docker decides it. */
static bool
is_registry(struct span s)
{
	return (memchr(s.p, '.', s.n) != NULL ||
		memchr(s.p, ':', s.n) != NULL || span_is(s, "localhost"));
}

static void
cut(struct span *s, const char *at, struct span *behind_r)
{
	*behind_r = (struct span){ at + 1, s->n - (size_t)(at + 1 - s->p) };
	s->n = (size_t)(at - s->p);
}

bool
arc_image_name(struct span text, struct archive_image *i_r)
{
	struct span rest = text, digest = SPAN_NONE, tag = SPAN_NONE, registry;
	const char *at;

	if (rest.n == 0)
		return (false);
	if ((at = memchr(rest.p, '@', rest.n)) != NULL)
		cut(&rest, at, &digest);
	registry = (struct span){ rest.p, 0 };
	if ((at = memchr(rest.p, '/', rest.n)) != NULL &&
	    is_registry((struct span){ rest.p, (size_t)(at - rest.p) })) {
		registry.n = (size_t)(at - rest.p);
		rest = (struct span){ at + 1, rest.n - registry.n - 1 };
	}
	if ((at = memchr(rest.p, ':', rest.n)) != NULL)
		cut(&rest, at, &tag);
	if (!name_repository_ok(rest) || (at != NULL && !name_tag_ok(tag)))
		return (false);
	i_r->registry = registry;
	i_r->name = rest;
	i_r->tag = tag;
	return (true);
}

bool
archive_compression_of(const char *path, enum archive_compression *c_r)
{
	static const struct {
		struct span suffix;
		enum archive_compression compression;
	} known[] = {
		{ SPAN_INIT(".tar"), ARCHIVE_PLAIN },
		{ SPAN_INIT(".tar.gz"), ARCHIVE_GZIP },
		{ SPAN_INIT(".tgz"), ARCHIVE_GZIP },
		{ SPAN_INIT(".tar.zst"), ARCHIVE_ZSTD },
		{ SPAN_INIT(".tzst"), ARCHIVE_ZSTD },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (span_has_suffix(span_of(path), known[i].suffix)) {
			*c_r = known[i].compression;
			return (true);
		}
	return (false);
}
