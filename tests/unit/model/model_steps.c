#include "model.h"

#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/gc.h"

/*
 * Steps: made from a number, printed, run.
 */

/* What there is of each kind, of 1000. */
static const unsigned weights[STEP_KINDS] = {
	[STEP_BEGIN] = 110,
	[STEP_CLIENT] = 420,
	[STEP_HEAD] = 30,
	[STEP_MOUNT] = 15,
	[STEP_TAG] = 30,
	[STEP_UNTAG] = 15,
	[STEP_DELETE] = 60,
	[STEP_IMAGE_DELETE] = 20,
	[STEP_BLOB_DELETE] = 6,
	[STEP_REPO_DELETE] = 4,
	[STEP_REPO_UNDELETE] = 8,
	[STEP_POLICY] = 15,
	[STEP_EVALUATE] = 25,
	[STEP_APPLY] = 30,
	[STEP_PULL] = 10,
	[STEP_ARCHIVE] = 50,
	[STEP_RESTORE] = 30,
	[STEP_UNDELETE] = 25,
	[STEP_OPEN] = 10,
	[STEP_READ] = 10,
	[STEP_TIME] = 70,
	[STEP_COLLECT] = 60,
	[STEP_CRASH] = 10,
	[STEP_REOPEN] = 4,
	[STEP_CHECK] = 10,
};

static const char *const names[STEP_KINDS] = {
	[STEP_BEGIN] = "begin to push: client, repo, manifest, tag + 1",
	[STEP_CLIENT] = "client goes on: client, way",
	[STEP_HEAD] = "head: repo, blob",
	[STEP_MOUNT] = "mount: repo, blob, from",
	[STEP_TAG] = "put manifest: repo, manifest, tag",
	[STEP_UNTAG] = "delete tag: repo, tag",
	[STEP_DELETE] = "delete manifest: repo, manifest",
	[STEP_IMAGE_DELETE] = "delete image by tag: repo, tag",
	[STEP_BLOB_DELETE] = "delete blob: repo, blob",
	[STEP_REPO_DELETE] = "delete repository: repo",
	[STEP_REPO_UNDELETE] = "undelete repository: repo",
	[STEP_POLICY] = "set policy: repo, text",
	[STEP_EVALUATE] = "evaluate: repo, manifests, to archive, by pull",
	[STEP_APPLY] = "apply what was evaluated: repo",
	[STEP_PULL] = "pull: repo, manifest",
	[STEP_ARCHIVE] = "archive: repo, manifest",
	[STEP_RESTORE] = "restore: repo, manifest",
	[STEP_UNDELETE] = "undelete: repo, manifest",
	[STEP_OPEN] = "begin a download: reader, repo, blob",
	[STEP_READ] = "end a download: reader",
	[STEP_TIME] = "time passes: which",
	[STEP_COLLECT] = "collect: pause, steps inside of it, all at once",
	[STEP_CRASH] = "crash, after so many calls",
	[STEP_REOPEN] = "close and open",
	[STEP_CHECK] = "check",
};

/* --- making -------------------------------------------------------------- */

static unsigned
roll(uint64_t *r, unsigned n)
{
	*r = *r * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((unsigned)(*r >> 33) % n);
}

static uint8_t
kind_roll(uint64_t *r)
{
	unsigned sum = 0, kind, at;

	for (kind = 0; kind < STEP_KINDS; kind++)
		sum += weights[kind];
	at = roll(r, sum);
	for (kind = 0; at >= weights[kind]; kind++)
		at -= weights[kind];
	return ((uint8_t)kind);
}

/* Things have to meet: of some sequences all in one repository, of some in two,
 * of others mostly in one. */
static unsigned repos_meant, manifests_meant;

static uint8_t
repo_roll(uint64_t *r)
{
	if (repos_meant < REPOS)
		return ((uint8_t)roll(r, repos_meant));
	return ((uint8_t)(roll(r, 3) > 0 ? 0 : roll(r, REPOS)));
}

static void
step_fill(struct step *s, uint64_t *r)
{
	s->a = repo_roll(r);
	s->b = (uint8_t)roll(r, 256);
	s->c = (uint8_t)roll(r, 256);
	s->d = (uint8_t)roll(r, 256);
	switch ((enum step_kind)s->kind) {
	case STEP_BEGIN:
		s->a = (uint8_t)roll(r, CLIENTS);
		s->b = repo_roll(r);
		s->c = (uint8_t)(s->c % manifests_meant);
		break;
	case STEP_CLIENT:
		s->a = (uint8_t)roll(r, CLIENTS);
		break;
	case STEP_OPEN:
		s->a = (uint8_t)roll(r, READERS);
		s->b = repo_roll(r);
		s->c %= BLOBS;
		break;
	case STEP_READ:
		s->a = (uint8_t)roll(r, READERS);
		break;
	case STEP_POLICY:
		s->b %= 2;
		break;
	case STEP_COLLECT:
		s->a = (uint8_t)roll(r, roll(r, 2) > 0 ? 12 : 120);
		s->b = (uint8_t)(roll(r, 2) > 0 ? roll(r, 8) : 0);
		break;
	case STEP_TIME:
		s->a = (uint8_t)roll(r, 8);
		break;
	case STEP_CRASH:
		s->a = (uint8_t)roll(r, roll(r, 2) > 0 ? 10 : 100);
		break;
	case STEP_TAG:
		s->c %= TAGS;
		break;
	case STEP_DELETE:
	case STEP_PULL:
	case STEP_ARCHIVE:
	case STEP_RESTORE:
	case STEP_UNDELETE:
	case STEP_EVALUATE:
	case STEP_UNTAG:
	case STEP_IMAGE_DELETE:
	case STEP_REPO_DELETE:
	case STEP_REPO_UNDELETE:
	case STEP_APPLY:
	case STEP_HEAD:
	case STEP_MOUNT:
	case STEP_BLOB_DELETE:
	case STEP_REOPEN:
	case STEP_CHECK:
	case STEP_KINDS:
		break;
	}
}

/* What a collection is to be met by. */
static const uint8_t inside_kinds[] = { STEP_HEAD, STEP_MOUNT, STEP_MOUNT,
	STEP_CLIENT };

/* What makes sense after another step, half of the times. */
static uint8_t
kind_after(const struct step *before, uint64_t *r)
{
	switch ((enum step_kind)before->kind) {
	case STEP_TIME:
	case STEP_CRASH:
	case STEP_RESTORE:
		return (STEP_COLLECT);
	case STEP_COLLECT:
		if (before->b > 0)
			return (inside_kinds[roll(r, ARRAY_LEN(inside_kinds))]);
		return (roll(r, 4) > 0 ? kind_roll(r) : STEP_RESTORE);
	case STEP_ARCHIVE:
	case STEP_DELETE:
		return (roll(r, 2) > 0 ? STEP_TIME : kind_roll(r));
	case STEP_EVALUATE:
		return (roll(r, 2) > 0 ? STEP_APPLY : STEP_PULL);
	case STEP_PULL:
		return (STEP_APPLY);
	case STEP_REPO_DELETE:
		return (roll(r, 2) > 0 ? STEP_REPO_UNDELETE : STEP_TIME);
	case STEP_BEGIN:
	case STEP_CLIENT:
	case STEP_HEAD:
	case STEP_MOUNT:
	case STEP_TAG:
	case STEP_UNTAG:
	case STEP_IMAGE_DELETE:
	case STEP_BLOB_DELETE:
	case STEP_REPO_UNDELETE:
	case STEP_POLICY:
	case STEP_APPLY:
	case STEP_UNDELETE:
	case STEP_OPEN:
	case STEP_READ:
	case STEP_REOPEN:
	case STEP_CHECK:
	case STEP_KINDS:
		break;
	}
	return (kind_roll(r));
}

static void
step_make(struct step *s, const struct step *before, uint64_t *r)
{
	*s = (struct step){ 0 };
	if (before != NULL && roll(r, 2) > 0)
		s->kind = kind_after(before, r);
	else
		s->kind = kind_roll(r);
	step_fill(s, r);
}

void
steps_make(struct shared *sh, size_t n)
{
	uint64_t r = sh->seed ^ UINT64_C(0x9e3779b97f4a7c15);
	size_t i;

	repos_meant = 1 + roll(&r, REPOS);
	manifests_meant = roll(&r, 3) > 0 ? MANIFESTS : 1 + roll(&r, 3);
	sh->undelete_ms = roll(&r, 2) > 0 ? 5 * GRACE_MS / 2 : 0;
	for (i = 0; i < n && i < STEPS_MAX; i++)
		step_make(&sh->steps[i], i > 0 ? &sh->steps[i - 1] : NULL, &r);
	sh->n_steps = i;
}

void
step_print(const struct step *s)
{
	printf("#   { %u, %u, %u, %u, %u }, %s\n", s->kind, s->a, s->b, s->c,
	    s->d, names[s->kind]);
}

/* --- running ------------------------------------------------------------- */

static void
time_pass(struct model *m, unsigned which)
{
	const int64_t spans_ms[] = {
		1000,
		GRACE_MS / 3,
		GRACE_MS / 2,
		GRACE_MS - 10,
		GRACE_MS,
		GRACE_MS + 1,
		m->sh->undelete_ms + 1,
		LIFETIME_MS + 1,
	};

	m->sh->now_ms += spans_ms[which];
}

static void
collect_progress(void *arg, const struct gc_totals *totals)
{
	struct model *m = arg;

	(void)totals;
	if (!m->inside)
		model_pause(m, false);
}

static void
tally_collected(struct gc_totals *sum, const struct gc_totals *t)
{
	sum->links += t->links;
	sum->blobs += t->blobs;
	sum->deleted_images += t->deleted_images;
	sum->repository_rows += t->repository_rows;
	sum->referrers += t->referrers;
	sum->referrers_archived += t->referrers_archived;
	sum->uploads += t->uploads;
	sum->orphan_files += t->orphan_files;
	sum->archived_blobs += t->archived_blobs;
	sum->activated_images += t->activated_images;
	sum->leased += t->leased;
}

static void
collect(struct model *m, struct gc_totals *totals)
{
	const struct gc_options options = {
		.now_ms = model_now(m),
		.progress = collect_progress,
		.arg = m,
	};
	enum rc rc;

	memset(totals, 0, sizeof(*totals));
	m->sh->collecting = true;
	rc = gc_run(m->store, &options, totals);
	if (rc != RC_OK)
		model_fail(m, "collection: %s", rc_text(rc));
	model_sync(m, &m->sh->state, &(struct change){ .repo = -1 });
	m->sh->collecting = false;
	tally_collected(&m->sh->tally.collected, totals);
}

void
model_collect(struct model *m, struct gc_totals *totals)
{
	model_scratches_age(m);
	m->sh->now_ms++;
	m->nested = 0;
	collect(m, totals);
}

/*
 * Which one of those that it makes sense for; now and then one for which it
 * does not.
 */
#define ANY_FROM 230

static unsigned
pick_image(const struct model *m, unsigned repo, unsigned n,
    enum image_state state, unsigned status)
{
	const struct m_repo *r = &m->sh->state.repos[repo];
	unsigned some[MANIFESTS], i, n_some = 0;

	for (i = 0; i < MANIFESTS && r->exists; i++)
		if (r->images[i].state == state &&
		    (status == 0 || r->images[i].status == status))
			some[n_some++] = i;
	if (n_some == 0 || n >= ANY_FROM)
		return (n % MANIFESTS);
	return (some[n % n_some]);
}

static unsigned
pick_live(const struct model *m, const struct step *s)
{
	return (pick_image(m, s->a, s->b, IMAGE_LIVE, 0));
}

static unsigned
pick_tag(const struct model *m, const struct step *s)
{
	const struct m_repo *r = &m->sh->state.repos[s->a];
	unsigned some[TAGS], i, n_some = 0;

	for (i = 0; i < TAGS && r->exists; i++)
		if (r->tags[i] >= 0)
			some[n_some++] = i;
	if (n_some == 0 || s->b >= ANY_FROM)
		return (s->b % TAGS);
	return (some[s->b % n_some]);
}

static unsigned
pick_blob(const struct model *m, const struct step *s)
{
	const struct m_repo *r = &m->sh->state.repos[s->a];
	unsigned some[BLOBS], i, n_some = 0;

	for (i = 0; i < BLOBS && r->exists; i++)
		if (r->ever[i])
			some[n_some++] = i;
	if (n_some == 0 || s->b >= ANY_FROM)
		return (s->b % BLOBS);
	return (some[s->b % n_some]);
}

static void
run_head(struct model *m, const struct step *s)
{
	(void)blob_look(m, s->a, pick_blob(m, s));
}

static void
run_mount(struct model *m, const struct step *s)
{
	unsigned blob = pick_blob(m, s), i;

	for (i = 0; i < REPOS; i++)
		if (m->sh->state.repos[(s->c + i) % REPOS].ever[blob])
			break;
	(void)blob_mount(m, (s->c + i) % REPOS, s->a, blob);
}

static void
run_tag(struct model *m, const struct step *s)
{
	(void)manifest_push(m, s->a, pick_live(m, s), s->c);
}

static void
run_untag(struct model *m, const struct step *s)
{
	tag_delete(m, s->a, pick_tag(m, s));
}

static void
run_delete(struct model *m, const struct step *s)
{
	manifest_delete(m, s->a, pick_live(m, s));
}

static void
run_image_delete(struct model *m, const struct step *s)
{
	image_delete(m, s->a, pick_tag(m, s));
}

static void
run_blob_delete(struct model *m, const struct step *s)
{
	blob_delete(m, s->a, pick_blob(m, s));
}

static void
run_repo_delete(struct model *m, const struct step *s)
{
	repo_delete(m, s->a);
}

static void
run_repo_undelete(struct model *m, const struct step *s)
{
	unsigned i, repo = s->a;

	for (i = 0; i < REPOS; i++)
		if (s->b < ANY_FROM && m->sh->state.n_doomed[i] > 0 &&
		    !m->sh->state.repos[i].exists)
			repo = i;
	repo_undelete(m, repo);
}

static void
run_policy(struct model *m, const struct step *s)
{
	policy_set(m, s->a, s->b);
}

static void
run_evaluate(struct model *m, const struct step *s)
{
	policy_evaluate(m, s->a, s->b, s->c, s->d);
}

static void
run_apply(struct model *m, const struct step *s)
{
	policy_apply(m, s->a);
}

static void
run_pull(struct model *m, const struct step *s)
{
	image_pull(m, s->a, pick_live(m, s));
}

static void
run_archive(struct model *m, const struct step *s)
{
	image_class(m, s->a,
	    pick_image(m, s->a, s->b, IMAGE_LIVE, IMAGE_ACTIVE),
	    IMAGE_ARCHIVED);
}

static void
run_restore(struct model *m, const struct step *s)
{
	image_class(m, s->a,
	    pick_image(m, s->a, s->b, IMAGE_LIVE, IMAGE_ARCHIVED),
	    IMAGE_ACTIVE);
}

static void
run_undelete(struct model *m, const struct step *s)
{
	image_undelete(m, s->a, pick_image(m, s->a, s->b, IMAGE_GONE, 0));
}

static void
run_client(struct model *m, const struct step *s)
{
	unsigned i;

	for (i = 0; i <= s->c % 4; i++)
		client_step(m, s->a, s->b + i * s->d);
}

static void
run_open(struct model *m, const struct step *s)
{
	reader_open(m, s->a, s->b, s->c);
}

static void
run_read(struct model *m, const struct step *s)
{
	reader_read(m, s->a);
}

static void
run_time(struct model *m, const struct step *s)
{
	time_pass(m, s->a);
}

static void
run_collect(struct model *m, const struct step *s)
{
	struct gc_totals totals;

	if (m->inside)
		return;
	model_scratches_age(m);
	m->sh->now_ms++;
	m->pause = 0;
	m->pause_at = s->a;
	m->nested = s->b;
	m->spread = s->c % 2 == 0;
	collect(m, &totals);
	m->nested = 0;
}

static void
run_crash(struct model *m, const struct step *s)
{
	if (m->sh->crashes >= CRASHES_MAX)
		return;
	m->sh->crash_after = s->a;
	m->sh->crash_armed = true;
}

static void
run_reopen(struct model *m, const struct step *s)
{
	(void)s;
	if (m->inside)
		return;
	model_close(m);
	model_open(m);
}

static void
run_check(struct model *m, const struct step *s)
{
	(void)s;
	model_check(m);
}

typedef void run_fn(struct model *, const struct step *);

static run_fn *const runs[STEP_KINDS] = {
	[STEP_BEGIN] = client_begin,
	[STEP_CLIENT] = run_client,
	[STEP_HEAD] = run_head,
	[STEP_MOUNT] = run_mount,
	[STEP_TAG] = run_tag,
	[STEP_UNTAG] = run_untag,
	[STEP_DELETE] = run_delete,
	[STEP_IMAGE_DELETE] = run_image_delete,
	[STEP_BLOB_DELETE] = run_blob_delete,
	[STEP_REPO_DELETE] = run_repo_delete,
	[STEP_REPO_UNDELETE] = run_repo_undelete,
	[STEP_POLICY] = run_policy,
	[STEP_EVALUATE] = run_evaluate,
	[STEP_APPLY] = run_apply,
	[STEP_PULL] = run_pull,
	[STEP_ARCHIVE] = run_archive,
	[STEP_RESTORE] = run_restore,
	[STEP_UNDELETE] = run_undelete,
	[STEP_OPEN] = run_open,
	[STEP_READ] = run_read,
	[STEP_TIME] = run_time,
	[STEP_COLLECT] = run_collect,
	[STEP_CRASH] = run_crash,
	[STEP_REOPEN] = run_reopen,
	[STEP_CHECK] = run_check,
};

static void
step_run(struct model *m, const struct step *s)
{
	m->sh->tally.steps++;
	m->sh->tally.inside += m->inside;
	runs[s->kind](m, s);
}

/* In the middle of a commit only what reads. */
static bool
step_fits(const struct step *s, bool committing)
{
	if (s->kind == STEP_COLLECT || s->kind == STEP_REOPEN)
		return (false);
	return (!committing || s->kind == STEP_HEAD || s->kind == STEP_OPEN ||
		s->kind == STEP_READ);
}

void
model_pause(struct model *m, bool committing)
{
	const struct step *s;

	if (m->nested == 0 || m->pause++ < m->pause_at)
		return;
	m->inside = true;
	model_sync(m, &m->sh->state, &(struct change){ .repo = -1 });
	while (m->nested > 0 && m->sh->at < m->sh->n_steps) {
		s = &m->sh->steps[m->sh->at];
		if (!step_fits(s, committing))
			break;
		m->sh->at++;
		m->nested--;
		step_run(m, s);
		if (m->spread)
			break;
	}
	m->inside = false;
}

void
steps_run(struct model *m)
{
	while (m->sh->at < m->sh->n_steps)
		step_run(m, &m->sh->steps[m->sh->at++]);
}

#define LLU(n) ((unsigned long long)(n))

static void
tally_change(const struct tally *t, enum change_kind kind, const char *name)
{
	printf("# %s %llu, refused %llu\n", name, LLU(t->done[kind]),
	    LLU(t->refused[kind]));
}

void
tally_print(const struct tally *t)
{
	const struct gc_totals *c = &t->collected;

	printf("# %llu sequences, %llu steps, %llu of them inside of a "
	       "collection, %llu crashes\n",
	    LLU(t->sequences), LLU(t->steps), LLU(t->inside), LLU(t->crashes));
	tally_change(t, CHANGE_LOOK, "looked");
	tally_change(t, CHANGE_UPLOAD, "uploaded");
	tally_change(t, CHANGE_MOUNT, "mounted");
	tally_change(t, CHANGE_PUT, "pushed");
	tally_change(t, CHANGE_DELETE, "deleted");
	tally_change(t, CHANGE_IMAGE_DELETE, "deleted by tag");
	tally_change(t, CHANGE_BLOB_DELETE, "blobs deleted");
	tally_change(t, CHANGE_REPO_DELETE, "repositories deleted");
	tally_change(t, CHANGE_REPO_UNDELETE, "repositories undeleted");
	tally_change(t, CHANGE_APPLY, "policies applied");
	tally_change(t, CHANGE_STATUS, "archived or restored");
	tally_change(t, CHANGE_UNDELETE, "undeleted");
	printf("# collected: %llu links, %llu blobs, %llu deleted images, "
	       "%llu rows of repositories, %llu referrers, %llu archived with "
	       "their subject, %llu uploads, %llu files without a record; to "
	       "the archive %llu blobs, back %llu images\n",
	    LLU(c->links), LLU(c->blobs), LLU(c->deleted_images),
	    LLU(c->repository_rows), LLU(c->referrers),
	    LLU(c->referrers_archived), LLU(c->uploads), LLU(c->orphan_files),
	    LLU(c->archived_blobs), LLU(c->activated_images));
}
