#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "lifecycle/policy.h"
#include "registryctl/command.h"
#include "registryctl/input.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl lifecycle: policies are checked, looked at, carried out.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] lifecycle ACTION "
    "...\n"
    "Lifecycle policies of repositories: which images expire or are archived.\n"
    "\n"
    "  run [--repository NAME]\n"
    "        carry out the policy of a repository, or of all, now; returns "
    "when\n"
    "        it is through\n"
    "  preview REPOSITORY [--policy FILE] [--diff | --against FILE] "
    "[--summary]\n"
    "          [--extensions]\n"
    "        what the repository's policy would do; nothing is changed\n"
    "  status [--repository NAME]\n"
    "        when policies ran and will run, and what came of it\n"
    "  lint [--extensions] FILE...\n"
    "        are these policies? Needs no server\n"
    "\n"
    "  --repository NAME  run, status: of this repository only\n"
    "  --policy FILE      preview: not the repository's policy, but this one\n"
    "  --diff             preview: only what --policy would do otherwise than\n"
    "                     the repository's own: + only --policy, - only the\n"
    "                     other, ~ both, by different rules\n"
    "  --against FILE     preview: the same, compared with the policy of FILE\n"
    "  --summary          preview: no line for each image, only how many each\n"
    "                     rule takes\n"
    "  --extensions       preview, lint: with what ECR does not have "
    "(keepLast,\n"
    "                     protectTags, sinceImagePushedAndPulled, "
    "sinceImagePulled\n"
    "                     with expire)\n"
    "\n"
    "A FILE \"-\" is standard input.\n"
    "\n"
    "Exit status: 0 done, 1 failed (run: also when a policy could not be\n"
    "carried out to its end; lint: a file could not be read), 2 wrong usage,\n"
    "3 lint found a file that is no policy.\n";

#define TEXT_MAX_BYTES ((size_t)LIFECYCLE_POLICY_MAX_BYTES)
#define POLICY_ARENA_BYTES ((size_t)8 << 20)

struct arguments {
	const char **words;
	size_t n_words;
	const char *repository, *policy, *against;
	bool diff, summary, extensions;
};

/* The bytes of a file, as "aws ecr put-lifecycle-policy" would send them; the
 * caller frees them.  False: it has been said why. */
static bool
policy_read(const char *path, struct buf *text_r)
{
	char why[INPUT_WHY_BYTES];

	if (input_file(path, TEXT_MAX_BYTES, text_r, why) == RC_OK)
		return (true);
	ctl_say("%s", why);
	return (false);
}

static bool
is_stdin(const char *path)
{
	return (path != NULL && strcmp(path, "-") == 0);
}

static const char *
name_of(const char *path)
{
	return (is_stdin(path) ? "standard input" : path);
}

/* --- run ----------------------------------------------------------------- */

static uint64_t
total(const json_t *job, const char *key)
{
	return (print_u64(json_object_get(job, "totals"), key));
}

static void
run_progress(const json_t *job)
{
	char room[PRINT_DURATION_ROOM];

	(void)fprintf(stderr,
	    "\r\033[K%s: %llu of %llu repositories are through, %llu images "
	    "expired there, %llu archived",
	    print_duration(print_u64(job, "duration_ms"), room),
	    (unsigned long long)print_u64(job, "repositories"),
	    (unsigned long long)print_u64(job, "repositories_total"),
	    (unsigned long long)total(job, "expired"),
	    (unsigned long long)total(job, "archived"));
	(void)fflush(stderr);
}

static const struct print_column results[] = {
	{ "REPOSITORY", "repository" },
	{ "OUTCOME", "outcome" },
	{ "IMAGES", "images", PRINT_NUMBER },
	{ "EXPIRED", "expired", PRINT_NUMBER },
	{ "ARCHIVED", "archived", PRINT_NUMBER },
	{ "HELD", "held", PRINT_NUMBER },
	{ "CHANGED", "changed", PRINT_NUMBER },
	{ "WHY", "why" },
};

static void
held_show(uint64_t n)
{
	if (n > 0)
		(void)printf("%llu more when the indexes that need them are "
			     "gone\n",
		    (unsigned long long)n);
}

static void
run_totals(const json_t *job)
{
	(void)printf(
	    " in %.1f s: of ", (double)print_u64(job, "duration_ms") / 1000);
	print_count(total(job, "images"), "image", "images");
	(void)printf(" %llu expired, %llu archived\n",
	    (unsigned long long)total(job, "expired"),
	    (unsigned long long)total(job, "archived"));
	held_show(total(job, "held"));
	if (total(job, "changed") > 0)
		(void)printf("%llu changed meanwhile and are left to the next "
			     "run\n",
		    (unsigned long long)total(job, "changed"));
}

/* Also of a run that was cancelled: what is done is done. */
static void
run_show(const json_t *job)
{
	const json_t *rows = json_object_get(job, "results");
	uint64_t dropped = print_u64(job, "results_dropped");
	uint64_t n = print_u64(job, "repositories");

	if (json_array_size(rows) > 0)
		print_table(rows, results, ARRAY_LEN(results));
	if (dropped > 0)
		(void)printf("(%llu more)\n", (unsigned long long)dropped);
	if (n == 0 && work_is_done(job)) {
		(void)puts("no repository has a lifecycle policy");
		return;
	}
	(void)printf("%llu of ", (unsigned long long)(n - total(job, "failed") -
						      total(job, "stopped")));
	print_count(print_u64(job, "repositories_total"), "policy carried out",
	    "policies carried out");
	run_totals(job);
}

static enum ctl_exit
run_code(const json_t *job, const char *what)
{
	enum ctl_exit code = work_code(job, what);
	uint64_t failed = total(job, "failed");
	uint64_t stopped = total(job, "stopped");

	if (code != CTL_OK || failed + stopped == 0)
		return (code);
	if (failed > 0)
		ctl_say("%llu polic%s could not be carried out: see WHY, and "
			"the log of the server",
		    (unsigned long long)failed, failed == 1 ? "y" : "ies");
	if (stopped > 0)
		ctl_say("%llu polic%s not carried out to the end: see WHY",
		    (unsigned long long)stopped,
		    stopped == 1 ? "y was" : "ies were");
	return (CTL_FAILED);
}

static enum ctl_exit
run_done(const struct ctl *ctl, const json_t *job, const char *what)
{
	enum ctl_exit code, shown = CTL_OK;

	if (ctl->output == CTL_JSON)
		shown = print_json(job);
	else
		run_show(job);
	code = run_code(job, what);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

static enum ctl_exit
run_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	struct work_job j = {
		.list = "results",
		.what = "the run",
		.progress = run_progress,
	};
	enum ctl_exit code = CTL_FAILED;
	json_t *job;
	char *path;

	path = work_path("/control/lifecycle/run", "repository", a->repository,
	    (char *)NULL);
	j.path = path;
	if ((job = work_run(w, ctl, &j)) != NULL)
		code = run_done(ctl, job, j.what);
	json_decref(job);
	free(path);
	return (code);
}

/* --- preview ------------------------------------------------------------- */

static void
preview_progress(const json_t *job)
{
	char room[PRINT_DURATION_ROOM];

	(void)fprintf(stderr, "\r\033[K%s: reading the images",
	    print_duration(print_u64(job, "duration_ms"), room));
	(void)fflush(stderr);
}

static const char *
word_of(const json_t *o, const char *key)
{
	const char *word = json_string_value(json_object_get(o, key));

	return (word != NULL ? word : "-");
}

/* The first is left out where nothing is compared.  Tags, of which there may
 * be many, behind all that is aligned. */
static const struct print_column lines[] = {
	{ "", "change" },
	{ "ACTION", "action" },
	{ "RULE", "rule", PRINT_NUMBER },
	{ "PUSHED", "pushed" },
	{ "SIZE", "bytes", PRINT_SIZE },
	{ "DIGEST", "digest" },
	{ "TAGS", "tags" },
};

static const struct print_column sums[] = {
	{ "", "change" },
	{ "RULE", "rule", PRINT_NUMBER },
	{ "ACTION", "action" },
	{ "IMAGES", "images", PRINT_NUMBER },
	{ "SIZE", "bytes", PRINT_SIZE },
};

static bool
same_sum(const json_t *sum, const json_t *line)
{
	return (print_u64(sum, "rule") == print_u64(line, "rule") &&
		strcmp(word_of(sum, "action"), word_of(line, "action")) == 0 &&
		strcmp(word_of(sum, "change"), word_of(line, "change")) == 0);
}

static void
u64_set(json_t *o, const char *key, uint64_t n)
{
	must(json_object_set_new(o, key, json_integer((json_int_t)n)) == 0);
}

/* There are few rules: each sum is looked for from the first on. */
static json_t *
sum_of(json_t *all, const json_t *line)
{
	json_t *sum;
	size_t i;

	json_array_foreach(all, i, sum)
	{
		if (same_sum(sum, line))
			return (sum);
	}
	sum = json_object();
	must(json_object_set(sum, "change", json_object_get(line, "change")) ==
		 0 &&
	     json_object_set(sum, "action", json_object_get(line, "action")) ==
		 0 &&
	     json_array_append_new(all, sum) == 0);
	u64_set(sum, "rule", print_u64(line, "rule"));
	return (sum);
}

/* How many images each rule takes, in the order in which they come up. */
static json_t *
sums_make(const json_t *job)
{
	json_t *all = json_array(), *line, *sum;
	size_t i;

	json_array_foreach(json_object_get(job, "lines"), i, line)
	{
		sum = sum_of(all, line);
		u64_set(sum, "images", print_u64(sum, "images") + 1);
		u64_set(sum, "bytes",
		    print_u64(sum, "bytes") + print_u64(line, "bytes"));
	}
	return (all);
}

static void
table_show(const json_t *rows, const struct print_column *columns, size_t n,
    bool compared)
{
	size_t first = compared ? 0 : 1;

	print_table(rows, columns + first, n - first);
}

static void
preview_lines(const json_t *job, const struct arguments *a, bool compared)
{
	const json_t *rows = json_object_get(job, "lines");
	const json_t *by_rule = json_object_get(job, "rules");
	uint64_t dropped = print_u64(job, "lines_dropped");

	if (json_array_size(rows) == 0)
		return;
	if (!a->summary) {
		table_show(rows, lines, ARRAY_LEN(lines), compared);
		(void)putchar('\n');
	}
	table_show(by_rule, sums, ARRAY_LEN(sums), compared);
	if (dropped > 0)
		(void)printf("(and %llu images that are in none of the above: "
			     "too many to be listed)\n",
		    (unsigned long long)dropped);
	(void)putchar('\n');
}

static void
preview_show(const json_t *job, const struct arguments *a)
{
	bool compared = a->diff || a->against != NULL;
	const json_t *s = json_object_get(job, "sums");

	preview_lines(job, a, compared);
	if (compared)
		(void)printf("compared: %llu more (+), %llu fewer (-), %llu by "
			     "another rule (~)\n",
		    (unsigned long long)print_u64(s, "added"),
		    (unsigned long long)print_u64(s, "removed"),
		    (unsigned long long)print_u64(s, "altered"));
	(void)fputs("of ", stdout);
	print_count(print_u64(s, "images"), "image", "images");
	(void)printf(" %llu would expire, %llu be archived\n",
	    (unsigned long long)print_u64(s, "expiring"),
	    (unsigned long long)print_u64(s, "transitioning"));
	held_show(print_u64(s, "held"));
}

static enum ctl_exit
preview_done(const struct ctl *ctl, json_t *job, const struct arguments *a,
    const char *what)
{
	enum ctl_exit code, shown = CTL_OK;

	must(json_object_set_new(job, "rules", sums_make(job)) == 0);
	if (ctl->output == CTL_JSON) {
		if (a->summary)
			(void)json_object_del(job, "lines");
		shown = print_json(job);
	} else if (work_is_done(job)) {
		preview_show(job, a);
	}
	code = work_code(job, what);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

/* Puts the text of a file into the request.  False: said. */
static bool
policy_add(json_t *body, const char *key, const char *path)
{
	json_t *value = NULL;
	struct buf text;
	size_t n;

	if (path == NULL)
		return (true);
	if (!policy_read(path, &text))
		return (false);
	/* To the server no text is the policy that the repository has. */
	if ((n = text.n) == 0)
		ctl_say("%s is empty", name_of(path));
	else if ((value = json_stringn(text.p, n)) == NULL)
		ctl_say("%s: not UTF-8", name_of(path));
	buf_free(&text);
	if (value == NULL)
		return (false);
	must(json_object_set_new(body, key, value) == 0);
	return (true);
}

/* NULL: said. */
static json_t *
preview_request(const struct arguments *a)
{
	json_t *body = json_object();

	if (a->extensions)
		must(json_object_set_new(body, "extensions", json_true()) == 0);
	if (a->diff)
		must(
		    json_object_set_new(body, "against", json_string("")) == 0);
	if (policy_add(body, "policy", a->policy) &&
	    policy_add(body, "against", a->against))
		return (body);
	json_decref(body);
	return (NULL);
}

static enum ctl_exit
preview_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	struct work_job j = {
		.list = "lines",
		.what = "the preview",
		.progress = preview_progress,
	};
	enum ctl_exit code = CTL_FAILED;
	json_t *body, *job;
	char *path;

	if ((body = preview_request(a)) == NULL)
		return (CTL_FAILED);
	path = work_path("/control/lifecycle/preview", "repository",
	    a->words[0], (char *)NULL);
	j.path = path;
	j.body = body;
	if ((job = work_run(w, ctl, &j)) != NULL)
		code = preview_done(ctl, job, a, j.what);
	json_decref(job);
	json_decref(body);
	free(path);
	return (code);
}

/* --- status -------------------------------------------------------------- */

static const struct print_column states[] = {
	{ "REPOSITORY", "repository" },
	{ "LAST RUN", "last.started" },
	{ "OUTCOME", "last.outcome" },
	{ "EXPIRED", "last.expired", PRINT_NUMBER },
	{ "ARCHIVED", "last.archived", PRINT_NUMBER },
	{ "NEXT RUN", "next" },
	{ "WHY", "last.why" },
};

/* Where the next page goes on; NULL: that was the last.  The caller's. */
static char *
next_after(const json_t *page)
{
	const char *last = json_string_value(json_object_get(page, "last"));

	if (!json_is_true(json_object_get(page, "more")) || last == NULL)
		return (NULL);
	return (xstrdup(last));
}

/* All pages as one. */
static json_t *
status_get(struct work *w, const char *repository)
{
	json_t *all = NULL, *page;
	char *path, *after = NULL;

	do {
		path = work_path("/control/lifecycle/status", "repository",
		    repository, "after", after, (char *)NULL);
		page = work_ask(w, "GET", path, NULL);
		free(path);
		free(after);
		if (page == NULL) {
			json_decref(all);
			return (NULL);
		}
		after = next_after(page);
		if (all == NULL)
			all = json_incref(page);
		else
			must(json_array_extend(json_object_get(all, "policies"),
				 json_object_get(page, "policies")) == 0);
		json_decref(page);
	} while (after != NULL);
	(void)json_object_del(all, "more");
	(void)json_object_del(all, "last");
	return (all);
}

static void
schedule_show(const json_t *doc)
{
	const char *window = json_string_value(json_object_get(doc, "window"));
	uint64_t interval = print_u64(doc, "interval_ms");
	char room[PRINT_DURATION_ROOM];

	if (interval == 0)
		(void)fputs("only when asked for (lifecycle.interval is 0): "
			    "registryctl lifecycle run",
		    stdout);
	else
		(void)printf("every %s", print_duration(interval, room));
	if (interval > 0 && window != NULL && window[0] != '\0')
		(void)printf(", between %s", window);
	if (json_is_true(json_object_get(doc, "extensions")))
		(void)fputs(", with extensions", stdout);
	(void)putchar('\n');
}

static void
status_show(const json_t *doc, const char *repository)
{
	const json_t *rows = json_object_get(doc, "policies");
	const char *running =
	    json_string_value(json_object_get(doc, "running"));
	const json_t *one = json_array_get(rows, 0);

	schedule_show(doc);
	if (running != NULL) {
		(void)fputs("running now: ", stdout);
		print_text(running);
		(void)putchar('\n');
	}
	if (json_array_size(rows) == 0)
		(void)puts("no repository has a lifecycle policy");
	else
		print_table(rows, states, ARRAY_LEN(states));
	if (repository != NULL &&
	    json_is_false(json_object_get(one, "has_policy")))
		(void)puts("it has no lifecycle policy");
}

static enum ctl_exit
status_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	enum ctl_exit code = CTL_OK;
	json_t *doc;

	if ((doc = status_get(w, a->repository)) == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		code = print_json(doc);
	else
		status_show(doc, a->repository);
	json_decref(doc);
	return (print_done(code));
}

/* --- lint ---------------------------------------------------------------- */

struct verdict {
	enum rc rc;
	size_t n_rules;
	bool needs_extensions; /* it would be one with them */
	char why[LIFECYCLE_WHY_BYTES];
};

static enum rc
policy_parse(struct span text, bool extensions, struct verdict *v)
{
	const struct lifecycle_grammar grammar = {
		.max_rules = LIFECYCLE_RULES_MAX,
		.extensions = extensions,
	};
	struct lifecycle_policy policy;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, POLICY_ARENA_BYTES);
	rc = lifecycle_policy_parse(text, &grammar, &arena, &policy, v->why);
	v->n_rules = policy.n_rules;
	if (rc == RC_OK)
		rc = lifecycle_policy_size_check(text, v->why);
	if (rc != RC_OK && v->why[0] == '\0')
		(void)snprintf(v->why, sizeof(v->why), "%s", rc_text(rc));
	arena_reset(&arena);
	return (rc);
}

static void
policy_judge(struct span text, bool extensions, struct verdict *v)
{
	struct verdict with;

	v->rc = policy_parse(text, extensions, v);
	v->needs_extensions = v->rc != RC_OK && !extensions &&
			      policy_parse(text, true, &with) == RC_OK;
}

static void
verdict_show(const char *path, const struct verdict *v)
{
	print_text(name_of(path));
	(void)fputs(": ", stdout);
	if (v->rc == RC_OK)
		print_count(v->n_rules, "rule", "rules");
	else
		print_text(v->why);
	if (v->needs_extensions)
		(void)fputs("; a policy with --extensions, for servers with "
			    "lifecycle.extensions: true",
		    stdout);
	(void)putchar('\n');
}

/* What is no UTF-8 cannot stand in JSON. */
static json_t *
string_or_null(const char *text)
{
	json_t *s = text != NULL ? json_string(text) : NULL;

	return (s != NULL ? s : json_null());
}

static void
verdict_add(json_t *all, const char *path, const struct verdict *v)
{
	json_t *one;

	one = json_pack("{s:o, s:b, s:I, s:b, s:o}", "file",
	    string_or_null(path), "valid", v->rc == RC_OK, "rules",
	    (json_int_t)v->n_rules, "needs_extensions", v->needs_extensions,
	    "why", string_or_null(v->rc == RC_OK ? NULL : v->why));
	must(one != NULL && json_array_append_new(all, one) == 0);
}

static enum ctl_exit
file_lint(const struct ctl *ctl, const char *path, bool extensions, json_t *all)
{
	struct verdict v;
	struct buf text;

	if (!policy_read(path, &text))
		return (CTL_FAILED);
	policy_judge(buf_as_span(&text), extensions, &v);
	buf_free(&text);
	if (ctl->output == CTL_JSON)
		verdict_add(all, path, &v);
	else
		verdict_show(path, &v);
	return (v.rc == RC_OK ? CTL_OK : CTL_PROBLEMS);
}

/* All of them are looked at; one that cannot be read weighs more than one that
 * is no policy. */
static enum ctl_exit
lint_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	enum ctl_exit code = CTL_OK, one;
	json_t *all = json_array();
	size_t i;

	(void)w;
	for (i = 0; i < a->n_words; i++) {
		one = file_lint(ctl, a->words[i], a->extensions, all);
		if (code == CTL_OK || one == CTL_FAILED)
			code = one;
	}
	if (ctl->output == CTL_JSON && print_json(all) != CTL_OK)
		code = CTL_FAILED;
	json_decref(all);
	return (print_done(code));
}

/* --- the command --------------------------------------------------------- */

enum takes {
	TAKES_REPOSITORY = 1,
	TAKES_POLICY = 2, /* what it is compared with, how it is shown */
	TAKES_EXTENSIONS = 4,
};

static const struct action {
	const char *name;
	size_t min_words, max_words;
	const char *word; /* what they are */
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
	unsigned takes;
	bool alone; /* needs no server */
} actions[] = {
	{ "run", 0, 0, "", run_do, TAKES_REPOSITORY, false },
	{ "preview", 1, 1, "repository", preview_do,
	    TAKES_POLICY | TAKES_EXTENSIONS, false },
	{ "status", 0, 0, "", status_do, TAKES_REPOSITORY, false },
	{ "lint", 1, SIZE_MAX, "file", lint_do, TAKES_EXTENSIONS, true },
};

enum own_code {
	OPT_REPOSITORY = 256,
	OPT_POLICY,
	OPT_AGAINST,
	OPT_DIFF,
	OPT_SUMMARY,
	OPT_EXTENSIONS,
};

static const struct option own[] = {
	{ "repository", required_argument, NULL, OPT_REPOSITORY },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "against", required_argument, NULL, OPT_AGAINST },
	{ "diff", no_argument, NULL, OPT_DIFF },
	{ "summary", no_argument, NULL, OPT_SUMMARY },
	{ "extensions", no_argument, NULL, OPT_EXTENSIONS },
	{ NULL, 0, NULL, 0 },
};

static void
option_take(struct arguments *a, int code)
{
	if (code == OPT_REPOSITORY)
		a->repository = optarg;
	else if (code == OPT_POLICY)
		a->policy = optarg;
	else if (code == OPT_AGAINST)
		a->against = optarg;
	else if (code == OPT_DIFF)
		a->diff = true;
	else if (code == OPT_SUMMARY)
		a->summary = true;
	else
		a->extensions = true;
}

static void
takes_check(const struct ctl *ctl, const struct action *action,
    const struct arguments *a)
{
	const struct {
		bool given;
		unsigned takes;
		const char *name;
	} rows[] = {
		{ a->repository != NULL, TAKES_REPOSITORY, "--repository" },
		{ a->policy != NULL, TAKES_POLICY, "--policy" },
		{ a->against != NULL, TAKES_POLICY, "--against" },
		{ a->diff, TAKES_POLICY, "--diff" },
		{ a->summary, TAKES_POLICY, "--summary" },
		{ a->extensions, TAKES_EXTENSIONS, "--extensions" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].given && (action->takes & rows[i].takes) == 0)
			ctl_usage(ctl, "lifecycle %s takes no %s", action->name,
			    rows[i].name);
}

/* It is there to be read once. */
static void
stdin_check(const struct ctl *ctl, const struct arguments *a)
{
	size_t i, n = 0;

	n += is_stdin(a->policy);
	n += is_stdin(a->against);
	for (i = 0; i < a->n_words; i++)
		n += is_stdin(a->words[i]);
	if (n > 1)
		ctl_usage(ctl, "standard input (-) can be one of the files "
			       "only");
}

static void
arguments_check(const struct ctl *ctl, const struct action *action,
    const struct arguments *a)
{
	takes_check(ctl, action, a);
	if (a->repository != NULL && a->repository[0] == '\0')
		ctl_usage(ctl, "--repository needs the name of a repository");
	if (a->diff && a->against != NULL)
		ctl_usage(ctl, "--diff compares with the repository's policy, "
			       "--against with another one: not both");
	if (a->diff && a->policy == NULL)
		ctl_usage(ctl, "--diff compares the policy of --policy FILE");
	if (a->n_words < action->min_words)
		ctl_usage(
		    ctl, "lifecycle %s: which %s?", action->name, action->word);
	if (a->n_words > action->max_words)
		ctl_usage(ctl, "unexpected argument \"%s\"%s",
		    a->words[action->max_words],
		    (action->takes & TAKES_REPOSITORY) != 0
			? "; a repository is named with --repository"
			: "");
	stdin_check(ctl, a);
}

static const struct action *
action_find(const struct ctl *ctl, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return (&actions[i]);
	ctl_usage(ctl,
	    "there is no lifecycle action \"%s\": run, preview, status or "
	    "lint?",
	    name);
}

static enum ctl_exit
action_run(
    struct ctl *ctl, const struct action *action, const struct arguments *a)
{
	enum ctl_exit code;
	struct work w;

	arguments_check(ctl, action, a);
	if (action->alone)
		return (action->run(ctl, NULL, a));
	ctl_needs_data(ctl);
	if (!work_open(&w, ctl))
		return (CTL_FAILED);
	code = action->run(ctl, &w, a);
	work_close(&w);
	return (code);
}

static enum ctl_exit
lifecycle_command(struct ctl *ctl, int argc, char **argv)
{
	const struct action *action = NULL;
	struct arguments a = { 0 };
	enum ctl_exit done;
	const char *word;
	int code;

	a.words = xcalloc((size_t)argc + 1, sizeof(*a.words));
	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			option_take(&a, code);
		else if (action == NULL)
			action = action_find(ctl, word);
		else
			a.words[a.n_words++] = word;
	}
	if (action == NULL)
		ctl_usage(ctl, "run, preview, status or lint?");
	done = action_run(ctl, action, &a);
	free(a.words);
	return (done);
}

const struct command command_lifecycle = {
	.name = "lifecycle",
	.title = "lifecycle",
	.summary = "check, preview and carry out lifecycle policies",
	.help = help,
	.run = lifecycle_command,
};
