#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "mirror/copy_int.h"
#include "mirror/place_int.h"

/*
 * Platforms of an index (image-spec, image-index.md).  An attestation, as
 * buildx writes it, says of which image it is in an annotation and has the
 * platform unknown/unknown: it goes where its image goes.
 */
#define REFERENCE_TYPE "vnd.docker.reference.type"
#define REFERENCE_DIGEST "vnd.docker.reference.digest"

static bool
word_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') &&
		    (s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '_' &&
		    s.p[i] != '-' && s.p[i] != '.')
			return (false);
	return (s.n > 0);
}

enum rc
platform_parse(struct span text, struct platform *p_r)
{
	struct span rest = text;

	*p_r = (struct platform){ 0 };
	if (text.n == 0 || text.p[text.n - 1] == '/' ||
	    !span_split(&rest, '/', &p_r->os) ||
	    !span_split(&rest, '/', &p_r->architecture))
		return (RC_INVALID);
	if (span_split(&rest, '/', &p_r->variant) && !word_ok(p_r->variant))
		return (RC_INVALID);
	if (rest.n > 0 || !word_ok(p_r->os) || !word_ok(p_r->architecture))
		return (RC_INVALID);
	return (RC_OK);
}

/* What goes without saying. */
static struct span
variant_of(struct span architecture, struct span variant)
{
	if (span_is(architecture, "arm64") && span_is(variant, "v8"))
		return (SPAN_NONE);
	if (span_is(architecture, "arm") && variant.n == 0)
		return (SPAN("v7"));
	return (variant);
}

static bool
platform_matches(const struct platform *want, const struct platform *is)
{
	if (!span_eq(want->os, is->os) ||
	    !span_eq(want->architecture, is->architecture))
		return (false);
	return (want->variant.n == 0 ||
		span_eq(variant_of(want->architecture, want->variant),
		    variant_of(is->architecture, is->variant)));
}

static struct span
text_of(const json_t *o, const char *key)
{
	struct span s;

	return (json_get_str(o, key, &s) == RC_OK ? s : SPAN_NONE);
}

static bool
platform_of(const json_t *entry, struct platform *p_r)
{
	json_t *o;

	*p_r = (struct platform){ 0 };
	if (json_get_object(entry, "platform", &o) != RC_OK)
		return (false);
	p_r->os = text_of(o, "os");
	p_r->architecture = text_of(o, "architecture");
	p_r->variant = text_of(o, "variant");
	return (true);
}

static bool
is_index(const struct descriptor *d)
{
	return (span_is(d->media_type, MEDIA_OCI_INDEX) ||
		span_is(d->media_type, MEDIA_DOCKER_LIST));
}

static bool
entry_wanted(const struct copy_options *o, const struct platform *p)
{
	size_t i;

	for (i = 0; i < o->n_platforms; i++)
		if (platform_matches(&o->platforms[i], p))
			return (true);
	return (false);
}

/* "linux/amd64, linux/arm/v7" of those that are there, for people. */
static void
platform_tell(const struct platform *p, char why[UPSTREAM_WHY_BYTES])
{
	size_t n = strlen(why);

	if (n > UPSTREAM_WHY_BYTES / 2 || p->os.n == 0 ||
	    span_is(p->os, "unknown"))
		return;
	(void)snprintf(why + n, UPSTREAM_WHY_BYTES - n, "%s%.32s/%.32s%s%.32s",
	    n > 0 ? ", " : "", p->os.p, p->architecture.p,
	    p->variant.n > 0 ? "/" : "", p->variant.n > 0 ? p->variant.p : "");
}

/* Nothing is known of what a blob, or an index without a platform, is for:
 * blobs are wanted, and indexes are looked into. */
static bool
edge_choose(const struct copy_options *o, const struct descriptor *d,
    const json_t *entry, uint64_t *chosen, char why[UPSTREAM_WHY_BYTES])
{
	struct platform p;

	if (d->kind != EDGE_MANIFEST)
		return (true);
	if (!platform_of(entry, &p) || p.architecture.n == 0)
		return (is_index(d));
	if (!entry_wanted(o, &p)) {
		platform_tell(&p, why);
		return (false);
	}
	(*chosen)++;
	return (true);
}

static bool
is_kept(const struct manifest *m, const bool *keep, struct span digest)
{
	char text[DIGEST_STR_BYTES];
	size_t i;

	for (i = 0; i < m->n_edges; i++)
		if (keep[i] &&
		    span_is(digest, digest_str(&m->edges[i].digest, text)))
			return (true);
	return (false);
}

static void
attestations_choose(const struct manifest *m, const json_t *entries, bool *keep)
{
	json_t *notes;
	struct span of;
	size_t i;

	for (i = 0; i < m->n_edges; i++) {
		if (keep[i] ||
		    json_get_object(json_array_get(entries, i), "annotations",
			&notes) != RC_OK ||
		    text_of(notes, REFERENCE_TYPE).n == 0)
			continue;
		of = text_of(notes, REFERENCE_DIGEST);
		keep[i] = of.n > 0 && is_kept(m, keep, of);
	}
}

enum rc
platforms_choose(const struct copy_options *o, const struct manifest *m,
    struct span text, struct arena *a, bool **keep_r, uint64_t *chosen_r,
    char why[UPSTREAM_WHY_BYTES])
{
	char wrong_json[JSON_ERROR_BYTES];
	json_t *doc, *entries;
	size_t i;

	*chosen_r = 0;
	*keep_r = arena_calloc(a, m->n_edges + 1, sizeof(**keep_r));
	if (*keep_r == NULL)
		return (RC_TOOBIG);
	for (i = 0; o->n_platforms == 0 && i < m->n_edges; i++)
		(*keep_r)[i] = true;
	if (o->n_platforms == 0)
		return (RC_OK);
	if (json_read(text, wrong_json, &doc) != RC_OK)
		return (RC_INVALID);
	entries = json_object_get(doc, "manifests");
	for (i = 0; i < m->n_edges; i++)
		(*keep_r)[i] = edge_choose(
		    o, &m->edges[i], json_array_get(entries, i), chosen_r, why);
	attestations_choose(m, entries, *keep_r);
	json_decref(doc);
	return (RC_OK);
}
