#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "mirror/reference.h"
#include "mirror/secrets.h"
#include "registryd/api/control_int.h"

/* Credentials for other registries: listed without what is secret, put,
 * deleted. */

static enum rc
secrets_wanted(struct call *c)
{
	if (c->service->secrets != NULL)
		return (RC_OK);
	return (call_fail(
	    c, OCI_UNAVAILABLE, NULL, "the server has not begun yet"));
}

enum rc
control_secrets(struct call *c)
{
	struct buf out;
	json_t *list;
	char *text;
	enum rc rc;

	if ((rc = secrets_wanted(c)) != RC_OK)
		return (rc);
	if ((list = secrets_list(c->service->secrets)) == NULL)
		return (RC_IO);
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"secrets\":");
	buf_str(&out, text != NULL ? text : "[]");
	buf_str(&out, "}\n");
	free(text);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

/* --- put ----------------------------------------------------------------- */

/* A registry is called by its address, however it was written; all else, which
 * has neither a dot nor a port, or has a path, is a name. */
static struct span
name_settle(struct call *c, struct span name)
{
	char why[REFERENCE_WHY_BYTES];
	const char *url;

	if (memchr(name.p, '.', name.n) == NULL &&
	    memchr(name.p, ':', name.n) == NULL && !span_is(name, "localhost"))
		return (name);
	if (registry_url_parse(name, c->arena, &url, why) != RC_OK)
		return (name);
	return (span_of(url));
}

static enum rc
text_read(struct call *c, const json_t *o, const char *key, char **text_r)
{
	struct span s;
	enum rc rc;

	*text_r = NULL;
	rc = json_get_str(o, key, &s);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK || memchr(s.p, '\0', s.n) != NULL)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "%s must be a text", key));
	*text_r = arena_dup(c->arena, s.p, s.n);
	return (*text_r != NULL ? RC_OK : RC_TOOBIG);
}

/* All of it is in the arena. */
static enum rc
credential_read(struct call *c, const json_t *o, struct credential *k)
{
	char *key_id, *secret;
	enum rc rc;

	*k = (struct credential){ .kind = CREDENTIAL_PASSWORD };
	if ((rc = text_read(c, o, "username", &k->username)) != RC_OK ||
	    (rc = text_read(c, o, "password", &k->password)) != RC_OK ||
	    (rc = text_read(c, o, "access_key_id", &key_id)) != RC_OK ||
	    (rc = text_read(c, o, "secret_access_key", &secret)) != RC_OK ||
	    (rc = text_read(c, o, "region", &k->region)) != RC_OK ||
	    (rc = text_read(c, o, "api_url", &k->api_url)) != RC_OK)
		return (rc);
	if (key_id == NULL && secret == NULL)
		return (RC_OK);
	if (k->username != NULL || k->password != NULL)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "give a username and a password, or an access key, not "
		    "both"));
	k->kind = CREDENTIAL_AWS;
	k->username = key_id;
	k->password = secret;
	return (RC_OK);
}

static void
credential_forget(struct credential *k)
{
	if (k->password != NULL)
		mem_wipe(k->password, strlen(k->password));
}

static enum rc
secret_put(struct call *c, const json_t *o)
{
	char why[SECRETS_WHY_BYTES];
	struct credential k = { 0 };
	struct span name;
	struct buf out;
	enum rc rc;

	if (json_get_str(o, "name", &name) != RC_OK || name.n == 0)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "name: one is needed"));
	name = name_settle(c, name);
	rc = credential_read(c, o, &k);
	if (rc == RC_OK)
		rc = secrets_put(c->service->secrets, name, &k, why);
	credential_forget(&k);
	if (rc == RC_FAILED)
		return (rc);
	if (rc == RC_INVALID || rc == RC_NOTFOUND || rc == RC_DENIED)
		return (call_fail(c,
		    rc == RC_INVALID ? OCI_REQUEST_INVALID : OCI_CONFLICT, NULL,
		    "%s", why));
	if (rc != RC_OK)
		return (rc);
	if (c->service->upstreams != NULL)
		upstreams_forget(c->service->upstreams);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"name\":");
	buf_json(&out, name);
	buf_str(&out, "}\n");
	return (call_json_take(c, 201, CONTROL_JSON, &out));
}

enum rc
control_secret_put(struct call *c)
{
	char wrong[JSON_ERROR_BYTES];
	json_t *o;
	enum rc rc;

	if ((rc = secrets_wanted(c)) != RC_OK)
		return (rc);
	if (json_read(c->body, wrong, &o) != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL, "%s", wrong));
	rc = secret_put(c, o);
	json_decref(o);
	return (rc);
}

/* --- delete -------------------------------------------------------------- */

enum rc
control_secret_delete(struct call *c)
{
	struct span given = SPAN_NONE, name;
	enum rc rc;

	if ((rc = secrets_wanted(c)) != RC_OK)
		return (rc);
	(void)http_request_param(c->request, "name", &given);
	if (given.n == 0)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "name: one is needed"));
	name = name_settle(c, given);
	rc = secrets_delete(c->service->secrets, name);
	if (rc == RC_NOTFOUND)
		return (call_fail(c, OCI_NOT_FOUND, NULL,
		    "there are no credentials \"%.*s\"", CALL_SHOW(given)));
	if (rc != RC_OK)
		return (rc);
	if (c->service->upstreams != NULL)
		upstreams_forget(c->service->upstreams);
	call_json(c, 200, CONTROL_JSON, SPAN("{}\n"));
	return (RC_OK);
}
