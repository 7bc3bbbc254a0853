#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl cache: the pull through cache.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] cache ACTION ...\n"
    "The pull through cache: repositories below a prefix are copies of those "
    "of\n"
    "another registry, made when somebody pulls.\n"
    "\n"
    "  add PREFIX UPSTREAM [--upstream-prefix P] [--credential NAME]\n"
    "        images below PREFIX/ come from UPSTREAM (docker.io, ghcr.io,\n"
    "        http://HOST:PORT); PREFIX \"ROOT\": of all repositories that are "
    "not\n"
    "        here. As \"aws ecr create-pull-through-cache-rule\" does\n"
    "  list  the rules\n"
    "  remove PREFIX\n"
    "        what was imported stays\n"
    "  validate PREFIX\n"
    "        does its upstream answer, and take the credentials?\n"
    "  status\n"
    "        how it goes, and what is known of upstreams\n"
    "  evict give up what was not pulled for longest, now, if the cache is\n"
    "        larger than cache.max-bytes; the server does it by itself, too\n"
    "\n"
    "  --upstream-prefix P  add: repositories there are below P/\n"
    "  --credential NAME    add: credentials by name (registryctl secret "
    "put),\n"
    "                       which begins with ecr-pullthroughcache/; without\n"
    "                       it those of the registry itself, if there are any\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 validate: it does not "
    "work.\n";

struct arguments {
	const char *words[3];
	size_t n_words;
	const char *upstream_prefix, *credential;
};

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

/* --- rules --------------------------------------------------------------- */

static void
put(json_t *o, const char *key, const char *text)
{
	if (text != NULL && json_object_set_new(o, key, json_string(text)) != 0)
		ctl_say("%s is not UTF-8 and is left out", key);
}

static enum ctl_exit
add_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *body = json_object(), *doc;

	put(body, "prefix", a->words[0]);
	put(body, "upstream", a->words[1]);
	put(body, "upstream_prefix", a->upstream_prefix);
	put(body, "credential", a->credential);
	doc = work_ask(w, "POST", "/control/cache/rules", body);
	json_decref(body);
	return (work_told(ctl, doc, "added rule", a->words[0]));
}

static enum ctl_exit
remove_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	char *path = work_path(
	    "/control/cache/rules", "prefix", a->words[0], (const char *)NULL);
	json_t *doc = work_ask(w, "DELETE", path, NULL);

	free(path);
	return (work_told(ctl, doc, "removed rule", a->words[0]));
}

static enum ctl_exit
list_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	static const struct print_column columns[] = {
		{ "PREFIX", "prefix" },
		{ "UPSTREAM", "upstream" },
		{ "UPSTREAM PREFIX", "upstream_prefix" },
		{ "CREDENTIAL", "credential" },
	};
	json_t *doc = work_ask(w, "GET", "/control/cache", NULL), *rules;
	enum ctl_exit shown = CTL_OK;

	(void)a;
	if (doc == NULL)
		return (CTL_FAILED);
	rules = json_object_get(doc, "rules");
	if (ctl->output == CTL_JSON)
		shown = print_json(rules);
	else if (json_array_size(rules) == 0)
		(void)puts("there are no rules");
	else
		print_table(rules, columns, ARRAY_LEN(columns));
	json_decref(doc);
	return (print_done(shown));
}

static enum ctl_exit
validate_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	char *path = work_path("/control/cache/validate", "prefix", a->words[0],
	    (const char *)NULL);
	json_t *doc = work_ask(w, "POST", path, NULL);
	enum ctl_exit shown = CTL_OK;
	bool valid;

	free(path);
	if (doc == NULL)
		return (CTL_FAILED);
	valid = json_is_true(json_object_get(doc, "isValid"));
	if (ctl->output == CTL_JSON) {
		shown = print_json(doc);
	} else {
		(void)printf(
		    "%s: %s", a->words[0], valid ? "works" : "does not work: ");
		if (!valid)
			print_text(text_of(doc, "failure"));
		(void)putchar('\n');
	}
	json_decref(doc);
	if (print_done(shown) != CTL_OK)
		return (CTL_FAILED);
	return (valid ? CTL_OK : CTL_PROBLEMS);
}

/* --- how it goes --------------------------------------------------------- */

static void
line(const json_t *o, const char *what, const char *key)
{
	(void)printf("%-34s %" PRIu64 "\n", what, print_u64(o, key));
}

static void
size_line(const json_t *o, const char *what, const char *key)
{
	char room[PRINT_BYTES_ROOM];

	(void)printf("%-34s %s\n", what, print_bytes(print_u64(o, key), room));
}

static void
status_show(const json_t *doc)
{
	static const struct print_column columns[] = {
		{ "UPSTREAM", "url" },
		{ "REQUESTS", "requests", PRINT_NUMBER },
		{ "FAILED", "failures", PRINT_NUMBER },
		{ "RECEIVED", "bytes_in", PRINT_SIZE },
		{ "LIMIT", "limit", PRINT_NUMBER },
		{ "REMAINING", "remaining", PRINT_NUMBER },
		{ "NOT BEFORE", "not_before" },
		{ "LAST FAILURE", "failed" },
		{ "WHY", "failure" },
	};
	const json_t *st = json_object_get(doc, "stats");
	const json_t *settings = json_object_get(doc, "settings");
	const json_t *upstreams = json_object_get(doc, "upstreams");
	char room[PRINT_BYTES_ROOM], age[PRINT_DURATION_ROOM];
	uint64_t max = print_u64(settings, "max_bytes");

	(void)printf("%-34s %s, %s\n", "mode", text_of(settings, "mode"),
	    print_duration(print_u64(settings, "freshness_ms"), age));
	(void)printf("%-34s %s\n", "at most",
	    max > 0 ? print_bytes(max, room) : "no limit");
	line(st, "pulls that asked no upstream", "hits");
	line(st, "pulls served stale", "stale");
	line(st, "manifests imported", "manifests");
	line(st, "tags found the same", "manifests_same");
	line(st, "layers imported", "blobs");
	size_line(st, "bytes of these", "blob_bytes");
	line(st, "layers found in the registry", "adopted");
	line(st, "layers on their way now", "fills");
	line(st, "requests that joined one", "joined");
	line(st, "downloads resumed", "resumed");
	line(st, "failed", "failed");
	line(st, "of another digest", "wrong_digest");
	line(st, "images given up", "evicted");
	size_line(st, "bytes of these", "evicted_bytes");
	if (json_array_size(upstreams) == 0)
		return;
	(void)putchar('\n');
	print_table(upstreams, columns, ARRAY_LEN(columns));
}

/* An empty text is nothing in a table. */
static void
failures_tidy(json_t *doc)
{
	json_t *u;
	size_t i;

	json_array_foreach(json_object_get(doc, "upstreams"), i, u)
	{
		if (text_of(u, "failure")[0] == '\0')
			(void)json_object_del(u, "failure");
	}
}

static enum ctl_exit
status_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	json_t *doc = work_ask(w, "GET", "/control/cache", NULL);
	enum ctl_exit shown = CTL_OK;

	(void)a;
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON) {
		shown = print_json(doc);
	} else {
		failures_tidy(doc);
		status_show(doc);
	}
	json_decref(doc);
	return (print_done(shown));
}

static enum ctl_exit
evict_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	char now[PRINT_BYTES_ROOM], gone[PRINT_BYTES_ROOM];
	json_t *doc = work_ask(w, "POST", "/control/cache/evict", NULL);
	enum ctl_exit shown = CTL_OK;

	(void)a;
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(doc);
	else
		(void)printf("%" PRIu64 " of %" PRIu64
			     " images (%s of %s) given up\n",
		    print_u64(doc, "evicted"), print_u64(doc, "images"),
		    print_bytes(print_u64(doc, "evicted_bytes"), gone),
		    print_bytes(print_u64(doc, "bytes"), now));
	json_decref(doc);
	return (print_done(shown));
}

/* --- the command line ---------------------------------------------------- */

enum own_code { OPT_UPSTREAM_PREFIX = 256, OPT_CREDENTIAL };

static const struct option own[] = {
	{ "upstream-prefix", required_argument, NULL, OPT_UPSTREAM_PREFIX },
	{ "credential", required_argument, NULL, OPT_CREDENTIAL },
	{ NULL, 0, NULL, 0 },
};

struct action {
	const char *name;
	size_t words;
	const char *needs;
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
};

static const struct action actions[] = {
	{ "add", 2, "a prefix and an upstream", add_do },
	{ "list", 0, "", list_do },
	{ "remove", 1, "a prefix", remove_do },
	{ "validate", 1, "a prefix", validate_do },
	{ "status", 0, "", status_do },
	{ "evict", 0, "", evict_do },
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
word_take(const struct ctl *ctl, struct arguments *a, const char *word)
{
	if (a->n_words == ARRAY_LEN(a->words))
		ctl_usage(ctl, "unexpected argument \"%s\"", word);
	a->words[a->n_words++] = word;
}

static enum ctl_exit
cache_command(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { .n_words = 0 };
	const char *word = NULL, *name = NULL;
	enum ctl_exit code = CTL_FAILED;
	const struct action *action;
	struct work w;
	int got;

	while ((got = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (got == OPT_UPSTREAM_PREFIX)
			a.upstream_prefix = optarg;
		else if (got == OPT_CREDENTIAL)
			a.credential = optarg;
		else if (name == NULL)
			name = word;
		else
			word_take(ctl, &a, word);
	}
	action = action_of(ctl, name);
	if (a.n_words < action->words)
		ctl_usage(ctl, "\"%s\" needs %s", action->name, action->needs);
	if (a.n_words > action->words)
		ctl_usage(
		    ctl, "unexpected argument \"%s\"", a.words[action->words]);
	if ((a.upstream_prefix != NULL || a.credential != NULL) &&
	    action->run != add_do)
		ctl_usage(ctl, "\"%s\" takes no such option", action->name);
	ctl_needs_data(ctl);
	if (work_open(&w, ctl)) {
		code = action->run(ctl, &w, &a);
		work_close(&w);
	}
	return (code);
}

const struct command command_cache = {
	.name = "cache",
	.title = "cache",
	.summary = "the pull through cache: rules, upstreams, how it goes",
	.help = help,
	.run = cache_command,
};
