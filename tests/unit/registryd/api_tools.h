#ifndef TESTS_API_TOOLS_H
#define TESTS_API_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/span.h"
#include "registryd/call.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "storage/store.h"

/*
 * A registry without its wire: requests are handed to the handlers the way
 * the dispatcher does it, on a real store in a folder of its own.  A failure
 * ends the test.
 */
struct api {
	char dir[512];
	char master_key_file[600];
	struct store *store;
	struct settings settings;
	struct service service; /* without authentication */
};

#define ASK_HEADERS 12

struct ask {
	enum http_method method;
	enum role role; /* of the listener */
	const char *path;
	const char *query;		  /* "a=b&c=d", decoded; or NULL */
	const char *headers[ASK_HEADERS]; /* "Name: value" */
	struct span body;
	bool streamed; /* as a body that is long or chunked */
	bool chunked;  /* its length is not announced */
	enum rc ends;  /* how a streamed body ends */
};

struct reply {
	int status;
	const char *code;	/* of the error; "" for none */
	struct span body;	/* text; of a file too */
	struct http_exchange x; /* its arena holds all of it */
};

/** api_open(api), api_close(api). */
void api_open(struct api *);
void api_close(struct api *);
/** api_bare(api): without what it has of its service, for who makes one. */
void api_bare(struct api *);
/** api_reopen(api): as after a restart. */
void api_reopen(struct api *);

/** api_ask(api, ask, reply): to be freed by reply_free(). */
void api_ask(struct api *, const struct ask *, struct reply *);
void reply_free(struct reply *);

/** ask_params(x, query): "a=b&c=d", decoded; or NULL. */
void ask_params(struct http_exchange *, const char *query);

/** reply_header(r, name): the first of that name, NULL if there is none. */
const char *reply_header(const struct reply *, const char *name);
size_t reply_headers(const struct reply *, const char *name);

/** reply_has(r, text): the body has ${text} in it. */
bool reply_has(const struct reply *, const char *text);

/** api_status(api, method, path, query): ask and forget all but the status. */
int
api_status(struct api *, enum http_method, const char *path, const char *query);

/** api_blob(api, repository, text, out): push one, its digest in ${out}. */
const char *api_blob(struct api *, const char *repository, struct span text,
    char out[DIGEST_STR_BYTES]);

/** api_manifest(api, repository, tag, text, out): push one of type OCI image
 * manifest, or index where its text says so. */
const char *api_manifest(struct api *, const char *repository, const char *tag,
    const char *text, char out[DIGEST_STR_BYTES]);

/** api_image(api, repository, tag, seed, out): an image of its own config and
 * one layer, made from ${seed}. */
const char *api_image(struct api *, const char *repository, const char *tag,
    const char *seed, char out[DIGEST_STR_BYTES]);

#endif
