#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "mirror/cache.h"
#include "registryd/api/control_int.h"
#include "registryd/api/ecr_int.h"
#include "registryd/cache_rules.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/*
 * The pull through cache: its rules, made by the same operations as those of
 * ECR's API, what is known of their upstreams, and how it goes.
 */
#define RULES_MAX 10000
#define VALIDATE_MS 10000

/* --- rules by the operations of ECR -------------------------------------- */

static const struct aws_operation *
operation_of(const char *name)
{
	size_t i;

	for (i = 0; i < n_aws_operations; i++)
		if (strcmp(aws_operations[i].name, name) == 0)
			return (&aws_operations[i]);
	wrong("an operation that there is not");
}

/* As a signed request would have it done. */
static enum rc
operate(struct call *c, const char *name, const json_t *in, json_t *out)
{
	const struct aws_operation *op = operation_of(name);
	enum rc rc;

	if ((rc = aws_validate(c, &op->input, in)) != RC_OK)
		return (rc);
	if (op->check != NULL && (rc = op->check(c, in)) != RC_OK)
		return (rc);
	return (op->handler(c, in, out));
}

static void
input_free(void *arg)
{
	json_decref(arg);
}

static enum rc
answer(struct call *c, int status, const json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	struct buf out;

	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, text != NULL ? text : "{}");
	buf_char(&out, '\n');
	free(text);
	return (call_json_take(c, status, CONTROL_JSON, &out));
}

static enum rc
run_operation(struct call *c, int status, const char *name, json_t *in)
{
	json_t *out = json_object();
	enum rc rc;

	arena_defer(c->arena, input_free, in);
	rc = operate(c, name, in, out);
	if (rc == RC_OK)
		rc = answer(c, status, out);
	json_decref(out);
	return (rc);
}

static void
member_take(json_t *in, const char *name, const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (v != NULL && !json_is_null(v))
		(void)json_object_set(in, name, v);
}

/* "ecr-pullthroughcache/hub" as the ARN of a secret, which is what ECR's
 * operation wants. */
static void
credential_put(struct call *c, json_t *in, const json_t *o)
{
	struct span name;
	char *arn;

	if (json_get_str(o, "credential", &name) != RC_OK || name.n == 0)
		return;
	if (span_has_prefix(name, SPAN("arn:"))) {
		member_take(in, "credentialArn", o, "credential");
		return;
	}
	arn = arena_printf(c->arena,
	    "arn:aws:secretsmanager:%s:%s:secret:" SPAN_FMT "-000000",
	    c->settings->region, c->settings->account_id, SPAN_ARG(name));
	if (arn != NULL)
		aws_put(in, "credentialArn", json_string(arn));
}

enum rc
control_cache_rule_add(struct call *c)
{
	char wrong[JSON_ERROR_BYTES];
	json_t *o, *in;

	if (json_read(c->body, wrong, &o) != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL, "%s", wrong));
	in = json_object();
	member_take(in, "ecrRepositoryPrefix", o, "prefix");
	member_take(in, "upstreamRegistryUrl", o, "upstream");
	member_take(in, "upstreamRepositoryPrefix", o, "upstream_prefix");
	credential_put(c, in, o);
	json_decref(o);
	return (run_operation(c, 201, "CreatePullThroughCacheRule", in));
}

static enum rc
prefix_wanted(struct call *c, struct span *prefix_r)
{
	*prefix_r = SPAN_NONE;
	(void)http_request_param(c->request, "prefix", prefix_r);
	if (prefix_r->n == 0)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "prefix: one is needed"));
	return (RC_OK);
}

static enum rc
run_on_prefix(struct call *c, const char *name)
{
	struct span prefix;
	json_t *in;
	enum rc rc;

	if ((rc = prefix_wanted(c, &prefix)) != RC_OK)
		return (rc);
	in = json_object();
	aws_put(in, "ecrRepositoryPrefix", call_text(prefix));
	return (run_operation(c, 200, name, in));
}

enum rc
control_cache_rule_remove(struct call *c)
{
	return (run_on_prefix(c, "DeletePullThroughCacheRule"));
}

enum rc
control_cache_validate(struct call *c)
{
	return (run_on_prefix(c, "ValidatePullThroughCacheRule"));
}

/* --- how it goes --------------------------------------------------------- */

static void
stats_json(struct service *svc, struct buf *out)
{
	struct cache_stats st = { 0 };

	if (svc->cache != NULL)
		cache_stats(svc->cache, &st);
	buf_printf(out,
	    "{\"hits\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"manifests\":%" PRIu64
	    ",\"manifests_same\":%" PRIu64 ",\"referrers\":%" PRIu64
	    ",\"blobs\":%" PRIu64 ",\"blob_bytes\":%" PRIu64
	    ",\"adopted\":%" PRIu64 ",\"joined\":%" PRIu64
	    ",\"resumed\":%" PRIu64,
	    st.hits, st.stale, st.manifests, st.manifests_same, st.referrers,
	    st.blobs, st.blob_bytes, st.adopted, st.joined, st.resumed);
	buf_printf(out,
	    ",\"failed\":%" PRIu64 ",\"wrong_digest\":%" PRIu64
	    ",\"negative\":%" PRIu64 ",\"evicted\":%" PRIu64
	    ",\"evicted_bytes\":%" PRIu64 ",\"fills\":%" PRIu64 "}",
	    st.failed, st.wrong_digest, st.negative, st.evicted,
	    st.evicted_bytes, st.fills);
}

static void
settings_json(const struct settings *s, struct buf *out)
{
	static const char *const modes[] = {
		[CACHE_BY_TTL] = "ttl",
		[CACHE_BY_UPSTREAM] = "upstream",
		[CACHE_LOCAL_FIRST] = "local-first",
	};

	buf_printf(out,
	    "{\"mode\":\"%s\",\"freshness_ms\":%" PRId64
	    ",\"max_bytes\":%" PRIu64 ",\"children\":\"%s\"}",
	    modes[s->cache.mode], s->cache.freshness_ms, s->cache.max_bytes,
	    s->cache.all_children ? "all" : "on-demand");
}

struct upstreams_shown {
	struct buf *out;
	bool first;
};

static void
upstream_json(void *arg, struct upstream *u)
{
	struct upstreams_shown *shown = arg;
	struct buf *out = shown->out;
	struct upstream_state st;

	upstream_state(u, &st);
	buf_str(out, shown->first ? "{\"url\":" : ",{\"url\":");
	shown->first = false;
	buf_json(out, span_of(upstream_url(u)));
	buf_printf(out,
	    ",\"requests\":%" PRIu64 ",\"failures\":%" PRIu64
	    ",\"retries\":%" PRIu64 ",\"tokens\":%" PRIu64
	    ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64,
	    st.requests, st.failures, st.retries, st.tokens, st.bytes_in,
	    st.bytes_out);
	if (st.limit >= 0)
		buf_printf(out, ",\"limit\":%" PRId64, st.limit);
	else
		buf_str(out, ",\"limit\":null");
	if (st.remaining >= 0)
		buf_printf(out, ",\"remaining\":%" PRId64 ",", st.remaining);
	else
		buf_str(out, ",\"remaining\":null,");
	control_time(out, "not_before", st.not_before_ms);
	buf_char(out, ',');
	control_time(out, "failed", st.failed_ms);
	buf_str(out, ",\"failure\":");
	buf_json(out, span_of(st.failure));
	buf_char(out, '}');
}

void
control_upstreams(struct service *svc, struct buf *out)
{
	struct upstreams_shown shown = { .out = out, .first = true };

	buf_char(out, '[');
	if (svc->upstreams != NULL)
		upstreams_walk(svc->upstreams, upstream_json, &shown);
	buf_char(out, ']');
}

/* By the prefix. */
static void
rule_json(struct call *c, const json_t *row, struct buf *out)
{
	const json_t *o = json_array_get(row, 1);
	char why[CACHE_RULE_WHY_BYTES];
	struct span credential = SPAN_NONE, upstream, prefix;
	const char *url = NULL;

	prefix = span_of(json_string_value(json_array_get(row, 0)));
	buf_str(out, "{\"prefix\":");
	buf_json(out, prefix);
	buf_str(out, ",\"upstream\":");
	buf_json(out, aws_string(o, "upstreamRegistryUrl"));
	buf_str(out, ",\"url\":");
	if (cache_rule_source(o, c->arena, &url, &credential, why))
		buf_json(out, span_of(url));
	else
		buf_str(out, "null");
	upstream = aws_string(o, "upstreamRepositoryPrefix");
	buf_str(out, ",\"upstream_prefix\":");
	if (upstream.n > 0 && !span_is(upstream, "ROOT"))
		buf_json(out, upstream);
	else
		buf_str(out, "null");
	buf_str(out, ",\"credential\":");
	if (credential.n > 0)
		buf_json(out, credential);
	else
		buf_str(out, "null");
	buf_char(out, '}');
}

enum rc
control_cache(struct call *c)
{
	struct buf out;
	json_t *list;
	bool more;
	size_t i;
	enum rc rc;

	rc = registry_config_page(
	    c->meta, ENTITY_CACHE_RULE, SPAN_NONE, RULES_MAX, &list, &more);
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"rules\":[");
	for (i = 0; i < json_array_size(list); i++) {
		if (i > 0)
			buf_char(&out, ',');
		rule_json(c, json_array_get(list, i), &out);
	}
	json_decref(list);
	buf_str(&out, "],\"upstreams\":");
	control_upstreams(c->service, &out);
	buf_str(&out, ",\"settings\":");
	settings_json(c->settings, &out);
	buf_str(&out, ",\"stats\":");
	stats_json(c->service, &out);
	buf_str(&out, "}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_cache_evict(struct call *c)
{
	struct cache_eviction e;
	struct buf out;
	enum rc rc;

	if (c->settings->cache.max_bytes == 0)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "nothing has to go: cache.max-bytes is 0, no limit"));
	if ((rc = service_evict(c->service, &e)) != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_printf(&out,
	    "{\"images\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"evicted\":%" PRIu64
	    ",\"evicted_bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64 "}\n",
	    e.images, e.bytes, e.evicted, e.evicted_bytes,
	    c->settings->cache.max_bytes);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}
