#include <ctype.h>

#include "base/clock.h"
#include "base/obj.h"
#include "mirror/reference.h"
#include "registryd/api/ecr_int.h"
#include "registryd/cache_rules.h"
#include "registryd/http/framing.h"
#include "registryd/registry_config.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * Rules of the pull through cache: of which registry repositories below a
 * prefix are copies.  Any registry is fine; of those that AWS has a name for
 * the name must be of the address.
 *
 * A rule is kept under its prefix without the '/' at its end, as creation
 * templates are.
 */

/* --- the address --------------------------------------------------------- */

/* Where '*' stands for a part of the host that is the customer's. */
static const struct {
	const char *name;
	struct span host;
} upstreams[] = {
	{ "ecr", SPAN_INIT("*.dkr.ecr.*.amazonaws.com") },
	{ "ecr", SPAN_INIT("*.dkr.ecr.*.amazonaws.com.cn") },
	{ "ecr", SPAN_INIT("*.dkr-ecr.*.on.aws") },
	{ "ecr-public", SPAN_INIT("public.ecr.aws") },
	{ "quay", SPAN_INIT("quay.io") },
	{ "k8s", SPAN_INIT("registry.k8s.io") },
	{ "docker-hub", SPAN_INIT("registry-1.docker.io") },
	{ "github-container-registry", SPAN_INIT("ghcr.io") },
	{ "azure-container-registry", SPAN_INIT("*.azurecr.io") },
	{ "azure-container-registry", SPAN_INIT("*.azurecr.cn") },
	{ "azure-container-registry", SPAN_INIT("*.azurecr.us") },
	{ "gitlab-container-registry", SPAN_INIT("registry.gitlab.com") },
	{ "chainguard", SPAN_INIT("cgr.dev") },
};

static bool
cut_prefix(struct span *s, struct span prefix)
{
	struct span front = { s->p, prefix.n };

	if (s->n < prefix.n || !span_eq_nocase(front, prefix))
		return (false);
	*s = (struct span){ s->p + prefix.n, s->n - prefix.n };
	return (true);
}

/* As long as a name of DNS may be, with scheme and port. */
#define ADDRESS_MAX_BYTES 272

/* [scheme "://"] host [":" port] ["/"]: no user, no path. */
static bool
host_of(struct span url, struct span *host_r)
{
	if (url.n > ADDRESS_MAX_BYTES)
		return (false);
	if (!cut_prefix(&url, SPAN("https://")))
		(void)cut_prefix(&url, SPAN("http://"));
	if (url.n > 0 && url.p[url.n - 1] == '/')
		url.n--;
	*host_r = url;
	return (framing_host_ok(url));
}

/* Can it be contacted by that? */
static bool
address_ok(struct call *c, struct span url)
{
	char why[REFERENCE_WHY_BYTES];
	const char *contacted;

	return (registry_url_parse(url, c->arena, &contacted, why) == RC_OK);
}

/* NULL: AWS has no name for it. */
static const char *
name_of(struct call *c, struct span host)
{
	char *lower;
	size_t i;

	if ((lower = arena_dup(c->arena, host.p, host.n)) == NULL)
		return (NULL);
	for (i = 0; i < host.n; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	for (i = 0; i < ARRAY_LEN(upstreams); i++)
		if (span_matches(span_of(lower), upstreams[i].host))
			return (upstreams[i].name);
	return (NULL);
}

static const char *
host_expected(struct span name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(upstreams); i++)
		if (span_is(name, upstreams[i].name))
			return (upstreams[i].host.p);
	wrong("a value that the shape has not");
}

enum rc
ecr_create_pull_through_cache_rule_check(struct call *c, const json_t *in)
{
	struct span url = aws_string(in, "upstreamRegistryUrl"), host;
	struct span name = aws_string(in, "upstreamRegistry");
	const char *is;

	if (!host_of(url, &host) || !address_ok(c, url))
		return (call_fail(c, AWS_UPSTREAM_UNSUPPORTED, NULL,
		    "The upstream registry URL '%.*s' is not the address of a "
		    "registry: expected HOST[:PORT], or http:// or https:// "
		    "and that, without a user and without a path",
		    CALL_SHOW(url)));
	is = name_of(c, host);
	if (name.p == NULL || (is != NULL && span_is(name, is)))
		return (RC_OK);
	return (call_fail(c, AWS_UPSTREAM_UNSUPPORTED, NULL,
	    "The upstream registry '" SPAN_FMT
	    "' does not have the URL '%.*s': expected '%s'; other registries "
	    "are named by their URL alone",
	    SPAN_ARG(name), CALL_SHOW(url), host_expected(name)));
}

/* --- records and answers ------------------------------------------------- */

static json_t *
rule_new(struct call *c, const json_t *in)
{
	static const char *const given[] = { "ecrRepositoryPrefix",
		"upstreamRegistryUrl", "credentialArn",
		"upstreamRepositoryPrefix" };
	int64_t now_ms = clock_real_ms();
	json_t *o = json_object();
	const char *name = NULL;
	struct span host;
	size_t i;

	for (i = 0; i < ARRAY_LEN(given); i++)
		ecr_put_member(o, given[i], in);
	if (aws_string(in, "customRoleArn").n > 0)
		ecr_put_member(o, "customRoleArn", in);
	if (host_of(aws_string(in, "upstreamRegistryUrl"), &host))
		name = name_of(c, host);
	if (name != NULL)
		aws_put(o, "upstreamRegistry", json_string(name));
	aws_put(o, "createdAt", json_integer(now_ms));
	aws_put(o, "updatedAt", json_integer(now_ms));
	return (o);
}

/* What all answers have of a rule. */
static void
rule_put(struct call *c, const json_t *o, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	ecr_put_member(out, "ecrRepositoryPrefix", o);
	ecr_put_member(out, "credentialArn", o);
	ecr_put_member(out, "customRoleArn", o);
	ecr_put_member(out, "upstreamRepositoryPrefix", o);
}

static json_t *
rule_show(struct call *c, struct span name, const json_t *o)
{
	json_t *shown = json_object();

	(void)name;
	rule_put(c, o, shown);
	ecr_put_member(shown, "upstreamRegistryUrl", o);
	ecr_put_member(shown, "upstreamRegistry", o);
	ecr_put_ms(shown, "createdAt", o);
	ecr_put_ms(shown, "updatedAt", o);
	return (shown);
}

static struct span
prefix_of(const json_t *in)
{
	return (aws_string(in, "ecrRepositoryPrefix"));
}

static enum rc
no_rule(struct call *c, struct span prefix)
{
	return (call_fail(c, AWS_CACHE_RULE_NOT_FOUND, NULL,
	    "The pull through cache rule with ecrRepositoryPrefix '" SPAN_FMT
	    "' does not exist in the registry with id '%s'",
	    SPAN_ARG(prefix), c->settings->account_id));
}

/* --- the operations ------------------------------------------------------ */

enum rc
ecr_create_pull_through_cache_rule(
    struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_add add = {
		.kind = ENTITY_CACHE_RULE,
		.key = ecr_config_key(prefix_of(in)),
		.name = prefix_of(in),
		.max = c->settings->quotas.cache_rules,
		.exists = AWS_CACHE_RULE_EXISTS,
		.one = "A pull through cache rule with ecrRepositoryPrefix",
		.many = "pull through cache rules",
	};
	json_t *o = rule_new(c, in);
	enum rc rc;

	rc = ecr_config_add(c, &add, o);
	if (rc == RC_OK) {
		cache_rules_changed(c->service->cache_rules);
		rule_put(c, o, out);
		ecr_put_member(out, "upstreamRegistryUrl", o);
		ecr_put_member(out, "upstreamRegistry", o);
		ecr_put_ms(out, "createdAt", o);
	}
	json_decref(o);
	return (rc);
}

struct update {
	const json_t *in;
	json_t *done;
};

static enum rc
rule_change(json_t *o, void *arg)
{
	struct update *u = arg;

	if (aws_member(o, "ecrRepositoryPrefix") == NULL)
		return (RC_NOTFOUND);
	ecr_put_member(o, "credentialArn", u->in);
	ecr_put_member(o, "customRoleArn", u->in);
	if (aws_string(o, "customRoleArn").n == 0)
		(void)json_object_del(o, "customRoleArn");
	aws_put(o, "updatedAt", json_integer(clock_real_ms()));
	json_decref(u->done);
	u->done = json_incref(o);
	return (RC_OK);
}

enum rc
ecr_update_pull_through_cache_rule(
    struct call *c, const json_t *in, json_t *out)
{
	struct update u = { .in = in };
	enum rc rc;

	rc = registry_config_update(c->meta, ENTITY_CACHE_RULE,
	    ecr_config_key(prefix_of(in)), rule_change, &u);
	if (rc == RC_OK) {
		cache_rules_changed(c->service->cache_rules);
		rule_put(c, u.done, out);
		ecr_put_ms(out, "updatedAt", u.done);
	}
	json_decref(u.done);
	return (rc == RC_NOTFOUND ? no_rule(c, prefix_of(in)) : rc);
}

enum rc
ecr_delete_pull_through_cache_rule(
    struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	rc = registry_config_delete(
	    c->meta, ENTITY_CACHE_RULE, ecr_config_key(prefix_of(in)), &o);
	if (rc == RC_OK) {
		cache_rules_changed(c->service->cache_rules);
		rule_put(c, o, out);
		ecr_put_member(out, "upstreamRegistryUrl", o);
		ecr_put_ms(out, "createdAt", o);
	}
	json_decref(o);
	return (rc == RC_NOTFOUND ? no_rule(c, prefix_of(in)) : rc);
}

#define VALIDATE_MS 10000

/* Its upstream is asked, here and now. */
enum rc
ecr_validate_pull_through_cache_rule(
    struct call *c, const json_t *in, json_t *out)
{
	char why[CACHE_RULE_WHY_BYTES];
	json_t *o;
	enum rc rc;

	rc = registry_config_get(
	    c->meta, ENTITY_CACHE_RULE, ecr_config_key(prefix_of(in)), &o);
	if (rc == RC_NOTFOUND)
		return (no_rule(c, prefix_of(in)));
	if (rc != RC_OK)
		return (rc);
	rule_put(c, o, out);
	ecr_put_member(out, "upstreamRegistryUrl", o);
	rc = cache_rule_validate(c->service, o, VALIDATE_MS, why);
	aws_put(out, "isValid", json_boolean(rc == RC_OK));
	if (rc != RC_OK)
		aws_put_text(out, "failure", span_of(why));
	json_decref(o);
	return (RC_OK);
}

/* --- DescribePullThroughCacheRules --------------------------------------- */

enum rc
ecr_describe_pull_through_cache_rules_check(struct call *c, const json_t *in)
{
	return (ecr_paging_check(c, in, "ecrRepositoryPrefixes"));
}

enum rc
ecr_describe_pull_through_cache_rules(
    struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_list l = {
		.kind = ENTITY_CACHE_RULE, .show = rule_show, .missing = no_rule
	};
	const json_t *prefixes = aws_member(in, "ecrRepositoryPrefixes");
	json_t *list = json_array();

	aws_put(out, "pullThroughCacheRules", list);
	if (prefixes != NULL)
		return (ecr_config_named(c, prefixes, &l, list));
	return (ecr_config_list(c, in, &l, list, out));
}
