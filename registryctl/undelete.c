#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl undelete: what was deleted comes back, for as long as
 * lifecycle.undelete-window says.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] undelete\n"
    "           [--id ID] REPOSITORY [TAG|DIGEST]\n"
    "       registryctl ... undelete --list [REPOSITORY]\n"
    "Bring back an image that was deleted, by hand or by a lifecycle policy, "
    "or\n"
    "a repository with all that was in it. The server keeps them for as long "
    "as\n"
    "lifecycle.undelete-window says; without it they are gone at once.\n"
    "\n"
    "  REPOSITORY TAG       the image deleted last of those that had the tag\n"
    "  REPOSITORY DIGEST    that image\n"
    "  REPOSITORY           the whole repository, deleted last of that name\n"
    "  --id ID              the repository of that id, of several of one name\n"
    "                       that were deleted\n"
    "  --list               deleted repositories; with a name, the deleted\n"
    "                       images of that repository\n"
    "\n"
    "Tags come back unless another image has them by now; an index brings "
    "back\n"
    "the images that it needs.\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

/* Tags, of which there may be many, behind all that is aligned. */
static const struct print_column images[] = {
	{ "DELETED", "deleted" },
	{ "UNTIL", "until" },
	{ "BY", "why" },
	{ "RULE", "rule", PRINT_NUMBER },
	{ "SIZE", "bytes", PRINT_SIZE },
	{ "DIGEST", "digest" },
	{ "TAGS", "tags" },
};

static const struct print_column repositories[] = {
	{ "REPOSITORY", "name" },
	{ "ID", "id", PRINT_NUMBER },
	{ "DELETED", "deleted" },
	{ "UNTIL", "until" },
	{ "IMAGES", "images", PRINT_NUMBER },
};

/* Where the next page goes on; NULL: that was the last.  The caller's. */
static char *
next_after(const json_t *page, const json_t *rows, const char *key)
{
	const json_t *last, *value;

	if (!json_is_true(json_object_get(page, "more")) ||
	    json_array_size(rows) == 0)
		return (NULL);
	last = json_array_get(rows, json_array_size(rows) - 1);
	value = json_object_get(last, key);
	if (json_is_string(value))
		return (xstrdup(json_string_value(value)));
	return (json_dumps(value, JSON_ENCODE_ANY));
}

/* All pages of a list. */
static json_t *
list_get(struct work *w, const char *path, const char *repository,
    const char *member, const char *key)
{
	json_t *all = json_array(), *page, *rows;
	char *after = NULL, *url;

	do {
		url = work_path(path, "repository", repository, "after", after,
		    (char *)NULL);
		page = work_ask(w, "GET", url, NULL);
		free(url);
		free(after);
		after = NULL;
		if (page == NULL) {
			json_decref(all);
			return (NULL);
		}
		rows = json_object_get(page, member);
		must(json_array_extend(all, rows) == 0);
		after = next_after(page, rows, key);
		json_decref(page);
	} while (after != NULL);
	return (all);
}

/* For how long they are kept explains why there are none. */
static enum ctl_exit
nothing_show(struct work *w, bool of_images)
{
	const char *what = of_images ? "images" : "repositories";
	char room[PRINT_DURATION_ROOM];
	uint64_t window_ms;
	json_t *doc;

	doc = work_ask(w, "GET", "/control/lifecycle/status?n=1", NULL);
	if (doc == NULL)
		return (CTL_FAILED);
	window_ms = print_u64(doc, "undelete_window_ms");
	if (window_ms > 0)
		(void)printf("no %s were deleted in the last %s\n", what,
		    print_duration(window_ms, room));
	else
		(void)printf("no deleted %s: lifecycle.undelete-window is 0, "
			     "so that what is deleted is gone at once\n",
		    what);
	json_decref(doc);
	return (CTL_OK);
}

static enum ctl_exit
list_show(
    const struct ctl *ctl, struct work *w, const json_t *all, bool of_images)
{
	enum ctl_exit code = CTL_OK;

	if (ctl->output == CTL_JSON)
		code = print_json(all);
	else if (json_array_size(all) == 0)
		code = nothing_show(w, of_images);
	else if (of_images)
		print_table(all, images, ARRAY_LEN(images));
	else
		print_table(all, repositories, ARRAY_LEN(repositories));
	return (print_done(code));
}

static enum ctl_exit
list_run(struct ctl *ctl, struct work *w, const char *repository)
{
	enum ctl_exit code = CTL_FAILED;
	json_t *all;

	if (repository != NULL)
		all = list_get(
		    w, "/control/deleted", repository, "images", "digest");
	else
		all = list_get(w, "/control/deleted/repositories", NULL,
		    "repositories", "id");
	if (all != NULL)
		code = list_show(ctl, w, all, repository != NULL);
	json_decref(all);
	return (code);
}

static void
words_show(const char *what, const json_t *words)
{
	json_t *word;
	size_t i;

	if (json_array_size(words) == 0)
		return;
	(void)printf("%s", what);
	json_array_foreach(words, i, word)
	{
		(void)fputs(i > 0 ? ", " : " ", stdout);
		print_text(json_string_value(word));
	}
	(void)putchar('\n');
}

static void
restored_show(const json_t *doc, const char *repository)
{
	const char *digest = json_string_value(json_object_get(doc, "digest"));
	uint64_t children = print_u64(doc, "children");

	(void)fputs("restored ", stdout);
	print_text(repository);
	if (digest != NULL)
		(void)printf("@%s", digest);
	(void)putchar('\n');
	words_show("with the tags", json_object_get(doc, "tags"));
	words_show("without tags that another image has by now:",
	    json_object_get(doc, "taken"));
	if (children == 0)
		return;
	(void)fputs("and ", stdout);
	print_count(
	    children, "image that it needs\n", "images that it needs\n");
}

static enum ctl_exit
restore_run(struct ctl *ctl, struct work *w, const char *repository,
    const char *reference, const char *id)
{
	enum ctl_exit code = CTL_OK;
	json_t *doc;
	char *path;

	path = work_path("/control/undelete", "repository", repository,
	    "reference", reference, "id", id, (char *)NULL);
	doc = work_ask(w, "POST", path, NULL);
	free(path);
	if (doc == NULL) {
		ctl_say("what can be restored: registryctl undelete --list%s%s",
		    reference != NULL ? " " : "",
		    reference != NULL ? repository : "");
		return (CTL_FAILED);
	}
	if (ctl->output == CTL_JSON)
		code = print_json(doc);
	else
		restored_show(doc, repository);
	json_decref(doc);
	return (print_done(code));
}

enum own_code { OPT_LIST = 256, OPT_ID };

static const struct option own[] = {
	{ "list", no_argument, NULL, OPT_LIST },
	{ "id", required_argument, NULL, OPT_ID },
	{ NULL, 0, NULL, 0 },
};

static void
id_check(const struct ctl *ctl, const char *id, bool of_repository)
{
	uint64_t n;

	if (id == NULL)
		return;
	if (!of_repository)
		ctl_usage(ctl, "--id says which of the deleted repositories of "
			       "one name is restored");
	if (num_u64(span_of(id), UINT64_MAX, &n) != RC_OK || n == 0)
		ctl_usage(ctl, "--id: \"%s\" is no id; --list shows them", id);
}

static enum ctl_exit
undelete_command(struct ctl *ctl, int argc, char **argv)
{
	const char *words[2] = { NULL, NULL }, *id = NULL, *word;
	enum ctl_exit done;
	bool list = false;
	struct work w;
	size_t n = 0;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == OPT_LIST)
			list = true;
		else if (code == OPT_ID)
			id = optarg;
		else if (n == ARRAY_LEN(words))
			ctl_usage(ctl, "\"%s\" is one word too many", word);
		else
			words[n++] = word;
	}
	if (list && n > 1)
		ctl_usage(ctl, "--list takes one repository");
	if (!list && n == 0)
		ctl_usage(ctl, "which repository? --list shows what can be "
			       "restored");
	id_check(ctl, id, !list && n == 1);
	ctl_needs_data(ctl);
	if (!work_open(&w, ctl))
		return (CTL_FAILED);
	done = list ? list_run(ctl, &w, words[0])
		    : restore_run(ctl, &w, words[0], words[1], id);
	work_close(&w);
	return (done);
}

const struct command command_undelete = {
	.name = "undelete",
	.title = "undelete",
	.summary = "bring back an image or a repository that was deleted",
	.help = help,
	.run = undelete_command,
};
