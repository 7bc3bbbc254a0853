#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/span.h"
#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl mirror: repositories elsewhere that are kept in step here.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] mirror ACTION ...\n"
    "Mirrors: repositories of other registries whose tags the server keeps in\n"
    "step with repositories here, on a schedule.\n"
    "\n"
    "  add NAME SOURCE DESTINATION [OPTION]...\n"
    "        SOURCE is HOST[:PORT]/REPOSITORY (http:// in front of it for a\n"
    "        registry without TLS), DESTINATION a repository here. The first\n"
    "        run begins at once, unless --interval is 0\n"
    "  list  which there are\n"
    "  run NAME... | run --all\n"
    "        one run, now; returns when it is through\n"
    "  status [NAME]\n"
    "        the last run and the next one; of one mirror its last 20 runs\n"
    "  remove NAME\n"
    "        what was mirrored stays\n"
    "\n"
    "Which tags (add):\n"
    "  --tag PATTERN      those of this pattern (*, ?, [a-z]); may be "
    "repeated\n"
    "  --regex EXPRESSION also those of this regular expression (POSIX,\n"
    "                     extended); may be repeated\n"
    "  --exclude PATTERN  but not these; may be repeated\n"
    "  --semver RANGE     only versions in this range: \">=1.2 <2 || 3.x\"\n"
    "  --newest N         of all these the N with the highest versions\n"
    "And how:\n"
    "  --platform OS/ARCHITECTURE[/VARIANT]\n"
    "                     of multi-architecture images only these; may be\n"
    "                     repeated\n"
    "  --interval TIME    how often: 30m, 6h, 7d (24h); 0: by \"run\" alone\n"
    "  --delete keep|missing|force\n"
    "                     tags that the source has no more: keep them;\n"
    "                     remove them, but never more than half of them and\n"
    "                     more than 5, and none when the source has no tag at\n"
    "                     all; remove them in any case (keep)\n"
    "  --no-referrers     without signatures and the like\n"
    "  --credential NAME  credentials for the source (registryctl secret put)\n"
    "\n"
    "While it runs a line on the terminal tells how far it is; to a file goes\n"
    "one line for each image.\n"
    "\n"
    "Exit status: 0 done (run: all is in step), 1 failed, 2 wrong usage, 3 "
    "run:\n"
    "some images could not be copied; the others are.\n";

#define LIST_MAX 100

struct arguments {
	const char **words;
	size_t n_words;
	bool all;
	json_t *spec; /* what options said of it */
	bool said;
};

/* --- run ----------------------------------------------------------------- */

static uint64_t
member(const json_t *job, const char *of, const char *key)
{
	return (print_u64(json_object_get(job, of), key));
}

/* How fast it went between two looks, a while apart. */
struct pace {
	char id[64];
	uint64_t at_ms, bytes;
	uint64_t per_s;
};

#define PACE_MS 2000

static uint64_t
pace_of(const json_t *job)
{
	static struct pace pace;
	const char *id = json_string_value(json_object_get(job, "id"));
	uint64_t now_ms = print_u64(job, "duration_ms");
	uint64_t bytes = member(job, "progress", "bytes");

	if (id == NULL || strcmp(pace.id, id) != 0) {
		pace = (struct pace){ .at_ms = now_ms, .bytes = bytes };
		(void)snprintf(
		    pace.id, sizeof(pace.id), "%s", id != NULL ? id : "");
	} else if (now_ms >= pace.at_ms + PACE_MS) {
		pace.per_s =
		    (bytes - pace.bytes) * 1000 / (now_ms - pace.at_ms);
		pace.at_ms = now_ms;
		pace.bytes = bytes;
	}
	if (pace.per_s == 0 && now_ms > 0)
		return (bytes * 1000 / now_ms);
	return (pace.per_s);
}

static void
run_progress(const json_t *job)
{
	char done[PRINT_BYTES_ROOM], all[PRINT_BYTES_ROOM];
	char fast[PRINT_BYTES_ROOM], eta[PRINT_DURATION_ROOM];
	uint64_t bytes = member(job, "progress", "bytes");
	uint64_t total = member(job, "progress", "bytes_total");
	uint64_t per_s = pace_of(job);

	if (json_is_true(json_object_get(job, "waiting"))) {
		(void)fputs("\r\033[Kwaiting for other runs", stderr);
		(void)fflush(stderr);
		return;
	}
	(void)fprintf(stderr,
	    "\r\033[K%" PRIu64 " of %" PRIu64 " images, %" PRIu64 " of %" PRIu64
	    " layers, %s of %s, %s/s",
	    member(job, "progress", "images"),
	    member(job, "progress", "images_total"),
	    member(job, "progress", "blobs"),
	    member(job, "progress", "blobs_total"), print_bytes(bytes, done),
	    print_bytes(total, all), print_bytes(per_s, fast));
	if (per_s > 0 && total > bytes)
		(void)fprintf(stderr, ", %s left",
		    print_duration((total - bytes) * 1000 / per_s, eta));
	(void)fflush(stderr);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

static void
image_line(const json_t *image)
{
	char room[PRINT_BYTES_ROOM];

	(void)printf("%-8s ", text_of(image, "outcome"));
	print_text(text_of(image, "tag"));
	if (strcmp(text_of(image, "outcome"), "copied") == 0)
		(void)printf(" %s: %" PRIu64 " layer%s, %s",
		    text_of(image, "digest"), print_u64(image, "blobs"),
		    print_u64(image, "blobs") == 1 ? "" : "s",
		    print_bytes(print_u64(image, "bytes"), room));
	/* What is said of none of them has no tag. */
	if (text_of(image, "why")[0] != '\0') {
		if (text_of(image, "tag")[0] != '\0')
			(void)fputs(": ", stdout);
		print_text(text_of(image, "why"));
	}
	(void)putchar('\n');
}

/* People at a terminal want to hear of what changes. */
static void
run_news(const json_t *fresh)
{
	bool terse = isatty(STDOUT_FILENO);
	const json_t *image;
	size_t i;

	json_array_foreach(fresh, i, image)
	{
		if (!terse || strcmp(text_of(image, "outcome"), "same") != 0)
			image_line(image);
	}
}

static void
run_show(const json_t *job)
{
	char room[PRINT_BYTES_ROOM];
	uint64_t deleted = member(job, "totals", "deleted");
	uint64_t failed = member(job, "totals", "failed");

	print_text(text_of(job, "name"));
	(void)printf(": %" PRIu64 " of %" PRIu64 " tags, %" PRIu64
		     " the same, %" PRIu64 " copied",
	    member(job, "totals", "selected"), member(job, "totals", "tags"),
	    member(job, "totals", "same"), member(job, "totals", "copied"));
	if (deleted > 0)
		(void)printf(", %" PRIu64 " deleted", deleted);
	if (failed > 0)
		(void)printf(", %" PRIu64 " failed", failed);
	(void)printf(" (%" PRIu64 " layers, %s) in %.1f s\n",
	    member(job, "totals", "blobs"),
	    print_bytes(member(job, "totals", "bytes"), room),
	    (double)print_u64(job, "duration_ms") / 1000);
}

static enum ctl_exit
run_code(const json_t *job)
{
	uint64_t failed = member(job, "totals", "failed");
	enum ctl_exit code = work_code(job, "the run");

	if (code != CTL_OK || failed == 0)
		return (code);
	ctl_say("mirror %s: %" PRIu64 " failed: see above, or the log of the "
		"server",
	    text_of(job, "name"), failed);
	return (CTL_PROBLEMS);
}

/* Failed is worse than some that failed. */
static enum ctl_exit
worse(enum ctl_exit a, enum ctl_exit b)
{
	if (a == CTL_FAILED || b == CTL_FAILED)
		return (CTL_FAILED);
	return (a != CTL_OK ? a : b);
}

static enum ctl_exit
run_one(struct work *w, const struct ctl *ctl, const char *name, json_t *jobs)
{
	char *path =
	    work_path("/control/mirrors/run", "name", name, (const char *)NULL);
	const struct work_job j = {
		.path = path,
		.list = "images",
		.what = "the run",
		.progress = run_progress,
		.news = run_news,
	};
	enum ctl_exit code = CTL_FAILED;
	json_t *job;

	if ((job = work_run(w, ctl, &j)) != NULL) {
		if (ctl->output == CTL_TEXT)
			run_show(job);
		code = run_code(job);
		must(json_array_append(jobs, job) == 0);
	}
	json_decref(job);
	free(path);
	return (code);
}

static enum ctl_exit
run_names(struct work *w, const struct ctl *ctl, const json_t *names)
{
	enum ctl_exit code = CTL_OK, shown = CTL_OK;
	json_t *jobs = json_array();
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		code =
		    worse(code, run_one(w, ctl, json_string_value(name), jobs));
	}
	if (ctl->output == CTL_JSON)
		shown = print_json(json_array_size(jobs) == 1
				       ? json_array_get(jobs, 0)
				       : jobs);
	json_decref(jobs);
	return (print_done(shown) == CTL_OK ? code : CTL_FAILED);
}

static json_t *
mirrors_ask(struct work *w)
{
	return (work_ask(w, "GET", "/control/mirrors", NULL));
}

static enum ctl_exit
run_all(struct work *w, const struct ctl *ctl)
{
	json_t *doc = mirrors_ask(w), *names;
	enum ctl_exit code;
	const json_t *m;
	size_t i;

	if (doc == NULL)
		return (CTL_FAILED);
	names = json_array();
	json_array_foreach(json_object_get(doc, "mirrors"), i, m)
	{
		must(json_array_append(names, json_object_get(m, "name")) == 0);
	}
	code = run_names(w, ctl, names);
	json_decref(names);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
run_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *names;
	enum ctl_exit code;
	size_t i;

	if (a->all)
		return (run_all(w, ctl));
	names = json_array();
	for (i = 0; i < a->n_words; i++)
		must(json_array_append_new(names, json_string(a->words[i])) ==
		     0);
	code = run_names(w, ctl, names);
	json_decref(names);
	return (code);
}

/* --- add and remove ------------------------------------------------------ */

static enum ctl_exit
add_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	static const char *const keys[] = { "name", "source", "destination" };
	json_t *doc, *v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++) {
		if ((v = json_string(a->words[i])) == NULL)
			ctl_usage(ctl, "%s: not UTF-8", a->words[i]);
		must(json_object_set_new(a->spec, keys[i], v) == 0);
	}
	doc = work_ask(w, "POST", "/control/mirrors", a->spec);
	return (work_told(ctl, doc, "added mirror", a->words[0]));
}

static enum ctl_exit
remove_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	char *path = work_path(
	    "/control/mirrors", "name", a->words[0], (const char *)NULL);
	json_t *doc = work_ask(w, "DELETE", path, NULL);

	free(path);
	return (work_told(ctl, doc, "removed mirror", a->words[0]));
}

/* --- list and status ----------------------------------------------------- */

static const struct print_column list_columns[] = {
	{ "NAME", "name" },
	{ "SOURCE", "source" },
	{ "DESTINATION", "destination" },
	{ "TAGS", "which" },
	{ "EVERY", "every" },
	{ "DELETE", "delete" },
	{ "FROM", "from" },
};

static const struct print_column status_columns[] = {
	{ "NAME", "name" },
	{ "LAST RUN", "started" },
	{ "OUTCOME", "outcome" },
	{ "SAME", "same", PRINT_NUMBER },
	{ "COPIED", "copied", PRINT_NUMBER },
	{ "DELETED", "deleted", PRINT_NUMBER },
	{ "FAILED", "failed", PRINT_NUMBER },
	{ "SIZE", "bytes", PRINT_SIZE },
	{ "NEXT RUN", "next" },
	{ "WHY", "why" },
};

static const struct print_column history_columns[] = {
	{ "STARTED", "started" },
	{ "BY", "by" },
	{ "OUTCOME", "outcome" },
	{ "SAME", "same", PRINT_NUMBER },
	{ "COPIED", "copied", PRINT_NUMBER },
	{ "DELETED", "deleted", PRINT_NUMBER },
	{ "FAILED", "failed", PRINT_NUMBER },
	{ "LAYERS", "blobs", PRINT_NUMBER },
	{ "SIZE", "bytes", PRINT_SIZE },
	{ "WHY", "why" },
};

static void
words_add(struct buf *out, const char *before, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		buf_printf(out, "%s%s%s", out->n > 0 ? " " : "", before,
		    json_string_value(one));
	}
}

/* "3.* -*-rc >=3.18 newest 5" */
static json_t *
which_text(const json_t *m)
{
	uint64_t newest = print_u64(m, "newest");
	struct buf out;
	json_t *text;

	buf_init(&out, (size_t)1 << 20);
	words_add(&out, "", json_object_get(m, "tags"));
	words_add(&out, "~", json_object_get(m, "tags-regex"));
	words_add(&out, "!", json_object_get(m, "exclude"));
	if (text_of(m, "semver")[0] != '\0')
		buf_printf(
		    &out, "%s%s", out.n > 0 ? " " : "", text_of(m, "semver"));
	if (newest > 0)
		buf_printf(
		    &out, "%snewest %" PRIu64, out.n > 0 ? " " : "", newest);
	text = out.n > 0 && buf_ok(&out) ? json_stringn(out.p, out.n)
					 : json_string("all");
	buf_free(&out);
	return (text);
}

static void
list_row(json_t *m)
{
	char room[PRINT_DURATION_ROOM];
	uint64_t ms = print_u64(m, "interval_ms");

	must(json_object_set_new(m, "which", which_text(m)) == 0);
	must(json_object_set_new(m, "every",
		 json_string(
		     ms > 0 ? print_duration(ms, room) : "when asked")) == 0);
	must(json_object_set_new(m, "from",
		 json_string(json_is_true(json_object_get(m, "configured"))
				 ? "configuration"
				 : "registryctl")) == 0);
}

/* What the last run came to stands beside the name. */
static void
status_row(json_t *m)
{
	const json_t *last = json_object_get(m, "last");

	if (json_is_object(last)) {
		(void)json_object_update_missing(m, (json_t *)(uintptr_t)last);
	} else {
		must(json_object_set_new(
			 m, "outcome", json_string("never ran")) == 0);
	}
	if (json_is_string(json_object_get(m, "running")))
		must(json_object_set_new(
			 m, "outcome", json_string("running")) == 0);
	if (text_of(m, "why")[0] == '\0')
		(void)json_object_del(m, "why");
}

static enum ctl_exit
table_do(struct ctl *ctl, struct work *w, void (*row)(json_t *),
    const struct print_column *columns, size_t n)
{
	json_t *doc = mirrors_ask(w), *list, *m;
	enum ctl_exit shown = CTL_OK;
	size_t i;

	if (doc == NULL)
		return (CTL_FAILED);
	list = json_object_get(doc, "mirrors");
	if (ctl->output == CTL_JSON) {
		shown = print_json(doc);
	} else if (json_array_size(list) == 0) {
		(void)puts("there are no mirrors");
	} else {
		json_array_foreach(list, i, m)
		{
			row(m);
		}
		print_table(list, columns, n);
	}
	json_decref(doc);
	return (print_done(shown));
}

static enum ctl_exit
list_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	(void)a;
	return (
	    table_do(ctl, w, list_row, list_columns, ARRAY_LEN(list_columns)));
}

static const json_t *
mirror_named(const json_t *doc, const char *name)
{
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(doc, "mirrors"), i, m)
	{
		if (strcmp(text_of(m, "name"), name) == 0)
			return (m);
	}
	return (NULL);
}

static void
history_show(json_t *m, const json_t *runs)
{
	static const struct print_column fields[] = {
		{ "name", "name" },
		{ "source", "source" },
		{ "destination", "destination" },
		{ "tags", "which" },
		{ "every", "every" },
		{ "delete", "delete" },
		{ "credential", "credential" },
		{ "from", "from" },
		{ "running", "running" },
		{ "next run", "next" },
	};
	json_t *run;
	size_t i;

	list_row(m);
	print_fields(m, fields, ARRAY_LEN(fields));
	json_array_foreach(runs, i, run)
	{
		if (text_of(run, "why")[0] == '\0')
			(void)json_object_del(run, "why");
	}
	(void)putchar('\n');
	if (json_array_size(runs) == 0)
		(void)puts("it never ran");
	else
		print_table(runs, history_columns, ARRAY_LEN(history_columns));
}

static enum ctl_exit
status_of_one(struct ctl *ctl, struct work *w, const char *name)
{
	char *path = work_path(
	    "/control/mirrors/history", "name", name, (const char *)NULL);
	json_t *history = work_ask(w, "GET", path, NULL), *doc = NULL, *m;
	enum ctl_exit code = CTL_FAILED;

	free(path);
	if (history != NULL)
		doc = mirrors_ask(w);
	m = json_deep_copy(mirror_named(doc, name));
	if (m != NULL && ctl->output == CTL_JSON) {
		must(json_object_set(
			 m, "runs", json_object_get(history, "runs")) == 0);
		code = print_done(print_json(m));
	} else if (m != NULL) {
		history_show(m, json_object_get(history, "runs"));
		code = print_done(CTL_OK);
	}
	json_decref(m);
	json_decref(doc);
	json_decref(history);
	return (code);
}

static enum ctl_exit
status_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	if (a->n_words > 0)
		return (status_of_one(ctl, w, a->words[0]));
	return (table_do(
	    ctl, w, status_row, status_columns, ARRAY_LEN(status_columns)));
}

/* --- the command line ---------------------------------------------------- */

enum own_code {
	OPT_TAG = 256,
	OPT_REGEX,
	OPT_EXCLUDE,
	OPT_SEMVER,
	OPT_NEWEST,
	OPT_PLATFORM,
	OPT_INTERVAL,
	OPT_DELETE,
	OPT_NO_REFERRERS,
	OPT_CREDENTIAL,
	OPT_ALL,
};

static const struct option own[] = {
	{ "tag", required_argument, NULL, OPT_TAG },
	{ "regex", required_argument, NULL, OPT_REGEX },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "semver", required_argument, NULL, OPT_SEMVER },
	{ "newest", required_argument, NULL, OPT_NEWEST },
	{ "platform", required_argument, NULL, OPT_PLATFORM },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "delete", required_argument, NULL, OPT_DELETE },
	{ "no-referrers", no_argument, NULL, OPT_NO_REFERRERS },
	{ "credential", required_argument, NULL, OPT_CREDENTIAL },
	{ "all", no_argument, NULL, OPT_ALL },
	{ NULL, 0, NULL, 0 },
};

static json_t *
argument(const struct ctl *ctl)
{
	json_t *v = json_string(optarg);

	if (v == NULL)
		ctl_usage(ctl, "%s: not UTF-8", optarg);
	return (v);
}

static void
list_add(const struct ctl *ctl, json_t *spec, const char *key)
{
	json_t *list = json_object_get(spec, key);

	if (list == NULL) {
		list = json_array();
		must(json_object_set_new(spec, key, list) == 0);
	}
	must(json_array_append_new(list, argument(ctl)) == 0);
}

static void
text_set(const struct ctl *ctl, json_t *spec, const char *key)
{
	must(json_object_set_new(spec, key, argument(ctl)) == 0);
}

static void
newest_set(const struct ctl *ctl, json_t *spec)
{
	uint64_t n;

	if (num_u64(span_of(optarg), 1000000, &n) != RC_OK || n == 0)
		ctl_usage(
		    ctl, "--newest %s: must be a number from 1 on", optarg);
	must(json_object_set_new(spec, "newest", json_integer((json_int_t)n)) ==
	     0);
}

static void
option_take(const struct ctl *ctl, struct arguments *a, int code)
{
	if (code == OPT_ALL) {
		a->all = true;
		return;
	}
	a->said = true;
	switch ((enum own_code)code) {
	case OPT_TAG:
		list_add(ctl, a->spec, "tags");
		break;
	case OPT_REGEX:
		list_add(ctl, a->spec, "tags-regex");
		break;
	case OPT_EXCLUDE:
		list_add(ctl, a->spec, "exclude");
		break;
	case OPT_PLATFORM:
		list_add(ctl, a->spec, "platforms");
		break;
	case OPT_SEMVER:
		text_set(ctl, a->spec, "semver");
		break;
	case OPT_INTERVAL:
		text_set(ctl, a->spec, "interval");
		break;
	case OPT_DELETE:
		text_set(ctl, a->spec, "delete");
		break;
	case OPT_CREDENTIAL:
		text_set(ctl, a->spec, "credential");
		break;
	case OPT_NEWEST:
		newest_set(ctl, a->spec);
		break;
	case OPT_NO_REFERRERS:
		must(json_object_set_new(a->spec, "referrers", json_false()) ==
		     0);
		break;
	case OPT_ALL:
		break;
	}
}

struct action {
	const char *name;
	size_t min, max; /* words behind it */
	bool options;	 /* takes those of "add" */
	bool all;	 /* takes --all instead of words */
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
};

static const struct action actions[] = {
	{ "add", 3, 3, true, false, add_do },
	{ "list", 0, 0, false, false, list_do },
	{ "run", 1, LIST_MAX, false, true, run_do },
	{ "status", 0, 1, false, false, status_do },
	{ "remove", 1, 1, false, false, remove_do },
};

static const struct action *
action_of(const struct ctl *ctl, const char *name)
{
	size_t i;

	if (name == NULL)
		ctl_usage(ctl, "no action given");
	for (i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(name, actions[i].name) == 0)
			return (&actions[i]);
	ctl_usage(ctl, "there is no action \"%s\"", name);
}

static void
arguments_check(const struct ctl *ctl, const struct action *action,
    const struct arguments *a)
{
	if (a->said && !action->options)
		ctl_usage(ctl, "\"%s\" takes no such option", action->name);
	if (a->all && (!action->all || a->n_words > 0))
		ctl_usage(ctl, "--all is for \"run\" without a name");
	if (!a->all && a->n_words < action->min)
		ctl_usage(ctl, "\"%s\" needs %s", action->name,
		    action->min == 3 ? "a name, a source and a destination"
				     : "a name");
	if (a->n_words > action->max)
		ctl_usage(
		    ctl, "unexpected argument \"%s\"", a->words[action->max]);
}

static enum ctl_exit
mirror_command(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { .spec = json_object() };
	const struct action *action;
	const char *word = NULL, *name = NULL;
	enum ctl_exit code = CTL_FAILED;
	struct work w;
	int got;

	a.words = xcalloc((size_t)argc + 1, sizeof(*a.words));
	while ((got = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (got != 0)
			option_take(ctl, &a, got);
		else if (name == NULL)
			name = word;
		else
			a.words[a.n_words++] = word;
	}
	action = action_of(ctl, name);
	arguments_check(ctl, action, &a);
	ctl_needs_data(ctl);
	if (work_open(&w, ctl)) {
		code = action->run(ctl, &w, &a);
		work_close(&w);
	}
	json_decref(a.spec);
	free(a.words);
	return (code);
}

const struct command command_mirror = {
	.name = "mirror",
	.title = "mirror",
	.summary = "keep repositories of other registries in step here",
	.help = help,
	.run = mirror_command,
};
