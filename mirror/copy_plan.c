#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/copy_int.h"
#include "mirror/place_int.h"

/*
 * What belongs to an image, and what of that is missing.  One walk down from
 * its manifest: the children of an index, their blobs, and what refers to each
 * manifest.  A manifest comes into the list of what is to be put behind all that
 * it needs.
 *
 * Where a manifest is there already, its text is read there: that costs the
 * source nothing.
 */
#define BLOBS_MAX 100000

/* How what is looked at was come by. */
struct visit {
	struct digest digest;
	unsigned depth;
	bool there; /* the destination has it, and it is of .media_type; else it
		       is asked */
	struct span media_type;
	bool plain;		      /* what refers to it is not of interest */
	const struct digest *subject; /* it has to refer to this; or NULL */
	struct span tag;	      /* to put it under; or empty */
};

static enum rc
plan_fail(struct copy *c, enum rc rc, const struct digest *d, const char *what)
{
	char text[DIGEST_STR_BYTES];

	return (place_fail(c->error, rc, "%s: %s: %s", c->from->name,
	    digest_str(d, text), what));
}

static struct reference
reference_of(const struct digest *d)
{
	return ((struct reference){ .is_digest = true, .digest = *d });
}

/* --- what is there ------------------------------------------------------- */

/* RC_NOTFOUND of a place that cannot say, too. */
static enum rc
there_head(
    struct copy *c, const struct reference *ref, struct place_manifest *m_r)
{
	if (c->to->ops->manifest_head == NULL)
		return (RC_NOTFOUND);
	return (copy_at(c, c->to,
	    c->to->ops->manifest_head(c->to, ref, &c->arena, m_r, c->error)));
}

static enum rc
there_look(struct copy *c, const struct digest *d, bool *there_r,
    struct place_manifest *m_r)
{
	const struct reference ref = reference_of(d);
	enum rc rc;

	rc = there_head(c, &ref, m_r);
	*there_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
text_check(struct copy *c, const struct digest *d, struct place_manifest *m)
{
	struct digest got;

	if (m->text.n > UPSTREAM_MANIFEST_MAX_BYTES)
		return (plan_fail(
		    c, RC_TOOBIG, d, "the manifest is larger than 4 MiB"));
	digest_of(d->alg, m->text.p, m->text.n, &got);
	if (!digest_eq(&got, d))
		return (plan_fail(c, RC_DIGEST, d,
		    "the manifest that came has another digest"));
	m->digest = *d;
	m->size_bytes = m->text.n;
	return (RC_OK);
}

/* From the destination where it is there, and where that cannot be read from
 * the source. */
static enum rc
text_get(struct copy *c, const struct digest *d, bool there,
    struct place_manifest *m_r)
{
	const struct reference ref = reference_of(d);
	enum rc rc = RC_NOTFOUND;

	if (there && c->to->ops->manifest_get != NULL)
		rc = c->to->ops->manifest_get(
		    c->to, &ref, &c->arena, m_r, c->error);
	if (rc == RC_CANCELLED)
		return (rc);
	if (rc != RC_OK)
		rc = copy_at(c, c->from,
		    c->from->ops->manifest_get(
			c->from, &ref, &c->arena, m_r, c->error));
	return (rc == RC_OK ? text_check(c, d, m_r) : rc);
}

/* --- lists --------------------------------------------------------------- */

static enum rc
blob_add(struct copy *c, const struct descriptor *d)
{
	if (d->nondistributable || !digests_add(&c->blob_set, &d->digest))
		return (RC_OK);
	if (c->n_blobs == BLOBS_MAX)
		return (plan_fail(c, RC_TOOBIG, &d->digest,
		    "the image has more than 100000 blobs"));
	if (c->n_blobs == c->room_blobs) {
		c->room_blobs = c->room_blobs * 2 + 16;
		c->blobs =
		    xrealloc(c->blobs, c->room_blobs * sizeof(*c->blobs));
	}
	c->blobs[c->n_blobs++] = (struct copy_blob){
		.digest = d->digest,
		.size_bytes = d->size_bytes,
	};
	return (RC_OK);
}

static void
step_add(struct copy *c, const struct copy_step *step)
{
	if (c->n_steps == c->room_steps) {
		c->room_steps = c->room_steps * 2 + 8;
		c->steps =
		    xrealloc(c->steps, c->room_steps * sizeof(*c->steps));
	}
	c->steps[c->n_steps++] = *step;
}

/* --- one manifest -------------------------------------------------------- */

static enum rc plan_visit(struct copy *, const struct visit *);

static enum rc
plan_children(struct copy *c, const struct visit *v, const struct manifest *m,
    const struct place_manifest *text, bool *sparse_r)
{
	struct visit child = { .depth = v->depth + 1, .plain = v->plain };
	char has[UPSTREAM_WHY_BYTES] = "";
	uint64_t chosen;
	bool *keep;
	size_t i;
	enum rc rc;

	*sparse_r = false;
	rc = platforms_choose(
	    c->o, m, text->text, &c->arena, &keep, &chosen, has);
	if (rc != RC_OK)
		return (plan_fail(c, rc, &v->digest, rc_text(rc)));
	c->chosen += chosen;
	for (i = 0; i < m->n_edges; i++) {
		if (!keep[i]) {
			*sparse_r = true;
			c->result->skipped_children++;
			continue;
		}
		child.digest = m->edges[i].digest;
		rc = m->edges[i].kind == EDGE_MANIFEST
			 ? plan_visit(c, &child)
			 : blob_add(c, &m->edges[i]);
		if (rc != RC_OK)
			return (rc);
	}
	if (v->depth == 0 && c->o->n_platforms > 0 && c->chosen == 0)
		return (place_fail(c->error, RC_NOTFOUND,
		    "%s: the image is for none of the platforms asked for; it "
		    "is for %.600s",
		    c->from->name, has[0] != '\0' ? has : "none at all"));
	return (RC_OK);
}

static enum rc
plan_edges(struct copy *c, const struct visit *v, const struct manifest *m,
    const struct place_manifest *text, bool *sparse_r)
{
	size_t i;
	enum rc rc;

	*sparse_r = false;
	if (m->kind == MANIFEST_INDEX)
		return (plan_children(c, v, m, text, sparse_r));
	for (i = 0; i < m->n_edges; i++)
		if ((rc = blob_add(c, &m->edges[i])) != RC_OK)
			return (rc);
	return (RC_OK);
}

/* What claims to refer to something has to say so itself. */
static bool
refers_to(const struct manifest *m, const struct digest *subject)
{
	return (subject == NULL ||
		(m->has_subject && digest_eq(&m->subject, subject)));
}

static enum rc
plan_content(struct copy *c, const struct visit *v, bool *taken_r)
{
	char why[MANIFEST_WHY_BYTES];
	struct copy_step step = { .tag = v->tag };
	struct manifest m;
	enum rc rc;

	*taken_r = true;
	if ((rc = text_get(c, &v->digest, v->there, &step.m)) != RC_OK)
		return (rc);
	rc = manifest_parse(step.m.media_type, step.m.text, &c->arena, &m, why);
	if (rc != RC_OK)
		return (plan_fail(c, rc, &v->digest, why));
	if (!refers_to(&m, v->subject)) {
		*taken_r = false;
		return (RC_OK);
	}
	step.m.media_type = m.media_type;
	if ((rc = plan_edges(c, v, &m, &step.m, &step.sparse)) != RC_OK)
		return (rc);
	if (!v->there || v->tag.n > 0)
		step_add(c, &step);
	return (RC_OK);
}

/* --- what refers to it --------------------------------------------------- */

static const struct upstream_referrer *
row_find(const struct upstream_referrer *rows, size_t n, const struct digest *d)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (digest_eq(&rows[i].digest, d))
			return (&rows[i]);
	return (NULL);
}

static enum rc
rows_get(struct copy *c, struct place *p, const struct digest *d,
    struct upstream_referrer **rows_r, size_t *n_r)
{
	enum rc rc;

	*rows_r = NULL;
	*n_r = 0;
	if (p->ops->referrers == NULL)
		return (RC_OK);
	rc = p->ops->referrers(p, d, &c->arena, rows_r, n_r, c->error);
	if (rc == RC_NOTFOUND || rc == RC_UNSUPPORTED)
		return (RC_OK);
	return (copy_at(c, p, rc));
}

/* They are to be in the destination's list when all is put. */
static enum rc
subject_note(struct copy *c, const struct copy_subject *s)
{
	struct copy_subject *kept = arena_alloc(&c->arena, sizeof(*kept));

	if (kept == NULL)
		return (plan_fail(
		    c, RC_TOOBIG, &s->digest, "there are too many referrers"));
	*kept = *s;
	kept->next = c->subjects;
	c->subjects = kept;
	return (RC_OK);
}

static enum rc
plan_referrers(struct copy *c, const struct visit *of)
{
	struct copy_subject s = { .digest = of->digest };
	struct visit v = { .depth = of->depth + 1, .subject = &of->digest };
	struct upstream_referrer *there = NULL;
	const struct upstream_referrer *row;
	size_t i, n_there = 0, missing = 0;
	enum rc rc;

	rc = rows_get(c, c->from, &of->digest, &s.rows, &s.n);
	if (rc == RC_OK && s.n > 0)
		rc = rows_get(c, c->to, &of->digest, &there, &n_there);
	for (i = 0; rc == RC_OK && i < s.n; i++) {
		v.digest = s.rows[i].digest;
		row = row_find(there, n_there, &v.digest);
		v.there = row != NULL;
		v.media_type = row != NULL ? row->media_type : SPAN_NONE;
		missing += row == NULL ? 1 : 0;
		rc = plan_visit(c, &v);
	}
	if (rc == RC_OK && missing > 0)
		rc = subject_note(c, &s);
	return (rc);
}

/* --- cosign's tags ------------------------------------------------------- */

static const char *const suffixes[] = { ".sig", ".att", ".sbom" };

const char *
copy_tag_of(
    const struct digest *d, const char *suffix, char out[COPY_TAG_BYTES])
{
	char text[DIGEST_STR_BYTES];
	char *colon;

	(void)digest_str(d, text);
	colon = strchr(text, ':');
	*colon = '-';
	(void)snprintf(out, COPY_TAG_BYTES, "%s%s", text, suffix);
	return (out);
}

static bool
is_suffix(struct span s)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(suffixes); i++)
		if (span_is(s, suffixes[i]))
			return (true);
	return (s.n == 0);
}

bool
copy_tag_belongs(struct span tag)
{
	char text[DIGEST_STR_BYTES];
	struct digest d;
	size_t n = 7 + 2 * digest_len(DIGEST_SHA256);

	if (span_has_prefix(tag, SPAN("sha512-")))
		n = 7 + 2 * digest_len(DIGEST_SHA512);
	else if (!span_has_prefix(tag, SPAN("sha256-")))
		return (false);
	if (tag.n < n || !is_suffix((struct span){ tag.p + n, tag.n - n }))
		return (false);
	memcpy(text, tag.p, n);
	text[6] = ':';
	return (digest_parse((struct span){ text, n }, &d) == RC_OK);
}

static int
tag_compare(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

/* Not to be asked for: it is in no list of its tags. */
static bool
tag_is_absent(const struct copy *c, struct span tag)
{
	const struct copy_shared *s = c->shared;

	return (s != NULL && s->tags != NULL &&
		bsearch(&tag, s->tags, s->n_tags, sizeof(*s->tags),
		    tag_compare) == NULL);
}

static enum rc
plan_companion(struct copy *c, struct span tag, unsigned depth)
{
	struct visit v = { .depth = depth, .plain = true };
	struct reference ref = { .tag = tag };
	struct place_manifest from, to;
	enum rc rc;

	if (tag_is_absent(c, tag))
		return (RC_OK);
	rc = c->from->ops->manifest_head(
	    c->from, &ref, &c->arena, &from, c->error);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (copy_at(c, c->from, rc));
	rc = there_head(c, &ref, &to);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	v.digest = from.digest;
	v.there = rc == RC_OK && digest_eq(&from.digest, &to.digest);
	if (v.there)
		v.media_type = to.media_type;
	else if ((v.tag = arena_span(&c->arena, tag)).p == NULL)
		return (plan_fail(c, RC_TOOBIG, &v.digest, rc_text(RC_TOOBIG)));
	return (plan_visit(c, &v));
}

static enum rc
plan_companions(struct copy *c, const struct visit *of)
{
	char tag[COPY_TAG_BYTES];
	size_t i;
	enum rc rc = RC_OK;

	for (i = 0; rc == RC_OK && i < ARRAY_LEN(suffixes); i++)
		rc = plan_companion(c,
		    span_of(copy_tag_of(&of->digest, suffixes[i], tag)),
		    of->depth + 1);
	return (rc);
}

/* --- tags ---------------------------------------------------------------- */

static const struct copy_step *
step_find(const struct copy *c, const struct digest *d)
{
	size_t i;

	for (i = c->n_steps; i > 0; i--)
		if (digest_eq(&c->steps[i - 1].m.digest, d))
			return (&c->steps[i - 1]);
	return (NULL);
}

/* The manifest once more, for a tag of its own.  That of the image itself
 * comes last: the manifest may have to be there before what refers to it. */
static enum rc
tag_step(struct copy *c, struct span tag, const struct digest *d)
{
	const struct copy_step *before = step_find(c, d);
	struct copy_step step = { .sparse = c->result->skipped_children > 0 };
	char why[MANIFEST_WHY_BYTES];
	struct manifest m;
	enum rc rc;

	if (before != NULL) {
		step = *before;
	} else {
		if ((rc = text_get(c, d, true, &step.m)) != RC_OK)
			return (rc);
		rc = manifest_parse(
		    step.m.media_type, step.m.text, &c->arena, &m, why);
		if (rc != RC_OK)
			return (plan_fail(c, rc, d, why));
		step.m.media_type = m.media_type;
	}
	step.tag = tag;
	if (before != NULL && before == &c->steps[c->n_steps - 1] &&
	    before->tag.n == 0)
		c->n_steps--;
	step_add(c, &step);
	return (RC_OK);
}

/* --- the walk ------------------------------------------------------------ */

static enum rc
visit_check(struct copy *c, const struct visit *v)
{
	if (copy_cancelled(c))
		return (place_fail(
		    c->error, RC_CANCELLED, "%s: cancelled", c->from->name));
	if (v->depth > COPY_DEPTH_MAX)
		return (plan_fail(c, RC_TOOBIG, &v->digest,
		    "what belongs to the image is nested more than 8 deep"));
	if (c->manifests.n > COPY_MANIFESTS_MAX)
		return (plan_fail(c, RC_TOOBIG, &v->digest,
		    "more than 10000 manifests belong to the image"));
	return (RC_OK);
}

static bool
is_image(struct span media_type)
{
	return (span_is(media_type, MEDIA_OCI_MANIFEST) ||
		span_is(media_type, MEDIA_DOCKER_MANIFEST));
}

/* A registry that has an image has what it needs; one that has an index was
 * perhaps content without its images. */
static enum rc
visit_there(struct copy *c, struct visit *v, bool *enough_r)
{
	struct place_manifest m;
	enum rc rc;

	*enough_r = false;
	if (!v->there) {
		rc = there_look(c, &v->digest, &v->there, &m);
		if (rc != RC_OK)
			return (rc);
		v->media_type = v->there ? m.media_type : SPAN_NONE;
	}
	*enough_r = v->there && v->tag.n == 0 && is_image(v->media_type) &&
		    !c->to->here;
	return (RC_OK);
}

static enum rc
plan_visit(struct copy *c, const struct visit *asked)
{
	struct visit v = *asked;
	bool enough, taken = true;
	enum rc rc;

	if (!digests_add(&c->manifests, &v.digest))
		return (v.tag.n > 0 ? tag_step(c, v.tag, &v.digest) : RC_OK);
	if ((rc = visit_check(c, &v)) != RC_OK ||
	    (rc = visit_there(c, &v, &enough)) != RC_OK)
		return (rc);
	if (!enough)
		rc = plan_content(c, &v, &taken);
	if (rc != RC_OK || !taken || v.plain || !c->o->referrers)
		return (rc);
	if ((rc = plan_referrers(c, &v)) != RC_OK)
		return (rc);
	return (plan_companions(c, &v));
}

/* --- the image itself ---------------------------------------------------- */

static enum rc
root_find(struct copy *c, const struct reference *ref, struct digest *d_r)
{
	struct place_manifest m;
	enum rc rc;

	if (ref->is_digest) {
		*d_r = ref->digest;
		return (RC_OK);
	}
	rc = copy_at(c, c->from,
	    c->from->ops->manifest_head(c->from, ref, &c->arena, &m, c->error));
	if (rc == RC_OK)
		*d_r = m.digest;
	return (rc);
}

/* Does the tag point there already? */
static enum rc
tag_look(struct copy *c, struct span tag, struct visit *v)
{
	const struct reference ref = { .tag = tag };
	struct place_manifest m;
	enum rc rc;

	if (tag.n == 0)
		return (RC_OK);
	rc = there_head(c, &ref, &m);
	if (rc == RC_OK && digest_eq(&m.digest, &v->digest)) {
		v->there = true;
		v->media_type = m.media_type;
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
copy_plan(struct copy *c, const struct reference *ref, struct span tag)
{
	struct visit v = { .depth = 0 };
	enum rc rc;

	if ((rc = root_find(c, ref, &v.digest)) != RC_OK)
		return (rc);
	c->result->digest = v.digest;
	if ((rc = tag_look(c, tag, &v)) != RC_OK)
		return (rc);
	if ((rc = plan_visit(c, &v)) != RC_OK || tag.n == 0 || v.there)
		return (rc);
	return (tag_step(c, tag, &v.digest));
}
