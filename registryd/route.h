#ifndef REGISTRYD_ROUTE_H
#define REGISTRYD_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registryd/call.h"

/*
 * The table of everything this server answers.  A row is all that the path
 * from socket to handler needs to know.
 *
 * Patterns: "/v2/{name}/manifests/{reference}".  {name} takes one or more
 * segments and must be a valid repository name (else NAME_INVALID); any other
 * {word} takes exactly one segment, given to the handler unjudged.  The last
 * keyword from the right decides, so that a repository may be called
 * "a/manifests/b".
 */
enum body_mode {
	BODY_NONE,    /* a body sent all the same is drained */
	BODY_COLLECT, /* up to what max_body gives, into c->body; but where
			 streams() says so: begin, then the body goes to
			 c->write, up to what max_body gives, then finish */
	BODY_STREAM,  /* long or of unknown length: begin, then the body goes
			to c->upload, then finish; a begin that leaves
			c->upload NULL has answered already.  Announced and no
			longer than upload_whole_max(): the handler alone,
			with c->body */
};

/* Where a handler runs. */
enum run_mode {
	RUN_INLINE, /* on the loop; again on a worker after RC_WOULDBLOCK */
	RUN_WORKER, /* it may wait: changes, long lists, big JSON */
};

/* Listeners speak different tables. */
enum role { ROLE_PUBLIC, ROLE_METRICS, ROLE_CONTROL };

typedef enum rc handler_fn(struct call *);

struct route {
	enum http_method method; /* HEAD goes where GET goes */
	const char *pattern;
	const char *name; /* in metrics and in the table of permissions; two
			     spellings of a path share it */
	enum body_mode body;
	enum run_mode run;
	handler_fn *prepare; /* before the body is asked for, where it says
				what that may be; or NULL */
	handler_fn *handler;
	handler_fn *begin;  /* of a streamed body, on a worker */
	handler_fn *finish; /* of a streamed body, on a worker */
	bool (*streams)(const struct call *); /* BODY_COLLECT, or NULL: never */
	uint64_t (*max_body)(const struct call *); /* BODY_COLLECT */
	unsigned roles;				   /* bits 1u << role */
};

extern const struct route routes[];
extern const size_t n_routes;

enum route_outcome { MATCH_OK, MATCH_NO_PATH, MATCH_NO_METHOD };

struct route_match {
	enum route_outcome outcome;
	const struct route *route; /* MATCH_OK */
	struct span name, part; /* of ${path}; empty when not in the pattern */
	unsigned allowed;	/* MATCH_NO_METHOD: bits 1u << method */
};

/** route_find(role, method, path, m_r): no allocation; loop. */
void route_find(
    int role, enum http_method, struct span path, struct route_match *m_r);

#endif
