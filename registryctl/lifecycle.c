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
    "  preview REPOSITORY [--policy FILE] [--diff | --against FILE]\n"
    "        what the repository's policy, or that of FILE, would do; with\n"
    "        --diff what would be different from the repository's own, with\n"
    "        --against from another one: + only this policy, - only the "
    "other,\n"
    "        ~ both, by other rules\n"
    "  status [--repository NAME]\n"
    "        when policies ran and will run, and what came of it\n"
    "  lint FILE...\n"
    "        are these policies? Needs no server; \"-\" is standard input\n"
    "\n"
    "  --extensions    preview, lint: with what ECR does not have (keepLast,\n"
    "                  protectTags, sinceImagePushedAndPulled, "
    "sinceImagePulled\n"
    "                  with expire)\n"
    "\n"
    "Exit status: 0 done, 1 failed (run: also when a policy could not be\n"
    "carried out), 2 wrong usage, 3 lint found problems.\n";

#define TEXT_MAX_BYTES ((size_t)LIFECYCLE_POLICY_MAX_BYTES)
#define POLICY_ARENA_BYTES ((size_t)8 << 20)

struct arguments {
	const char **words;
	size_t n_words;
	const char *repository, *policy, *against;
	bool diff, extensions;
};

/* The policy in a file; the caller frees it.  NULL: it has been said why. */
static char *
policy_read(const char *path)
{
	char why[INPUT_WHY_BYTES];
	struct buf text;

	if (input_file(path, TEXT_MAX_BYTES, &text, why) != RC_OK) {
		ctl_say("%s", why);
		return (NULL);
	}
	/* An editor's last line end is none of the policy's. */
	while (text.n > 0 &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return (buf_take(&text, NULL));
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
	(void)fprintf(stderr,
	    "\r\033[K%llu of %llu repositories, %llu images expired, %llu "
	    "archived",
	    (unsigned long long)print_u64(job, "repositories"),
	    (unsigned long long)print_u64(job, "repositories_total"),
	    (unsigned long long)total(job, "expired"),
	    (unsigned long long)total(job, "archived"));
	(void)fflush(stderr);
}

static const struct print_column results[] = {
	{ "REPOSITORY", "repository" },
	{ "OUTCOME", "outcome" },
	{ "IMAGES", "images" },
	{ "EXPIRED", "expired" },
	{ "ARCHIVED", "archived" },
	{ "HELD", "held" },
	{ "CHANGED", "changed" },
	{ "WHY", "why" },
};

static void
run_show(const json_t *job)
{
	const json_t *rows = json_object_get(job, "results");

	if (json_array_size(rows) > 0)
		print_table(rows, results, ARRAY_LEN(results));
	(void)printf("%zu polic%s carried out in %.1f s: of %llu images %llu "
		     "expired, %llu archived\n",
	    json_array_size(rows), json_array_size(rows) == 1 ? "y" : "ies",
	    (double)print_u64(job, "duration_ms") / 1000,
	    (unsigned long long)total(job, "images"),
	    (unsigned long long)total(job, "expired"),
	    (unsigned long long)total(job, "archived"));
	if (total(job, "held") > 0)
		(void)printf("%llu more when the indexes that need them are "
			     "gone\n",
		    (unsigned long long)total(job, "held"));
	if (total(job, "changed") > 0)
		(void)printf("%llu changed meanwhile and are left to the next "
			     "run\n",
		    (unsigned long long)total(job, "changed"));
}

static enum ctl_exit
run_code(const json_t *job, const char *what)
{
	enum ctl_exit code = work_code(job, what);
	uint64_t failed = total(job, "failed");

	if (code != CTL_OK || failed == 0)
		return (code);
	ctl_say("%llu polic%s could not be carried out",
	    (unsigned long long)failed, failed == 1 ? "y" : "ies");
	return (CTL_FAILED);
}

static enum ctl_exit
job_do(struct ctl *ctl, struct work *w, const struct work_job *j,
    void (*show)(const json_t *),
    enum ctl_exit (*code)(const json_t *, const char *))
{
	enum ctl_exit done, shown = CTL_OK;
	json_t *job;

	if ((job = work_run(w, ctl, j)) == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(job);
	else if (work_code(job, j->what) == CTL_OK)
		show(job);
	done = code(job, j->what);
	if (print_done(shown) != CTL_OK)
		done = CTL_FAILED;
	json_decref(job);
	return (done);
}

static enum ctl_exit
run_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	struct work_job j = {
		.list = "results",
		.what = "the run",
		.progress = run_progress,
	};
	enum ctl_exit code;
	char *path;

	path = work_path("/control/lifecycle/run", "repository", a->repository,
	    (char *)NULL);
	j.path = path;
	code = job_do(ctl, w, &j, run_show, run_code);
	free(path);
	return (code);
}

/* --- preview ------------------------------------------------------------- */

static void
preview_progress(const json_t *job)
{
	(void)job;
	(void)fputs("\r\033[Kreading the images", stderr);
	(void)fflush(stderr);
}

static void
tags_show(const json_t *tags)
{
	json_t *tag;
	size_t i;

	if (json_array_size(tags) == 0)
		(void)putchar('-');
	json_array_foreach(tags, i, tag)
	{
		if (i > 0)
			(void)putchar(',');
		print_text(json_string_value(tag));
	}
}

static const char *
word_of(const json_t *o, const char *key)
{
	const char *word = json_string_value(json_object_get(o, key));

	return (word != NULL ? word : "-");
}

static void
preview_line(const json_t *line)
{
	const char *change = word_of(line, "change");
	char room[PRINT_BYTES_ROOM];

	if (change[0] == '+' || change[0] == '-' || change[0] == '~')
		(void)printf("%c ", change[0]);
	(void)printf("%-7s rule %-4llu %s %s %-10s ", word_of(line, "action"),
	    (unsigned long long)print_u64(line, "rule"),
	    word_of(line, "pushed"), word_of(line, "digest"),
	    print_bytes(print_u64(line, "bytes"), room));
	tags_show(json_object_get(line, "tags"));
	(void)putchar('\n');
}

static void
preview_sums(const json_t *job)
{
	const json_t *s = json_object_get(job, "sums");
	uint64_t dropped = print_u64(job, "lines_dropped");

	if (dropped > 0)
		(void)printf("(%llu more)\n", (unsigned long long)dropped);
	(void)printf("of %llu images %llu would expire, %llu be archived\n",
	    (unsigned long long)print_u64(s, "images"),
	    (unsigned long long)print_u64(s, "expiring"),
	    (unsigned long long)print_u64(s, "transitioning"));
	if (print_u64(s, "held") > 0)
		(void)printf("%llu more when the indexes that need them are "
			     "gone\n",
		    (unsigned long long)print_u64(s, "held"));
}

static void
preview_show(const json_t *job)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(job, "lines"), i, line)
	    preview_line(line);
	preview_sums(job);
}

static void
diff_show(const json_t *job)
{
	const json_t *s = json_object_get(job, "sums");

	preview_show(job);
	(void)printf("compared: %llu more, %llu fewer, %llu otherwise\n",
	    (unsigned long long)print_u64(s, "added"),
	    (unsigned long long)print_u64(s, "removed"),
	    (unsigned long long)print_u64(s, "altered"));
}

/* Puts the text of a file into the request.  False: said. */
static bool
policy_add(json_t *body, const char *key, const char *path)
{
	char *text;
	json_t *value;

	if (path == NULL)
		return (true);
	if ((text = policy_read(path)) == NULL)
		return (false);
	value = json_string(text);
	free(text);
	if (value == NULL) {
		ctl_say("%s: not UTF-8", path);
		return (false);
	}
	must(json_object_set_new(body, key, value) == 0);
	return (true);
}

static enum ctl_exit
preview_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	bool compared = a->diff || a->against != NULL;
	struct work_job j = {
		.list = "lines",
		.what = "the preview",
		.progress = preview_progress,
	};
	enum ctl_exit code = CTL_FAILED;
	json_t *body = json_object();
	char *path;

	path = work_path("/control/lifecycle/preview", "repository",
	    a->words[0], (char *)NULL);
	j.path = path;
	j.body = body;
	if (a->extensions)
		must(json_object_set_new(body, "extensions", json_true()) == 0);
	if (a->diff)
		must(
		    json_object_set_new(body, "against", json_string("")) == 0);
	if (policy_add(body, "policy", a->policy) &&
	    policy_add(body, "against", a->against))
		code = job_do(
		    ctl, w, &j, compared ? diff_show : preview_show, work_code);
	json_decref(body);
	free(path);
	return (code);
}

/* --- status -------------------------------------------------------------- */

static const struct print_column states[] = {
	{ "REPOSITORY", "repository" },
	{ "LAST RUN", "last.started" },
	{ "OUTCOME", "last.outcome" },
	{ "EXPIRED", "last.expired" },
	{ "ARCHIVED", "last.archived" },
	{ "NEXT", "next" },
	{ "WHY", "last.why" },
};

/* All pages as one. */
static json_t *
status_get(struct work *w, const char *repository)
{
	json_t *first = NULL, *page, *rows;
	char *path, *after = NULL;

	for (;;) {
		path = work_path("/control/lifecycle/status", "repository",
		    repository, "after", after, (char *)NULL);
		page = work_ask(w, "GET", path, NULL);
		free(path);
		free(after);
		if (page == NULL) {
			json_decref(first);
			return (NULL);
		}
		rows = json_object_get(page, "policies");
		if (first == NULL)
			first = json_incref(page);
		else
			must(
			    json_array_extend(
				json_object_get(first, "policies"), rows) == 0);
		if (!json_is_true(json_object_get(page, "more")))
			break;
		after = xstrdup(word_of(page, "last"));
		json_decref(page);
	}
	json_decref(page);
	(void)json_object_del(first, "more");
	return (first);
}

static void
status_show(const json_t *doc)
{
	const json_t *rows = json_object_get(doc, "policies");
	const char *running =
	    json_string_value(json_object_get(doc, "running"));
	const char *window = json_string_value(json_object_get(doc, "window"));

	(void)printf("every %.6g h%s%s%s\n",
	    (double)print_u64(doc, "interval_ms") / 3600000,
	    window != NULL && window[0] != '\0' ? ", between " : "",
	    window != NULL ? window : "",
	    json_is_true(json_object_get(doc, "extensions"))
		? ", with extensions"
		: "");
	if (running != NULL) {
		(void)fputs("running now: ", stdout);
		print_text(running);
		(void)putchar('\n');
	}
	if (json_array_size(rows) == 0)
		(void)puts("no lifecycle policies");
	else
		print_table(rows, states, ARRAY_LEN(states));
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
		status_show(doc);
	json_decref(doc);
	return (print_done(code));
}

/* --- lint ---------------------------------------------------------------- */

static bool
policy_lint(const char *path, const char *text, bool extensions)
{
	const struct lifecycle_grammar grammar = {
		.max_rules = LIFECYCLE_RULES_MAX,
		.extensions = extensions,
	};
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy policy;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, POLICY_ARENA_BYTES);
	rc = lifecycle_policy_parse(
	    span_of(text), &grammar, &arena, &policy, why);
	if (rc == RC_OK)
		(void)printf("%s: %zu rule%s\n", path, policy.n_rules,
		    policy.n_rules == 1 ? "" : "s");
	else
		(void)printf(
		    "%s: %s\n", path, why[0] != '\0' ? why : rc_text(rc));
	arena_reset(&arena);
	return (rc == RC_OK);
}

static enum ctl_exit
lint_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	enum ctl_exit code = CTL_OK;
	char *text;
	size_t i;

	(void)ctl;
	(void)w;
	for (i = 0; i < a->n_words; i++) {
		if ((text = policy_read(a->words[i])) == NULL)
			return (CTL_FAILED);
		if (!policy_lint(a->words[i], text, a->extensions))
			code = CTL_PROBLEMS;
		free(text);
	}
	return (print_done(code));
}

/* --- the command --------------------------------------------------------- */

enum takes {
	TAKES_REPOSITORY = 1,
	TAKES_POLICY = 2, /* and what it is compared with */
	TAKES_EXTENSIONS = 4,
};

static const struct action {
	const char *name;
	unsigned takes;
	size_t min_words, max_words;
	const char *word; /* what they are */
	bool alone;	  /* needs no server */
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
} actions[] = {
	{ "run", TAKES_REPOSITORY, 0, 0, "", false, run_do },
	{ "preview", TAKES_POLICY | TAKES_EXTENSIONS, 1, 1, "repository", false,
	    preview_do },
	{ "status", TAKES_REPOSITORY, 0, 0, "", false, status_do },
	{ "lint", TAKES_EXTENSIONS, 1, SIZE_MAX, "file", true, lint_do },
};

enum own_code {
	OPT_REPOSITORY = 256,
	OPT_POLICY,
	OPT_AGAINST,
	OPT_DIFF,
	OPT_EXTENSIONS,
};

static const struct option own[] = {
	{ "repository", required_argument, NULL, OPT_REPOSITORY },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "against", required_argument, NULL, OPT_AGAINST },
	{ "diff", no_argument, NULL, OPT_DIFF },
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
	else
		a->extensions = true;
}

static void
arguments_check(const struct ctl *ctl, const struct action *action,
    const struct arguments *a)
{
	if (a->repository != NULL && (action->takes & TAKES_REPOSITORY) == 0)
		ctl_usage(
		    ctl, "lifecycle %s takes no --repository", action->name);
	if ((a->policy != NULL || a->against != NULL || a->diff) &&
	    (action->takes & TAKES_POLICY) == 0)
		ctl_usage(
		    ctl, "lifecycle %s takes no other policy", action->name);
	if (a->extensions && (action->takes & TAKES_EXTENSIONS) == 0)
		ctl_usage(
		    ctl, "lifecycle %s takes no --extensions", action->name);
	if (a->diff && a->against != NULL)
		ctl_usage(ctl, "--diff compares with the repository's policy, "
			       "--against with another one: not both");
	if (a->diff && a->policy == NULL)
		ctl_usage(ctl, "--diff compares the policy of --policy FILE");
	if (a->n_words < action->min_words)
		ctl_usage(
		    ctl, "lifecycle %s: which %s?", action->name, action->word);
	if (a->n_words > action->max_words)
		ctl_usage(ctl, "unexpected argument \"%s\"",
		    a->words[action->max_words]);
}

static const struct action *
action_find(const struct ctl *ctl, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return (&actions[i]);
	ctl_usage(ctl, "there is no lifecycle action \"%s\"", name);
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
