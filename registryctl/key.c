#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/master_key.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/command.h"
#include "registryctl/folder.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl key: the keys of encrypted repositories, and the master key,
 * under which they and all secrets are kept.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] key ACTION\n"
    "The keys of encrypted repositories, and the master key, under which they\n"
    "and all secrets are kept.\n"
    "\n"
    "  list               the keys of repositories: their names (AES256 is "
    "the\n"
    "                     registry's own, kms/NAME one that a repository has\n"
    "                     named), how many repositories have each, and "
    "whether\n"
    "                     it is here\n"
    "  rotate-master      replace the master key in its file by a new one and\n"
    "                     wrap all other keys anew. No content, access key,\n"
    "                     password or token changes, and nothing is\n"
    "                     interrupted. Copies of the old file open old copies\n"
    "                     of the folder only\n"
    "\n"
    "A master key in the environment cannot be replaced from here: start the\n"
    "server once with REGISTRYD_MASTER_KEY=NEW,OLD, then with NEW.\n"
    "\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                     DIR/master.key)\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

struct arguments {
	const char *action;
	const char *master_key_file; /* or NULL */
};

/* --- where no server runs ------------------------------------------------ */

static json_t *
rotate_here(struct store *store, const struct folder_key *key)
{
	const struct master_key m = {
		.store = store,
		.file = key->file,
		.text = key->text,
	};
	char why[MASTER_KEY_WHY_BYTES];
	size_t n;

	if (master_key_rotate(&m, &n, why) == RC_OK)
		return (json_pack("{s:I}", "wrapped", (json_int_t)n));
	ctl_say("%s", why);
	return (NULL);
}

static json_t *
list_here(struct store *store)
{
	json_t *list = NULL;
	enum rc rc;

	if ((rc = master_key_list(store, &list)) != RC_OK)
		ctl_say("the keys cannot be read: %s", rc_text(rc));
	return (list);
}

static json_t *
do_here(const struct ctl *ctl, const struct arguments *a)
{
	bool list = strcmp(a->action, "list") == 0;
	char why[STORE_WHY_BYTES];
	struct folder_key key;
	struct store *store;
	json_t *answer;

	if (folder_open(ctl->data, list, why, &store) != RC_OK) {
		ctl_say("%s", why);
		return (NULL);
	}
	if (list)
		folder_keys(store, ctl->data, a->master_key_file);
	folder_key_of(ctl->data, a->master_key_file, &key);
	answer = list ? list_here(store) : rotate_here(store, &key);
	folder_key_end(&key);
	store_close(&store);
	return (answer);
}

/* --- what is shown ------------------------------------------------------- */

static const struct print_column columns[] = {
	{ "NUMBER", "number", PRINT_NUMBER },
	{ "NAME", "name", PRINT_TEXT },
	{ "CREATED", "created", PRINT_TEXT },
	{ "REPOSITORIES", "repositories", PRINT_NUMBER },
	{ "HERE", "state", PRINT_TEXT },
};

static void
answer_show(const struct arguments *a, const json_t *answer)
{
	const json_t *keys = json_object_get(answer, "keys");

	if (strcmp(a->action, "list") != 0)
		(void)printf("wrapped %llu keys under the new master key\n",
		    (unsigned long long)print_u64(answer, "wrapped"));
	else if (json_array_size(keys) == 0)
		(void)puts("no repository is encrypted");
	else
		print_table(keys, columns, ARRAY_LEN(columns));
}

/* --- the command --------------------------------------------------------- */

static json_t *
do_somewhere(struct ctl *ctl, const struct arguments *a)
{
	bool list = strcmp(a->action, "list") == 0;
	json_t *answer = NULL;
	struct work w;
	enum rc rc;

	rc = work_find(&w, ctl);
	if (rc == RC_OK)
		answer = work_ask(&w, list ? "GET" : "POST",
		    list ? "/control/keys" : "/control/keys/rotate", NULL);
	else if (rc == RC_NOTFOUND)
		answer = do_here(ctl, a);
	work_close(&w);
	return (answer);
}

enum own_code { OPT_MASTER_KEY_FILE = 256 };

static const struct option own[] = {
	{ "master-key-file", required_argument, NULL, OPT_MASTER_KEY_FILE },
	{ NULL, 0, NULL, 0 },
};

static void
arguments(struct ctl *ctl, int argc, char **argv, struct arguments *a)
{
	const char *word;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == OPT_MASTER_KEY_FILE)
			a->master_key_file = optarg;
		else if (a->action != NULL)
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		else
			a->action = word;
	}
	if (a->action == NULL)
		ctl_usage(ctl, "which action? list or rotate-master");
	if (strcmp(a->action, "list") != 0 &&
	    strcmp(a->action, "rotate-master") != 0)
		ctl_usage(
		    ctl, "\"%s\" must be list or rotate-master", a->action);
}

static enum ctl_exit
key_run(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { NULL, NULL };
	enum ctl_exit shown = CTL_OK;
	json_t *answer;

	arguments(ctl, argc, argv, &a);
	ctl_needs_data(ctl);
	if ((answer = do_somewhere(ctl, &a)) == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON)
		shown = print_json(answer);
	else
		answer_show(&a, answer);
	json_decref(answer);
	return (print_done(shown));
}

const struct command command_key = {
	.name = "key",
	.title = "key",
	.summary = "list keys of repositories, replace the master key",
	.help = help,
	.run = key_run,
};
