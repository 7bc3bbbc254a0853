#include "registryctl/remote.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/upstream.h"
#include "registryctl/client.h"
#include "registryctl/docker_config.h"
#include "registryctl/ecr.h"
#include "registryctl/folder.h"
#include "storage/repositories.h"

/*
 * One set of upstreams for all that a command talks to.  A socket needs an
 * address to say in requests: it is one that nobody has.
 */
#define SOCKET_URL "http://registryd"
#define ARENA_BYTES ((size_t)4 << 20)
/* Of a request: people wait, and see why. */
#define PATIENCE_MS 30000
#define CREDENTIALS_MAX 64

enum here { HERE_UNKNOWN, HERE_SERVER, HERE_FOLDER, HERE_ENDPOINT };

/* Known to the upstreams by its number, so that places of one registry and one
 * login are one. */
struct known {
	char *url;
	struct docker_login login;
};

struct remote {
	const struct ctl *ctl;
	const struct remote_options *o;
	struct fetcher *fetcher;
	struct upstreams *upstreams;
	struct arena arena;

	enum here here;
	char *socket;	      /* HERE_SERVER */
	struct store *store;  /* HERE_FOLDER */
	const char *here_url; /* HERE_SERVER, HERE_ENDPOINT; in the arena */
	char *here_credential;

	struct known known[CREDENTIALS_MAX];
	size_t n_known;
	const char *ca_url[2], *ca_file[2]; /* of the sides; in the arena */
};

static enum rc __attribute__((format(printf, 3, 4)))
fail(char why[REMOTE_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, REMOTE_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- what upstreams ask for ---------------------------------------------- */

static void
configure(void *arg, const char *url, struct arena *a,
    struct upstream_options *options_r)
{
	struct remote *r = arg;
	const char *ca_file = r->o->login.ca_file;
	size_t i;

	if (r->socket != NULL && strcmp(url, SOCKET_URL) == 0) {
		options_r->unix_socket =
		    arena_dup(a, r->socket, strlen(r->socket));
		options_r->proxy = "";
		return;
	}
	for (i = 0; i < ARRAY_LEN(r->ca_url); i++)
		if (r->ca_url[i] != NULL && strcmp(url, r->ca_url[i]) == 0)
			ca_file = r->ca_file[i];
	if (ca_file != NULL)
		options_r->ca_file = arena_dup(a, ca_file, strlen(ca_file));
}

static enum rc
credential(void *arg, const char *url, struct span name, struct credential *c_r)
{
	struct remote *r = arg;
	char number[24];
	size_t i;

	for (i = 0; i < r->n_known; i++) {
		(void)snprintf(number, sizeof(number), "%zu", i);
		if (!span_is(name, number) || strcmp(url, r->known[i].url) != 0)
			continue;
		*c_r = (struct credential){
			.kind = CREDENTIAL_PASSWORD,
			.username = xstrdup(r->known[i].login.username),
			.password = xstrdup(r->known[i].login.password),
		};
		return (RC_OK);
	}
	return (RC_NOTFOUND);
}

/* The name of a login, in the arena; it is taken. */
static enum rc
credential_name(struct remote *r, const char *url, struct docker_login *login,
    char **name_r, char why[REMOTE_WHY_BYTES])
{
	const struct known *k;
	size_t i;

	for (i = 0; i < r->n_known; i++) {
		k = &r->known[i];
		if (strcmp(k->url, url) == 0 &&
		    strcmp(k->login.username, login->username) == 0 &&
		    strcmp(k->login.password, login->password) == 0)
			break;
	}
	if (i == CREDENTIALS_MAX) {
		docker_login_wipe(login);
		return (fail(why, RC_LIMIT, "too many different logins"));
	}
	if (i == r->n_known)
		r->known[r->n_known++] = (struct known){ xstrdup(url), *login };
	else
		docker_login_wipe(login);
	*login = (struct docker_login){ NULL, NULL };
	*name_r = arena_printf(&r->arena, "%zu", i);
	return (*name_r != NULL ? RC_OK : RC_TOOBIG);
}

/* --- life ---------------------------------------------------------------- */

struct remote *
remote_open(const struct ctl *ctl, const struct remote_options *o)
{
	struct remote *r = xcalloc(1, sizeof(*r));

	r->ctl = ctl;
	r->o = o;
	arena_init(&r->arena, ARENA_BYTES);
	return (r);
}

void
remote_close(struct remote **r_p)
{
	struct remote *r = *r_p;
	size_t i;

	*r_p = NULL;
	if (r == NULL)
		return;
	if (r->upstreams != NULL)
		upstreams_free(&r->upstreams);
	if (r->fetcher != NULL)
		fetcher_free(&r->fetcher);
	store_close(&r->store);
	for (i = 0; i < r->n_known; i++) {
		docker_login_wipe(&r->known[i].login);
		free(r->known[i].url);
	}
	free(r->socket);
	arena_reset(&r->arena);
	free(r);
}

static enum rc
upstreams_open(struct remote *r, char why[REMOTE_WHY_BYTES])
{
	struct upstreams_options options = {
		.user_agent = "registryctl/" REGISTRYD_VERSION,
		.configure = configure,
		.credential = credential,
		.arg = r,
	};

	if (r->upstreams != NULL)
		return (RC_OK);
	if (fetcher_new(&r->fetcher) != RC_OK)
		return (fail(why, RC_LIMIT, "no thread can be started"));
	options.fetcher = r->fetcher;
	r->upstreams = upstreams_new(&options);
	return (RC_OK);
}

/* --- a registry over HTTP ------------------------------------------------ */

/* ${name}: of the place, for people. */
static enum rc
upstream_place(struct remote *r, const char *url, const char *login,
    struct span repository, const char *name, struct place **p_r,
    char why[REMOTE_WHY_BYTES])
{
	struct place_remote_options o = {
		.repository = repository,
		.patience_ms = PATIENCE_MS,
		.name = name,
		.cancel = r->o->cancel,
	};
	enum rc rc;

	if ((rc = upstreams_open(r, why)) != RC_OK)
		return (rc);
	rc = upstreams_get(r->upstreams, url,
	    login != NULL ? span_of(login) : SPAN_NONE, &o.upstream);
	if (rc != RC_OK)
		return (
		    fail(why, rc, "%s: not the address of a registry", url));
	*p_r = place_remote(&o);
	upstream_unref(&o.upstream);
	return (RC_OK);
}

/* "HOST[:PORT]" of a URL. */
static const char *
host_of(const char *url)
{
	const char *at = strstr(url, "://");

	return (at != NULL ? at + 3 : url);
}

/* What docker knows; *${name_r} NULL: nothing, and so it is asked without. */
static enum rc
docker_credential(struct remote *r, const char *url, struct span repository,
    char **name_r, char why[REMOTE_WHY_BYTES])
{
	char reason[DOCKER_CONFIG_WHY_BYTES];
	struct docker_login login;
	enum rc rc;

	*name_r = NULL;
	rc = docker_config_find(host_of(url), repository, &login, reason);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (fail(why, rc, "%s", reason));
	return (credential_name(r, url, &login, name_r, why));
}

/* --- this registry ------------------------------------------------------- */

static enum rc
endpoint_password(
    struct remote *r, const struct aws_identity *id, char why[REMOTE_WHY_BYTES])
{
	char reason[LOGIN_WHY_BYTES];
	struct docker_login docker;
	struct ecr_login login;
	json_t *answer;
	enum rc rc;

	rc = login_call(r->here_url, &r->o->login, id, &answer, reason);
	if (rc == RC_OK) {
		rc = ecr_login_read(
		    json_array_get(
			json_object_get(answer, "authorizationData"), 0),
		    &login, reason);
		json_decref(answer);
	}
	if (rc != RC_OK)
		return (fail(why, rc, "%s", reason));
	docker.username = xstrdup("AWS");
	docker.password = xstrdup(login.password);
	ecr_login_free(&login);
	return (
	    credential_name(r, r->here_url, &docker, &r->here_credential, why));
}

static enum rc
endpoint_open(struct remote *r, const char *text, struct span repository,
    char why[REMOTE_WHY_BYTES])
{
	char reason[REFERENCE_WHY_BYTES], login_why[LOGIN_WHY_BYTES];
	struct aws_identity id;
	enum rc rc;

	rc = registry_url_parse(span_of(text), &r->arena, &r->here_url, reason);
	if (rc != RC_OK)
		return (fail(why, rc, "--endpoint: %s", reason));
	rc = login_identity(r->ctl, &r->o->login, &id, login_why);
	if (rc != RC_OK)
		return (fail(why, rc, "%s", login_why));
	if (id.access_key[0] != '\0')
		rc = endpoint_password(r, &id, why);
	else
		rc = docker_credential(
		    r, r->here_url, repository, &r->here_credential, why);
	aws_identity_wipe(&id);
	if (rc == RC_OK)
		r->here = HERE_ENDPOINT;
	return (rc);
}

static enum rc
nothing_here(const struct remote *r, char why[REMOTE_WHY_BYTES])
{
	return (fail(why, RC_NOTFOUND,
	    "there is no registry in %.300s and no server serves it: name its "
	    "folder with --data DIR, or its address with --endpoint "
	    "https://HOST:PORT",
	    r->ctl->data));
}

static enum rc
folder_or_environment(
    struct remote *r, struct span repository, char why[REMOTE_WHY_BYTES])
{
	const char *endpoint = login_endpoint(r->ctl);
	char reason[STORE_WHY_BYTES];
	enum rc rc;

	rc = folder_open(r->ctl->data, false, reason, &r->store);
	if (rc == RC_OK) {
		folder_keys(r->store, r->ctl->data, r->o->master_key_file);
		r->here = HERE_FOLDER;
		return (RC_OK);
	}
	if (rc != RC_NOTFOUND)
		return (fail(why, rc, "%s", reason));
	if (endpoint != NULL)
		return (endpoint_open(r, endpoint, repository, why));
	return (nothing_here(r, why));
}

static enum rc
here_find(struct remote *r, struct span repository, char why[REMOTE_WHY_BYTES])
{
	char reason[CLIENT_WHY_BYTES];
	struct client *client;
	enum rc rc;

	if (r->here != HERE_UNKNOWN)
		return (RC_OK);
	if (r->ctl->endpoint != NULL)
		return (endpoint_open(r, r->ctl->endpoint, repository, why));
	rc = client_open(r->ctl->data, reason, &client);
	if (rc == RC_NOTFOUND)
		return (folder_or_environment(r, repository, why));
	if (rc != RC_OK)
		return (fail(why, rc, "%s", reason));
	client_close(&client);
	r->socket = xasprintf("%s/control.sock", r->ctl->data);
	r->here_url = SOCKET_URL;
	r->here = HERE_SERVER;
	return (RC_OK);
}

static struct place *
folder_place(struct remote *r, struct span repository, bool sparse)
{
	const struct place_store_options o = {
		.store = r->store,
		.repository = repository,
		.create = &repository_preset_default,
		.sparse = sparse,
		.links = true,
		.cancel = r->o->cancel,
	};

	return (place_store(&o));
}

static enum rc
named_place(struct remote *r, const char *host, struct span repository,
    struct place **p_r, char why[REMOTE_WHY_BYTES])
{
	char *name;
	enum rc rc;

	name = xasprintf("%s%s" SPAN_FMT, host, host[0] != '\0' ? "/" : "",
	    SPAN_ARG(repository));
	rc = upstream_place(
	    r, r->here_url, r->here_credential, repository, name, p_r, why);
	free(name);
	return (rc);
}

enum rc
remote_here(struct remote *r, struct span repository, bool sparse,
    struct place **p_r, char why[REMOTE_WHY_BYTES])
{
	enum rc rc;

	*p_r = NULL;
	if (!name_repository_ok(repository))
		return (
		    fail(why, RC_INVALID, "\"%.*s\" is no name of a repository",
			repository.n < 256 ? (int)repository.n : 256,
			repository.p != NULL ? repository.p : ""));
	if ((rc = here_find(r, repository, why)) != RC_OK)
		return (rc);
	if (r->here == HERE_FOLDER) {
		*p_r = folder_place(r, repository, sparse);
		return (RC_OK);
	}
	return (
	    named_place(r, r->here == HERE_ENDPOINT ? host_of(r->here_url) : "",
		repository, p_r, why));
}

/* --- others -------------------------------------------------------------- */

static enum rc
side_credential(struct remote *r, enum remote_side side,
    const struct image_reference *ref, char **name_r,
    char why[REMOTE_WHY_BYTES])
{
	const struct remote_side_options *o = &r->o->side[side];
	struct docker_login login;

	if (o->username == NULL)
		return (docker_credential(r, ref->url, ref->name, name_r, why));
	login.username = xstrdup(o->username);
	login.password = xstrdup(o->password != NULL ? o->password : "");
	return (credential_name(r, ref->url, &login, name_r, why));
}

enum rc
remote_place(struct remote *r, enum remote_side side,
    const struct image_reference *ref, bool sparse, struct place **p_r,
    char why[REMOTE_WHY_BYTES])
{
	char *login, *name;
	enum rc rc;

	*p_r = NULL;
	if (ref->url == NULL)
		return (remote_here(r, ref->name, sparse, p_r, why));
	if (r->o->side[side].ca_file != NULL) {
		r->ca_url[side] =
		    arena_dup(&r->arena, ref->url, strlen(ref->url));
		r->ca_file[side] = r->o->side[side].ca_file;
	}
	if ((rc = side_credential(r, side, ref, &login, why)) != RC_OK)
		return (rc);
	name = xasprintf("%s/" SPAN_FMT, ref->registry, SPAN_ARG(ref->name));
	rc = upstream_place(r, ref->url, login, ref->name, name, p_r, why);
	free(name);
	return (rc);
}
