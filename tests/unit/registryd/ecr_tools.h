#ifndef TESTS_ECR_TOOLS_H
#define TESTS_ECR_TOOLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/span.h"
#include "registryd/call.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * POST / without its wire: requests go through aws_begin, aws_handle and
 * aws_error as the dispatcher does it, on a real store, with real users and
 * signatures where there is authentication.  A failure ends the test.
 */
#define ECR_ACCOUNT "123456789012"
#define ECR_HOST "registry.example:5000"

/* Messages that several operations have. */
#define ECR_CONSTRAINT(place, reason) \
	"Invalid parameter at '" place \
	"' failed to satisfy constraint: '" reason "'"
#define ECR_NO_REPOSITORY(name) \
	"The repository with name '" name \
	"' does not exist in the registry with id '" ECR_ACCOUNT "'"

/* A user's policy: ${actions}, a string or a list of JSON, are allowed. */
#define ECR_ALLOW(actions, resource) \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"," \
	"\"Action\":" actions ",\"Resource\":\"" resource "\"}]}"

/* Of no image that a test makes. */
#define ECR_UNKNOWN_DIGEST \
	"sha256:" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct ecr {
	char dir[512];
	char master_key_file[600];
	struct settings settings;
	struct service service;
};

/* The registry of tests that need no more than one. */
extern struct ecr ecr;

/** ecr_setup(state), ecr_teardown(state): for cmocka, of a test or of a group:
 * ${ecr} without authentication is opened, and closed.  A file whose ${ecr}
 * has to be another opens it by itself; it is closed all the same. */
int ecr_setup(void **state);
int ecr_teardown(void **state);

/** ecr_open(e, mode), ecr_close(e). */
void ecr_open(struct ecr *, enum auth_mode);
void ecr_close(struct ecr *);
/** ecr_reopen(e): as after a restart; without authentication. */
void ecr_reopen(struct ecr *);

/* What a request is signed with; empty .id: it is not signed. */
struct ecr_key {
	char id[64], secret[128], token[2048];
	const char *region; /* NULL: "us-east-1" */
};

/** ecr_admin(e, json): a change of users and policies, by auth_admin; its
 * answer is the caller's. */
json_t *ecr_admin(struct ecr *, const char *json);

/** ecr_user(e, name, policy, key): a user with an access key; ${policy}: the
 * text of an inline policy, or NULL. */
void ecr_user(
    struct ecr *, const char *name, const char *policy, struct ecr_key *key);

struct ecr_ask {
	const char *operation; /* "DescribeRepositories" */
	const char *target;    /* X-Amz-Target; NULL: of ECR's operation */
	struct span body;      /* .p NULL: "{}" */
	const char *form;      /* a body of the query protocol instead */
	const char *query;     /* "Action=x&y=z" behind "/?" */
	const char *service;   /* signed for; NULL: by the protocol */
	const struct ecr_key *key;
	bool tls;
	bool local; /* through the control socket */
};

struct ecr_reply {
	int status;
	json_t *json; /* JSON protocol; NULL otherwise */
	struct span body;
	const char *type;    /* "RepositoryNotFoundException", or "" */
	const char *message; /* of an error, or "" */
	struct http_exchange x;
};

void ecr_ask(struct ecr *, const struct ecr_ask *, struct ecr_reply *);
void ecr_reply_free(struct ecr_reply *);
const char *ecr_header(const struct ecr_reply *, const char *name);

/** ecr_do(e, key, operation, fmt, ...): ask in JSON. */
void ecr_do(struct ecr *, const struct ecr_key *, struct ecr_reply *,
    const char *operation, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** ecr_expect(e, key, type, message, operation, fmt, ...): ask, and the answer
 * must be the error ${type}, or success when it is ""; ${message}: the whole
 * message, or its beginning when it ends in '*'; NULL: any. */
void ecr_expect(struct ecr *, const struct ecr_key *, const char *type,
    const char *message, const char *operation, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/** ecr_do_json(e, key, r, operation, request): the same; takes ${request}. */
void ecr_do_json(struct ecr *, const struct ecr_key *, struct ecr_reply *,
    const char *operation, json_t *request);

/** ecr_text(o, path): "repository.repositoryName"; numbers are indices. */
const char *ecr_text(const json_t *, const char *path);
const json_t *ecr_at(const json_t *, const char *path);

/* --- images -------------------------------------------------------------- */

/** ecr_repository(e, name): made with CreateRepository. */
void ecr_repository(struct ecr *, const char *name);

/** ecr_blob(e, repository, text, out): content put into the repository; its
 * digest in ${out}. */
const char *ecr_blob(struct ecr *, const char *repository, struct span text,
    char out[DIGEST_STR_BYTES]);

/** ecr_image_text(e, repository, seed, more): the manifest of an image of its
 * own config and one layer, made from ${seed} and put into the repository.
 * ${more}: members that follow, as ",\"a\":1"; or NULL.  The caller's. */
char *ecr_image_text(
    struct ecr *, const char *repository, const char *seed, const char *more);

/** ecr_index_text(digests, n, more): the manifest of an index of ${digests}; the
 * caller's. */
char *
ecr_index_text(char (*digests)[DIGEST_STR_BYTES], size_t n, const char *more);

/** ecr_put(e, repository, tag, text, r): PutImage; ${tag} may be NULL. */
void ecr_put(struct ecr *, const char *repository, const char *tag,
    const char *text, struct ecr_reply *);

/** ecr_push(e, repository, tag, text, out): PutImage that must succeed; takes
 * ${text}. */
const char *ecr_push(struct ecr *, const char *repository, const char *tag,
    char *text, char out[DIGEST_STR_BYTES]);

/** ecr_image(e, repository, tag, seed, out): ecr_push() of ecr_image_text(). */
const char *ecr_image(struct ecr *, const char *repository, const char *tag,
    const char *seed, char out[DIGEST_STR_BYTES]);

/** ecr_archive(e, repository, tag): that image, with
 * UpdateImageStorageClass. */
void ecr_archive(struct ecr *, const char *repository, const char *tag);

#endif
