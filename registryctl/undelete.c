#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl undelete: what was deleted comes back, for as long as
 * lifecycle.undelete-window says.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] undelete REPOSITORY\n"
    "           [TAG|DIGEST]\n"
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
    "  --list               deleted repositories; with a name, the deleted\n"
    "                       images of that repository\n"
    "\n"
    "Tags come back unless another image has them by now; an index brings "
    "back\n"
    "the images that it needs.\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct print_column images[] = {
	{ "DIGEST", "digest" },
	{ "TAGS", "tags" },
	{ "DELETED", "deleted" },
	{ "UNTIL", "until" },
	{ "BY", "why" },
	{ "RULE", "rule" },
	{ "BYTES", "bytes" },
};

static const struct print_column repositories[] = {
	{ "REPOSITORY", "name" },
	{ "DELETED", "deleted" },
	{ "UNTIL", "until" },
	{ "IMAGES", "images" },
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

static enum ctl_exit
list_show(const struct ctl *ctl, const json_t *all, bool of_images)
{
	if (ctl->output == CTL_JSON)
		return (print_done(print_json(all)));
	if (json_array_size(all) == 0)
		(void)puts(of_images ? "no deleted images"
				     : "no deleted repositories");
	else if (of_images)
		print_table(all, images, ARRAY_LEN(images));
	else
		print_table(all, repositories, ARRAY_LEN(repositories));
	return (print_done(CTL_OK));
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
		code = list_show(ctl, all, repository != NULL);
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
	if (children > 0)
		(void)printf("and %llu image%s that it needs\n",
		    (unsigned long long)children, children == 1 ? "" : "s");
}

static enum ctl_exit
restore_run(struct ctl *ctl, struct work *w, const char *repository,
    const char *reference)
{
	enum ctl_exit code = CTL_OK;
	json_t *doc;
	char *path;

	path = work_path("/control/undelete", "repository", repository,
	    "reference", reference, (char *)NULL);
	doc = work_ask(w, "POST", path, NULL);
	free(path);
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		code = print_json(doc);
	else
		restored_show(doc, repository);
	json_decref(doc);
	return (print_done(code));
}

enum own_code { OPT_LIST = 256 };

static const struct option own[] = {
	{ "list", no_argument, NULL, OPT_LIST },
	{ NULL, 0, NULL, 0 },
};

static enum ctl_exit
undelete_command(struct ctl *ctl, int argc, char **argv)
{
	const char *words[2] = { NULL, NULL }, *word;
	enum ctl_exit done;
	bool list = false;
	struct work w;
	size_t n = 0;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == OPT_LIST)
			list = true;
		else if (n == ARRAY_LEN(words))
			ctl_usage(ctl, "\"%s\" is one word too many", word);
		else
			words[n++] = word;
	}
	if (list && n > 1)
		ctl_usage(ctl, "--list takes one repository");
	if (!list && n == 0)
		ctl_usage(ctl, "which repository?");
	ctl_needs_data(ctl);
	if (!work_open(&w, ctl))
		return (CTL_FAILED);
	done = list ? list_run(ctl, &w, words[0])
		    : restore_run(ctl, &w, words[0], words[1]);
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
