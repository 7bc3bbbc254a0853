#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "base/thread.h"
#include "tests/unit/base/dies.h"

static int64_t
read_arg(void *arg)
{
	return (*(int64_t *)arg);
}

static int64_t depth = -3;
static _Atomic uint64_t buckets[METRIC_BUCKETS + 1];

static struct metric gets = {
	.name = "registryd_requests_total",
	.help = "Requests.",
	.labels = "method=\"GET\"",
	.kind = METRIC_COUNTER,
};
static struct metric puts_ = {
	.name = "registryd_requests_total",
	.help = "Requests.",
	.labels = "method=\"PUT\"",
	.kind = METRIC_COUNTER,
};
static struct metric queue = {
	.name = "registryd_queue_depth",
	.help = "A \\ and a\nline feed.",
	.labels = "",
	.kind = METRIC_GAUGE,
	.read = read_arg,
	.arg = &depth,
};
static struct metric latency = {
	.name = "registryd_request_seconds",
	.help = "Latency.",
	.labels = "route=\"blob\"",
	.kind = METRIC_HISTOGRAM,
	.buckets = buckets,
};

/* Registered out of order: the render must bring names together. */
static int
setup(void **state)
{
	(void)state;
	metric_register(&gets);
	metric_register(&queue);
	metric_register(&latency);
	metric_register(&puts_);
	return (0);
}

static void
rendered(struct buf *b)
{
	buf_init(b, 100000);
	metric_render(b);
	buf_char(b, '\0');
	assert_true(buf_ok(b));
}

static void
names_stand_together_under_one_head(void **state)
{
	struct buf b;

	(void)state;
	metric_add(&gets, 5);
	metric_add(&gets, 2);
	metric_add(&puts_, 1);
	rendered(&b);
	assert_ptr_equal(
	    strstr(b.p, "# HELP registryd_requests_total Requests.\n"
			"# TYPE registryd_requests_total counter\n"
			"registryd_requests_total{method=\"GET\"} 7\n"
			"registryd_requests_total{method=\"PUT\"} 1\n"
			"# HELP registryd_queue_depth A \\\\ and a\\nline "
			"feed.\n"
			"# TYPE registryd_queue_depth gauge\n"
			"registryd_queue_depth -3\n"
			"# HELP registryd_request_seconds Latency.\n"
			"# TYPE registryd_request_seconds histogram\n"
			"registryd_request_seconds_bucket{route=\"blob\","
			"le=\"0.001\"} "),
	    b.p);
	buf_free(&b);
}

static void
a_bucket_counts_all_that_took_no_longer(void **state)
{
	struct buf b;

	(void)state;
	metric_observe_us(&latency, 0);
	metric_observe_us(&latency, 1000); /* the bound belongs to it */
	metric_observe_us(&latency, 1001);
	metric_observe_us(&latency, 1500000);
	metric_observe_us(&latency, 60000000);
	metric_observe_us(&latency, 60000001);
	metric_observe_us(&latency, UINT64_C(3600000000));
	rendered(&b);
#define ROW(le, n) \
	assert_non_null(strstr(b.p, \
	    "registryd_request_seconds_bucket{route=\"blob\",le=\"" le \
	    "\"} " n "\n"))
	ROW("0.001", "2");
	ROW("0.0025", "3");
	ROW("1", "3");
	ROW("2.5", "4");
	ROW("30", "4");
	ROW("60", "5");
	ROW("+Inf", "7");
	assert_non_null(strstr(b.p,
	    "registryd_request_seconds_sum{route=\"blob\"} 3721.502002\n"));
	assert_non_null(
	    strstr(b.p, "registryd_request_seconds_count{route=\"blob\"} 7\n"));
	buf_free(&b);
}

static void
count_up(void *arg)
{
	int i;

	for (i = 0; i < 10000; i++)
		metric_add(arg, 1);
}

static void
no_count_is_lost_between_threads(void **state)
{
	int64_t before = atomic_load(&puts_.value);
	pthread_t t[4];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(
		    thread_start("count", count_up, &puts_, &t[i]), RC_OK);
	for (i = 0; i < ARRAY_LEN(t); i++)
		thread_join(t[i]);
	assert_int_equal(atomic_load(&puts_.value) - before, 40000);
}

static void
register_twice(void)
{
	static struct metric again = {
		.name = "registryd_queue_depth",
		.help = "",
		.labels = "",
		.kind = METRIC_GAUGE,
	};

	metric_register(&again);
}

static void
register_other_kind(void)
{
	static struct metric other = {
		.name = "registryd_queue_depth",
		.help = "",
		.labels = "x=\"y\"",
		.kind = METRIC_COUNTER,
	};

	metric_register(&other);
}

static void
register_bare_histogram(void)
{
	static struct metric bare = {
		.name = "registryd_bare",
		.help = "",
		.labels = "",
		.kind = METRIC_HISTOGRAM,
	};

	metric_register(&bare);
}

static void
a_wrong_registration_aborts(void **state)
{
	(void)state;
	assert_true(dies(register_twice));
	assert_true(dies(register_other_kind));
	assert_true(dies(register_bare_histogram));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stand_together_under_one_head),
		cmocka_unit_test(a_bucket_counts_all_that_took_no_longer),
		cmocka_unit_test(no_count_is_lost_between_threads),
		cmocka_unit_test(a_wrong_registration_aborts),
	};

	return (
	    cmocka_run_group_tests_name("base/metrics", tests, setup, NULL));
}
