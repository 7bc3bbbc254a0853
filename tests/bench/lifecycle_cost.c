/*
 * lifecycle_cost [--images N] [--rules N]: what a lifecycle policy costs.
 *
 * N images (1,000,000) as build servers push them, one in ten without a tag,
 * and N rules (50) with prefixes, patterns, counts and ages, of which the last
 * one takes any image.  The images are made one by one, beside the clock, so
 * that what is told of the memory is the engine's.
 *
 * Prints one JSON object; seconds are those of the CPU.
 */

#include <getopt.h>
#include <time.h>

#include "base/buf.h"
#include "lifecycle/evaluate.h"
#include "tests/bench/bench.h"

#define DAY_MS INT64_C(86400000)
#define NOW_MS (INT64_C(20000) * DAY_MS)
#define TAGS_MAX 2
#define CHUNK 1000 /* images that are made at once */

static struct {
	uint64_t images, rules;
} opt = { .images = 1000000, .rules = LIFECYCLE_RULES_MAX };

struct made {
	struct lifecycle_image images[CHUNK];
	struct span tags[CHUNK][TAGS_MAX];
	char text[CHUNK][TAGS_MAX][64];
};

static int64_t add_ns, decide_ns, next_ns;

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == -1)
		bench_die("clock_gettime: %s", strerror(errno));
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

/* --- the policy ----------------------------------------------------------- */

static void
rule_write(struct buf *b, size_t i)
{
	static const char *const kinds[] = {
		"\"tagPrefixList\":[\"team-%zu-\"]",
		"\"tagPatternList\":[\"*-%zu.*-release\"]",
		"\"tagPatternList\":[\"team-*-main-*%zu\"]",
		"\"tagPrefixList\":[\"team-\",\"v%zu.\"]",
	};

	buf_printf(
	    b, "%s{\"rulePriority\":%zu,\"selection\":{", i > 1 ? "," : "", i);
	if (i == opt.rules) {
		buf_str(b, "\"tagStatus\":\"any\",");
	} else {
		buf_str(b, "\"tagStatus\":\"tagged\",");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		buf_printf(b, kinds[i % 4], i);
#pragma GCC diagnostic pop
		buf_str(b, ",");
	}
	if (i % 3 == 0)
		buf_str(b, "\"countType\":\"sinceImagePushed\","
			   "\"countUnit\":\"days\",\"countNumber\":100");
	else
		buf_str(b, "\"countType\":\"imageCountMoreThan\","
			   "\"countNumber\":1000");
	buf_str(b, "},\"action\":{\"type\":\"expire\"}}");
}

static struct lifecycle_policy
policy_made(struct arena *arena)
{
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy p;
	struct buf b;
	size_t i;

	buf_init(&b, LIFECYCLE_POLICY_MAX_BYTES);
	buf_str(&b, "{\"rules\":[");
	for (i = 1; i <= opt.rules; i++)
		rule_write(&b, i);
	buf_str(&b, "]}");
	if (lifecycle_policy_parse(buf_as_span(&b), NULL, arena, &p, why) !=
	    RC_OK)
		bench_die("%s", why);
	buf_free(&b);
	return (p);
}

/* --- the images ----------------------------------------------------------- */

static void
image_make(struct made *m, size_t slot, uint64_t i)
{
	struct lifecycle_image *image = &m->images[slot];
	uint64_t mixed = i * 0x9e3779b97f4a7c15u;
	size_t n;

	*image = (struct lifecycle_image){ .digest.alg = DIGEST_SHA256,
		.tags = m->tags[slot],
		.n_tags = i % 10 == 0 ? 0 : 1 + i % 2,
		/* As they come from the store: by digest, not by time. */
		.pushed_ms = NOW_MS - (int64_t)(mixed % 400 * DAY_MS) -
			     (int64_t)(i % 100000) };
	for (n = 0; n < 32; n += 8)
		memcpy(image->digest.bytes + n, &mixed, 8);
	(void)snprintf(m->text[slot][0], sizeof(m->text[slot][0]),
	    "team-%u-main-20240517.%llu", (unsigned)(mixed >> 32) % 60,
	    (unsigned long long)i);
	(void)snprintf(m->text[slot][1], sizeof(m->text[slot][1]),
	    "v%u.%llu-release", (unsigned)(mixed >> 40) % 60,
	    (unsigned long long)i % 1000);
	for (n = 0; n < TAGS_MAX; n++)
		m->tags[slot][n] = span_of(m->text[slot][n]);
}

static void
images_add(struct lifecycle_run *run)
{
	struct made *m = xcalloc(1, sizeof(*m));
	int64_t began_ns;
	uint64_t i;
	size_t slot, n;

	for (i = 0; i < opt.images; i += n) {
		for (n = 0; n < CHUNK && i + n < opt.images; n++)
			image_make(m, n, i + n);
		began_ns = cpu_ns();
		for (slot = 0; slot < n; slot++)
			if (lifecycle_run_add(run, &m->images[slot]) != RC_OK)
				bench_die("an image too many");
		add_ns += cpu_ns() - began_ns;
	}
	free(m);
}

static size_t
verdicts_count(struct lifecycle_run *run)
{
	struct lifecycle_verdict v;
	size_t n, seen = 0;
	int64_t began_ns;

	began_ns = cpu_ns();
	if (lifecycle_run_decide(run, &n) != RC_OK)
		bench_die("no memory to decide");
	decide_ns = cpu_ns() - began_ns;
	began_ns = cpu_ns();
	while (lifecycle_run_next(run, &v))
		seen++;
	next_ns = cpu_ns() - began_ns;
	if (seen != n)
		bench_die("%zu verdicts of %zu", seen, n);
	return (n);
}

static uint64_t
most_memory(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == -1)
		bench_die("getrusage: %s", strerror(errno));
	return ((uint64_t)usage.ru_maxrss * 1024);
}

static void
options_read(int argc, char **argv)
{
	static const struct option options[] = {
		{ "images", required_argument, NULL, 'i' },
		{ "rules", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'i')
			opt.images = bench_number(optarg, "--images");
		else if (c == 'r')
			opt.rules = bench_number(optarg, "--rules");
		else
			bench_die("usage: lifecycle_cost [--images N] "
				  "[--rules N]");
	}
	if (opt.rules == 0 || opt.rules > 500 || optind != argc)
		bench_die("usage: lifecycle_cost [--images N] [--rules N]");
}

int
main(int argc, char **argv)
{
	struct lifecycle_policy policy;
	struct lifecycle_run *run;
	struct arena arena;
	uint64_t before;
	size_t n;

	options_read(argc, argv);
	arena_init(&arena, (size_t)4 << 20);
	policy = policy_made(&arena);
	before = most_memory();
	run = lifecycle_run_new(&policy, NOW_MS, opt.images);
	images_add(run);
	n = verdicts_count(run);
	printf("{\"images\": %llu, \"rules\": %llu, \"verdicts\": %zu, "
	       "\"seconds\": %.3f, \"add_s\": %.3f, \"decide_s\": %.3f, "
	       "\"next_s\": %.3f, \"bytes\": %llu}\n",
	    (unsigned long long)opt.images, (unsigned long long)opt.rules, n,
	    (double)(add_ns + decide_ns + next_ns) / 1e9, (double)add_ns / 1e9,
	    (double)decide_ns / 1e9, (double)next_ns / 1e9,
	    (unsigned long long)(most_memory() - before));
	lifecycle_run_free(&run);
	arena_reset(&arena);
	return (0);
}
