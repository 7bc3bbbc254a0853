#include "base/manifest_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/obj.h"

/*
 * Descriptors (image-spec, descriptor.md): how a manifest points to content.
 */

#define PLACE_BYTES 48

static const char *
place_str(const struct manifest_place *at, char out[PLACE_BYTES])
{
	if (at->in_array)
		(void)snprintf(
		    out, PLACE_BYTES, "%s[%zu]", at->member, at->index);
	else
		(void)snprintf(out, PLACE_BYTES, "%s", at->member);
	return (out);
}

static enum rc
digest_read(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, struct digest *d_r)
{
	const char *fault = "which is malformed";
	char place[PLACE_BYTES];
	struct span s;
	enum rc rc;

	if (json_get_str(o, "digest", &s) != RC_OK)
		return (manifest_refuse(r, RC_INVALID,
		    "\"digest\" of %s is missing or not a string",
		    place_str(at, place)));
	if ((rc = digest_parse(s, d_r)) == RC_OK)
		return (RC_OK);
	if (rc == RC_UNSUPPORTED)
		fault = "an algorithm that is not sha256 or sha512";
	return (
	    manifest_refuse(r, rc, "\"digest\" of %s is \"" SPAN_FMT "\", %s",
		place_str(at, place), SPAN_ARG(manifest_shown(s)), fault));
}

static enum rc
size_read(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, uint64_t *size_bytes_r)
{
	char place[PLACE_BYTES];
	int64_t size;

	if (json_get_int(o, "size", &size) != RC_OK)
		return (manifest_refuse(r, RC_INVALID,
		    "\"size\" of %s is missing or not an integer",
		    place_str(at, place)));
	if (size < 0)
		return (manifest_refuse(r, RC_INVALID,
		    "\"size\" of %s is negative: %" PRId64,
		    place_str(at, place), size));
	*size_bytes_r = (uint64_t)size;
	return (RC_OK);
}

static const char *
data_fault(struct span text, uint8_t *room, const struct descriptor *d)
{
	struct digest got;
	size_t n;

	if (base64_decode(text, room, &n) != RC_OK)
		return ("is not base64");
	if (n != d->size_bytes)
		return ("is not of the size given");
	digest_of(d->digest.alg, room, n, &got);
	if (!digest_eq(&got, &d->digest))
		return ("does not match the digest");
	return (NULL);
}

/*
 * "data": the content itself, in base64.  A client may take it in place of
 * the blob, so it must be that.  The room for it is gone again at once, so it
 * is none of the arena's; the text bounds it.
 */
static enum rc
data_check(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, const struct descriptor *d)
{
	const char *fault = "is not a string";
	char place[PLACE_BYTES];
	struct span text;
	uint8_t *room;
	enum rc rc;

	rc = json_get_str(o, "data", &text);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK) {
		room = malloc(text.n / 4 * 3 + 1);
		if (room == NULL)
			return (manifest_refuse_memory(r));
		fault = data_fault(text, room, d);
		free(room);
	}
	if (fault == NULL)
		return (RC_OK);
	return (manifest_refuse(
	    r, RC_INVALID, "\"data\" of %s %s", place_str(at, place), fault));
}

/* Layers come in runs of one media type, which is then kept once. */
static enum rc
media_type_read(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, const struct descriptor *before, struct span *type_r)
{
	char place[PLACE_BYTES];
	struct span type = SPAN_NONE;

	if (json_get_str(o, "mediaType", &type) == RC_INVALID)
		return (manifest_refuse(r, RC_INVALID,
		    "\"mediaType\" of %s is not a string",
		    place_str(at, place)));
	if (before != NULL && span_eq(type, before->media_type)) {
		*type_r = before->media_type;
		return (RC_OK);
	}
	return (manifest_keep(r, type, type_r));
}

enum rc
descriptor_read(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, const struct descriptor *before, struct descriptor *d_r)
{
	char place[PLACE_BYTES];
	enum rc rc;

	if (!json_is_object(o))
		return (manifest_refuse(r, RC_INVALID,
		    "%s is missing or not an object", place_str(at, place)));
	if ((rc = digest_read(r, at, o, &d_r->digest)) != RC_OK)
		return (rc);
	if ((rc = size_read(r, at, o, &d_r->size_bytes)) != RC_OK)
		return (rc);
	rc = media_type_read(r, at, o, before, &d_r->media_type);
	if (rc != RC_OK)
		return (rc);
	return (data_check(r, at, o, d_r));
}

/* By its media type: a licence forbids to hand it on. */
static bool
is_foreign(struct span type)
{
	static const char *const types[] = {
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(types); i++)
		if (span_is(type, types[i]))
			return (true);
	return (false);
}

static enum rc
urls_read(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, bool *any_r)
{
	char place[PLACE_BYTES];
	json_t *urls = NULL;
	size_t i;
	enum rc rc;

	*any_r = false;
	rc = json_get_array(o, "urls", &urls);
	for (i = 0; rc == RC_OK && i < json_array_size(urls); i++)
		if (!json_is_string(json_array_get(urls, i)))
			rc = RC_INVALID;
	if (rc == RC_INVALID)
		return (manifest_refuse(r, RC_INVALID,
		    "\"urls\" of %s is not an array of strings",
		    place_str(at, place)));
	*any_r = json_array_size(urls) > 0;
	return (RC_OK);
}

enum rc
descriptor_foreign(struct manifest_reader *r, const struct manifest_place *at,
    const json_t *o, struct descriptor *d)
{
	bool urls;
	enum rc rc;

	if ((rc = urls_read(r, at, o, &urls)) != RC_OK)
		return (rc);
	d->nondistributable = urls || is_foreign(d->media_type);
	return (RC_OK);
}
