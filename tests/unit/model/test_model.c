#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "base/num.h"
#include "base/obj.h"
#include "model.h"

/*
 * Sequences of steps that a store and a model of it go through together
 * (model.h).
 *
 *	MODEL_SEED=N		begin with that one
 *	MODEL_COUNT=N		so many, one after another
 *	MODEL_SECONDS=N		for so long, from a seed of the moment
 *	MODEL_FAILURES=N	until so many have failed; 1
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNT 200
#else
#define COUNT 2000
#endif
#define SEED 1
#define STEPS_MIN 60

/* Those that have found something, once. */
struct found {
	uint64_t seed; /* of what is pushed */
	int64_t undelete_ms;
	size_t n;
	struct step steps[16];
};

static const struct found found[] = {
	/* An archived image that comes back from being deleted is still one
	 * whose content is for the archive. */
	{ 1231, 9000000, 8,
	    { { STEP_BEGIN, 0, 0, 3, 242 }, { STEP_CLIENT, 0, 98, 182, 50 },
		{ STEP_CLIENT, 0, 157, 86, 53 },
		{ STEP_ARCHIVE, 0, 33, 32, 78 },
		{ STEP_IMAGE_DELETE, 0, 197, 236, 157 },
		{ STEP_TIME, 4, 77, 169, 193 }, { STEP_COLLECT, 5, 0, 34, 151 },
		{ STEP_UNDELETE, 0, 55, 163, 185 } } },
};

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t n;

	if (text == NULL || num_u64(span_of(text), UINT64_MAX, &n) != RC_OK)
		return (otherwise);
	return (n);
}

static struct shared *
shared_new(void)
{
	struct shared *sh;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(sh, MAP_FAILED);
	return (sh);
}

static bool
sequence_agrees(struct shared *sh)
{
	struct model_result r;

	sequence_run(sh, &r);
	if (r.failed)
		sequence_tell(sh, &r);
	return (!r.failed);
}

static bool
seed_agrees(struct shared *sh, uint64_t seed)
{
	sh->seed = seed;
	steps_make(sh, STEPS_MIN + seed % (STEPS_MAX - STEPS_MIN));
	return (sequence_agrees(sh));
}

static void
sequences_that_found_something_agree_with_the_model(void **state)
{
	struct shared *sh = shared_new();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(found); i++) {
		sh->seed = found[i].seed;
		sh->undelete_ms = found[i].undelete_ms;
		sh->n_steps = found[i].n;
		memcpy(sh->steps, found[i].steps, sizeof(found[i].steps));
		assert_true(sequence_agrees(sh));
	}
	assert_int_equal(munmap(sh, sizeof(*sh)), 0);
}

static void
random_sequences_agree_with_the_model(void **state)
{
	uint64_t seconds = number_of("MODEL_SECONDS", 0);
	time_t begin = time(NULL);
	uint64_t seed =
	    number_of("MODEL_SEED", seconds > 0 ? (uint64_t)begin << 20 : SEED);
	uint64_t n = number_of("MODEL_COUNT", seconds > 0 ? UINT64_MAX : COUNT);
	struct shared *sh = shared_new();
	uint64_t i, failures = number_of("MODEL_FAILURES", 1);

	(void)state;
	for (i = 0; i < n && failures > 0; i++) {
		if (seconds > 0 && (uint64_t)(time(NULL) - begin) >= seconds)
			break;
		if (!seed_agrees(sh, seed + i))
			failures--;
	}
	tally_print(&sh->tally);
	assert_int_equal(failures, number_of("MODEL_FAILURES", 1));
	assert_int_equal(munmap(sh, sizeof(*sh)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    sequences_that_found_something_agree_with_the_model),
		cmocka_unit_test(random_sequences_agree_with_the_model),
	};

	return (cmocka_run_group_tests_name("model", tests, NULL, NULL));
}
