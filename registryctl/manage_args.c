#include "registryctl/manage.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * The command line of an administrative command, as the request it means.
 */
#define FIRST_CODE 256
#define ACCOUNT_DIGITS 12
#define MS_PER_S 1000

#define OPTION(text, arg, option) \
	{ \
		text, arg, NULL, FIRST_CODE + (option) \
	}

static const struct option options[] = {
	OPTION("account", required_argument, MANAGE_ACCOUNT),
	OPTION("password-stdin", no_argument, MANAGE_PASSWORD_STDIN),
	OPTION("remove", no_argument, MANAGE_REMOVE),
	OPTION("tag", required_argument, MANAGE_TAG),
	OPTION("force", no_argument, MANAGE_FORCE),
	OPTION("user", required_argument, MANAGE_USER),
	OPTION("group", required_argument, MANAGE_GROUP),
	OPTION("file", required_argument, MANAGE_FILE),
	OPTION("principal", required_argument, MANAGE_PRINCIPAL),
	OPTION("action", required_argument, MANAGE_ACTION),
	OPTION("resource", required_argument, MANAGE_RESOURCE),
	OPTION("source-ip", required_argument, MANAGE_SOURCE_IP),
	OPTION("tls", no_argument, MANAGE_TLS),
	OPTION("user-agent", required_argument, MANAGE_USER_AGENT),
	OPTION("time", required_argument, MANAGE_TIME),
	OPTION("master-key-file", required_argument, MANAGE_MASTER_KEY_FILE),
	OPTION("account-id", required_argument, MANAGE_ACCOUNT_ID),
	{ NULL, 0, NULL, 0 },
};

#define EVERYWHERE \
	(MANAGE_BIT(MANAGE_MASTER_KEY_FILE) | MANAGE_BIT(MANAGE_ACCOUNT_ID))

/* What was given, before it is known what for. */
struct given {
	unsigned options;
	const char *values[MANAGE_OPTIONS];
	const char *words[MANAGE_WORDS_MAX + 1]; /* the first is the action */
	size_t n_words;
	json_t *tags;
};

/* --- as given ------------------------------------------------------------ */

static void
tag_take(struct ctl *ctl, struct given *g)
{
	const char *eq = strchr(optarg, '=');
	json_t *value;
	char *key;

	if (eq == NULL || eq == optarg)
		ctl_usage(ctl, "--tag: \"%s\" must be KEY=VALUE", optarg);
	if (g->tags == NULL)
		g->tags = json_object();
	key = xstrndup(optarg, (size_t)(eq - optarg));
	value = json_string(eq + 1);
	if (json_object_get(g->tags, key) != NULL)
		ctl_usage(ctl, "--tag: \"%s\" is given twice", key);
	if (value == NULL || json_object_set_new(g->tags, key, value) == -1)
		ctl_usage(ctl, "--tag: \"%s\" is not UTF-8", optarg);
	free(key);
}

static void
option_take(struct ctl *ctl, struct given *g, enum manage_option option)
{
	if (option == MANAGE_TAG)
		tag_take(ctl, g);
	g->options |= MANAGE_BIT(option);
	g->values[option] = optarg;
}

static void
given_read(struct ctl *ctl, int argc, char **argv, struct given *g)
{
	const char *word = NULL;
	int code;

	while ((code = ctl_next(ctl, argc, argv, options, &word)) != -1) {
		if (code != 0)
			option_take(
			    ctl, g, (enum manage_option)(code - FIRST_CODE));
		else if (g->n_words == ARRAY_LEN(g->words))
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		else
			g->words[g->n_words++] = word;
	}
}

/* --- for this action ----------------------------------------------------- */

static const struct manage_action *
action_find(
    const struct ctl *ctl, const struct manage_family *f, const char *as)
{
	size_t i;

	if (as == NULL)
		ctl_usage(ctl, "say what: %s %s ...", ctl->command->name,
		    f->actions[0].name);
	for (i = 0; i < f->n; i++)
		if (strcmp(as, f->actions[i].name) == 0)
			return (&f->actions[i]);
	ctl_usage(ctl, "there is no \"%s %s\"", ctl->command->name, as);
}

static void
options_check(
    const struct ctl *ctl, const struct manage_action *a, const struct given *g)
{
	unsigned takes = a->takes | a->needs | EVERYWHERE, i, bit;

	for (i = 0; i < MANAGE_OPTIONS; i++) {
		bit = MANAGE_BIT(i);
		if ((g->options & bit) != 0 && (takes & bit) == 0)
			ctl_usage(ctl, "%s %s takes no --%s",
			    ctl->command->name, a->name, options[i].name);
		if ((g->options & bit) == 0 && (a->needs & bit) != 0)
			ctl_usage(ctl, "%s %s needs --%s", ctl->command->name,
			    a->name, options[i].name);
	}
	if (g->values[MANAGE_USER] != NULL && g->values[MANAGE_GROUP] != NULL)
		ctl_usage(ctl, "--user and --group exclude each other");
	if ((g->options & MANAGE_BIT(MANAGE_REMOVE)) != 0 &&
	    (g->options & (MANAGE_BIT(MANAGE_TAG) |
			      MANAGE_BIT(MANAGE_PASSWORD_STDIN))) != 0)
		ctl_usage(ctl, "--remove stands alone");
}

static bool
is_account(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n && isdigit((unsigned char)text[i]); i++)
		continue;
	return (n == ACCOUNT_DIGITS && i == n);
}

static void
member_set(
    const struct ctl *ctl, json_t *request, const char *key, const char *value)
{
	json_t *text = json_string(value);

	if (text == NULL)
		ctl_usage(ctl, "\"%s\" is not UTF-8", value);
	(void)json_object_set_new(request, key, text);
}

static void
account_set(const struct ctl *ctl, json_t *request, const char *account)
{
	const char *was =
	    json_string_value(json_object_get(request, "account"));

	if (!is_account(account, strlen(account)))
		ctl_usage(ctl,
		    "--account: \"%s\" must be an account id of 12 digits",
		    account);
	if (was != NULL && strcmp(was, account) != 0)
		ctl_usage(ctl, "%s and %s: which account?", was, account);
	member_set(ctl, request, "account", account);
}

/* ACCOUNT/NAME, where entities of an account are named. */
static void
entity_set(
    const struct ctl *ctl, json_t *request, const char *key, const char *value)
{
	static const char *const local[] = { "name", "user", "group",
		"principal" };
	const char *slash = strchr(value, '/');
	char account[ACCOUNT_DIGITS + 1];
	bool splits = false;
	size_t i;

	for (i = 0; i < ARRAY_LEN(local); i++)
		splits = splits || strcmp(key, local[i]) == 0;
	if (splits && slash != NULL &&
	    is_account(value, (size_t)(slash - value))) {
		memcpy(account, value, ACCOUNT_DIGITS);
		account[ACCOUNT_DIGITS] = '\0';
		account_set(ctl, request, account);
		value = slash + 1;
	}
	member_set(ctl, request, key, value);
}

static void
words_set(const struct ctl *ctl, const struct manage_action *a,
    const struct given *g, json_t *request)
{
	bool named =
	    g->values[MANAGE_USER] != NULL || g->values[MANAGE_GROUP] != NULL;
	size_t first = a->subject && named ? 1 : 0, n = 0, i;

	while (n < MANAGE_WORDS_MAX && a->words[n] != NULL)
		n++;
	for (i = first; i < n; i++) {
		if (i - first + 1 < g->n_words)
			entity_set(
			    ctl, request, a->words[i], g->words[i - first + 1]);
		else if (!a->last_word_optional || i + 1 < n)
			ctl_usage(ctl, "%s %s: the %s is missing",
			    ctl->command->name, a->name, a->words[i]);
	}
	if (g->n_words > n - first + 1)
		ctl_usage(
		    ctl, "unexpected argument \"%s\"", g->words[n - first + 1]);
}

/* "2026-01-31T12:00:00Z", without the Z too; a date is its midnight. */
static json_t *
time_read(const struct ctl *ctl, const char *text)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ",
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d" };
	struct tm tm;
	const char *end;
	size_t i;

	for (i = 0; i < ARRAY_LEN(forms); i++) {
		tm = (struct tm){ 0 };
		end = strptime(text, forms[i], &tm);
		if (end != NULL && *end == '\0')
			return (
			    json_integer((json_int_t)timegm(&tm) * MS_PER_S));
	}
	ctl_usage(ctl,
	    "--time: \"%s\" must be a time such as 2026-01-31T12:00:00Z", text);
}

static void
address_check(const struct ctl *ctl, const char *text)
{
	struct in6_addr room;

	if (inet_pton(AF_INET, text, &room) != 1 &&
	    inet_pton(AF_INET6, text, &room) != 1)
		ctl_usage(ctl,
		    "--source-ip: \"%s\" must be an IPv4 or IPv6 address",
		    text);
}

static void
values_set(const struct ctl *ctl, const struct given *g, json_t *request)
{
	static const struct {
		enum manage_option option;
		const char *key;
	} rows[] = {
		{ MANAGE_USER, "user" },
		{ MANAGE_GROUP, "group" },
		{ MANAGE_PRINCIPAL, "principal" },
		{ MANAGE_ACTION, "action" },
		{ MANAGE_RESOURCE, "resource" },
		{ MANAGE_SOURCE_IP, "source_ip" },
		{ MANAGE_USER_AGENT, "user_agent" },
	};
	size_t i;

	if (g->values[MANAGE_ACCOUNT] != NULL)
		account_set(ctl, request, g->values[MANAGE_ACCOUNT]);
	if (g->values[MANAGE_SOURCE_IP] != NULL)
		address_check(ctl, g->values[MANAGE_SOURCE_IP]);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (g->values[rows[i].option] != NULL)
			entity_set(ctl, request, rows[i].key,
			    g->values[rows[i].option]);
	if (g->values[MANAGE_TIME] != NULL)
		(void)json_object_set_new(
		    request, "time", time_read(ctl, g->values[MANAGE_TIME]));
	if ((g->options & MANAGE_BIT(MANAGE_FORCE)) != 0)
		(void)json_object_set_new(request, "force", json_true());
}

static void
request_make(const struct ctl *ctl, const struct manage_action *a,
    const struct given *g, struct manage_call *call)
{
	bool remove = (g->options & MANAGE_BIT(MANAGE_REMOVE)) != 0;
	json_t *request = json_pack("{s:s}", "op", a->op);

	must(request != NULL);
	values_set(ctl, g, request);
	words_set(ctl, a, g, request);
	if (g->tags != NULL)
		(void)json_object_set(request, "tags", g->tags);
	if (remove)
		(void)json_object_set_new(request, a->removes,
		    a->asks_password ? json_null() : json_object());
	if ((a->takes & MANAGE_BIT(MANAGE_TLS)) != 0)
		(void)json_object_set_new(request, "secure",
		    json_boolean((g->options & MANAGE_BIT(MANAGE_TLS)) != 0));
	call->request = request;
	call->remove = remove;
}

void
manage_arguments(struct ctl *ctl, int argc, char **argv,
    const struct manage_family *family, struct manage_call *call_r)
{
	struct given g = { 0 };
	const struct manage_action *a;

	given_read(ctl, argc, argv, &g);
	a = action_find(ctl, family, g.words[0]);
	options_check(ctl, a, &g);
	if (a->removes != NULL && !a->asks_password &&
	    (g.options &
		(MANAGE_BIT(MANAGE_REMOVE) | MANAGE_BIT(MANAGE_TAG))) == 0)
		ctl_usage(ctl, "%s %s needs --tag or --remove",
		    ctl->command->name, a->name);
	*call_r = (struct manage_call){
		.action = a,
		.file = g.values[MANAGE_FILE],
		.password_stdin =
		    (g.options & MANAGE_BIT(MANAGE_PASSWORD_STDIN)) != 0,
		.folder = {
			.master_key_file = g.values[MANAGE_MASTER_KEY_FILE],
			.account_id = g.values[MANAGE_ACCOUNT_ID],
		},
	};
	request_make(ctl, a, &g, call_r);
	json_decref(g.tags);
}

void
manage_call_end(struct manage_call *call)
{
	const json_t *password = json_object_get(call->request, "password");

	/* The library has no other way to its bytes. */
	if (json_is_string(password))
		mem_wipe((void *)(uintptr_t)json_string_value(password),
		    json_string_length(password));
	json_decref(call->request);
	call->request = NULL;
}
