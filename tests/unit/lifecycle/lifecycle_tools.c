#include "lifecycle_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

#define TAGS_MAX 8
#define MANY 1000

struct arena arena;

int
arena_begin(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_BYTES);
	return (0);
}

int
arena_end(void **state)
{
	(void)state;
	arena_reset(&arena);
	return (0);
}

struct lifecycle_policy
policy_of(const char *text, bool extensions)
{
	const struct lifecycle_grammar g = { .extensions = extensions };
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy p;

	if (lifecycle_policy_parse(span_of(text), &g, &arena, &p, why) != RC_OK)
		fail_msg("%s\n%s", why, text);
	return (p);
}

int64_t
days_ago(double days)
{
	return (days == 0 ? 0 : NOW_MS - (int64_t)(days * (double)DAY_MS));
}

struct digest
digest_of_letter(char letter)
{
	struct digest d = { .alg = DIGEST_SHA256 };

	memset(d.bytes, letter, 32);
	return (d);
}

void
image_add(struct lifecycle_run *run, const struct image *row)
{
	struct span tags[TAGS_MAX], rest = span_of(row->tags);
	struct lifecycle_image image = {
		.digest = digest_of_letter(row->letter),
		.tags = tags,
		.storage_class =
		    row->archived > 0 ? LIFECYCLE_ARCHIVE : LIFECYCLE_STANDARD,
		.pushed_ms = days_ago(row->pushed),
		.pulled_ms = days_ago(row->pulled),
		.archived_ms = days_ago(row->archived),
		.activated_ms = days_ago(row->restored),
		.held = row->held,
		.held_by_active = row->held_by_active,
		.subject_here = row->subject_here,
	};

	while (span_split(&rest, ',', &tags[image.n_tags])) {
		image.n_tags++;
		assert_true(image.n_tags < TAGS_MAX);
	}
	assert_int_equal(lifecycle_run_add(run, &image), RC_OK);
}

static size_t
verdicts_tell(struct lifecycle_run *run, char *out, size_t room)
{
	struct lifecycle_verdict v;
	size_t n = 0, at = 0;

	out[0] = '\0';
	while (lifecycle_run_next(run, &v)) {
		at += (size_t)snprintf(out + at, room - at, "%s%c%d%c%s",
		    n++ > 0 ? " " : "", v.digest.bytes[0],
		    (int)v.rule->priority,
		    v.rule->action == LIFECYCLE_EXPIRE ? 'x' : 'a',
		    v.held ? "!" : "");
		assert_int_equal(v.storage_class, v.rule->storage_class);
		assert_true(at < room);
	}
	return (n);
}

size_t
decided(struct lifecycle_run *run)
{
	size_t n;

	assert_int_equal(lifecycle_run_decide(run, &n), RC_OK);
	return (n);
}

static void
policy_does(const char *policy, bool extensions, const struct image *rows,
    size_t n, const char *want)
{
	struct lifecycle_policy p = policy_of(policy, extensions);
	struct lifecycle_run *run;
	size_t i, n_verdicts;
	char told[512];
	int turn;

	for (turn = 0; turn < 2; turn++) {
		run = lifecycle_run_new(&p, NOW_MS, MANY);
		for (i = 0; i < n; i++)
			image_add(run, &rows[turn == 0 ? i : n - 1 - i]);
		n_verdicts = decided(run);
		assert_int_equal(
		    verdicts_tell(run, told, sizeof(told)), n_verdicts);
		lifecycle_run_free(&run);
		assert_null(run);
		if (strcmp(told, want) != 0)
			fail_msg("%s\ndoes \"%s\" instead of \"%s\"", policy,
			    told, want);
	}
}

void
done(const char *policy, const struct image *rows, size_t n, const char *want)
{
	policy_does(policy, false, rows, n, want);
}

void
extended_done(
    const char *policy, const struct image *rows, size_t n, const char *want)
{
	policy_does(policy, true, rows, n, want);
}
