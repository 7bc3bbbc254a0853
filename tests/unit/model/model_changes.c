#include "model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * What is done to the store, and whether the answer is one that may be given.
 * What is under way is written down before, for whoever comes after a crash.
 */
enum expect { MUST, MUST_NOT, EITHER };

static struct m_repo *
repo_of(struct model *m, unsigned repo)
{
	return (&m->sh->state.repos[repo]);
}

void
change_begin(struct model *m, struct change c)
{
	m->sh->now_ms++;
	c.now_ms = m->sh->now_ms;
	m->sh->change = c;
}

static bool
leaves_open(const struct model *m, const struct change *c)
{
	return (m->sh->collecting || c->kind == CHANGE_PUT ||
		c->kind == CHANGE_STATUS || c->kind == CHANGE_UNDELETE ||
		c->kind == CHANGE_REPO_UNDELETE);
}

void
change_end(struct model *m, bool happened)
{
	struct change c = m->sh->change;

	if (happened)
		m->sh->tally.done[c.kind]++;
	else
		m->sh->tally.refused[c.kind]++;
	if (happened)
		change_apply(m, &m->sh->state, &c);
	if (happened && leaves_open(m, &c))
		model_sync(m, &m->sh->state, &c);
	m->sh->change = (struct change){ .kind = CHANGE_NONE };
	arena_reset(&m->arena);
}

/* RC_OK, or, unless it must be that, ${other}. */
static bool
answer(struct model *m, enum rc rc, enum expect expect, enum rc other)
{
	const struct change *c = &m->sh->change;

	if ((rc == RC_OK && expect != MUST_NOT) ||
	    (rc == other && expect != MUST))
		return (rc == RC_OK);
	model_fail(m,
	    "change %d of repo %d, manifest %d, tag %d, blob %d, %d: %s, but "
	    "%s",
	    (int)c->kind, c->repo, c->manifest, c->tag, c->blob, c->other,
	    rc_text(rc), expect == MUST ? "must succeed" : rc_text(other));
}

static enum read_mode
mode(const struct model *m)
{
	return (m->claimed ? READ_INLINE : READ_BLOCKING);
}

/* --- content ------------------------------------------------------------- */

bool
blob_look(struct model *m, unsigned repo, unsigned blob)
{
	struct m_repo *r = repo_of(m, repo);
	enum expect expect = blob_sure(m, r, blob) ? MUST
			     : r->ever[blob]	   ? EITHER
						   : MUST_NOT;
	uint64_t size;
	bool ok = false;
	enum rc rc;

	change_begin(
	    m, (struct change){
		   .kind = CHANGE_LOOK, .repo = (int)repo, .blob = (int)blob });
	rc = content_stat(m->store, world_repo(repo),
	    &m->world.blobs[blob].digest, mode(m), &m->arena, &size);
	if (rc != RC_WOULDBLOCK || !m->claimed)
		ok = answer(m, rc, expect, RC_NOTFOUND);
	if (ok && size != m->world.blobs[blob].n)
		model_fail(m, "blob %u has %u bytes", blob, (unsigned)size);
	change_end(m, ok);
	return (ok);
}

void
blob_upload(struct model *m, unsigned repo, unsigned blob)
{
	const struct world_blob *b = &m->world.blobs[blob];
	enum rc rc;

	change_begin(m,
	    (struct change){
		.kind = CHANGE_UPLOAD, .repo = (int)repo, .blob = (int)blob });
	rc = upload_whole(m->store, world_repo(repo), &b->digest,
	    (struct span){ b->bytes, b->n }, SPAN_NONE,
	    &repository_preset_default);
	change_end(m, answer(m, rc, MUST, RC_OK));
}

bool
blob_mount(struct model *m, unsigned from, unsigned to, unsigned blob)
{
	struct m_repo *r = repo_of(m, from);
	enum expect expect = blob_sure(m, r, blob) ? MUST
			     : r->ever[blob]	   ? EITHER
						   : MUST_NOT;
	struct blob_mount mount = {
		.from = world_repo(from),
		.to = world_repo(to),
		.digest = m->world.blobs[blob].digest,
		.create = &repository_preset_default,
	};
	bool ok;

	change_begin(m, (struct change){ .kind = CHANGE_MOUNT,
			    .repo = (int)to,
			    .blob = (int)blob,
			    .other = (int)from });
	mount.now_ms = m->sh->change.now_ms;
	ok = answer(m, meta_blob_mount(m->meta, &mount), expect, RC_NOTFOUND);
	change_end(m, ok);
	return (ok);
}

void
blob_delete(struct model *m, unsigned repo, unsigned blob)
{
	struct m_repo *r = repo_of(m, repo);
	bool needed = blob_needed(m, r, blob);
	enum expect expect = blob_sure(m, r, blob) ? MUST
			     : r->ever[blob]	   ? EITHER
						   : MUST_NOT;
	struct holding holding;
	enum rc rc;

	change_begin(m, (struct change){ .kind = CHANGE_BLOB_DELETE,
			    .repo = (int)repo,
			    .blob = (int)blob });
	rc = meta_blob_unlink(
	    m->meta, world_repo(repo), &m->world.blobs[blob].digest, &holding);
	/* That deleted images alone need nobody sees. */
	if (needed && expect != MUST && rc == RC_NOTFOUND &&
	    !blob_used(m, r, blob))
		rc = RC_REFERENCED;
	(void)answer(m, rc, needed ? MUST_NOT : expect,
	    needed ? RC_REFERENCED : RC_NOTFOUND);
	change_end(m, !needed);
}

/* --- manifests ----------------------------------------------------------- */

static enum expect
image_put_expect(const struct model *m, const struct m_repo *r, unsigned i)
{
	const struct world_manifest *w = &m->world.manifests[i];
	enum expect expect = MUST;
	unsigned b;

	for (b = 0; b < BLOBS; b++) {
		if ((w->blobs & 1u << b) == 0 || blob_sure(m, r, b))
			continue;
		if (!r->exists || !r->ever[b])
			return (MUST_NOT);
		expect = EITHER;
	}
	return (expect);
}

static enum expect
index_put_expect(const struct model *m, const struct m_repo *r, unsigned i)
{
	const struct world_manifest *w = &m->world.manifests[i];
	enum expect expect = MUST;
	unsigned k;

	for (k = 0; k < MANIFESTS; k++) {
		if ((w->children & 1u << k) == 0)
			continue;
		if (!r->exists || r->images[k].state != IMAGE_LIVE)
			return (MUST_NOT);
		if (r->images[k].status != IMAGE_ACTIVE)
			expect = EITHER;
	}
	return (expect);
}

static enum rc
manifest_put(struct model *m, const struct change *c)
{
	const struct world_manifest *w = &m->world.manifests[c->manifest];
	struct manifest_put_result result;
	const struct span tag =
	    span_of(m->world.tags[c->tag >= 0 ? c->tag : 0]);
	const struct manifest_put put = {
		.repository = world_repo((unsigned)c->repo),
		.digest = w->digest,
		.text = w->text,
		.manifest = &w->manifest,
		.tags = &tag,
		.n_tags = c->tag >= 0 ? 1 : 0,
		.create = &repository_preset_default,
		.now_ms = c->now_ms,
	};
	const struct m_repo *r = repo_of(m, (unsigned)c->repo);
	bool here = r->exists && r->images[c->manifest].state == IMAGE_LIVE;
	enum rc rc;

	rc = meta_manifest_put(m->meta, &put, &result);
	if (rc == RC_OK && result.existed != here)
		model_fail(m, "repo %d: manifest %d %s before", c->repo,
		    c->manifest, here ? "was not told to be there" : "was");
	return (rc);
}

bool
manifest_push(struct model *m, unsigned repo, unsigned manifest, int tag)
{
	const struct m_repo *r = repo_of(m, repo);
	enum expect expect = m->world.manifests[manifest].index
				 ? index_put_expect(m, r, manifest)
				 : image_put_expect(m, r, manifest);
	bool ok;

	change_begin(m, (struct change){ .kind = CHANGE_PUT,
			    .repo = (int)repo,
			    .manifest = (int)manifest,
			    .tag = tag });
	ok = answer(m, manifest_put(m, &m->sh->change), expect, RC_MISSING);
	change_end(m, ok);
	return (ok);
}

void
tag_delete(struct model *m, unsigned repo, unsigned tag)
{
	const struct m_repo *r = repo_of(m, repo);
	enum expect expect = r->exists && r->tags[tag] >= 0 ? MUST : MUST_NOT;
	enum rc rc;

	change_begin(
	    m, (struct change){
		   .kind = CHANGE_UNTAG, .repo = (int)repo, .tag = (int)tag });
	rc = meta_tag_delete(
	    m->meta, world_repo(repo), span_of(m->world.tags[tag]));
	change_end(m, answer(m, rc, expect, RC_NOTFOUND));
}

/* May it go? */
static enum rc
going(const struct model *m, const struct m_repo *r, unsigned manifest)
{
	if (!r->exists || r->images[manifest].state != IMAGE_LIVE)
		return (RC_NOTFOUND);
	return (image_held(m, r, manifest, false) ? RC_REFERENCED : RC_OK);
}

void
manifest_delete(struct model *m, unsigned repo, unsigned manifest)
{
	enum rc want = going(m, repo_of(m, repo), manifest), rc;
	struct holding holding;

	change_begin(m, (struct change){ .kind = CHANGE_DELETE,
			    .repo = (int)repo,
			    .manifest = (int)manifest });
	rc = meta_manifest_delete(m->meta, world_repo(repo),
	    &m->world.manifests[manifest].digest, &holding);
	change_end(m, answer(m, rc, want == RC_OK ? MUST : MUST_NOT, want));
}

void
image_delete(struct model *m, unsigned repo, unsigned tag)
{
	const struct m_repo *r = repo_of(m, repo);
	const struct image_delete del = { .repository = world_repo(repo),
		.tag = span_of(m->world.tags[tag]) };
	struct image_deleted deleted;
	enum rc want = RC_NOTFOUND, rc;

	if (r->exists && r->tags[tag] >= 0) {
		want = repo_tags_of(r, (unsigned)r->tags[tag]) == 1u << tag
			   ? going(m, r, (unsigned)r->tags[tag])
			   : RC_OK;
	}
	change_begin(m, (struct change){ .kind = CHANGE_IMAGE_DELETE,
			    .repo = (int)repo,
			    .tag = (int)tag });
	rc = meta_image_delete(m->meta, &del, &m->arena, &deleted);
	change_end(m, answer(m, rc, want == RC_OK ? MUST : MUST_NOT, want));
}

/* --- repositories -------------------------------------------------------- */

void
repo_delete(struct model *m, unsigned repo)
{
	const struct m_repo *r = repo_of(m, repo);
	struct repository_description d;
	enum rc rc;

	if (m->sh->state.n_doomed[repo] == DOOMED_MAX)
		return;
	change_begin(m,
	    (struct change){ .kind = CHANGE_REPO_DELETE, .repo = (int)repo });
	rc = meta_repository_delete(
	    m->meta, world_repo(repo), true, &m->arena, &d);
	change_end(m, answer(m, rc, r->exists ? MUST : MUST_NOT, RC_NOTFOUND));
}

void
repo_undelete(struct model *m, unsigned repo)
{
	const struct m_repo *r = repo_of(m, repo);
	size_t *n = &m->sh->state.n_doomed[repo];
	const struct m_doomed *last =
	    *n > 0 ? &m->sh->state.doomed[repo][*n - 1] : NULL;
	bool expired = last != NULL && last->deleted_ms + m->sh->undelete_ms <=
					   model_now(m) + 1;
	enum rc rc;
	bool ok;

	change_begin(m,
	    (struct change){ .kind = CHANGE_REPO_UNDELETE, .repo = (int)repo });
	rc = meta_repository_undelete(
	    m->meta, world_repo(repo), 0, m->sh->change.now_ms);
	if (r->exists && rc == RC_EXISTS)
		rc = RC_NOTFOUND;
	ok = answer(m, rc,
	    last == NULL || r->exists ? MUST_NOT
	    : expired		      ? EITHER
				      : MUST,
	    RC_NOTFOUND);
	change_end(m, ok);
	if (!ok && expired)
		*n = 0;
}

/* --- policies ------------------------------------------------------------ */

void
policy_set(struct model *m, unsigned repo, unsigned text)
{
	struct m_repo *r = repo_of(m, repo);
	struct lifecycle_row row = { 0 };
	char policy[32];
	enum rc rc;

	(void)snprintf(policy, sizeof(policy), "{\"n\":%u}", text);
	change_begin(
	    m, (struct change){ .kind = CHANGE_POLICY, .repo = (int)repo });
	rc = meta_lifecycle_set(m->meta, world_repo(repo), span_of(policy),
	    m->sh->change.now_ms, NULL);
	if (answer(m, rc, r->exists ? MUST : MUST_NOT, RC_NOTFOUND)) {
		rc = meta_lifecycle_get(
		    m->meta, world_repo(repo), &m->arena, &row);
		must(rc == RC_OK);
		r->policy = row.revision;
	}
	change_end(m, true);
}

static void
image_evaluate(struct model *m, struct m_repo *r, unsigned repo, unsigned i,
    enum lifecycle_act_kind kind, bool by_pull)
{
	const struct reference ref = { .is_digest = true,
		.digest = m->world.manifests[i].digest };
	struct m_act *act = &r->acts[r->n_acts++];
	struct image_row row = { 0 };
	enum rc rc;

	rc = meta_image_get(m->meta, world_repo(repo), &ref, &m->arena, &row);
	if (rc != RC_OK)
		model_fail(m, "repo %u: image %u: %s", repo, i, rc_text(rc));
	*act = (struct m_act){ .manifest = (uint8_t)i };
	act->tags = repo_tags_of(r, i);
	act->pushes = r->images[i].pushes;
	act->classes = r->images[i].classes;
	act->act = (struct lifecycle_act){
		.digest = ref.digest,
		.kind = kind,
		.priority = 1,
		.by_pull = by_pull,
		.pushed_ms = row.manifest.pushed_ms,
		.pulled_ms = row.manifest.pulled_ms,
		.archived_ms = row.archived_ms,
		.activated_ms = row.activated_ms,
		.tags_hash = image_tags_hash(row.tags, row.n_tags),
	};
	r->images[i].pulled = false;
}

void
policy_evaluate(struct model *m, unsigned repo, unsigned manifests,
    unsigned archive, unsigned by_pull)
{
	struct m_repo *r = repo_of(m, repo);
	unsigned i;

	if (!r->exists)
		return;
	if (r->policy == 0)
		policy_set(m, repo, 0);
	change_begin(m, (struct change){ .kind = CHANGE_NONE });
	if (meta_pulls_settle(m->meta) != RC_OK)
		model_fail(m, "pulls do not settle");
	r->n_acts = 0;
	r->evaluated = r->policy;
	for (i = 0; i < MANIFESTS; i++)
		if ((manifests & 1u << i) != 0 &&
		    r->images[i].state == IMAGE_LIVE)
			image_evaluate(m, r, repo, i,
			    (archive & 1u << i) != 0 ? ACT_ARCHIVE : ACT_EXPIRE,
			    (by_pull & 1u << i) != 0);
	arena_reset(&m->arena);
}

static void
acted_check(struct model *m, unsigned repo, const struct lifecycle_acted *acted)
{
	struct m_repo r = *repo_of(m, repo);
	enum lifecycle_act_end end;
	unsigned tags;
	size_t i;

	for (i = 0; i < r.n_acts; i++) {
		end = act_end(m, &r, &r.acts[i]);
		tags = repo_tags_of(&r, r.acts[i].manifest);
		if (acted[i].end != end)
			model_fail(m, "repo %u: act on %u ends as %d, not %d",
			    repo, r.acts[i].manifest, (int)acted[i].end,
			    (int)end);
		if (end == ACT_DONE &&
		    acted[i].n_tags != (size_t)__builtin_popcount(tags))
			model_fail(m, "repo %u: act on %u tells %zu tags", repo,
			    r.acts[i].manifest, acted[i].n_tags);
		act_apply(m, &r, &r.acts[i], m->sh->change.now_ms);
	}
}

void
policy_apply(struct model *m, unsigned repo)
{
	struct m_repo *r = repo_of(m, repo);
	struct lifecycle_acted acted[MANIFESTS];
	struct lifecycle_act acts[MANIFESTS];
	enum rc want = RC_OK, rc;
	size_t i;
	bool ok;

	for (i = 0; i < r->n_acts; i++)
		acts[i] = r->acts[i].act;
	if (r->n_acts == 0)
		return;
	if (!r->exists)
		want = RC_NOTFOUND;
	else if (r->policy != r->evaluated)
		want = RC_MISSING;
	change_begin(
	    m, (struct change){ .kind = CHANGE_APPLY, .repo = (int)repo });
	rc = meta_lifecycle_apply(m->meta, world_repo(repo), r->evaluated, acts,
	    r->n_acts, m->sh->change.now_ms, &m->arena, acted);
	ok = answer(m, rc, want == RC_OK ? MUST : MUST_NOT, want);
	if (ok)
		acted_check(m, repo, acted);
	change_end(m, ok);
}

void
image_pull(struct model *m, unsigned repo, unsigned manifest)
{
	struct m_image *i = &repo_of(m, repo)->images[manifest];

	if (!repo_of(m, repo)->exists || i->state != IMAGE_LIVE ||
	    i->status != IMAGE_ACTIVE)
		return;
	m->sh->now_ms++;
	meta_manifest_pulled(m->meta, world_repo(repo),
	    &m->world.manifests[manifest].digest, model_now(m));
	i->pulled = true;
}

/* --- classes ------------------------------------------------------------- */

void
image_class(
    struct model *m, unsigned repo, unsigned manifest, enum image_status status)
{
	const struct m_repo *r = repo_of(m, repo);
	const struct m_image *i = &r->images[manifest];
	const struct reference ref = { .is_digest = true,
		.digest = m->world.manifests[manifest].digest };
	struct holding holding;
	struct image_row row;
	enum rc want = RC_OK, rc;

	if (!r->exists || i->state != IMAGE_LIVE)
		want = RC_NOTFOUND;
	else if (status == IMAGE_ARCHIVED && i->status != IMAGE_ARCHIVED &&
		 image_held(m, r, manifest, true))
		want = RC_REFERENCED;
	change_begin(m, (struct change){ .kind = CHANGE_STATUS,
			    .repo = (int)repo,
			    .manifest = (int)manifest,
			    .other = (int)status });
	rc = meta_image_status_set(m->meta, world_repo(repo), &ref, status,
	    m->sh->change.now_ms, &m->arena, &row, &holding);
	change_end(m, answer(m, rc, want == RC_OK ? MUST : MUST_NOT, want));
}

/* With what it needs; *${sure}: none of it is past its time. */
static bool
restorable(const struct model *m, const struct m_repo *r, unsigned manifest,
    bool *sure)
{
	const struct m_image *i = &r->images[manifest];
	unsigned k;

	if (i->state == IMAGE_NONE)
		return (false);
	if (i->state == IMAGE_LIVE)
		return (true);
	if (i->deleted_ms + m->sh->undelete_ms <= model_now(m) + 1)
		*sure = false;
	for (k = 0; k < MANIFESTS; k++)
		if ((m->world.manifests[manifest].children & 1u << k) != 0 &&
		    !restorable(m, r, k, sure))
			return (false);
	return (true);
}

void
image_undelete(struct model *m, unsigned repo, unsigned manifest)
{
	const struct m_repo *r = repo_of(m, repo);
	const struct reference ref = { .is_digest = true,
		.digest = m->world.manifests[manifest].digest };
	struct image_restored restored;
	enum rc want = RC_NOTFOUND, rc;
	bool sure = true;

	if (r->exists && r->images[manifest].state == IMAGE_GONE)
		want = restorable(m, r, manifest, &sure) ? RC_OK : RC_MISSING;
	change_begin(m, (struct change){ .kind = CHANGE_UNDELETE,
			    .repo = (int)repo,
			    .manifest = (int)manifest });
	rc = meta_image_undelete(m->meta, world_repo(repo), &ref,
	    m->sh->change.now_ms, &m->arena, &restored);
	if (!sure && (rc == RC_NOTFOUND || rc == RC_MISSING))
		want = rc;
	change_end(m, answer(m, rc, want == RC_OK ? MUST : MUST_NOT, want));
}

/* --- downloads ----------------------------------------------------------- */

void
reader_open(struct model *m, unsigned reader, unsigned repo, unsigned blob)
{
	const struct m_repo *r = repo_of(m, repo);
	enum expect expect = blob_sure(m, r, blob) ? MUST
			     : r->ever[blob]	   ? EITHER
						   : MUST_NOT;
	struct content c;
	enum rc rc;

	if (m->readers[reader].fd >= 0)
		return;
	rc = content_open(m->store, world_repo(repo),
	    &m->world.blobs[blob].digest, mode(m), &m->arena, &c);
	if (rc == RC_WOULDBLOCK && m->claimed)
		return;
	if (answer(m, rc, expect, RC_NOTFOUND) && c.kind == CONTENT_FILE) {
		m->readers[reader] = c.file;
		m->reader_blobs[reader] = (uint8_t)blob;
	}
	arena_reset(&m->arena);
}

/* However long it has taken. */
void
reader_read(struct model *m, unsigned reader)
{
	const struct world_blob *b = &m->world.blobs[m->reader_blobs[reader]];
	char *bytes;
	bool same;

	if (m->readers[reader].fd < 0)
		return;
	bytes = xmalloc(b->n);
	same =
	    blob_file_read_all(&m->readers[reader], 0, bytes, b->n) == RC_OK &&
	    memcmp(bytes, b->bytes, b->n) == 0;
	free(bytes);
	blob_file_close(&m->readers[reader]);
	if (!same)
		model_fail(m, "a download of blob %u is cut off",
		    m->reader_blobs[reader]);
}
