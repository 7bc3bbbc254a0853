#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/secrets.h"
#include "registryctl/command.h"
#include "registryctl/input.h"
#include "registryctl/print.h"
#include "registryctl/work.h"

/*
 * registryctl secret: credentials for other registries.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] secret ACTION ...\n"
    "Credentials for other registries, kept encrypted in the data folder: for\n"
    "the pull through cache, mirrors, and replication. Nobody can read them\n"
    "back.\n"
    "\n"
    "  put NAME --username USER\n"
    "  put NAME --access-key-id ID [--region REGION] [--api-url URL]\n"
    "        make or replace. NAME is a registry (docker.io, HOST:PORT), "
    "whose\n"
    "        own credentials these are then, or a name that a mirror, a rule\n"
    "        of the cache or a destination gives. The second form is for\n"
    "        Amazon ECR and other registryds: passwords that expire are asked\n"
    "        for with the access key\n"
    "  list  which there are\n"
    "  remove NAME\n"
    "\n"
    "The password, or secret access key, is asked for on the terminal, or:\n"
    "  --password-stdin   it is standard input, without the end of its last\n"
    "                     line\n"
    "  --file FILE        it is in this file, likewise\n"
    "  --region REGION    of the access key's registry\n"
    "  --api-url URL      where its ECR API is, if not at the registry itself\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

struct arguments {
	const char *words[2];
	size_t n_words;
	const char *username, *access_key_id, *region, *api_url, *file;
	bool from_stdin;
};

/* --- put ----------------------------------------------------------------- */

static bool
file_read(const char *path, struct buf *secret)
{
	char why[INPUT_WHY_BYTES];

	if (input_file(path, SECRET_MAX_BYTES + 2, secret, why) != RC_OK) {
		ctl_say("%s", why);
		return (false);
	}
	while (secret->n > 0 && (secret->p[secret->n - 1] == '\n' ||
				    secret->p[secret->n - 1] == '\r'))
		secret->n--;
	if (secret->n > 0)
		return (true);
	ctl_say("%s holds no password",
	    strcmp(path, "-") == 0 ? "standard input" : path);
	input_wipe(secret);
	return (false);
}

/* False: it has been said why. */
static bool
secret_read(const struct arguments *a, struct buf *secret)
{
	char why[INPUT_WHY_BYTES];

	if (a->from_stdin || a->file != NULL)
		return (file_read(a->from_stdin ? "-" : a->file, secret));
	if (input_password(false, secret, why) == RC_OK)
		return (true);
	ctl_say("%s", why);
	return (false);
}

static bool
put_text(json_t *o, const char *key, const char *p, size_t n)
{
	json_t *v = json_stringn(p, n);

	if (v == NULL) {
		ctl_say("%s: not UTF-8", key);
		return (false);
	}
	must(json_object_set_new(o, key, v) == 0);
	return (true);
}

static bool
put_word(json_t *o, const char *key, const char *text)
{
	return (text == NULL || put_text(o, key, text, strlen(text)));
}

/* NULL: said. */
static json_t *
request_make(const struct arguments *a, const struct buf *secret)
{
	const char *key =
	    a->username != NULL ? "password" : "secret_access_key";
	json_t *o = json_object();

	if (put_word(o, "name", a->words[0]) &&
	    put_word(o, "username", a->username) &&
	    put_word(o, "access_key_id", a->access_key_id) &&
	    put_word(o, "region", a->region) &&
	    put_word(o, "api_url", a->api_url) &&
	    put_text(o, key, secret->p, secret->n))
		return (o);
	json_decref(o);
	return (NULL);
}

static enum ctl_exit
put_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	enum ctl_exit shown = CTL_OK;
	json_t *body, *doc = NULL;
	struct buf secret;

	if (!secret_read(a, &secret))
		return (CTL_FAILED);
	body = request_make(a, &secret);
	input_wipe(&secret);
	if (body != NULL)
		doc = work_ask(w, "POST", "/control/secrets", body);
	json_decref(body);
	if (doc == NULL)
		return (CTL_FAILED);
	if (ctl->output == CTL_JSON) {
		shown = print_json(doc);
	} else {
		(void)fputs("put the credentials of ", stdout);
		print_text(json_string_value(json_object_get(doc, "name")));
		(void)putchar('\n');
	}
	json_decref(doc);
	return (print_done(shown));
}

/* --- list and remove ----------------------------------------------------- */

static enum ctl_exit
list_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	static const struct print_column columns[] = {
		{ "NAME", "name" },
		{ "KIND", "kind" },
		{ "USER", "username" },
		{ "FROM", "from" },
		{ "CHANGED", "changed" },
	};
	json_t *doc = work_ask(w, "GET", "/control/secrets", NULL), *list, *o;
	enum ctl_exit shown = CTL_OK;
	size_t i;

	(void)a;
	if (doc == NULL)
		return (CTL_FAILED);
	list = json_object_get(doc, "secrets");
	json_array_foreach(list, i, o)
	{
		must(json_object_set_new(o, "from",
			 json_string(
			     json_is_true(json_object_get(o, "configured"))
				 ? "configuration"
				 : "registryctl")) == 0);
	}
	if (ctl->output == CTL_JSON)
		shown = print_json(list);
	else if (json_array_size(list) == 0)
		(void)puts("there are no credentials");
	else
		print_table(list, columns, ARRAY_LEN(columns));
	json_decref(doc);
	return (print_done(shown));
}

static enum ctl_exit
remove_do(struct ctl *ctl, struct work *w, const struct arguments *a)
{
	char *path = work_path(
	    "/control/secrets", "name", a->words[0], (const char *)NULL);
	json_t *doc = work_ask(w, "DELETE", path, NULL);

	free(path);
	return (work_told(ctl, doc, "removed the credentials of", a->words[0]));
}

/* --- the command line ---------------------------------------------------- */

enum own_code {
	OPT_USERNAME = 256,
	OPT_ACCESS_KEY_ID,
	OPT_REGION,
	OPT_API_URL,
	OPT_FILE,
	OPT_PASSWORD_STDIN,
};

static const struct option own[] = {
	{ "username", required_argument, NULL, OPT_USERNAME },
	{ "access-key-id", required_argument, NULL, OPT_ACCESS_KEY_ID },
	{ "region", required_argument, NULL, OPT_REGION },
	{ "api-url", required_argument, NULL, OPT_API_URL },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "password-stdin", no_argument, NULL, OPT_PASSWORD_STDIN },
	{ NULL, 0, NULL, 0 },
};

static void
option_take(struct arguments *a, int code)
{
	switch ((enum own_code)code) {
	case OPT_USERNAME:
		a->username = optarg;
		break;
	case OPT_ACCESS_KEY_ID:
		a->access_key_id = optarg;
		break;
	case OPT_REGION:
		a->region = optarg;
		break;
	case OPT_API_URL:
		a->api_url = optarg;
		break;
	case OPT_FILE:
		a->file = optarg;
		break;
	case OPT_PASSWORD_STDIN:
		a->from_stdin = true;
		break;
	}
}

static void
put_check(const struct ctl *ctl, const struct arguments *a)
{
	if (a->n_words == 0)
		ctl_usage(ctl, "\"put\" needs a name");
	if ((a->username != NULL) == (a->access_key_id != NULL))
		ctl_usage(ctl, "\"put\" needs --username or --access-key-id");
	if (a->access_key_id == NULL &&
	    (a->region != NULL || a->api_url != NULL))
		ctl_usage(
		    ctl, "--region and --api-url go with --access-key-id");
	if (a->from_stdin && a->file != NULL)
		ctl_usage(ctl, "give --password-stdin or --file, not both");
}

static bool
any_option(const struct arguments *a)
{
	return (a->username != NULL || a->access_key_id != NULL ||
		a->region != NULL || a->api_url != NULL || a->file != NULL ||
		a->from_stdin);
}

struct action {
	const char *name;
	size_t words;
	enum ctl_exit (*run)(
	    struct ctl *, struct work *, const struct arguments *);
};

static const struct action actions[] = {
	{ "put", 1, put_do },
	{ "list", 0, list_do },
	{ "remove", 1, remove_do },
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

static void
arguments_check(const struct ctl *ctl, const struct action *action,
    const struct arguments *a)
{
	if (action->run == put_do)
		put_check(ctl, a);
	else if (any_option(a))
		ctl_usage(ctl, "\"%s\" takes no such option", action->name);
	if (a->n_words < action->words)
		ctl_usage(ctl, "\"%s\" needs a name", action->name);
	if (a->n_words > action->words)
		ctl_usage(
		    ctl, "unexpected argument \"%s\"", a->words[action->words]);
}

static enum ctl_exit
secret_command(struct ctl *ctl, int argc, char **argv)
{
	struct arguments a = { .n_words = 0 };
	const char *word = NULL, *name = NULL;
	enum ctl_exit code = CTL_FAILED;
	const struct action *action;
	struct work w;
	int got;

	while ((got = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (got != 0)
			option_take(&a, got);
		else if (name == NULL)
			name = word;
		else
			word_take(ctl, &a, word);
	}
	action = action_of(ctl, name);
	arguments_check(ctl, action, &a);
	ctl_needs_data(ctl);
	if (work_open(&w, ctl)) {
		code = action->run(ctl, &w, &a);
		work_close(&w);
	}
	return (code);
}

const struct command command_secret = {
	.name = "secret",
	.title = "secret",
	.summary = "credentials for other registries",
	.help = help,
	.run = secret_command,
};
