#include "lifecycle/runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/obj.h"
#include "lifecycle_tools.h"
#include "storage/images.h"
#include "storage/repositories.h"
#include "store_tools.h"

/*
 * Policies are carried out in a registry of its own.  What was done, or what
 * would be, is told as in the tables: "A1x B2a", in order.
 */
#define REPO SPAN("team/app")
#define TOLD_BYTES 4096

static struct rig rig;

static int
begin(void **state)
{
	rig_open(&rig);
	return (arena_begin(state));
}

static int
end(void **state)
{
	rig_close(&rig);
	return (arena_end(state));
}

/* --- telling ------------------------------------------------------------- */

struct told {
	char text[TOLD_BYTES];
	size_t n;
	size_t events;
};

static void
tell(struct told *t, const char *before, const struct digest *d,
    int64_t priority, bool archives)
{
	int n;

	t->events++;
	n = snprintf(t->text + t->n, sizeof(t->text) - t->n, "%s%s%c%d%c",
	    t->n > 0 ? " " : "", before, rig_letter(d), (int)priority,
	    archives ? 'a' : 'x');
	assert_true(n > 0 && (size_t)n < sizeof(t->text) - t->n);
	t->n += (size_t)n;
}

/* What happens between two steps of a run. */
typedef void meanwhile_fn(void);

struct run {
	struct told told;
	size_t asked;	   /* how often, whether it is to stop */
	size_t stop_from;  /* which time it is; 0: never */
	size_t stop_after; /* so many events; 0: never */
	size_t meanwhile_at;
	meanwhile_fn *meanwhile;
	bool only_count;
};

static bool
run_asks(void *arg)
{
	struct run *r = arg;

	r->asked++;
	if (r->meanwhile != NULL && r->asked == r->meanwhile_at)
		r->meanwhile();
	return ((r->stop_from > 0 && r->asked >= r->stop_from) ||
		(r->stop_after > 0 && r->told.events >= r->stop_after));
}

static void
run_acted(void *arg, const struct lifecycle_event *e)
{
	struct run *r = arg;

	assert_true(span_eq(e->repository, REPO));
	assert_true(e->revision > 0);
	if (r->only_count)
		r->told.events++;
	else
		tell(&r->told, "", &e->digest, e->priority,
		    e->kind == ACT_ARCHIVE);
}

static struct lifecycle_carry
carry_of(struct run *r)
{
	return ((struct lifecycle_carry){
	    .now_ms = NOW_MS, .stop = run_asks, .acted = run_acted, .arg = r });
}

static struct lifecycle_result
carried(struct run *r, const char *want)
{
	const struct lifecycle_carry carry = carry_of(r);
	struct lifecycle_result result;

	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	if (want != NULL)
		assert_string_equal(r->told.text, want);
	return (result);
}

static struct lifecycle_result
carried_out(const char *want)
{
	struct run r = { .told.n = 0 };

	return (carried(&r, want));
}

static void
done_well(const char *want)
{
	struct lifecycle_result result = carried_out(want);

	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_int_equal(result.why.n, 0);
	assert_int_equal(result.started_ms, NOW_MS);
	assert_true(result.ended_ms >= NOW_MS);
}

/* --- looking ------------------------------------------------------------- */

static bool
look_line(void *arg, const struct lifecycle_line *line)
{
	struct run *r = arg;
	const char change[] = { line->change, '\0' };

	if (r->only_count)
		r->told.events++;
	else
		tell(&r->told, line->change == ' ' ? "" : change, &line->digest,
		    line->priority, line->action == LIFECYCLE_TRANSITION);
	return (r->stop_after == 0 || r->told.events < r->stop_after);
}

static enum rc
look(struct run *r, struct span text, struct span against,
    struct lifecycle_look_sums *sums_r, char why[LIFECYCLE_WHY_BYTES])
{
	const struct lifecycle_look l = {
		.text = text,
		.against = against,
		.grammar.extensions = true,
		.now_ms = NOW_MS,
		.line = look_line,
		.arg = r,
	};

	return (lifecycle_look(rig.m, REPO, &l, sums_r, why));
}

static struct lifecycle_look_sums
looks(struct span text, struct span against, const char *want)
{
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_look_sums sums;
	struct run r = { .told.n = 0 };

	assert_int_equal(look(&r, text, against, &sums, why), RC_OK);
	assert_string_equal(why, "");
	assert_string_equal(r.told.text, want);
	return (sums);
}

static void
policy(const char *text)
{
	assert_int_equal(
	    meta_lifecycle_set(rig.m, REPO, span_of(text), 1000, NULL), RC_OK);
}

static struct lifecycle_status
status(void)
{
	struct lifecycle_status row;

	assert_int_equal(
	    meta_lifecycle_status(rig.m, REPO, &arena, &row), RC_OK);
	return (row);
}

/* --- what is done -------------------------------------------------------- */

static void
what_a_policy_takes_is_gone_and_the_rest_is_there(void **state)
{
	(void)state;
	rig_push(&rig, 'A', "v1", 40);
	rig_push(&rig, 'B', "v2", 20);
	rig_push(&rig, 'C', "", 50);
	rig_push(&rig, 'D', "v3,latest", 35);
	policy(POLICY(RULE("1", UNTAGGED PUSHED("30"), EXPIRE) "," RULE(
	    "2", ANY PUSHED("30"), ARCHIVE)));
	done_well("C1x A2a D2a");
	rig_images(&rig, "aA B aD");
	/* Nothing is left to do. */
	done_well("");
	rig_images(&rig, "aA B aD");
}

static void
an_event_tells_what_the_image_was(void **state)
{
	struct lifecycle_result result;
	struct lifecycle_status row;

	(void)state;
	rig_push(&rig, 'A', "v1,latest", 40);
	rig_push(&rig, 'B', "v2", 20);
	policy(ONE(ANY PUSHED("30"), EXPIRE));
	result = carried_out("A1x");
	assert_int_equal(result.images, 2);
	assert_int_equal(result.expired, 1);
	assert_int_equal(result.archived, 0);
	assert_int_equal(result.held, 0);
	assert_int_equal(result.changed, 0);
	row = status();
	assert_int_equal(row.last.outcome, LIFECYCLE_DONE);
	assert_int_equal(row.last.revision, row.revision);
	assert_int_equal(row.last.images, 2);
	assert_int_equal(row.last.expired, 1);
	assert_int_equal(row.last.started_ms, NOW_MS);
	assert_int_equal(row.evaluated_ms, NOW_MS);
}

/* Of two, one would do: who is told the tags of what went. */
static void
acted_checks_tags(void *arg, const struct lifecycle_event *e)
{
	(*(int *)arg)++;
	assert_int_equal(e->n_tags, 2);
	assert_true(span_is(e->tags[0], "latest"));
	assert_true(span_is(e->tags[1], "v1"));
	assert_int_equal(e->kind, ACT_EXPIRE);
	assert_int_equal(e->priority, 7);
}

static void
an_event_has_the_tags_that_are_gone(void **state)
{
	int told = 0;
	const struct lifecycle_carry carry = {
		.now_ms = NOW_MS, .acted = acted_checks_tags, .arg = &told
	};
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "v1,latest", 40);
	policy(POLICY(RULE("7", ANY PUSHED("30"), EXPIRE)));
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(told, 1);
}

static void
an_index_goes_first_and_its_images_next_time(void **state)
{
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'B', "", 9);
	rig_push(&rig, 'C', "", 9.5);
	rig_push_index(&rig, 'A', "multi", 8, "BC");
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	result = carried_out("A1x");
	assert_int_equal(result.held, 2);
	rig_images(&rig, "B C");
	done_well("C1x B1x");
	rig_images(&rig, "");
}

static void
referrers_of_what_is_here_are_not_untagged(void **state)
{
	(void)state;
	rig_push(&rig, 'A', "app-1", 9);
	rig_push_referrer(&rig, 'B', 9, 'A');
	rig_push_referrer(&rig, 'C', 9, 'Z');
	policy(ONE(UNTAGGED PUSHED("5"), EXPIRE));
	done_well("C1x");
	rig_images(&rig, "A B");
}

static void
pulls_that_were_noted_last_are_seen(void **state)
{
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 100);
	rig_push(&rig, 'B', "b", 100.5);
	policy(ONE(ANY PULLED("90"), ARCHIVE));
	rig_pull(&rig, 'A', 3);
	(void)looks(SPAN_NONE, SPAN_NONE, "B1a");
	rig_push(&rig, 'C', "c", 100);
	rig_pull(&rig, 'C', 3);
	result = carried_out("B1a");
	assert_int_equal(result.changed, 0);
}

/* Its layer is in the archive still. */
static void
what_is_being_restored_is_taken_and_counted_by_no_rule(void **state)
{
	struct lifecycle_look_sums sums;

	(void)state;
	rig_push_large(&rig, 'A', "a", 500);
	rig_archive(&rig, 'A', 400);
	rig_collect(&rig);
	rig_restore(&rig, 'A', 0.1);
	rig_push(&rig, 'B', "b", 9);
	sums = looks(span_of(POLICY(RULE("1", ANY ARCHIVED("90"),
			 EXPIRE) "," RULE("2", ANY PUSHED("5"), EXPIRE))),
	    SPAN_NONE, "B2x");
	assert_int_equal(sums.images, 1);
	(void)looks(span_of(ONE(ANY COUNT("1"), EXPIRE)), SPAN_NONE, "");
	rig_collect(&rig);
	(void)looks(span_of(ONE(ANY COUNT("1"), EXPIRE)), SPAN_NONE, "B1x");
}

static void
extensions_are_carried_out_where_they_are_on(void **state)
{
	struct run r = { .told.n = 0 };
	struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 100);
	rig_push(&rig, 'B', "b", 99);
	rig_push(&rig, 'C', "lts", 98);
	policy(GUARDED("\"keepLast\":2,\"protectTags\":[\"lts\"]",
	    RULE("1", ANY USED("90"), EXPIRE)));
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(result.outcome, LIFECYCLE_FAILED);
	assert_non_null(memmem(result.why.p, result.why.n, "keepLast", 8));
	carry.extensions = true;
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_string_equal(r.told.text, "A1x");
}

/* --- what cannot be carried out ------------------------------------------ */

static void
without_a_policy_there_is_no_run(void **state)
{
	struct run r = { .told.n = 0 };
	const struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;
	enum rc rc;

	(void)state;
	rc =
	    lifecycle_carry_out(rig.m, SPAN("nobody"), &carry, &arena, &result);
	assert_int_equal(rc, RC_NOTFOUND);
	assert_int_equal(result.outcome, LIFECYCLE_NEVER);
	rig_push(&rig, 'A', "a", 100);
	rc = lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result);
	assert_int_equal(rc, RC_MISSING);
	assert_int_equal(result.outcome, LIFECYCLE_NEVER);
}

static void
what_is_no_policy_fails_and_says_why(void **state)
{
	struct lifecycle_result result;
	struct lifecycle_status row;

	(void)state;
	rig_push(&rig, 'A', "a", 100);
	policy(ONE(ANY COUNT("0"), EXPIRE));
	result = carried_out("");
	assert_int_equal(result.outcome, LIFECYCLE_FAILED);
	assert_true(span_has_prefix(result.why,
	    SPAN("the policy cannot be read: numeric instance is lower")));
	row = status();
	assert_int_equal(row.last.outcome, LIFECYCLE_FAILED);
	assert_true(span_eq(row.last.why, result.why));
	/* It is not tried again and again. */
	assert_int_equal(row.evaluated_ms, NOW_MS);
	rig_images(&rig, "A");
}

/* Of a text in which everything is as long as may be. */
static void
a_long_reason_is_cut_between_characters(void **state)
{
	char text[4096] = "{\"rules\":[{",
	     want[] = "the policy cannot be read: ";
	struct lifecycle_result result;
	size_t i, n;

	(void)state;
	rig_push(&rig, 'A', "a", 100);
	for (i = 0; i < 30; i++) {
		n = strlen(text);
		(void)snprintf(text + n, sizeof(text) - n,
		    "\"%02zu\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		    "\xc3\xa4\xc3\xa4\":1,",
		    i);
	}
	n = strlen(text);
	(void)snprintf(text + n, sizeof(text) - n,
	    "\"rulePriority\":1,\"selection\":{},\"action\":{}}]}");
	policy(text);
	result = carried_out("");
	assert_int_equal(result.outcome, LIFECYCLE_FAILED);
	assert_true(span_has_prefix(result.why, span_of(want)));
	assert_true(result.why.n <= LIFECYCLE_RESULT_WHY_MAX);
	for (i = 0; i < result.why.n; i++)
		assert_true((uint8_t)result.why.p[i] != 0xc3 ||
			    (i + 1 < result.why.n &&
				(uint8_t)result.why.p[i + 1] == 0xa4));
}

/* --- between evaluation and deletion ------------------------------------- */

/* The first question is before the page of images, the second before the
 * first batch. */
#define BEFORE_THE_BATCH 2

static struct lifecycle_result
carried_while(meanwhile_fn *meanwhile, const char *want)
{
	struct run r = { .meanwhile = meanwhile,
		.meanwhile_at = BEFORE_THE_BATCH };

	return (carried(&r, want));
}

static void
left_as_changed(meanwhile_fn *meanwhile)
{
	struct lifecycle_result result = carried_while(meanwhile, "B1x");

	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_int_equal(result.expired, 1);
	assert_int_equal(result.changed, 1);
}

static void
tag_a(void)
{
	rig_push(&rig, 'A', "precious", 0.5);
}

static void
tag_other(void)
{
	rig_push(&rig, 'D', "a", 0.5);
}

static void
untag_a(void)
{
	assert_int_equal(meta_tag_delete(rig.m, REPO, SPAN("a")), RC_OK);
}

static void
delete_a(void)
{
	rig_delete(&rig, 'A');
}

static void
push_a_anew(void)
{
	rig_delete(&rig, 'A');
	rig_push(&rig, 'A', "a", 0.5);
}

static void
archive_and_restore_a(void)
{
	rig_archive(&rig, 'A', 0.5);
	rig_restore(&rig, 'A', 0.4);
}

static void
an_image_that_changed_meanwhile_stays(void **state)
{
	static const struct {
		meanwhile_fn *fn;
		const char *left;
	} rows[] = {
		{ tag_a, "A C" },
		{ tag_other, "A C D" },
		{ untag_a, "A C" },
		{ delete_a, "C" },
		{ push_a_anew, "A C" },
		{ archive_and_restore_a, "A C" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		rig_empty(&rig);
		rig_push(&rig, 'A', "a", 9);
		rig_push(&rig, 'B', "b", 8);
		rig_push(&rig, 'C', "c", 1);
		policy(ONE(PATTERNS("\"*\"") PUSHED("5"), EXPIRE));
		left_as_changed(rows[i].fn);
		rig_images(&rig, rows[i].left);
	}
}

static void
pull_a(void)
{
	rig_pull(&rig, 'A', 0.001);
}

static void
a_pull_meanwhile_saves_where_the_rule_asks_for_it(void **state)
{
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 99);
	rig_push(&rig, 'B', "b", 98);
	policy(ONE(ANY PULLED("90"), ARCHIVE));
	result = carried_while(pull_a, "B1a");
	assert_int_equal(result.changed, 1);
	rig_images(&rig, "A aB");
	policy(ONE(ANY PUSHED("90"), EXPIRE));
	result = carried_while(pull_a, "A1x");
	assert_int_equal(result.changed, 0);
	rig_images(&rig, "aB");
}

static void
index_a(void)
{
	rig_push_index(&rig, 'I', "multi", 0.5, "A");
}

static void
an_index_that_comes_meanwhile_holds_its_images(void **state)
{
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	rig_push(&rig, 'B', "b", 8);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	result = carried_while(index_a, "B1x");
	assert_int_equal(result.held, 1);
	rig_images(&rig, "A I");
}

static void
policy_change(void)
{
	policy(ONE(ANY PUSHED("1000"), EXPIRE));
}

static void
policy_delete(void)
{
	struct lifecycle_row row;

	assert_int_equal(
	    meta_lifecycle_delete(rig.m, REPO, &arena, &row), RC_OK);
}

static void
a_policy_that_changes_ends_the_run(void **state)
{
	static meanwhile_fn *const fns[] = { policy_change, policy_delete };
	struct lifecycle_result result;
	struct lifecycle_status row;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(fns); i++) {
		rig_push(&rig, 'A', "a", 9);
		policy(ONE(ANY PUSHED("5"), EXPIRE));
		result = carried_while(fns[i], "");
		assert_int_equal(result.outcome, LIFECYCLE_STOPPED);
		assert_true(span_is(
		    result.why, "the policy was changed or deleted meanwhile"));
		row = status();
		assert_int_equal(row.last.outcome, LIFECYCLE_STOPPED);
		/* The new one has its own time. */
		assert_int_equal(row.evaluated_ms, 0);
		rig_images(&rig, "A");
	}
}

static void
repository_delete(void)
{
	rig_empty(&rig);
}

static void
a_repository_that_goes_ends_the_run(void **state)
{
	struct run r = { .meanwhile = repository_delete,
		.meanwhile_at = BEFORE_THE_BATCH };
	const struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(result.outcome, LIFECYCLE_STOPPED);
	assert_true(
	    span_is(result.why, "the repository was deleted meanwhile"));
}

/* No file of this process grows beyond that. */
static void
files_limit(rlim_t max)
{
	struct rlimit limit;

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
disk_fill(void)
{
	files_limit(0);
}

static void
a_disk_that_fills_up_is_told_and_makes_no_evaluation(void **state)
{
	struct run r = { .meanwhile = disk_fill,
		.meanwhile_at = BEFORE_THE_BATCH };
	const struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;
	enum rc rc;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	rc = lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result);
	files_limit(RLIM_INFINITY);
	assert_int_equal(rc, RC_NOSPACE);
	assert_int_equal(result.outcome, LIFECYCLE_FAILED);
	assert_true(result.unsettled);
	assert_int_equal(status().evaluated_ms, 0);
	rig_images(&rig, "A");
}

/* --- stopping and going on ----------------------------------------------- */

#define MANY (3 * LIFECYCLE_BATCH + 5)

static void
a_run_that_is_stopped_is_done_the_next_time(void **state)
{
	struct run r = { .stop_after = 1, .only_count = true };
	struct lifecycle_result result;
	struct lifecycle_status row;

	(void)state;
	rig_push_many(&rig, MANY, 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	result = carried(&r, NULL);
	assert_int_equal(result.outcome, LIFECYCLE_STOPPED);
	assert_true(span_is(result.why, "it was stopped"));
	assert_int_equal(result.images, MANY);
	assert_int_equal(result.expired, LIFECYCLE_BATCH);
	assert_int_equal(rig_count(&rig), MANY - LIFECYCLE_BATCH);
	row = status();
	assert_int_equal(row.last.outcome, LIFECYCLE_STOPPED);
	assert_int_equal(row.last.expired, LIFECYCLE_BATCH);
	assert_int_equal(row.evaluated_ms, 0);
	r = (struct run){ .only_count = true };
	result = carried(&r, NULL);
	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_int_equal(result.expired, MANY - LIFECYCLE_BATCH);
	assert_int_equal(rig_count(&rig), 0);
}

static void
a_run_that_is_to_stop_at_once_does_nothing(void **state)
{
	struct run r = { .stop_from = 1 };
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	result = carried(&r, "");
	assert_int_equal(result.outcome, LIFECYCLE_STOPPED);
	rig_images(&rig, "A");
}

/* One a second: it would rest for two of them. */
static void
a_run_stops_while_it_rests(void **state)
{
	struct run r = { .stop_after = 1 };
	struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	rig_push(&rig, 'B', "b", 8);
	rig_push(&rig, 'C', "c", 7);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	carry.rate = 1;
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(result.outcome, LIFECYCLE_STOPPED);
	assert_string_equal(r.told.text, "A1x");
	rig_images(&rig, "B C");
}

/* Before the page, before each batch, and between these. */
static void
a_run_asks_while_it_rests(void **state)
{
	struct run r = { .only_count = true };
	struct lifecycle_carry carry = carry_of(&r);
	struct lifecycle_result result;

	(void)state;
	rig_push_many(&rig, LIFECYCLE_BATCH + 1, 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	carry.rate = 4 * LIFECYCLE_BATCH;
	assert_int_equal(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result), RC_OK);
	assert_int_equal(result.expired, LIFECYCLE_BATCH + 1);
	assert_true(r.asked >= 4);
}

static void
acted_crashes(void *arg, const struct lifecycle_event *e)
{
	size_t *left = arg;

	(void)e;
	if (--*left == 0)
		_exit(7);
}

static void
run_and_crash(void)
{
	size_t left = LIFECYCLE_BATCH + 3;
	const struct lifecycle_carry carry = {
		.now_ms = NOW_MS, .acted = acted_crashes, .arg = &left
	};
	struct lifecycle_result result;

	rig_reopen(&rig);
	_exit(
	    lifecycle_carry_out(rig.m, REPO, &carry, &arena, &result) == RC_OK);
}

static void
a_run_that_a_crash_has_cut_short_is_done_the_next_time(void **state)
{
	struct run r = { .only_count = true };
	struct lifecycle_result result;
	struct lifecycle_status row;
	int how;
	pid_t child;

	(void)state;
	rig_push_many(&rig, MANY, 9);
	policy(ONE(ANY PUSHED("5"), EXPIRE));
	rig_shut(&rig);
	assert_true((child = fork()) != -1);
	if (child == 0)
		run_and_crash();
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 7);
	rig_reopen(&rig);
	row = status();
	assert_int_equal(row.last.outcome, LIFECYCLE_RUNNING);
	assert_int_equal(row.evaluated_ms, 0);
	assert_int_equal(rig_count(&rig), MANY - 2 * LIFECYCLE_BATCH);
	result = carried(&r, NULL);
	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_int_equal(result.expired, MANY - 2 * LIFECYCLE_BATCH);
	assert_int_equal(rig_count(&rig), 0);
}

/* --- many ---------------------------------------------------------------- */

#define THOUSANDS 2000

static void
thousands_of_images_are_read_and_done(void **state)
{
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_result result;
	struct run r = { .only_count = true };

	(void)state;
	rig_push_many(&rig, THOUSANDS, 9);
	policy(ONE(ANY COUNT("700"), EXPIRE));
	assert_int_equal(look(&r, SPAN_NONE, SPAN_NONE, &sums, why), RC_OK);
	assert_int_equal(sums.images, THOUSANDS);
	assert_int_equal(sums.expiring, THOUSANDS - 700);
	assert_int_equal(r.told.events, THOUSANDS - 700);
	r.told.events = 0;
	result = carried(&r, NULL);
	assert_int_equal(result.outcome, LIFECYCLE_DONE);
	assert_int_equal(result.images, THOUSANDS);
	assert_int_equal(result.expired, THOUSANDS - 700);
	assert_int_equal(r.told.events, THOUSANDS - 700);
	assert_int_equal(rig_count(&rig), 700);
}

/* --- looking changes nothing --------------------------------------------- */

static void
a_look_tells_what_then_happens(void **state)
{
	static const char *const policies[] = {
		ONE(ANY PUSHED("10"), EXPIRE),
		ONE(ANY COUNT("4"), EXPIRE),
		ONE(UNTAGGED COUNT("1"), EXPIRE),
		ONE(PATTERNS("\"t*1\"") COUNT("1"), ARCHIVE),
		ONE(ANY PULLED("8"), ARCHIVE),
		POLICY(RULE("1", PREFIXES("\"t\"") COUNT("6"), EXPIRE) "," RULE(
		    "2", ANY PUSHED("2"), ARCHIVE)),
		POLICY(RULE("1", PREFIXES("\"t\",\"u\"") COUNT("1"),
		    EXPIRE) "," RULE("2", UNTAGGED PUSHED("2"),
		    EXPIRE) "," RULE("3", ANY ARCHIVED("95"),
		    EXPIRE) "," RULE("4", ANY COUNT("3"), ARCHIVE)),
	};
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_result result;
	size_t i, events = 0;

	(void)state;
	for (i = 0; i < 4 * ARRAY_LEN(policies); i++) {
		struct run seen = { .told.n = 0 }, done_run = { .told.n = 0 };

		rig_empty(&rig);
		rig_push_some(&rig, i);
		policy(policies[i % ARRAY_LEN(policies)]);
		assert_int_equal(
		    look(&seen, SPAN_NONE, SPAN_NONE, &sums, why), RC_OK);
		result = carried(&done_run, seen.told.text);
		assert_int_equal(result.outcome, LIFECYCLE_DONE);
		assert_int_equal(result.images, sums.images);
		assert_int_equal(result.expired, sums.expiring);
		assert_int_equal(result.archived, sums.transitioning);
		assert_int_equal(result.held, sums.held);
		assert_int_equal(result.changed, 0);
		assert_int_equal(rig_count(&rig), sums.images - sums.expiring);
		events += done_run.told.events;
	}
	assert_true(events > 4 * ARRAY_LEN(policies));
}

static void
a_look_changes_nothing(void **state)
{
	struct lifecycle_look_sums sums;

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	rig_push(&rig, 'B', "", 8);
	rig_push_index(&rig, 'C', "", 7, "B");
	policy(ONE(UNTAGGED PUSHED("5"), EXPIRE));
	sums = looks(SPAN_NONE, SPAN_NONE, "C1x");
	assert_int_equal(sums.images, 3);
	assert_int_equal(sums.expiring, 1);
	assert_int_equal(sums.transitioning, 0);
	assert_int_equal(sums.held, 1);
	sums =
	    looks(span_of(ONE(ANY PUSHED("5"), ARCHIVE)), SPAN_NONE, "A1a C1a");
	assert_int_equal(sums.transitioning, 2);
	assert_int_equal(sums.held, 1);
	rig_images(&rig, "A B C");
	assert_int_equal(status().last.outcome, LIFECYCLE_NEVER);
	assert_int_equal(status().evaluated_ms, 0);
}

static void
a_comparison_tells_the_differences(void **state)
{
	static const char *const old =
	    POLICY(RULE("1", PREFIXES("\"a\"") PUSHED("5"), EXPIRE) "," RULE(
		"2", PREFIXES("\"b\"") PUSHED("5"), EXPIRE) "," RULE("3",
		PREFIXES("\"c\"") PUSHED("5"),
		EXPIRE) "," RULE("4", PREFIXES("\"e\"") PUSHED("5"), EXPIRE));
	static const char *const new =
	    POLICY(RULE("1", PREFIXES("\"a\"") PUSHED("5"), EXPIRE) "," RULE(
		"2", PREFIXES("\"b\"") PUSHED("5"), ARCHIVE) "," RULE("5",
		PREFIXES("\"e\"") PUSHED("5"),
		EXPIRE) "," RULE("6", PREFIXES("\"d\"") PUSHED("5"), EXPIRE));
	struct lifecycle_look_sums sums;

	(void)state;
	rig_push(&rig, 'A', "a", 9.0);
	rig_push(&rig, 'B', "b", 9.1);
	rig_push(&rig, 'C', "c", 9.2);
	rig_push(&rig, 'D', "d", 9.3);
	rig_push(&rig, 'E', "e", 9.4);
	rig_push(&rig, 'F', "f", 9.5);
	sums = looks(span_of(new), span_of(old), "~E5x +D6x -C3x ~B2a");
	assert_int_equal(sums.added, 1);
	assert_int_equal(sums.removed, 1);
	assert_int_equal(sums.altered, 2);
	assert_int_equal(sums.expiring, 3);
	assert_int_equal(sums.transitioning, 1);
	sums = looks(span_of(old), span_of(new), "~E4x -D6x +C3x ~B2x");
	assert_int_equal(sums.expiring, 4);
	(void)looks(span_of(old), span_of(old), "");
	/* With the repository's own, or with none at all. */
	(void)looks(span_of(new), SPAN(""), "+E5x +D6x +B2a +A1x");
	policy(old);
	(void)looks(span_of(new), SPAN(""), "~E5x +D6x -C3x ~B2a");
	(void)looks(SPAN_NONE, span_of(new), "~E4x -D6x +C3x ~B2x");
	(void)looks(SPAN_NONE, SPAN_NONE, "E4x C3x B2x A1x");
}

/* In the same order, whatever makes one young. */
static void
a_comparison_knows_of_restored_and_like_old_ones(void **state)
{
	(void)state;
	rig_push(&rig, 'A', "a", 400);
	rig_archive(&rig, 'A', 300);
	rig_restore(&rig, 'A', 9);
	rig_push(&rig, 'B', "a", 20);
	rig_push(&rig, 'C', "c", 10);
	rig_push(&rig, 'D', "c", 10);
	rig_push(&rig, 'E', "c", 10);
	(void)looks(span_of(ONE(ANY PUSHED("5"), EXPIRE)),
	    span_of(ONE(ANY PUSHED("5"), EXPIRE)), "");
	(void)looks(span_of(ONE(ANY PUSHED("300"), EXPIRE)),
	    span_of(ONE(PREFIXES("\"a\"") PUSHED("5"), EXPIRE)), "-B1x +A1x");
}

static void
a_comparison_knows_images_of_one_time_apart(void **state)
{
	static const char *const old[] = {
		ONE(PREFIXES("\"c1\"") PUSHED("5"), EXPIRE),
		ONE(PREFIXES("\"c2\"") PUSHED("5"), EXPIRE),
		ONE(PREFIXES("\"c3\"") PUSHED("5"), EXPIRE),
	};
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];
	struct run r = { .only_count = true };
	size_t i;

	(void)state;
	rig_push(&rig, 'A', "c1", 10);
	rig_push(&rig, 'B', "c2", 10);
	rig_push(&rig, 'C', "c3", 10);
	for (i = 0; i < ARRAY_LEN(old); i++) {
		assert_int_equal(look(&r, span_of(ONE(ANY PUSHED("5"), EXPIRE)),
				     span_of(old[i]), &sums, why),
		    RC_OK);
		assert_int_equal(sums.added, 2);
		assert_int_equal(sums.removed, 0);
		assert_int_equal(sums.altered, 0);
	}
}

static void
who_has_seen_enough_is_told_the_sums_only(void **state)
{
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];
	struct run r = { .stop_after = 2 };

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	rig_push(&rig, 'B', "b", 8);
	rig_push(&rig, 'C', "c", 7);
	assert_int_equal(look(&r, span_of(ONE(ANY PUSHED("5"), EXPIRE)),
			     SPAN_NONE, &sums, why),
	    RC_OK);
	assert_string_equal(r.told.text, "A1x B1x");
	assert_int_equal(sums.expiring, 3);
}

static void
a_look_that_cannot_be_says_why(void **state)
{
	static const char *const good = ONE(ANY COUNT("1"), EXPIRE);
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];
	struct run r = { .told.n = 0 };

	(void)state;
	assert_int_equal(
	    look(&r, span_of(good), SPAN_NONE, &sums, why), RC_NOTFOUND);
	assert_int_equal(
	    look(&r, SPAN_NONE, SPAN_NONE, &sums, why), RC_NOTFOUND);
	rig_push(&rig, 'A', "a", 9);
	assert_int_equal(
	    look(&r, SPAN_NONE, SPAN_NONE, &sums, why), RC_MISSING);
	assert_string_equal(why, "");
	assert_int_equal(
	    look(&r, SPAN("[]"), SPAN_NONE, &sums, why), RC_INVALID);
	assert_string_equal(why,
	    "the policy: Could not map policyString into LifecyclePolicy. "
	    "(it is not a JSON object)");
	assert_int_equal(
	    look(&r, span_of(good), SPAN("{}"), &sums, why), RC_INVALID);
	assert_string_equal(why,
	    "the policy to compare with: object has missing required "
	    "properties ([\"rules\"])");
	policy("{}");
	assert_int_equal(
	    look(&r, SPAN_NONE, SPAN_NONE, &sums, why), RC_INVALID);
	assert_string_equal(why,
	    "the policy of the repository: object has missing required "
	    "properties ([\"rules\"])");
	assert_int_equal(
	    look(&r, span_of(good), SPAN(""), &sums, why), RC_INVALID);
	assert_true(span_has_prefix(
	    span_of(why), SPAN("the policy of the repository: ")));
}

static bool
stops_at_once(void *arg)
{
	(void)arg;
	return (true);
}

static void
a_look_can_be_stopped(void **state)
{
	struct lifecycle_look l = { .text =
					span_of(ONE(ANY COUNT("1"), EXPIRE)),
		.now_ms = NOW_MS,
		.stop = stops_at_once,
		.line = look_line };
	struct lifecycle_look_sums sums;
	char why[LIFECYCLE_WHY_BYTES];

	(void)state;
	rig_push(&rig, 'A', "a", 9);
	assert_int_equal(
	    lifecycle_look(rig.m, REPO, &l, &sums, why), RC_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_policy_takes_is_gone_and_the_rest_is_there),
		TEST(an_event_tells_what_the_image_was),
		TEST(an_event_has_the_tags_that_are_gone),
		TEST(an_index_goes_first_and_its_images_next_time),
		TEST(referrers_of_what_is_here_are_not_untagged),
		TEST(pulls_that_were_noted_last_are_seen),
		TEST(what_is_being_restored_is_taken_and_counted_by_no_rule),
		TEST(extensions_are_carried_out_where_they_are_on),
		TEST(without_a_policy_there_is_no_run),
		TEST(what_is_no_policy_fails_and_says_why),
		TEST(a_long_reason_is_cut_between_characters),
		TEST(an_image_that_changed_meanwhile_stays),
		TEST(a_pull_meanwhile_saves_where_the_rule_asks_for_it),
		TEST(an_index_that_comes_meanwhile_holds_its_images),
		TEST(a_policy_that_changes_ends_the_run),
		TEST(a_repository_that_goes_ends_the_run),
		TEST(a_disk_that_fills_up_is_told_and_makes_no_evaluation),
		TEST(a_run_that_is_stopped_is_done_the_next_time),
		TEST(a_run_that_is_to_stop_at_once_does_nothing),
		TEST(a_run_stops_while_it_rests),
		TEST(a_run_asks_while_it_rests),
		TEST(a_run_that_a_crash_has_cut_short_is_done_the_next_time),
		TEST(thousands_of_images_are_read_and_done),
		TEST(a_look_tells_what_then_happens),
		TEST(a_look_changes_nothing),
		TEST(a_comparison_tells_the_differences),
		TEST(a_comparison_knows_of_restored_and_like_old_ones),
		TEST(a_comparison_knows_images_of_one_time_apart),
		TEST(who_has_seen_enough_is_told_the_sums_only),
		TEST(a_look_that_cannot_be_says_why),
		TEST(a_look_can_be_stopped),
	};

	log_set_level(LOG_LVL_ERROR);
	return (
	    cmocka_run_group_tests_name("lifecycle/runner", tests, NULL, NULL));
}
