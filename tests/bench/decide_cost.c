/*
 * decide_cost [--threads N] [--ms N]: what a decision costs.
 *
 * A user with 20 statements, as a team may have them: four policies of five
 * statements, each with some actions and a resource of its own, with wildcards
 * and variables; the repository has a policy too.  The last statement is the
 * one that allows, so that all are looked at.  Half of the questions are
 * allowed, half are not.  Asked by N threads at once (2), each of them in
 * turn: without the cache, with it, and without it where the statements have
 * conditions on the address and the time.
 *
 * Prints one JSON object; nanoseconds are those of a thread for one decision:
 * by the clock, which others on the machine lengthen, and of its CPU.
 */

#include <getopt.h>
#include <pthread.h>
#include <time.h>

#include "auth/decide.h"
#include "base/buf.h"
#include "base/thread.h"
#include "tests/bench/bench.h"

#define POLICIES 4
#define STATEMENTS 5 /* of each policy */
#define QUESTIONS 64
#define TURN 256 /* questions between two looks at the clock */

#define OWN "000000000000"

enum way { WAY_UNCACHED, WAY_CACHED, WAY_CONDITIONAL, WAYS };

static struct {
	uint64_t threads;
	int64_t ms;
} opt = { .threads = 2, .ms = 1000 };

struct side {
	struct attached_policy attached[POLICIES];
	struct principal who;
};

static struct side plain, conditional;
static struct policy *repository;
static struct decide_cache *cache;
static char resources[QUESTIONS][128];
static enum way way;
static pthread_barrier_t start;

struct asker {
	pthread_t thread;
	uint64_t decisions, allowed;
	int64_t ns, cpu_ns;
};

struct cost {
	double ns, cpu_ns;
};

/* --- the policies --------------------------------------------------------- */

static void
statement_write(struct buf *b, size_t policy, size_t i, bool conditions)
{
	bool last = policy == POLICIES - 1 && i == STATEMENTS - 1;

	buf_printf(b,
	    "%s{\"Sid\":\"S%zu\",\"Effect\":\"%s\",\"Action\":["
	    "\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\","
	    "\"ecr:BatchCheckLayerAvailability\",\"ecr:Describe*\","
	    "\"ecr:List*\"],\"Resource\":[",
	    i > 0 ? "," : "", i, i == 1 ? "Deny" : "Allow");
	if (last)
		buf_str(b, "\"arn:aws:ecr:*:*:repository/team-*/app-?\"");
	else
		buf_printf(b,
		    "\"arn:aws:ecr:us-east-1:" OWN
		    ":repository/other-%zu-%zu/*\","
		    "\"arn:aws:ecr:*:*:repository/${aws:username}-%zu/*\"",
		    policy, i, i);
	buf_str(b, "]");
	if (conditions)
		buf_str(b, ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":["
			   "\"10.0.0.0/8\",\"203.0.113.0/24\"]},"
			   "\"DateGreaterThan\":{\"aws:CurrentTime\":"
			   "\"2020-01-01T00:00:00Z\"}}");
	buf_str(b, "}");
}

static struct policy *
policy_made(enum policy_kind kind, struct span text)
{
	char why[POLICY_WHY_BYTES];
	struct policy *p;

	if (policy_parse(kind, text, why, &p) != RC_OK)
		bench_die("%s", why);
	return (p);
}

static void
side_make(struct side *s, bool conditions)
{
	struct buf b;
	size_t policy, i;

	buf_init(&b, POLICY_TEXT_MAX_BYTES);
	for (policy = 0; policy < POLICIES; policy++) {
		buf_clear(&b);
		buf_str(&b, "{\"Version\":\"2012-10-17\",\"Statement\":[");
		for (i = 0; i < STATEMENTS; i++)
			statement_write(&b, policy, i, conditions);
		buf_str(&b, "]}");
		s->attached[policy].policy =
		    policy_made(POLICY_IDENTITY, buf_as_span(&b));
		s->attached[policy].label = "bench";
	}
	buf_free(&b);
	s->who = (struct principal){ .kind = PRINCIPAL_USER,
		.account = SPAN(OWN),
		.name = SPAN("build"),
		.arn = SPAN("arn:aws:iam::" OWN ":user/build"),
		.id = SPAN("AIDAEXAMPLEEXAMPLE12"),
		.policies = s->attached,
		.n_policies = POLICIES };
}

static void
questions_make(void)
{
	size_t i;

	for (i = 0; i < QUESTIONS; i++)
		snprintf(resources[i], sizeof(resources[i]),
		    "arn:aws:ecr:us-east-1:" OWN ":repository/%s-%zu/app-%zu",
		    i % 2 == 0 ? "team" : "nobodys", i, i % 10);
	repository = policy_made(POLICY_REPOSITORY,
	    SPAN("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":"
		 "\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"},"
		 "\"Action\":[\"ecr:BatchGetImage\","
		 "\"ecr:GetDownloadUrlForLayer\"]}]}"));
}

/* --- asking --------------------------------------------------------------- */

static void
ask(struct asker *a, struct decide_input *input, size_t i)
{
	static const uint64_t epoch[3] = { 1, 1, 1 };
	struct decision d;

	input->request.resource = span_of(resources[i % QUESTIONS]);
	if (way == WAY_CACHED)
		decide_cached(cache, epoch, input, &d);
	else
		decide(input, &d);
	a->allowed += d.allowed;
	a->decisions++;
}

static int64_t
thread_cpu_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == -1)
		bench_die("clock_gettime: %s", strerror(errno));
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static void
asker_run(void *arg)
{
	struct side *side = way == WAY_CONDITIONAL ? &conditional : &plain;
	struct decide_input input = { .account = SPAN(OWN),
		.repository = repository,
		.request = { .principal = &side->who,
		    .action = SPAN("ecr:BatchGetImage"),
		    .source_ip = SPAN("203.0.113.7"),
		    .user_agent = SPAN("docker/24.0.5"),
		    .now_ms = clock_real_ms() } };
	struct asker *a = arg;
	int64_t began_ns, began_cpu_ns;
	size_t i;

	pthread_barrier_wait(&start);
	began_ns = clock_mono_ns();
	began_cpu_ns = thread_cpu_ns();
	do {
		for (i = 0; i < TURN; i++)
			ask(a, &input, i);
		a->ns = clock_mono_ns() - began_ns;
	} while (a->ns < opt.ms * 1000000);
	a->cpu_ns = thread_cpu_ns() - began_cpu_ns;
}

/* Of one thread for one decision. */
static struct cost
way_measure(enum way which)
{
	struct asker *askers = xcalloc(opt.threads, sizeof(*askers));
	int64_t ns = 0, cpu_ns = 0;
	uint64_t decisions = 0;
	size_t i;

	way = which;
	pthread_barrier_init(&start, NULL, (unsigned)opt.threads);
	for (i = 0; i < opt.threads; i++)
		if (thread_start("asker", asker_run, &askers[i],
			&askers[i].thread) != RC_OK)
			bench_die("no thread to ask");
	for (i = 0; i < opt.threads; i++) {
		thread_join(askers[i].thread);
		if (askers[i].allowed * 2 != askers[i].decisions)
			bench_die("not the answers hoped for");
		decisions += askers[i].decisions;
		ns += askers[i].ns;
		cpu_ns += askers[i].cpu_ns;
	}
	pthread_barrier_destroy(&start);
	free(askers);
	return ((struct cost){ (double)ns / (double)decisions,
	    (double)cpu_ns / (double)decisions });
}

static void
options_read(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "ms", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			opt.threads = bench_number(optarg, "--threads");
		else if (c == 'm')
			opt.ms = (int64_t)bench_number(optarg, "--ms");
		else
			bench_die("usage: decide_cost [--threads N] [--ms N]");
	}
	if (opt.threads == 0 || opt.threads > 256 || optind != argc)
		bench_die("usage: decide_cost [--threads N] [--ms N]");
}

int
main(int argc, char **argv)
{
	static const char *const names[WAYS] = { "uncached", "cached",
		"uncached_conditional" };
	struct cost c;
	int i;

	options_read(argc, argv);
	side_make(&plain, false);
	side_make(&conditional, true);
	questions_make();
	cache = decide_cache_new();
	printf("{\"threads\": %llu, \"statements\": %d",
	    (unsigned long long)opt.threads, POLICIES * STATEMENTS);
	for (i = 0; i < WAYS; i++) {
		c = way_measure((enum way)i);
		printf(", \"%s_ns\": %.1f, \"%s_cpu_ns\": %.1f", names[i], c.ns,
		    names[i], c.cpu_ns);
	}
	printf("}\n");
	return (0);
}
