#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/span.h"
#include "registryctl/input.h"
#include "registryctl/login.h"
#include "registryctl/print.h"

/*
 * registryctl docker-credential, also under the name docker-credential-
 * registryd: a credential helper of docker, podman, skopeo and their kin.  One
 * word says what is wanted, standard input whose, standard output has the
 * answer - errors too, which is how the protocol wants them; some of these
 * words are known to docker and must be exactly as they are.
 *
 * Nothing is kept: each time a fresh token is got with AWS credentials.
 */
static const char help[] =
    "Usage: registryctl [--endpoint URL] [--data DIR] docker-credential\n"
    "       get|store|erase|list|version\n"
    "Speak docker's credential-helper protocol, so that docker, podman and\n"
    "skopeo need no login: whenever they ask, a fresh token is got with AWS\n"
    "credentials. They call it as docker-credential-registryd, under which\n"
    "name it is installed too (else link it); say for which host in\n"
    "~/.docker/config.json:\n"
    "  { \"credHelpers\": { \"HOST:PORT\": \"registryd\" } }\n"
    "\n"
    "  get      print user and password for the server named on standard\n"
    "           input. Where no endpoint is set it is asked itself, by https\n"
    "           (and by http where it is this machine)\n"
    "  store    refused: there is nothing to be stored\n"
    "  erase    nothing is stored, so all is well\n"
    "  list     what get has something for, as far as an endpoint is set\n"
    "  version\n"
    "\n" LOGIN_OPTIONS_HELP;

#define INPUT_MAX_BYTES ((size_t)64 << 10)
#define NOT_FOUND "credentials not found in native keychain"
#define NO_SERVER "no credentials server URL"
#define NO_STORE \
	"nothing is stored: registryctl gets a fresh token whenever docker " \
	"asks for one"

/* The protocol's way to fail. */
static enum ctl_exit
refuse(const char *why)
{
	print_text(why);
	(void)putchar('\n');
	return (print_done(CTL_FAILED));
}

/* What docker asks about, the caller's; NULL: it was said what is wrong. */
static char *
server_read(void)
{
	char why[INPUT_WHY_BYTES];
	struct span text;
	struct buf input;
	char *server = NULL;

	if (input_file("-", INPUT_MAX_BYTES, &input, why) != RC_OK) {
		(void)refuse(why);
		return (NULL);
	}
	text = buf_as_span(&input);
	while (text.n > 0 &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	text = span_trim(text);
	if (text.n == 0 || memchr(text.p, '\0', text.n) != NULL)
		(void)refuse(NO_SERVER);
	else
		server = xstrndup(text.p, text.n);
	buf_free(&input);
	return (server);
}

/* --- get ----------------------------------------------------------------- */

struct asking {
	const struct ctl *ctl;
	struct login_options o;
	struct aws_identity id;
	char why[LOGIN_WHY_BYTES];
};

static enum rc
first_login(struct asking *a, const char *endpoint, struct ecr_login *login_r)
{
	json_t *answer, *entries;
	enum rc rc;

	rc = login_call(endpoint, &a->o, &a->id, &answer, a->why);
	if (rc != RC_OK)
		return (rc);
	entries = json_object_get(answer, "authorizationData");
	rc = ecr_login_read(json_array_get(entries, 0), login_r, a->why);
	json_decref(answer);
	return (rc);
}

/* The registry is known: is the host one of its names? */
static enum rc
get_from(struct asking *a, const char *endpoint, const char *host,
    struct ecr_login *login_r)
{
	char *mine = NULL, *public = NULL;
	char ignored[ECR_WHY_BYTES];
	bool same;
	enum rc rc;

	if ((rc = ecr_host(endpoint, &mine, a->why)) != RC_OK)
		return (rc);
	same = strcmp(mine, host) == 0;
	free(mine);
	rc = first_login(a, endpoint, login_r);
	if (same || rc != RC_OK)
		return (rc);
	if (ecr_host(login_r->endpoint, &public, ignored) == RC_OK)
		same = strcmp(public, host) == 0;
	free(public);
	if (same)
		return (RC_OK);
	ecr_login_free(login_r);
	return (RC_NOTFOUND);
}

/* Whoever answers as a registry of ours does is one; all else is none of our
 * business, and docker goes on without us. */
static enum rc
get_from_host(struct asking *a, const char *host, struct ecr_login *login_r)
{
	char *url = xasprintf("https://%s", host);
	enum rc rc;

	rc = first_login(a, url, login_r);
	free(url);
	if (rc == RC_UNSUPPORTED && ecr_host_is_loopback(host)) {
		url = xasprintf("http://%s", host);
		rc = first_login(a, url, login_r);
		free(url);
	}
	if (rc == RC_OK || rc == RC_FAILED || rc == RC_DENIED)
		return (rc);
	ctl_say("%s", a->why);
	return (RC_NOTFOUND);
}

static enum ctl_exit
credentials_show(const char *server, const struct ecr_login *login)
{
	json_t *doc = json_pack("{s:s, s:s, s:s}", "ServerURL", server,
	    "Username", "AWS", "Secret", login->password);
	enum ctl_exit code;

	if (doc == NULL)
		return (refuse(NOT_FOUND));
	code = print_json(doc);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
get(struct asking *a)
{
	const char *endpoint = login_endpoint(a->ctl);
	char *server, *host = NULL;
	struct ecr_login login;
	enum ctl_exit code;
	enum rc rc;

	if ((server = server_read()) == NULL)
		return (CTL_FAILED);
	if (ecr_host(server, &host, a->why) != RC_OK) {
		free(server);
		return (refuse(NOT_FOUND));
	}
	rc = login_identity(a->ctl, &a->o, &a->id, a->why);
	if (rc == RC_OK)
		rc = endpoint != NULL ? get_from(a, endpoint, host, &login)
				      : get_from_host(a, host, &login);
	if (rc == RC_OK) {
		code = credentials_show(server, &login);
		ecr_login_free(&login);
	} else {
		code = refuse(rc == RC_NOTFOUND ? NOT_FOUND : a->why);
	}
	free(host);
	free(server);
	return (code);
}

/* --- the others ---------------------------------------------------------- */

static enum ctl_exit
store(struct asking *a)
{
	char why[INPUT_WHY_BYTES];
	struct buf input;

	(void)a;
	/* Taken off the pipe, so that docker does not meet a closed one. */
	if (input_file("-", INPUT_MAX_BYTES, &input, why) != RC_OK)
		return (refuse(why));
	input_wipe(&input);
	return (refuse(NO_STORE));
}

static enum ctl_exit
erase(struct asking *a)
{
	char *server = server_read();

	(void)a;
	if (server == NULL)
		return (CTL_FAILED);
	free(server);
	return (CTL_OK);
}

static enum ctl_exit
list(struct asking *a)
{
	const char *endpoint = login_endpoint(a->ctl);
	json_t *doc = json_object();
	struct ecr_login login;
	enum rc rc = RC_OK;
	enum ctl_exit code;

	if (endpoint != NULL) {
		rc = login_identity(a->ctl, &a->o, &a->id, a->why);
		if (rc == RC_OK)
			rc = first_login(a, endpoint, &login);
	}
	if (endpoint != NULL && rc == RC_OK) {
		(void)json_object_set_new(
		    doc, login.endpoint, json_string("AWS"));
		ecr_login_free(&login);
	}
	code = rc == RC_OK ? print_json(doc) : refuse(a->why);
	json_decref(doc);
	return (code);
}

static enum ctl_exit
version(struct asking *a)
{
	(void)a;
	(void)puts("docker-credential-registryd " REGISTRYD_VERSION);
	return (print_done(CTL_OK));
}

static const struct {
	const char *name;
	enum ctl_exit (*run)(struct asking *);
} actions[] = {
	{ "get", get },
	{ "store", store },
	{ "erase", erase },
	{ "list", list },
	{ "version", version },
};

static enum ctl_exit
docker_credential_run(struct ctl *ctl, int argc, char **argv)
{
	static const struct option own[] = {
		LOGIN_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	struct asking a = { .ctl = ctl };
	const char *word = NULL, *action = NULL;
	enum ctl_exit done;
	size_t i;
	int code;

	while ((code = ctl_next(ctl, argc, argv, own, &word)) != -1) {
		if (code != 0)
			login_option(&a.o, code);
		else if (action != NULL)
			ctl_usage(ctl, "unexpected argument \"%s\"", word);
		else
			action = word;
	}
	for (i = 0; action != NULL && i < ARRAY_LEN(actions); i++) {
		if (strcmp(action, actions[i].name) != 0)
			continue;
		done = actions[i].run(&a);
		aws_identity_wipe(&a.id);
		return (done);
	}
	ctl_usage(ctl, "say what: get, store, erase, list or version");
}

const struct command command_docker_credential = {
	.name = "docker-credential",
	.title = "docker-credential",
	.summary = "be docker's credential helper: no login needed",
	.help = help,
	.run = docker_credential_run,
};
