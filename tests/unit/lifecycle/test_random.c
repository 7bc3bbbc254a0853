#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/obj.h"
#include "lifecycle_tools.h"

/*
 * What holds of every policy and every set of images, tried on thousands that
 * are made up.  A policy is made up as a table of its own, from which its text
 * is written, rules in any order, and which is also carried out here: slowly,
 * image by image and rule by rule, in the words of the documentation and with
 * nothing of the engine.  Both have to do the same in the same order.
 */
#define TURNS 4000
#define RULES_MAX 6
#define IMAGES_MAX 24
#define LIST_MAX 3
#define TEXT_BYTES 8192

enum { BY_NUMBER, BY_PUSH, BY_PULL, BY_ARCHIVING, BY_USE };
enum { ALL, WITH_TAGS, WITHOUT_TAGS };

struct rule {
	int priority;
	int which; /* ALL, ... */
	bool patterns;
	const char *list[LIST_MAX];
	int n_list;
	bool archive; /* it looks there */
	int by;	      /* BY_NUMBER, ... */
	int number;
	bool archives; /* else it expires */
};

struct made_policy {
	struct rule rules[RULES_MAX];
	int n;
	bool extensions;
	int keep_last;
	const char *protects; /* a pattern, or NULL */
};

struct made_image {
	struct digest digest;
	struct span tags[LIST_MAX];
	int n_tags;
	bool archived;
	int64_t pushed, pulled, archiving, restored; /* 0: never */
	bool held, held_by_active, subject_here;
	/* What is to be done, as found out here. */
	const struct rule *taken_by; /* NULL: nothing */
};

struct world {
	struct made_policy policy;
	struct made_image images[IMAGES_MAX + 1];
	int n;
};

/* What was done: the images in the order in which they were. */
struct deed {
	struct digest digest;
	int64_t priority;
	bool archives, held;
};

struct deeds {
	struct deed rows[IMAGES_MAX + 1];
	int n;
};

/* --- by chance ----------------------------------------------------------- */

static uint64_t dice;

static uint64_t
roll(void)
{
	uint64_t z = dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31);
}

static int
below(int n)
{
	return ((int)(roll() % (uint64_t)n));
}

static bool
once_in(int n)
{
	return (below(n) == 0);
}

static const char *const tag_words[] = { "a", "ab", "abc", "b", "rel-1",
	"rel-2", "prod", "x-prod", "x-prod-1", "A" };
static const char *const prefix_words[] = { "a", "ab", "b", "rel", "x-", "z",
	"prod*", "A" };
static const char *const pattern_words[] = { "a", "a*", "*b", "*", "rel-*",
	"*prod*", "a*c", "**", "*-1", "x*o*1", "z*" };

/* Some half days ago, and now and then not quite. */
static int64_t
moment_near(int half_days)
{
	return (NOW_MS - half_days * (DAY_MS / 2) + below(3) - 1);
}

static int64_t
moment(void)
{
	return (moment_near(below(40)));
}

static void
list_make(struct rule *r)
{
	int i;

	r->patterns = once_in(2);
	r->n_list = 1 + (once_in(2) ? below(LIST_MAX) : 0);
	for (i = 0; i < r->n_list; i++)
		r->list[i] =
		    r->patterns ? pattern_words[below(ARRAY_LEN(pattern_words))]
				: prefix_words[below(ARRAY_LEN(prefix_words))];
}

static void
rule_make(struct rule *r, bool extensions)
{
	*r = (struct rule){ .which = below(4) };
	if (r->which > WITHOUT_TAGS)
		r->which = WITH_TAGS;
	if (r->which == WITH_TAGS)
		list_make(r);
	r->archive = once_in(4);
	r->number = 1 + below(12);
	if (r->archive) {
		r->by = BY_ARCHIVING;
		r->number += 89;
		return;
	}
	r->by = below(3);
	if (extensions && once_in(3))
		r->by = BY_USE;
	r->archives = once_in(2) || (r->by == BY_PULL && !extensions);
}

static bool
list_has(const struct rule *r, const char *s)
{
	int i;

	for (i = 0; i < r->n_list; i++)
		if (strcmp(r->list[i], s) == 0)
			return (true);
	return (false);
}

static bool
lists_same(const struct rule *a, const struct rule *b)
{
	bool same = a->patterns == b->patterns;
	int i;

	for (i = 0; i < a->n_list; i++)
		same = same && list_has(b, a->list[i]);
	for (i = 0; i < b->n_list; i++)
		same = same && list_has(a, b->list[i]);
	return (same);
}

/* May not stand beside one that is there. */
static bool
rule_clashes(const struct made_policy *p, const struct rule *r)
{
	const struct rule *o;

	for (o = p->rules; o < p->rules + p->n; o++)
		if (o->archive == r->archive && o->which == r->which &&
		    (o->which != WITH_TAGS || lists_same(o, r)))
			return (true);
	return (false);
}

/* "Any" behind all others of its class. */
static void
priorities_make(struct made_policy *p)
{
	struct rule *r, *o;
	int i, priority;

	for (i = 0; i < p->n; i++)
		p->rules[i].priority = 1 + 10 * i + below(10);
	for (r = p->rules; r < p->rules + p->n; r++)
		for (o = p->rules; o < p->rules + p->n; o++)
			if (r->which == ALL && o->archive == r->archive &&
			    o->priority > r->priority) {
				priority = o->priority;
				o->priority = r->priority;
				r->priority = priority;
			}
}

static void
policy_make(struct made_policy *p, bool extensions)
{
	struct rule r;
	int i, n = 1 + below(RULES_MAX);

	*p = (struct made_policy){ .extensions = extensions };
	for (i = 0; i < n || p->n == 0; i++) {
		rule_make(&r, extensions);
		if (!rule_clashes(p, &r))
			p->rules[p->n++] = r;
	}
	priorities_make(p);
	if (extensions && once_in(2))
		p->keep_last = 1 + below(8);
	if (extensions && once_in(3))
		p->protects = pattern_words[below(ARRAY_LEN(pattern_words))];
}

static void
image_make(struct made_image *m, int id)
{
	int i;

	*m = (struct made_image){ .digest.alg = DIGEST_SHA256 };
	/* Not in the order in which they are made. */
	m->digest.bytes[0] = (uint8_t)roll();
	m->digest.bytes[1] = (uint8_t)id;
	if (!once_in(3))
		m->n_tags = 1 + below(LIST_MAX);
	for (i = 0; i < m->n_tags; i++)
		m->tags[i] = span_of(tag_words[below(ARRAY_LEN(tag_words))]);
	m->pushed = moment();
	if (once_in(2))
		m->pulled = moment();
	if (once_in(4))
		m->restored = moment();
	if (once_in(4)) {
		m->archived = true;
		m->archiving = moment_near(2 * (88 + below(16)));
	}
	m->held = once_in(5);
	m->held_by_active = m->held && once_in(2);
	m->subject_here = once_in(6);
}

static void
world_make(struct world *w, bool extensions)
{
	int i;

	policy_make(&w->policy, extensions);
	w->n = below(IMAGES_MAX + 1);
	for (i = 0; i <= w->n; i++)
		image_make(&w->images[i], i);
}

static void
world_free_of_indexes(struct world *w)
{
	int i;

	for (i = 0; i <= w->n; i++)
		w->images[i].held = w->images[i].held_by_active = false;
}

/* --- its text ------------------------------------------------------------ */

static void
selection_write(struct buf *b, const struct rule *r)
{
	static const char *const which[] = { "any", "tagged", "untagged" };
	static const char *const by[] = { "imageCountMoreThan",
		"sinceImagePushed", "sinceImagePulled",
		"sinceImageTransitioned", "sinceImagePushedAndPulled" };
	int i;

	buf_printf(b, "{\"tagStatus\":\"%s\"", which[r->which]);
	for (i = 0; i < r->n_list; i++)
		buf_printf(b, "%s\"%s\"",
		    i > 0	  ? ","
		    : r->patterns ? ",\"tagPatternList\":["
				  : ",\"tagPrefixList\":[",
		    r->list[i]);
	if (r->n_list > 0)
		buf_char(b, ']');
	if (r->archive || once_in(2))
		buf_printf(b, ",\"storageClass\":\"%s\"",
		    r->archive ? "archive" : "standard");
	buf_printf(b, ",\"countType\":\"%s\"", by[r->by]);
	if (r->by != BY_NUMBER)
		buf_str(b, ",\"countUnit\":\"days\"");
	buf_printf(b, ",\"countNumber\":%d}", r->number);
}

static void
rule_write(struct buf *b, const struct rule *r)
{
	buf_printf(b, "{\"rulePriority\":%d,\"selection\":", r->priority);
	selection_write(b, r);
	buf_printf(b, ",\"action\":{\"type\":%s}}",
	    r->archives ? "\"transition\",\"targetStorageClass\":\"archive\""
			: "\"expire\"");
}

/* From one of the rules on, whichever. */
static void
policy_write(struct buf *b, const struct made_policy *p)
{
	int i, first = below(p->n);

	buf_char(b, '{');
	if (p->keep_last > 0)
		buf_printf(b, "\"keepLast\":%d,", p->keep_last);
	if (p->protects != NULL)
		buf_printf(b, "\"protectTags\":[\"%s\"],", p->protects);
	buf_str(b, "\"rules\":[");
	for (i = 0; i < p->n; i++) {
		if (i > 0)
			buf_char(b, ',');
		rule_write(b, &p->rules[(i + first) % p->n]);
	}
	buf_str(b, "]}");
	buf_char(b, '\0');
	assert_true(buf_ok(b));
}

/* --- what the engine does ------------------------------------------------ */

static void
engine_add(struct lifecycle_run *run, const struct made_image *m)
{
	const struct lifecycle_image image = {
		.digest = m->digest,
		.tags = m->tags,
		.n_tags = (size_t)m->n_tags,
		.storage_class =
		    m->archived ? LIFECYCLE_ARCHIVE : LIFECYCLE_STANDARD,
		.pushed_ms = m->pushed,
		.pulled_ms = m->pulled,
		.archived_ms = m->archiving,
		.activated_ms = m->restored,
		.held = m->held,
		.held_by_active = m->held_by_active,
		.subject_here = m->subject_here,
		.tags_hash = m->digest.bytes[1],
	};

	assert_int_equal(lifecycle_run_add(run, &image), RC_OK);
}

static void
deeds_take(struct lifecycle_run *run, struct deeds *d)
{
	struct lifecycle_verdict v;

	d->n = 0;
	while (lifecycle_run_next(run, &v)) {
		assert_true(d->n <= IMAGES_MAX);
		assert_true(v.tags_hash == v.digest.bytes[1]);
		d->rows[d->n++] = (struct deed){ .digest = v.digest,
			.priority = v.rule->priority,
			.archives = v.rule->action == LIFECYCLE_TRANSITION,
			.held = v.held };
	}
}

/* Of the first ${n} images, in any order. */
static void
engine_does(const struct world *w, int n, struct deeds *d)
{
	struct lifecycle_policy policy;
	struct lifecycle_run *run;
	struct buf text;
	int i, first;

	buf_init(&text, TEXT_BYTES);
	policy_write(&text, &w->policy);
	policy = policy_of(text.p, w->policy.extensions);
	run = lifecycle_run_new(&policy, NOW_MS, (size_t)n);
	first = n > 0 ? below(n) : 0;
	for (i = 0; i < n; i++)
		engine_add(run, &w->images[(i + first) % n]);
	(void)decided(run);
	deeds_take(run, d);
	lifecycle_run_free(&run);
	buf_free(&text);
	arena_reset(&arena);
}

/* --- the same by hand ---------------------------------------------------- */

static bool
glob(const char *pattern, const char *s, size_t n)
{
	if (*pattern == '\0')
		return (n == 0);
	if (*pattern == '*')
		return (glob(pattern + 1, s, n) ||
			(n > 0 && glob(pattern, s + 1, n - 1)));
	return (n > 0 && *s == *pattern && glob(pattern + 1, s + 1, n - 1));
}

static bool
has_tag_like(const struct made_image *m, const char *like, bool pattern)
{
	size_t n = strlen(like);
	struct span tag;
	int i;

	for (i = 0; i < m->n_tags; i++) {
		tag = m->tags[i];
		if (pattern ? glob(like, tag.p, tag.n)
			    : tag.n >= n && strncmp(like, tag.p, n) == 0)
			return (true);
	}
	return (false);
}

static bool
selected(const struct rule *r, const struct made_image *m)
{
	int i;

	if (r->archive != m->archived)
		return (false);
	if (r->which == WITHOUT_TAGS)
		return (m->n_tags == 0 && !m->subject_here);
	/* Every element by some tag. */
	for (i = 0; i < r->n_list; i++)
		if (!has_tag_like(m, r->list[i], r->patterns))
			return (false);
	return (true);
}

static bool
is_younger(const struct made_image *a, const struct made_image *b)
{
	int64_t a_age = NOW_MS - (a->restored != 0 ? a->restored : a->pushed);
	int64_t b_age = NOW_MS - (b->restored != 0 ? b->restored : b->pushed);

	if (a_age != b_age)
		return (a_age < b_age);
	return (memcmp(a->digest.bytes, b->digest.bytes, 32) < 0);
}

static int64_t
last_use(const struct made_image *m)
{
	if (m->restored != 0 && m->restored > m->pulled)
		return (m->restored);
	return (m->pulled != 0 ? m->pulled : m->pushed);
}

/* In milliseconds; -1: so far in the future that it has none. */
static int64_t
age_for(const struct rule *r, const struct made_image *m)
{
	int64_t use_age = NOW_MS - last_use(m), push_age = NOW_MS - m->pushed;

	switch (r->by) {
	case BY_PUSH:
		return (push_age);
	case BY_PULL:
		return (use_age);
	case BY_ARCHIVING:
		return (NOW_MS - m->archiving);
	default:
		return (push_age < use_age ? push_age : use_age);
	}
}

static bool
is_hit(const struct world *w, int n, const struct rule *r,
    const struct made_image *m)
{
	int i, younger = 0;

	if (!selected(r, m))
		return (false);
	if (r->by != BY_NUMBER)
		return (age_for(r, m) > r->number * DAY_MS);
	for (i = 0; i < n; i++)
		younger +=
		    selected(r, &w->images[i]) && is_younger(&w->images[i], m);
	return (younger >= r->number);
}

static bool
selected_before(const struct made_policy *p, const struct rule *r,
    const struct made_image *m)
{
	const struct rule *o;

	for (o = p->rules; o < p->rules + p->n; o++)
		if (o->priority < r->priority && selected(o, m))
			return (true);
	return (false);
}

static bool
is_in_the_way(const struct made_image *m)
{
	return (m->taken_by->archives ? m->held_by_active : m->held);
}

static bool
is_tagged_and_stays(const struct made_image *m)
{
	return (m->n_tags > 0 && !m->archived &&
		(m->taken_by == NULL || is_in_the_way(m)));
}

static bool
is_tagged_and_goes(const struct made_image *m)
{
	return (m->n_tags > 0 && !m->archived && m->taken_by != NULL &&
		!is_in_the_way(m));
}

/* As long as there are too few, one more: the youngest. */
static void
last_ones_keep(struct world *w, int n)
{
	struct made_image *youngest;
	int i, stay;

	for (;;) {
		youngest = NULL;
		for (i = stay = 0; i < n; i++) {
			stay += is_tagged_and_stays(&w->images[i]);
			if (is_tagged_and_goes(&w->images[i]) &&
			    (youngest == NULL ||
				is_younger(&w->images[i], youngest)))
				youngest = &w->images[i];
		}
		if (stay >= w->policy.keep_last || youngest == NULL)
			return;
		youngest->taken_by = NULL;
	}
}

static void
taken_find(struct world *w, int n)
{
	const struct made_policy *p = &w->policy;
	struct made_image *m;
	const struct rule *r;

	for (m = w->images; m < w->images + n; m++) {
		m->taken_by = NULL;
		for (r = p->rules; r < p->rules + p->n; r++)
			if (is_hit(w, n, r, m) && !selected_before(p, r, m))
				m->taken_by = r;
		if (p->protects != NULL && has_tag_like(m, p->protects, true))
			m->taken_by = NULL;
	}
	last_ones_keep(w, n);
}

/* The oldest of those that are left, until none is. */
static void
hand_does(struct world *w, int n, struct deeds *d)
{
	struct made_image *m, *oldest;

	taken_find(w, n);
	for (d->n = 0;; d->n++) {
		oldest = NULL;
		for (m = w->images; m < w->images + n; m++)
			if (m->taken_by != NULL &&
			    (oldest == NULL || is_younger(oldest, m)))
				oldest = m;
		if (oldest == NULL)
			return;
		d->rows[d->n] = (struct deed){ .digest = oldest->digest,
			.priority = oldest->taken_by->priority,
			.archives = oldest->taken_by->archives,
			.held = is_in_the_way(oldest) };
		oldest->taken_by = NULL;
	}
}

/* --- comparing ----------------------------------------------------------- */

static void
deeds_print(const char *who, const struct deeds *d)
{
	int i;

	print_error("%s:", who);
	for (i = 0; i < d->n; i++)
		print_error(" %d:%d%c%s", d->rows[i].digest.bytes[1],
		    (int)d->rows[i].priority, d->rows[i].archives ? 'a' : 'x',
		    d->rows[i].held ? "!" : "");
	print_error("\n");
}

static void
world_print(const struct world *w, int turn)
{
	struct buf text;

	buf_init(&text, TEXT_BYTES);
	policy_write(&text, &w->policy);
	print_error("turn %d, %d images\n%s\n", turn, w->n, text.p);
	buf_free(&text);
}

static bool
deed_same(const struct deed *a, const struct deed *b)
{
	return (digest_eq(&a->digest, &b->digest) &&
		a->priority == b->priority && a->archives == b->archives &&
		a->held == b->held);
}

static bool
deeds_same(const struct deeds *a, const struct deeds *b)
{
	int i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (!deed_same(&a->rows[i], &b->rows[i]))
			return (false);
	return (a->n == b->n);
}

static void
deeds_compare(const struct world *w, int turn, const struct deeds *is,
    const struct deeds *want)
{
	if (deeds_same(is, want))
		return;
	world_print(w, turn);
	deeds_print("is", is);
	deeds_print("should be", want);
	fail();
}

static const struct deed *
deed_of(const struct deeds *d, const struct digest *digest)
{
	int i;

	for (i = 0; i < d->n; i++)
		if (digest_eq(&d->rows[i].digest, digest))
			return (&d->rows[i]);
	return (NULL);
}

static bool
deeds_within(const struct deeds *part, const struct deeds *whole)
{
	const struct deed *d;
	int i;

	for (i = 0; i < part->n; i++) {
		d = deed_of(whole, &part->rows[i].digest);
		if (d == NULL || !deed_same(d, &part->rows[i]))
			return (false);
	}
	return (true);
}

static void
within(const struct world *w, int turn, const struct deeds *part,
    const struct deeds *whole)
{
	if (deeds_within(part, whole))
		return;
	world_print(w, turn);
	deeds_print("not all of", part);
	deeds_print("are in", whole);
	fail();
}

/* --- what holds always --------------------------------------------------- */

static void
the_engine_does_what_the_words_say(void **state)
{
	struct deeds engine, hand;
	struct world w;
	int turn, n = 0;

	(void)state;
	dice = 1;
	for (turn = 0; turn < 2 * TURNS; turn++) {
		world_make(&w, turn % 2 != 0);
		engine_does(&w, w.n, &engine);
		hand_does(&w, w.n, &hand);
		deeds_compare(&w, turn, &engine, &hand);
		n += engine.n;
	}
	/* And it does something. */
	assert_true(n > TURNS);
}

static void
an_image_is_taken_once_at_most(void **state)
{
	struct deeds d;
	struct world w;
	int turn, i;

	(void)state;
	dice = 2;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, turn % 2 != 0);
		engine_does(&w, w.n, &d);
		for (i = 0; i < d.n; i++)
			assert_ptr_equal(
			    deed_of(&d, &d.rows[i].digest), &d.rows[i]);
	}
}

/* Nor do two of them in another order: each time the rules are written, and
 * the images given, from another one on. */
static void
the_order_of_rules_and_images_is_nothing(void **state)
{
	struct deeds d, again;
	struct world w;
	int turn;

	(void)state;
	dice = 3;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, turn % 2 != 0);
		engine_does(&w, w.n, &d);
		engine_does(&w, w.n, &again);
		deeds_compare(&w, turn, &again, &d);
	}
}

static void
one_image_more_changes_nothing_for_ages(void **state)
{
	struct deeds d, more;
	struct world w;
	int turn, i, n = 0;

	(void)state;
	dice = 4;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, false);
		for (i = 0; i < w.policy.n; i++)
			if (w.policy.rules[i].by == BY_NUMBER)
				w.policy.rules[i].by = BY_PUSH;
		engine_does(&w, w.n, &d);
		engine_does(&w, w.n + 1, &more);
		within(&w, turn, &d, &more);
		/* Only the one more may have been added. */
		assert_true(more.n - d.n ==
			    (deed_of(&more, &w.images[w.n].digest) != NULL));
		n += d.n;
	}
	assert_true(n > TURNS);
}

static void
one_image_more_saves_no_other_from_a_count(void **state)
{
	struct deeds d, more;
	struct world w;
	int turn, n = 0;

	(void)state;
	dice = 5;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, false);
		engine_does(&w, w.n, &d);
		engine_does(&w, w.n + 1, &more);
		within(&w, turn, &d, &more);
		/* Each rule that counts gives up one place at most. */
		assert_true(more.n - d.n <= w.policy.n + 1);
		n += more.n - d.n;
	}
	assert_true(n > TURNS / 10);
}

/* What was taken is gone, or in the archive as of now. */
static void
world_do(struct world *w, const struct deeds *d)
{
	const struct deed *deed;
	int i, n = 0;

	for (i = 0; i < w->n; i++) {
		deed = deed_of(d, &w->images[i].digest);
		if (deed != NULL && !deed->archives)
			continue;
		w->images[n] = w->images[i];
		if (deed != NULL) {
			w->images[n].archived = true;
			w->images[n].archiving = NOW_MS;
		}
		n++;
	}
	w->n = n;
}

static void
a_second_run_finds_nothing_to_do(void **state)
{
	struct deeds d, again;
	struct world w;
	int turn;

	(void)state;
	dice = 6;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, turn % 2 != 0);
		world_free_of_indexes(&w);
		engine_does(&w, w.n, &d);
		world_do(&w, &d);
		engine_does(&w, w.n, &again);
		d.n = 0;
		deeds_compare(&w, turn, &again, &d);
	}
}

static int
tagged_in(const struct world *w)
{
	int i, n = 0;

	for (i = 0; i < w->n; i++)
		n += w->images[i].n_tags > 0 && !w->images[i].archived;
	return (n);
}

static void
a_guard_takes_nothing_and_leaves_enough(void **state)
{
	struct deeds d, guarded;
	struct world w;
	int turn, before, saved = 0;

	(void)state;
	dice = 7;
	for (turn = 0; turn < TURNS; turn++) {
		world_make(&w, true);
		world_free_of_indexes(&w);
		w.policy.keep_last = 1 + below(8);
		before = tagged_in(&w);
		engine_does(&w, w.n, &guarded);
		if (w.policy.keep_last < before)
			before = w.policy.keep_last;
		w.policy.keep_last = 0;
		w.policy.protects = NULL;
		engine_does(&w, w.n, &d);
		within(&w, turn, &guarded, &d);
		saved += d.n - guarded.n;
		world_do(&w, &guarded);
		assert_true(tagged_in(&w) >= before);
	}
	assert_true(saved > TURNS / 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_begin, arena_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_engine_does_what_the_words_say),
		TEST(an_image_is_taken_once_at_most),
		TEST(the_order_of_rules_and_images_is_nothing),
		TEST(one_image_more_changes_nothing_for_ages),
		TEST(one_image_more_saves_no_other_from_a_count),
		TEST(a_second_run_finds_nothing_to_do),
		TEST(a_guard_takes_nothing_and_leaves_enough),
	};

	return (
	    cmocka_run_group_tests_name("lifecycle/random", tests, NULL, NULL));
}
