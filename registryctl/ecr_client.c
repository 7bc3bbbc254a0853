#include "registryctl/ecr_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/client.h"

/* --- which way ----------------------------------------------------------- */

/* Does a server serve the folder?  RC_NOTFOUND: none. */
static enum rc
socket_find(const struct ctl *ctl, char **socket_r, char why[ECR_WHY_BYTES])
{
	struct client *client;
	enum rc rc;

	static_assert(ECR_WHY_BYTES >= CLIENT_WHY_BYTES, "one fits the other");
	rc = client_open(ctl->data, why, &client);
	if (rc != RC_OK)
		return (rc);
	client_close(&client);
	*socket_r = xasprintf("%s/control.sock", ctl->data);
	return (RC_OK);
}

static enum rc
no_registry(const struct ctl *ctl, char why[ECR_WHY_BYTES])
{
	(void)snprintf(why, ECR_WHY_BYTES,
	    "which registry? No server serves the folder %.300s: name the "
	    "folder with --data DIR, or the registry with --endpoint "
	    "https://HOST:PORT",
	    ctl->data);
	return (RC_NOTFOUND);
}

static enum rc
way_find(const struct ctl *ctl, const struct login_options *o,
    struct ecr_client *c, char why[ECR_WHY_BYTES])
{
	const char *url = ctl->endpoint;
	enum rc rc;

	if (url == NULL) {
		rc = socket_find(ctl, &c->socket, why);
		if (rc == RC_OK) {
			c->endpoint = xstrdup("http://localhost");
			c->where = xstrdup(c->socket);
			return (RC_OK);
		}
		if (rc != RC_NOTFOUND)
			return (rc);
		if ((url = login_endpoint(ctl)) == NULL)
			return (no_registry(ctl, why));
	}
	c->endpoint = xstrdup(url);
	c->where = xstrdup(url);
	return (login_identity(ctl, o, &c->identity, why));
}

enum rc
ecr_client_open(const struct ctl *ctl, const struct login_options *o,
    char why[ECR_WHY_BYTES], struct ecr_client **client_r)
{
	struct ecr_client *c = xcalloc(1, sizeof(*c));
	enum rc rc;

	*client_r = NULL;
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	c->ca_file = o->ca_file;
	if ((rc = way_find(ctl, o, c, why)) != RC_OK) {
		ecr_client_close(&c);
		return (rc);
	}
	c->curl = curl_easy_init();
	must(c->curl != NULL);
	*client_r = c;
	return (RC_OK);
}

void
ecr_client_close(struct ecr_client **c_p)
{
	struct ecr_client *c = *c_p;

	*c_p = NULL;
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	aws_identity_wipe(&c->identity);
	free(c->endpoint);
	free(c->socket);
	free(c->where);
	free(c);
}

/* --- calls --------------------------------------------------------------- */

enum rc
ecr_client_call(struct ecr_client *c, const char *operation, json_t *input,
    json_t **answer_r)
{
	struct ecr_call call = {
		.endpoint = c->endpoint,
		.ca_file = c->ca_file,
		.identity = &c->identity,
		.operation = operation,
		.input = input != NULL ? input : (input = json_object()),
		.socket = c->socket,
		.curl = c->curl,
		.code = c->code,
	};
	json_t *answer = NULL;
	enum rc rc;

	c->code[0] = '\0';
	c->why[0] = '\0';
	rc = ecr_call(&call, &answer, c->why);
	json_decref(input);
	if (rc == RC_OK && !json_is_object(answer)) {
		(void)snprintf(c->why, sizeof(c->why),
		    "the answer to %s is not an object", operation);
		rc = RC_INVALID;
	}
	if (rc == RC_OK && answer_r != NULL)
		*answer_r = json_incref(answer);
	json_decref(answer);
	return (rc);
}

bool
ecr_client_missing(const struct ecr_client *c)
{
	return (strstr(c->code, "NotFoundException") != NULL);
}

enum rc
ecr_client_list(struct ecr_client *c, const char *operation, json_t *input,
    const char *member, json_t **list_r)
{
	json_t *list = json_array(), *answer = NULL, *token = NULL;
	enum rc rc;

	do {
		rc = ecr_client_call(
		    c, operation, json_deep_copy(input), &answer);
		if (rc != RC_OK)
			break;
		(void)json_array_extend(list, json_object_get(answer, member));
		token = json_object_get(answer, "nextToken");
		if (json_is_string(token))
			(void)json_object_set(input, "nextToken", token);
		else
			token = NULL;
		json_decref(answer);
	} while (token != NULL);
	json_decref(input);
	if (rc == RC_OK)
		*list_r = list;
	else
		json_decref(list);
	return (rc);
}
