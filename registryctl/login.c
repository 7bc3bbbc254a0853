#include "registryctl/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/client.h"
#include "registryctl/print.h"

/*
 * registryctl get-login, get-login-password and get-authorization-token: what
 * "aws ecr" has under these names, for machines without it.
 */
static const char login_help[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] get-login\n"
    "       [--registry-ids ID...] [--include-email|--no-include-email]\n"
    "Print the command that logs docker in, as \"aws ecr get-login\" did; one\n"
    "for each registry. A password on a command line can be seen by others:\n"
    "prefer get-login-password.\n"
    "\n"
    "  --registry-ids ID...  of these accounts\n"
    "  --include-email       with \"-e none\", which today's docker refuses\n"
    "  --no-include-email    without (the default)\n" LOGIN_OPTIONS_HELP;

static const char password_help[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] get-login-password\n"
    "Print the password of the user AWS, good for 12 hours or what the\n"
    "registry is set to:\n"
    "  registryctl --endpoint https://HOST get-login-password |\n"
    "      docker login -u AWS --password-stdin HOST\n"
    "\n" LOGIN_OPTIONS_HELP;

static const char token_help[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] get-authorization-token\n"
    "       [--registry-ids ID...]\n"
    "Print the answer of GetAuthorizationToken as JSON: authorizationToken\n"
    "(base64 of AWS:PASSWORD), expiresAt, proxyEndpoint.\n"
    "\n"
    "  --registry-ids ID...  of these accounts\n" LOGIN_OPTIONS_HELP;

#define GET_TOKEN "GetAuthorizationToken"

/* --- the call ------------------------------------------------------------ */

void
login_option(struct login_options *o, int code)
{
	if (code == LOGIN_CA_FILE)
		o->ca_file = optarg;
	else if (code == LOGIN_PROFILE)
		o->profile = optarg;
	else
		o->region = optarg;
}

const char *
login_endpoint(const struct ctl *ctl)
{
	static const char *const variables[] = { "REGISTRYD_ENDPOINT",
		"AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL" };
	const char *url = ctl->endpoint;
	size_t i;

	for (i = 0; url == NULL && i < ARRAY_LEN(variables); i++) {
		url = getenv(variables[i]);
		if (url != NULL && url[0] == '\0')
			url = NULL;
	}
	return (url);
}

/* A server that listens everywhere listens here too. */
static char *
endpoint_here(const char *url)
{
	static const struct {
		const char *all, *here;
	} rows[] = {
		{ "://0.0.0.0:", "://127.0.0.1:" },
		{ "://[::]:", "://[::1]:" },
	};
	const char *at;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		if ((at = strstr(url, rows[i].all)) != NULL)
			return (xasprintf("%.*s%s%s", (int)(at - url), url,
			    rows[i].here, at + strlen(rows[i].all)));
	return (strncmp(url, "http", 4) == 0 ? xstrdup(url) : NULL);
}

/* What the server of the folder says of itself; the caller's, or NULL. */
static char *
endpoint_of_server(const char *data)
{
	char why[CLIENT_WHY_BYTES];
	struct client *client;
	const char *url;
	char *endpoint = NULL;
	json_t *doc;

	if (client_open(data, why, &client) != RC_OK)
		return (NULL);
	if (client_call(client, "GET", "/control/stats", NULL, why, &doc) ==
	    RC_OK) {
		url = json_string_value(json_object_get(
		    json_object_get(doc, "server"), "endpoint"));
		endpoint = url != NULL ? endpoint_here(url) : NULL;
		json_decref(doc);
	}
	client_close(&client);
	return (endpoint);
}

enum rc
login_identity(const struct ctl *ctl, const struct login_options *o,
    struct aws_identity *id_r, char why[LOGIN_WHY_BYTES])
{
	const struct aws_identity_options options = {
		.profile = o->profile,
		.region = o->region,
		.data = ctl->data,
	};

	enum rc rc = aws_identity_find(&options, id_r, why);

	if (rc != RC_NOTFOUND)
		return (rc);
	(void)snprintf(id_r->source, sizeof(id_r->source), "%s", why);
	return (RC_OK);
}

enum rc
login_operation(const struct ctl *ctl, const struct login_options *o,
    const char *operation, const json_t *input, json_t **answer_r,
    char why[LOGIN_WHY_BYTES])
{
	const char *endpoint = login_endpoint(ctl);
	struct aws_identity id;
	struct ecr_call call = {
		.ca_file = o->ca_file,
		.identity = &id,
		.operation = operation,
		.input = input,
	};
	char *found = NULL;
	enum rc rc;

	if (endpoint == NULL)
		endpoint = found = endpoint_of_server(ctl->data);
	if (endpoint == NULL) {
		(void)snprintf(why, LOGIN_WHY_BYTES,
		    "which registry? Name it with --endpoint https://HOST:PORT "
		    "or REGISTRYD_ENDPOINT (no server that tells its address "
		    "serves the folder %.300s)",
		    ctl->data);
		return (RC_NOTFOUND);
	}
	call.endpoint = endpoint;
	rc = login_identity(ctl, o, &id, why);
	if (rc == RC_OK)
		rc = ecr_call(&call, answer_r, why);
	aws_identity_wipe(&id);
	free(found);
	return (rc);
}

static json_t *
input_make(const struct login_options *o)
{
	json_t *input = json_object(), *ids = json_array();
	size_t i;

	for (i = 0; i < o->n_ids; i++)
		(void)json_array_append_new(ids, json_string(o->ids[i]));
	if (o->n_ids > 0)
		(void)json_object_set(input, "registryIds", ids);
	json_decref(ids);
	return (input);
}

static enum rc
answer_check(json_t **answer, char why[LOGIN_WHY_BYTES])
{
	const json_t *entries = json_object_get(*answer, "authorizationData");

	if (json_array_size(entries) > 0)
		return (RC_OK);
	(void)snprintf(why, LOGIN_WHY_BYTES,
	    "this is no registry: there is no authorizationData in what it "
	    "answered");
	json_decref(*answer);
	*answer = NULL;
	return (RC_INVALID);
}

enum rc
login_call(const char *endpoint, const struct login_options *o,
    const struct aws_identity *id, json_t **answer_r, char why[LOGIN_WHY_BYTES])
{
	json_t *input = input_make(o);
	const struct ecr_call call = {
		.endpoint = endpoint,
		.ca_file = o->ca_file,
		.identity = id,
		.operation = GET_TOKEN,
		.input = input,
	};
	enum rc rc;

	rc = ecr_call(&call, answer_r, why);
	json_decref(input);
	return (rc == RC_OK ? answer_check(answer_r, why) : rc);
}

/* --- the commands -------------------------------------------------------- */

enum own_code { OPT_IDS = LOGIN_OWN, OPT_EMAIL, OPT_NO_EMAIL };

struct login {
	struct login_options o;
	bool email;
};

static void
id_add(struct ctl *ctl, struct login *l, const char *id)
{
	if (l->o.n_ids == LOGIN_IDS_MAX)
		ctl_usage(ctl, "--registry-ids: at most %d", LOGIN_IDS_MAX);
	if (strlen(id) != 12 || strspn(id, "0123456789") != 12)
		ctl_usage(ctl,
		    "--registry-ids: \"%s\" must be an account id of 12 "
		    "digits",
		    id);
	l->o.ids[l->o.n_ids++] = id;
}

/* Words are further ids, as the AWS CLI has it. */
static void
login_arguments(struct ctl *ctl, int argc, char **argv,
    const struct option *own, struct login *l)
{
	const char *word = NULL;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code == 0 && l->o.n_ids == 0)
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		else if (code == 0)
			id_add(ctl, l, word);
		else if (code == OPT_IDS)
			id_add(ctl, l, optarg);
		else if (code == OPT_EMAIL || code == OPT_NO_EMAIL)
			l->email = code == OPT_EMAIL;
		else
			login_option(&l->o, code);
	}
}

static enum rc
login_ask(const struct ctl *ctl, const struct login_options *o,
    json_t **answer_r, char why[LOGIN_WHY_BYTES])
{
	json_t *input = input_make(o);
	enum rc rc;

	rc = login_operation(ctl, o, GET_TOKEN, input, answer_r, why);
	json_decref(input);
	return (rc == RC_OK ? answer_check(answer_r, why) : rc);
}

typedef enum ctl_exit
login_show_fn(const struct ctl *, const struct login *, const json_t *answer);

static enum ctl_exit
login_run(struct ctl *ctl, int argc, char **argv, const struct option *own,
    login_show_fn *show)
{
	char why[LOGIN_WHY_BYTES];
	struct login l = { 0 };
	enum ctl_exit code;
	json_t *answer;

	login_arguments(ctl, argc, argv, own, &l);
	if (login_ask(ctl, &l.o, &answer, why) != RC_OK) {
		ctl_say("%s", why);
		return (CTL_FAILED);
	}
	code = show(ctl, &l, answer);
	json_decref(answer);
	return (code);
}

static enum ctl_exit
logins_json(const json_t *entries)
{
	json_t *doc = json_pack("{s:[]}", "Logins"), *list, *entry, *one;
	char why[ECR_WHY_BYTES];
	struct ecr_login login;
	enum ctl_exit code = CTL_OK;
	size_t i;

	list = json_object_get(doc, "Logins");
	json_array_foreach((json_t *)(uintptr_t)entries, i, entry)
	{
		if (ecr_login_read(entry, &login, why) != RC_OK) {
			ctl_say("%s", why);
			code = CTL_FAILED;
			break;
		}
		one = json_pack("{s:s, s:s, s:s}", "Username", "AWS",
		    "Password", login.password, "Endpoint", login.endpoint);
		(void)json_array_append_new(list, one);
		ecr_login_free(&login);
	}
	if (code == CTL_OK)
		code = print_json(doc);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
login_show(const struct ctl *ctl, const struct login *l, const json_t *answer)
{
	const json_t *entries = json_object_get(answer, "authorizationData");
	char why[ECR_WHY_BYTES];
	struct ecr_login login;
	const json_t *entry;
	size_t i;

	if (ctl->output == CTL_JSON)
		return (logins_json(entries));
	json_array_foreach(entries, i, entry)
	{
		if (ecr_login_read(entry, &login, why) != RC_OK) {
			ctl_say("%s", why);
			return (CTL_FAILED);
		}
		(void)printf("docker login -u AWS -p %s %s%s\n", login.password,
		    l->email ? "-e none " : "", login.endpoint);
		ecr_login_free(&login);
	}
	return (print_done(CTL_OK));
}

static enum ctl_exit
password_show(
    const struct ctl *ctl, const struct login *l, const json_t *answer)
{
	const json_t *entries = json_object_get(answer, "authorizationData");
	char why[ECR_WHY_BYTES];
	struct ecr_login login;

	(void)l;
	if (ctl->output == CTL_JSON)
		return (logins_json(entries));
	if (ecr_login_read(json_array_get(entries, 0), &login, why) != RC_OK) {
		ctl_say("%s", why);
		return (CTL_FAILED);
	}
	(void)puts(login.password);
	ecr_login_free(&login);
	return (print_done(CTL_OK));
}

static enum ctl_exit
token_show(const struct ctl *ctl, const struct login *l, const json_t *answer)
{
	(void)ctl;
	(void)l;
	return (print_json(answer));
}

static enum ctl_exit
get_login(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = {
		LOGIN_OPTIONS,
		{ "registry-ids", required_argument, NULL, OPT_IDS },
		{ "include-email", no_argument, NULL, OPT_EMAIL },
		{ "no-include-email", no_argument, NULL, OPT_NO_EMAIL },
		{ NULL, 0, NULL, 0 },
	};

	return (login_run(ctl, argc, argv, own, login_show));
}

static enum ctl_exit
get_login_password(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = {
		LOGIN_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};

	return (login_run(ctl, argc, argv, own, password_show));
}

static enum ctl_exit
get_authorization_token(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = {
		LOGIN_OPTIONS,
		{ "registry-ids", required_argument, NULL, OPT_IDS },
		{ NULL, 0, NULL, 0 },
	};

	return (login_run(ctl, argc, argv, own, token_show));
}

const struct command command_get_login = {
	.name = "get-login",
	.title = "get-login",
	.summary = "print the docker login command of a registry",
	.help = login_help,
	.run = get_login,
};

const struct command command_get_login_password = {
	.name = "get-login-password",
	.title = "get-login-password",
	.summary = "print the password of docker's user AWS",
	.help = password_help,
	.run = get_login_password,
};

const struct command command_get_authorization_token = {
	.name = "get-authorization-token",
	.title = "get-authorization-token",
	.summary = "print a token and where it is good, as JSON",
	.help = token_help,
	.run = get_authorization_token,
};
