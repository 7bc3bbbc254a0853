#ifndef TESTS_UNIT_AUTH_SIGV4_TOOLS_H
#define TESTS_UNIT_AUTH_SIGV4_TOOLS_H

#include "auth/sigv4.h"

/*
 * Requests for the tests of signatures.  All vectors are signed with one key
 * at one moment; their signatures were computed by other implementations.
 */
#define V_ACCESS_KEY "AKIAVECTORSOFOURS123"
#define V_SECRET "n0t/A+real=Secret0123456789abcdefghijklm"
#define V_DATE "20261121"
#define V_TIME "20261121T080317Z"
#define V_REGION "eu-central-1"
#define V_SCOPE V_DATE "/" V_REGION "/ecr/aws4_request"
#define V_CREDENTIAL "Credential=" V_ACCESS_KEY "/" V_SCOPE
#define V_TIME_MS INT64_C(1795248197000)

#define V_HEADERS_MAX 12

/* A request that can be changed. */
struct signed_request {
	struct name_value headers[V_HEADERS_MAX];
	struct sigv4_request rq;
	char authorization[1024];
};

/* Of literals. */
#define HEADER(name, value) \
	{ \
		SPAN_INIT(name), SPAN_INIT(value) \
	}

void signed_request_init(struct signed_request *, const char *method,
    const char *target, const char *body);
void signed_request_header(
    struct signed_request *, const char *name, const char *value);
/* The value of the header ${name} becomes ${value}. */
void signed_request_set(
    struct signed_request *, const char *name, const char *value);
/* An Authorization header of the parts; all at V_TIME. */
void signed_request_authorize(
    struct signed_request *, const char *signed_headers, const char *signature);

/* Reading and verifying in one, ${service} "ecr" and any region. */
enum sigv4_error
signed_request_check(const struct signed_request *, int64_t now_ms, char *why);

#endif
