#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "meta_tools.h"
#include "storage/images.h"
#include "storage/repositories.h"

/*
 * The metadata against a model of them that is a few arrays: whatever is
 * done, in whatever order, both say the same.
 */
#define REPOS 5
#define BLOBS 8
#define MANIFESTS 10
#define TAGS 5
#define STEPS 1500

struct model_repo {
	bool exists;
	bool blob[BLOBS];
	bool manifest[MANIFESTS];
	bool archived[MANIFESTS];
	int tag[TAGS]; /* a manifest, or -1 */
	enum tag_mutability mutability;
	bool policy;
	uint64_t revision; /* of the policy, if there is one */
};

/* What the manifests are is settled once; a child has a lower number. */
struct model_manifest {
	bool blob[BLOBS];
	bool child[MANIFESTS];
	int subject; /* or -1 */
};

struct model {
	struct mt *t;
	uint64_t random;
	struct model_manifest manifests[MANIFESTS];
	struct model_repo repos[REPOS];
	uint64_t revision; /* the last one */
};

static unsigned
roll(struct model *m, unsigned n)
{
	m->random = m->random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
	return ((unsigned)(m->random >> 33) % n);
}

static const char *
repo_name(unsigned r)
{
	static const char *const names[REPOS] = { "a", "a/b", "k1/a", "k1/b",
		"k2/a" };

	return (names[r]);
}

static const char *
tag_name(unsigned i)
{
	static const char *const names[TAGS] = { "1", "10", "a", "latest",
		"z" };

	return (names[i]);
}

static const char *
blob_text(unsigned b)
{
	static char text[BLOBS][32];

	snprintf(text[b], sizeof(text[b]), "blob %u", b);
	return (text[b]);
}

static const char *
manifest_text(unsigned i)
{
	static char text[MANIFESTS][32];

	snprintf(text[i], sizeof(text[i]), "manifest %u", i);
	return (text[i]);
}

static struct digest
blob_digest(unsigned b)
{
	return (mt_digest(blob_text(b)));
}

static struct digest
manifest_digest(unsigned i)
{
	return (mt_digest(manifest_text(i)));
}

static void
repo_clear(struct model_repo *repo)
{
	unsigned k;

	memset(repo, 0, sizeof(*repo));
	repo->mutability = TAGS_MUTABLE;
	for (k = 0; k < TAGS; k++)
		repo->tag[k] = -1;
}

static void
model_init(struct model *m, struct mt *t, uint64_t seed)
{
	struct model_manifest *mm;
	unsigned i, k;

	memset(m, 0, sizeof(*m));
	m->t = t;
	m->random = seed;
	for (i = 0; i < MANIFESTS; i++) {
		mm = &m->manifests[i];
		mm->subject = roll(m, 3) == 0 ? (int)roll(m, MANIFESTS) : -1;
		for (k = 0; k < BLOBS && i % 3 != 2; k++)
			mm->blob[k] = roll(m, 3) == 0;
		for (k = 0; k < i && i % 3 == 2; k++)
			mm->child[k] = roll(m, 2) == 0;
	}
	for (i = 0; i < REPOS; i++)
		repo_clear(&m->repos[i]);
}

/* What the model says of each change. */

/* An archived child is as good as none, but of an index that comes back. */
static bool
manifest_complete(const struct model *m, unsigned r, unsigned i)
{
	const struct model_repo *repo = &m->repos[r];
	bool restored = repo->manifest[i] && repo->archived[i];
	unsigned k;

	for (k = 0; k < BLOBS; k++)
		if (m->manifests[i].blob[k] && !m->repos[r].blob[k])
			return (false);
	for (k = 0; k < MANIFESTS; k++)
		if (m->manifests[i].child[k] &&
		    (!repo->manifest[k] || (repo->archived[k] && !restored)))
			return (false);
	return (true);
}

/* With all that is below. */
static void
manifest_restore(struct model *m, unsigned r, unsigned i)
{
	unsigned k;

	m->repos[r].archived[i] = false;
	for (k = 0; k < MANIFESTS; k++)
		if (m->manifests[i].child[k])
			manifest_restore(m, r, k);
}

static bool
blob_needed(const struct model *m, unsigned r, unsigned b)
{
	unsigned i;

	for (i = 0; i < MANIFESTS; i++)
		if (m->repos[r].manifest[i] && m->manifests[i].blob[b])
			return (true);
	return (false);
}

static bool
manifest_needed(const struct model *m, unsigned r, unsigned child)
{
	unsigned i;

	for (i = 0; i < MANIFESTS; i++)
		if (m->repos[r].manifest[i] && m->manifests[i].child[child])
			return (true);
	return (false);
}

#define FILTER "1*"

/* Is there a tag there that does not move to ${i}? */
static bool
tag_stuck(const struct model *m, unsigned r, unsigned tag, unsigned i)
{
	const struct model_repo *repo = &m->repos[r];
	bool matches = fnmatch(FILTER, tag_name(tag), 0) == 0;

	if (repo->tag[tag] < 0 || repo->tag[tag] == (int)i)
		return (false);
	return (
	    repo->mutability == TAGS_IMMUTABLE ||
	    (repo->mutability == TAGS_IMMUTABLE_WITH_EXCLUSION && !matches) ||
	    (repo->mutability == TAGS_MUTABLE_WITH_EXCLUSION && matches));
}

/* Steps. */

static void
step_blob_put(struct model *m)
{
	unsigned r = roll(m, REPOS), b = roll(m, BLOBS);

	mt_blob(m->t, repo_name(r), blob_text(b));
	m->repos[r].exists = true;
	m->repos[r].blob[b] = true;
}

static void
step_blob_unlink(struct model *m)
{
	unsigned r = roll(m, REPOS), b = roll(m, BLOBS);
	struct digest d = blob_digest(b);
	struct holding holding;
	enum rc want;

	want = !m->repos[r].blob[b]   ? RC_NOTFOUND
	       : blob_needed(m, r, b) ? RC_REFERENCED
				      : RC_OK;
	assert_int_equal(
	    meta_blob_unlink(m->t->m, span_of(repo_name(r)), &d, &holding),
	    want);
	assert_int_equal(holding.n > 0, want == RC_REFERENCED);
	if (want == RC_OK)
		m->repos[r].blob[b] = false;
}

static bool
same_key(unsigned a, unsigned b)
{
	return (mt_preset(repo_name(a)) == mt_preset(repo_name(b)));
}

static void
step_blob_mount(struct model *m)
{
	unsigned from = roll(m, REPOS), to = roll(m, REPOS);
	unsigned b = roll(m, BLOBS);
	const struct blob_mount mount = {
		.from = span_of(repo_name(from)),
		.to = span_of(repo_name(to)),
		.digest = blob_digest(b),
		.create = mt_preset(repo_name(to)),
	};
	enum rc want =
	    m->repos[from].blob[b] && same_key(from, to) ? RC_OK : RC_NOTFOUND;

	assert_int_equal(meta_blob_mount(m->t->m, &mount), want);
	if (want == RC_OK) {
		m->repos[to].exists = true;
		m->repos[to].blob[b] = true;
	}
}

static size_t
edges_fill(const struct model_manifest *mm, struct descriptor *edges)
{
	struct digest d;
	size_t n = 0;
	unsigned k;

	for (k = 0; k < BLOBS; k++) {
		d = blob_digest(k);
		if (!mm->blob[k])
			continue;
		edges[n] = mt_edge(n == 0 ? EDGE_CONFIG : EDGE_LAYER, &d);
		n++;
	}
	for (k = 0; k < MANIFESTS; k++) {
		d = manifest_digest(k);
		if (mm->child[k])
			edges[n++] = mt_edge(EDGE_MANIFEST, &d);
	}
	return (n);
}

static void
step_manifest_put(struct model *m)
{
	unsigned r = roll(m, REPOS), i = roll(m, MANIFESTS);
	unsigned tag = roll(m, TAGS + 1);
	struct model_repo *repo = &m->repos[r];
	struct descriptor edges[BLOBS + MANIFESTS];
	struct digest subject, d;
	struct mt_image image = {
		.repo = repo_name(r),
		.text = manifest_text(i),
		.tag = tag < TAGS ? tag_name(tag) : NULL,
		.edges = edges,
		.n_edges = edges_fill(&m->manifests[i], edges),
	};
	struct manifest_put_result result;
	enum rc want = RC_OK;

	if (m->manifests[i].subject >= 0) {
		subject = manifest_digest((unsigned)m->manifests[i].subject);
		image.subject = &subject;
	}
	if (tag < TAGS && tag_stuck(m, r, tag, i))
		want = RC_EXISTS;
	else if (!manifest_complete(m, r, i))
		want = RC_MISSING;
	assert_int_equal(mt_put(m->t, &image, &d, &result), want);
	if (want != RC_OK)
		return;
	assert_int_equal(result.existed, repo->manifest[i]);
	repo->exists = true;
	repo->manifest[i] = true;
	manifest_restore(m, r, i);
	if (tag < TAGS)
		repo->tag[tag] = (int)i;
}

static void
manifest_goes(struct model_repo *repo, unsigned i)
{
	unsigned k;

	repo->manifest[i] = false;
	repo->archived[i] = false;
	for (k = 0; k < TAGS; k++)
		if (repo->tag[k] == (int)i)
			repo->tag[k] = -1;
}

static void
step_manifest_delete(struct model *m)
{
	unsigned r = roll(m, REPOS), i = roll(m, MANIFESTS);
	struct digest d = manifest_digest(i);
	struct holding holding;
	enum rc want;

	want = !m->repos[r].manifest[i]	  ? RC_NOTFOUND
	       : manifest_needed(m, r, i) ? RC_REFERENCED
					  : RC_OK;
	assert_int_equal(
	    meta_manifest_delete(m->t->m, span_of(repo_name(r)), &d, &holding),
	    want);
	assert_int_equal(holding.n > 0, want == RC_REFERENCED);
	if (want == RC_OK)
		manifest_goes(&m->repos[r], i);
}

static unsigned
tags_of(const struct model_repo *repo, unsigned i)
{
	unsigned k, n = 0;

	for (k = 0; k < TAGS; k++)
		n += repo->tag[k] == (int)i;
	return (n);
}

/* By a tag, whose image goes with the last one. */
static void
step_image_delete(struct model *m)
{
	unsigned r = roll(m, REPOS), k = roll(m, TAGS);
	struct model_repo *repo = &m->repos[r];
	const struct image_delete del = { .repository = span_of(repo_name(r)),
		.tag = span_of(tag_name(k)) };
	struct image_deleted deleted;
	enum rc want = RC_NOTFOUND;
	bool last = false;
	unsigned i = 0;

	if (repo->tag[k] >= 0) {
		i = (unsigned)repo->tag[k];
		last = tags_of(repo, i) == 1;
		want = last && manifest_needed(m, r, i) ? RC_REFERENCED : RC_OK;
	}
	assert_int_equal(
	    meta_image_delete(m->t->m, &del, &m->t->arena, &deleted), want);
	assert_int_equal(deleted.image, want == RC_OK && last);
	assert_int_equal(deleted.n_tags, want == RC_OK);
	if (want != RC_OK)
		return;
	repo->tag[k] = -1;
	if (last)
		manifest_goes(repo, i);
}

static void
step_archive(struct model *m)
{
	unsigned r = roll(m, REPOS), i = roll(m, MANIFESTS), k;
	struct model_repo *repo = &m->repos[r];
	const struct reference ref = { .is_digest = true,
		.digest = manifest_digest(i) };
	bool archive = roll(m, 2) == 0;
	enum rc want = repo->manifest[i] ? RC_OK : RC_NOTFOUND;
	struct holding holding;
	struct image_row row;

	for (k = 0; k < MANIFESTS; k++)
		if (want == RC_OK && archive && !repo->archived[i] &&
		    repo->manifest[k] && !repo->archived[k] &&
		    m->manifests[k].child[i])
			want = RC_REFERENCED;
	assert_int_equal(meta_image_status_set(m->t->m, span_of(repo_name(r)),
			     &ref, archive ? IMAGE_ARCHIVED : IMAGE_ACTIVE, 5,
			     &m->t->arena, &row, &holding),
	    want);
	if (want == RC_OK && archive)
		repo->archived[i] = true;
	else if (want == RC_OK)
		manifest_restore(m, r, i);
}

/* Some are ended at once. */
static void
step_scan(struct model *m)
{
	unsigned r = roll(m, REPOS), i = roll(m, MANIFESTS);
	const struct scan_start start = {
		.repository = span_of(repo_name(r)),
		.digest = manifest_digest(i),
		.now_ms = 1 + roll(m, 1000),
	};
	struct scan_job job;

	assert_int_equal(meta_scan_start(m->t->m, &start),
	    m->repos[r].manifest[i] ? RC_OK : RC_NOTFOUND);
	if (roll(m, 2) == 0 &&
	    meta_scan_next(m->t->m, &m->t->arena, &job) == RC_OK)
		assert_int_equal(meta_scan_end(m->t->m, &job, SCAN_FAILED,
				     SPAN("model"), 2000),
		    RC_OK);
}

static void
step_tag_delete(struct model *m)
{
	unsigned r = roll(m, REPOS), k = roll(m, TAGS);
	int *tag = &m->repos[r].tag[k];

	assert_int_equal(meta_tag_delete(m->t->m, span_of(repo_name(r)),
			     span_of(tag_name(k))),
	    *tag >= 0 ? RC_OK : RC_NOTFOUND);
	*tag = -1;
}

static void
step_repository_create(struct model *m)
{
	const struct span filter = SPAN(FILTER);
	unsigned r = roll(m, REPOS), mode = TAGS_MUTABLE + roll(m, 4);
	const struct repository_create create = {
		.name = span_of(repo_name(r)),
		.preset.settings = {
			.mutability = (enum tag_mutability)mode,
			.exclusions = &filter,
			.n_exclusions = 1,
			.encryption =
			    mt_preset(repo_name(r))->settings.encryption,
			.kms_key = mt_preset(repo_name(r))->settings.kms_key,
		},
	};
	struct model_repo *repo = &m->repos[r];
	struct repository_row row;

	assert_int_equal(meta_repository_create(m->t->m, &create, &row),
	    repo->exists ? RC_EXISTS : RC_OK);
	if (repo->exists)
		return;
	repo->exists = true;
	repo->mutability = create.preset.settings.mutability;
}

static void
step_repository_delete(struct model *m)
{
	unsigned r = roll(m, REPOS), i;
	bool force = roll(m, 2) == 0, any = false;
	struct model_repo *repo = &m->repos[r];
	struct repository_description d;
	enum rc want;

	for (i = 0; i < MANIFESTS; i++)
		any = any || repo->manifest[i];
	want = !repo->exists   ? RC_NOTFOUND
	       : any && !force ? RC_REFERENCED
			       : RC_OK;
	assert_int_equal(meta_repository_delete(m->t->m, span_of(repo_name(r)),
			     force, &m->t->arena, &d),
	    want);
	if (want != RC_OK)
		return;
	assert_int_equal(d.settings.mutability, repo->mutability);
	repo_clear(repo);
}

static void
step_repository_purge(struct model *m)
{
	bool more;

	assert_int_equal(
	    meta_repository_purge(m->t->m, 1 + roll(m, 9), NULL, &more), RC_OK);
}

static void
step_policy(struct model *m)
{
	unsigned r = roll(m, REPOS);
	struct model_repo *repo = &m->repos[r];
	struct span name = span_of(repo_name(r)), text;

	if (roll(m, 3) > 0) {
		assert_int_equal(
		    meta_repository_policy_set(m->t->m, name, name),
		    repo->exists ? RC_OK : RC_NOTFOUND);
		repo->policy = repo->exists;
		if (repo->exists)
			repo->revision = ++m->revision;
		return;
	}
	assert_int_equal(
	    meta_repository_policy_delete(m->t->m, name, &m->t->arena, &text),
	    !repo->exists  ? RC_NOTFOUND
	    : repo->policy ? RC_OK
			   : RC_MISSING);
	repo->policy = false;
}

static void
step_repository(struct model *m)
{
	switch (roll(m, 8)) {
	case 0:
		step_repository_delete(m);
		return;
	case 1:
	case 2:
		step_policy(m);
		return;
	case 3:
	case 4:
	case 5:
		step_repository_purge(m);
		return;
	default:
		step_repository_create(m);
		return;
	}
}

static void
step(struct model *m)
{
	switch (roll(m, 17)) {
	case 0:
	case 1:
	case 2:
	case 3:
		step_blob_put(m);
		return;
	case 4:
		step_blob_mount(m);
		return;
	case 5:
		step_blob_unlink(m);
		return;
	case 6:
		step_tag_delete(m);
		return;
	case 7:
		step_manifest_delete(m);
		return;
	case 8:
	case 9:
		step_repository(m);
		return;
	case 10:
		step_image_delete(m);
		return;
	case 11:
		step_archive(m);
		return;
	case 12:
		step_scan(m);
		return;
	default:
		step_manifest_put(m);
		return;
	}
}

/* Comparing. */

static void
compare_tags(struct model *m, unsigned r)
{
	struct manifest_row row;
	struct digest d;
	unsigned k;
	int want;

	for (k = 0; k < TAGS; k++) {
		want = m->repos[r].tag[k];
		assert_int_equal(mt_get(m->t, repo_name(r), tag_name(k), &row),
		    want >= 0 ? RC_OK : RC_NOTFOUND);
		if (want < 0)
			continue;
		d = manifest_digest((unsigned)want);
		assert_true(digest_eq(&row.digest, &d));
	}
}

static void
compare_referrers(struct model *m, unsigned r, unsigned subject)
{
	const struct referrer_query q = {
		.repository = span_of(repo_name(r)),
		.subject = manifest_digest(subject),
		.max_rows = 100,
		.max_bytes = 1 << 20,
	};
	struct referrer_page page;
	size_t n = 0;
	unsigned i;

	for (i = 0; i < MANIFESTS; i++)
		if (m->repos[r].manifest[i] &&
		    m->manifests[i].subject == (int)subject)
			n++;
	assert_int_equal(
	    meta_referrer_page(m->t->m, &q, READ_INLINE, &m->t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, n);
}

static void
compare_repo(struct model *m, unsigned r)
{
	struct manifest_row row;
	struct digest d;
	unsigned i;

	for (i = 0; i < BLOBS; i++) {
		d = blob_digest(i);
		assert_int_equal(
		    mt_has_blob(m->t, repo_name(r), &d), m->repos[r].blob[i]);
	}
	for (i = 0; i < MANIFESTS; i++) {
		d = manifest_digest(i);
		assert_int_equal(mt_get_digest(m->t, repo_name(r), &d, &row),
		    m->repos[r].manifest[i] ? RC_OK : RC_NOTFOUND);
		compare_referrers(m, r, i);
	}
	compare_tags(m, r);
}

static int
manifest_of(const struct digest *d)
{
	struct digest is;
	unsigned i;

	for (i = 0; i < MANIFESTS; i++) {
		is = manifest_digest(i);
		if (digest_eq(&is, d))
			return ((int)i);
	}
	return (-1);
}

/* In pages of three. */
static void
compare_images(struct model *m, unsigned r)
{
	const struct model_repo *repo = &m->repos[r];
	struct image_query q = { .repository = span_of(repo_name(r)),
		.max_rows = 3 };
	struct image_page page = { .more = true };
	struct digest after;
	size_t i, n = 0;
	uint64_t count;
	int k;

	for (; page.more; after = page.last, q.after = &after) {
		assert_int_equal(
		    meta_image_page(m->t->m, &q, &m->t->arena, &page), RC_OK);
		for (i = 0; i < page.n; i++) {
			k = manifest_of(&page.rows[i].manifest.digest);
			assert_true(k >= 0 && repo->manifest[k]);
			assert_int_equal(
			    page.rows[i].manifest.archived, repo->archived[k]);
			assert_int_equal(
			    page.rows[i].n_tags, tags_of(repo, (unsigned)k));
		}
		n += page.n;
	}
	for (i = 0; i < MANIFESTS; i++)
		n -= repo->manifest[i];
	assert_int_equal(n, 0);
	assert_int_equal(
	    meta_image_count(m->t->m, q.repository, &count), RC_OK);
	for (i = 0; i < MANIFESTS; i++)
		count -= repo->manifest[i];
	assert_int_equal(count, 0);
}

static void
compare_access(struct model *m, unsigned r)
{
	const struct model_repo *repo = &m->repos[r];
	struct repository_access access;

	assert_int_equal(meta_repository_access(m->t->m, span_of(repo_name(r)),
			     ACCESS_POLICY, &m->t->arena, &access),
	    RC_OK);
	assert_int_equal(access.exists, repo->exists);
	assert_int_equal(
	    access.policy_revision, repo->policy ? repo->revision : 0);
	assert_int_equal(access.policy.n > 0, repo->policy);
}

static void
compare_holders(struct model *m, unsigned b, unsigned to)
{
	struct digest d = blob_digest(b);
	struct page page;
	size_t n = 0;
	unsigned r;

	for (r = 0; r < REPOS; r++)
		n += same_key(r, to) && m->repos[r].blob[b];
	assert_int_equal(
	    meta_blob_holders(m->t->m, SPAN("new/one"),
		mt_preset(repo_name(to)), &d, REPOS, &m->t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, n);
	assert_false(page.more);
}

static void
compare(struct model *m)
{
	struct repository_row row;
	unsigned r;

	for (r = 0; r < REPOS; r++) {
		assert_int_equal(
		    meta_repository_get(m->t->m, span_of(repo_name(r)), &row),
		    m->repos[r].exists ? RC_OK : RC_NOTFOUND);
		compare_repo(m, r);
		compare_access(m, r);
		if (m->repos[r].exists)
			compare_images(m, r);
	}
	for (r = 0; r < BLOBS * REPOS; r++)
		compare_holders(m, r / REPOS, r % REPOS);
	mt_check(m->t);
	arena_reset(&m->t->arena);
}

/* In the end nobody holds anything. */
static void
all_go(struct model *m)
{
	struct repository_description d;
	struct store_stats st;
	bool more = true;
	unsigned r;

	for (r = 0; r < REPOS; r++)
		if (m->repos[r].exists)
			assert_int_equal(
			    meta_repository_delete(m->t->m,
				span_of(repo_name(r)), true, &m->t->arena, &d),
			    RC_OK);
	while (more)
		assert_int_equal(
		    meta_repository_purge(m->t->m, 50, NULL, &more), RC_OK);
	st = mt_stats(m->t);
	assert_int_equal(st.manifests, 0);
	assert_int_equal(st.blob_links, 0);
	assert_int_equal(st.unreferenced_blobs, st.blobs);
	mt_check(m->t);
}

static void
run(struct mt *t, uint64_t seed)
{
	struct model m;
	unsigned i;

	model_init(&m, t, seed);
	for (i = 0; i < STEPS; i++) {
		step(&m);
		if (i % 20 == 0)
			compare(&m);
		if (i % 400 == 399)
			mt_reopen(t);
	}
	compare(&m);
	all_go(&m);
}

static void
random_changes_agree_with_the_model(void **state)
{
	run(*state, 1);
}

static void
other_random_changes_agree_too(void **state)
{
	run(*state, 20240229);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(random_changes_agree_with_the_model),
		TEST(other_random_changes_agree_too),
	};

	return (cmocka_run_group_tests_name("meta_model", tests, NULL, NULL));
}
