#include "registryctl/docker_config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/input.h"

/*
 * Files and helpers are those of other programs: they are read as these read
 * them, and what they say is never shown but for where they are.
 */
#define FILE_MAX_BYTES ((size_t)4 << 20)
#define HELPER_OUTPUT_BYTES ((size_t)64 << 10)
#define HELPER_NAME_MAX 64
#define NOT_FOUND "credentials not found"

static enum rc __attribute__((format(printf, 3, 4)))
fail(char why[DOCKER_CONFIG_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, DOCKER_CONFIG_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

static void
text_wipe(char **text)
{
	if (*text != NULL)
		mem_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void
docker_login_wipe(struct docker_login *l)
{
	text_wipe(&l->username);
	text_wipe(&l->password);
}

/* --- names of a registry ------------------------------------------------- */

static const char *const hub_names[] = { "docker.io", "index.docker.io",
	"registry-1.docker.io", NULL };

/* What a key of "auths" or "credHelpers" may call it: as it is, as a URL, with
 * what docker login once wrote behind it. */
static bool
key_names(const char *key, const char *name)
{
	static const char *const tails[] = { "", "/", "/v1", "/v1/", "/v2",
		"/v2/" };
	size_t i, n = strlen(name);

	if (strncmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncmp(key, "http://", 7) == 0)
		key += 7;
	if (strncmp(key, name, n) != 0)
		return (false);
	for (i = 0; i < ARRAY_LEN(tails); i++)
		if (strcmp(key + n, tails[i]) == 0)
			return (true);
	return (false);
}

static bool
is_hub(const char *host)
{
	size_t i;

	for (i = 0; hub_names[i] != NULL; i++)
		if (strcmp(host, hub_names[i]) == 0)
			return (true);
	return (false);
}

/* The member for "HOST", or of Docker Hub for any of its names. */
static json_t *
member_of(json_t *o, const char *host, const char **key_r)
{
	const char *const one[] = { host, NULL };
	const char *const *names = is_hub(host) ? hub_names : one;
	const char *key;
	json_t *value;
	size_t i;

	for (i = 0; names[i] != NULL; i++)
		json_object_foreach(o, key, value)
		{
			if (!key_names(key, names[i]))
				continue;
			*key_r = key;
			return (value);
		}
	return (NULL);
}

/* --- "auths" ------------------------------------------------------------- */

/* "USER:PASSWORD" */
static enum rc
pair_split(const char *pair, size_t n, struct docker_login *login_r)
{
	const char *colon = memchr(pair, ':', n);
	size_t user;

	if (colon == NULL || memchr(pair, '\0', n) != NULL)
		return (RC_INVALID);
	user = (size_t)(colon - pair);
	login_r->username = xstrndup(pair, user);
	login_r->password = xstrndup(colon + 1, n - user - 1);
	return (RC_OK);
}

static enum rc
auth_decode(struct span text, struct docker_login *login_r)
{
	uint8_t *pair = xmalloc(text.n + 4);
	size_t n;
	enum rc rc;

	rc = base64_decode(text, pair, &n);
	if (rc == RC_OK)
		rc = pair_split((const char *)pair, n, login_r);
	mem_wipe(pair, text.n + 4);
	free(pair);
	return (rc);
}

/* RC_NOTFOUND: docker leaves an empty entry for what a helper keeps. */
static enum rc
entry_read(const json_t *entry, const char *path, const char *key,
    struct docker_login *login_r, char why[DOCKER_CONFIG_WHY_BYTES])
{
	struct span text, name;
	enum rc rc;

	if (json_get_str(entry, "identitytoken", &text) == RC_OK &&
	    text.n > 0) {
		login_r->username = xstrdup("<token>");
		login_r->password = xstrndup(text.p, text.n);
		return (RC_OK);
	}
	if (json_get_str(entry, "auth", &text) == RC_OK && text.n > 0) {
		rc = auth_decode(text, login_r);
		if (rc != RC_OK)
			return (fail(why, RC_INVALID,
			    "%.200s: \"auth\" of %.100s is not base64 of "
			    "USER:PASSWORD",
			    path, key));
		return (RC_OK);
	}
	if (json_get_str(entry, "username", &name) == RC_OK &&
	    json_get_str(entry, "password", &text) == RC_OK && name.n > 0) {
		login_r->username = xstrndup(name.p, name.n);
		login_r->password = xstrndup(text.p, text.n);
		return (RC_OK);
	}
	return (RC_NOTFOUND);
}

/* podman may know a repository, or what stands above it. */
static enum rc
auths_by_name(json_t *auths, const char *path, const char *host,
    struct span repository, struct docker_login *login_r,
    char why[DOCKER_CONFIG_WHY_BYTES])
{
	char *key = xasprintf("%s/" SPAN_FMT, host, SPAN_ARG(repository));
	json_t *entry;
	char *slash;
	enum rc rc = RC_NOTFOUND;

	while (rc == RC_NOTFOUND && strlen(key) > strlen(host)) {
		if ((entry = json_object_get(auths, key)) != NULL)
			rc = entry_read(entry, path, key, login_r, why);
		if ((slash = strrchr(key, '/')) == NULL)
			break;
		*slash = '\0';
	}
	free(key);
	return (rc);
}

static enum rc
auths_find(json_t *doc, const char *path, const char *host,
    struct span repository, struct docker_login *login_r,
    char why[DOCKER_CONFIG_WHY_BYTES])
{
	json_t *auths = json_object_get(doc, "auths"), *entry;
	const char *key;
	enum rc rc;

	rc = auths_by_name(auths, path, host, repository, login_r, why);
	if (rc != RC_NOTFOUND)
		return (rc);
	entry = member_of(auths, host, &key);
	if (entry == NULL)
		return (RC_NOTFOUND);
	return (entry_read(entry, path, key, login_r, why));
}

/* --- helpers ------------------------------------------------------------- */

static bool
helper_name_ok(const char *name)
{
	size_t n = strlen(name);

	return (
	    n > 0 && n <= HELPER_NAME_MAX && name[0] != '-' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789._-") == n);
}

struct helper {
	pid_t pid;
	int in, out;
};

static int
actions_make(posix_spawn_file_actions_t *a, const int in[2], const int out[2])
{
	int err;

	if ((err = posix_spawn_file_actions_init(a)) != 0)
		return (err);
	if ((err = posix_spawn_file_actions_adddup2(a, in[0], 0)) == 0)
		err = posix_spawn_file_actions_adddup2(a, out[1], 1);
	return (err);
}

/* 0, or an errno. */
static int
helper_start(const char *program, struct helper *h)
{
	char *const argv[] = { (char *)(uintptr_t)program,
		(char *)(uintptr_t) "get", NULL };
	posix_spawn_file_actions_t actions;
	int in[2], out[2], err;

	if (pipe2(in, O_CLOEXEC) == -1)
		return (errno);
	if (pipe2(out, O_CLOEXEC) == -1) {
		err = errno;
		(void)close(in[0]);
		(void)close(in[1]);
		return (err);
	}
	err = actions_make(&actions, in, out);
	if (err == 0)
		err = posix_spawnp(
		    &h->pid, program, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(in[0]);
	(void)close(out[1]);
	h->in = in[1];
	h->out = out[0];
	if (err != 0) {
		(void)close(h->in);
		(void)close(h->out);
	}
	return (err);
}

/* One that does not read what it is asked has ended: its status tells. */
static void
helper_ask(struct helper *h, const char *server)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was;
	ssize_t n;

	(void)sigaction(SIGPIPE, &ignore, &was);
	n = write(h->in, server, strlen(server));
	if (n == (ssize_t)strlen(server))
		n = write(h->in, "\n", 1);
	(void)n;
	(void)sigaction(SIGPIPE, &was, NULL);
	(void)close(h->in);
}

static bool
helper_hear(struct helper *h, struct buf *text)
{
	char part[4096];
	ssize_t n;

	while ((n = read(h->out, part, sizeof(part))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		buf_add(text, part, (size_t)n);
		if (!buf_ok(text))
			break;
	}
	mem_wipe(part, sizeof(part));
	(void)close(h->out);
	return (n == 0 && buf_ok(text));
}

static bool
helper_succeeded(struct helper *h)
{
	int status;

	while (waitpid(h->pid, &status, 0) == -1)
		if (errno != EINTR)
			return (false);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* {"ServerURL":...,"Username":...,"Secret":...} */
static enum rc
helper_read(const char *program, struct span text, struct docker_login *login_r,
    char why[DOCKER_CONFIG_WHY_BYTES])
{
	char reason[JSON_ERROR_BYTES];
	struct span user = SPAN_NONE, secret = SPAN_NONE;
	json_t *doc;
	bool ok;

	if (json_read(text, reason, &doc) != RC_OK)
		return (fail(why, RC_FAILED, "%s: what it answered is not JSON",
		    program));
	ok = json_get_str(doc, "Username", &user) == RC_OK &&
	     json_get_str(doc, "Secret", &secret) == RC_OK && user.n > 0;
	if (ok) {
		login_r->username = xstrndup(user.p, user.n);
		login_r->password = xstrndup(secret.p, secret.n);
	}
	json_decref(doc);
	return (ok ? RC_OK : RC_NOTFOUND);
}

static bool
says_not_found(struct span text)
{
	return (memmem(text.p != NULL ? text.p : "", text.n, NOT_FOUND,
		    strlen(NOT_FOUND)) != NULL);
}

static enum rc
helper_run(const char *program, const char *server,
    struct docker_login *login_r, char why[DOCKER_CONFIG_WHY_BYTES])
{
	struct helper h;
	struct buf text;
	bool heard, succeeded;
	int err;
	enum rc rc;

	if ((err = helper_start(program, &h)) != 0)
		return (fail(why, RC_FAILED,
		    "%s, which docker's configuration names, cannot be run: %s",
		    program, strerror(err)));
	buf_init(&text, HELPER_OUTPUT_BYTES);
	helper_ask(&h, server);
	heard = helper_hear(&h, &text);
	succeeded = helper_succeeded(&h);
	if (heard && succeeded)
		rc = helper_read(program, buf_as_span(&text), login_r, why);
	else if (heard && says_not_found(buf_as_span(&text)))
		rc = RC_NOTFOUND;
	else
		rc = fail(why, RC_FAILED,
		    "%s failed to give the credentials of %.200s", program,
		    server);
	input_wipe(&text);
	return (rc);
}

static enum rc
helper_get(const char *name, const char *server, struct docker_login *login_r,
    char why[DOCKER_CONFIG_WHY_BYTES])
{
	char *program;
	enum rc rc;

	if (!helper_name_ok(name))
		return (fail(why, RC_INVALID,
		    "\"%.100s\" in docker's configuration is no name of a "
		    "credential helper",
		    name));
	program = xasprintf("docker-credential-%s", name);
	rc = helper_run(program, server, login_r, why);
	free(program);
	return (rc);
}

/* What docker asks a helper for. */
static const char *
server_of(const char *host)
{
	return (is_hub(host) ? "https://index.docker.io/v1/" : host);
}

/* --- files --------------------------------------------------------------- */

static enum rc
doc_find(json_t *doc, const char *path, const char *host,
    struct span repository, struct docker_login *login_r,
    char why[DOCKER_CONFIG_WHY_BYTES])
{
	const char *key, *name;
	enum rc rc;

	name = json_string_value(
	    member_of(json_object_get(doc, "credHelpers"), host, &key));
	if (name != NULL)
		return (helper_get(name, server_of(host), login_r, why));
	rc = auths_find(doc, path, host, repository, login_r, why);
	if (rc != RC_NOTFOUND)
		return (rc);
	name = json_string_value(json_object_get(doc, "credsStore"));
	if (name == NULL || name[0] == '\0')
		return (RC_NOTFOUND);
	return (helper_get(name, server_of(host), login_r, why));
}

static enum rc
file_find(const char *path, const char *host, struct span repository,
    struct docker_login *login_r, char why[DOCKER_CONFIG_WHY_BYTES])
{
	char reason[INPUT_WHY_BYTES], wrong_json[JSON_ERROR_BYTES];
	struct buf text;
	json_t *doc;
	enum rc rc;

	rc = input_file(path, FILE_MAX_BYTES, &text, reason);
	if (rc == RC_NOTFOUND)
		return (rc);
	if (rc != RC_OK)
		return (fail(why, rc, "%.500s", reason));
	rc = json_read(buf_as_span(&text), wrong_json, &doc);
	input_wipe(&text);
	if (rc != RC_OK)
		return (fail(why, RC_INVALID, "%.200s: %s", path, wrong_json));
	rc = doc_find(doc, path, host, repository, login_r, why);
	json_decref(doc);
	return (rc);
}

static char *
path_below(const char *variable, const char *tail)
{
	const char *dir = getenv(variable);

	return (dir != NULL && dir[0] != '\0' ? xasprintf("%s/%s", dir, tail)
					      : NULL);
}

enum rc
docker_config_find(const char *host, struct span repository,
    struct docker_login *login_r, char why[DOCKER_CONFIG_WHY_BYTES])
{
	const char *only = getenv("REGISTRY_AUTH_FILE");
	char *paths[2];
	size_t i;
	enum rc rc = RC_NOTFOUND;

	*login_r = (struct docker_login){ NULL, NULL };
	if (only != NULL && only[0] != '\0')
		return (file_find(only, host, repository, login_r, why));
	paths[0] = path_below("XDG_RUNTIME_DIR", "containers/auth.json");
	paths[1] = path_below("DOCKER_CONFIG", "config.json");
	if (paths[1] == NULL)
		paths[1] = path_below("HOME", ".docker/config.json");
	for (i = 0; rc == RC_NOTFOUND && i < ARRAY_LEN(paths); i++)
		if (paths[i] != NULL)
			rc =
			    file_find(paths[i], host, repository, login_r, why);
	for (i = 0; i < ARRAY_LEN(paths); i++)
		free(paths[i]);
	return (rc);
}
