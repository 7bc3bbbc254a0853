#include <string.h>

#include "auth/policy_int.h"
#include "base/obj.h"

/*
 * What a request says under each condition key.  Keys have no case.  Those of
 * the principal, the action and the resource are the same whenever the same is
 * asked; looking at any other makes the answer hold for this request only.
 */
static const struct {
	struct span name;
	enum policy_key_id id;
	bool same; /* for the same principal, action and resource */
} keys[] = {
	{ SPAN_INIT("aws:SourceIp"), POLICY_KEY_SOURCE_IP, false },
	{ SPAN_INIT("aws:SecureTransport"), POLICY_KEY_SECURE_TRANSPORT,
	    false },
	{ SPAN_INIT("aws:PrincipalArn"), POLICY_KEY_PRINCIPAL_ARN, true },
	{ SPAN_INIT("aws:PrincipalAccount"), POLICY_KEY_PRINCIPAL_ACCOUNT,
	    true },
	{ SPAN_INIT("aws:PrincipalType"), POLICY_KEY_PRINCIPAL_TYPE, true },
	{ SPAN_INIT("aws:CurrentTime"), POLICY_KEY_CURRENT_TIME, false },
	{ SPAN_INIT("aws:EpochTime"), POLICY_KEY_EPOCH_TIME, false },
	{ SPAN_INIT("aws:UserAgent"), POLICY_KEY_USER_AGENT, false },
	{ SPAN_INIT("aws:username"), POLICY_KEY_USERNAME, true },
	{ SPAN_INIT("aws:userid"), POLICY_KEY_USERID, true },
	{ SPAN_INIT("aws:ResourceAccount"), POLICY_KEY_RESOURCE_ACCOUNT, true },
	{ SPAN_INIT("aws:RequestedRegion"), POLICY_KEY_REQUESTED_REGION, true },
	{ SPAN_INIT("aws:TagKeys"), POLICY_KEY_TAG_KEYS, false },
};

/* "aws:PrincipalTag/team" */
static const struct {
	struct span prefix;
	enum policy_key_id id;
} tag_keys[] = {
	{ SPAN_INIT("aws:PrincipalTag/"), POLICY_KEY_PRINCIPAL_TAG },
	{ SPAN_INIT("aws:ResourceTag/"), POLICY_KEY_RESOURCE_TAG },
	{ SPAN_INIT("ecr:ResourceTag/"), POLICY_KEY_RESOURCE_TAG },
	{ SPAN_INIT("aws:RequestTag/"), POLICY_KEY_REQUEST_TAG },
};

void
policy_key_find(struct span name, struct policy_key *key_r)
{
	struct span head;
	size_t i;

	*key_r = (struct policy_key){ .id = POLICY_KEY_UNKNOWN };
	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (span_eq_nocase(name, keys[i].name))
			key_r->id = keys[i].id;
	for (i = 0; i < ARRAY_LEN(tag_keys); i++) {
		head = (struct span){ name.p, tag_keys[i].prefix.n };
		if (name.n <= head.n ||
		    !span_eq_nocase(head, tag_keys[i].prefix))
			continue;
		key_r->id = tag_keys[i].id;
		key_r->tag = (struct span){ name.p + head.n, name.n - head.n };
	}
}

static bool
key_same(enum policy_key_id id)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].id == id)
			return (keys[i].same);
	return (id == POLICY_KEY_PRINCIPAL_TAG || id == POLICY_KEY_UNKNOWN);
}

/* To look at one, in the steps of POLICY_WORK_MAX. */
#define STEPS_PER_TAG 8

static size_t
tags_most(const struct policy_request *r)
{
	size_t n = r->principal->n_tags;

	n = r->n_resource_tags > n ? r->n_resource_tags : n;
	return (r->n_request_tags > n ? r->n_request_tags : n);
}

/* The tag of that very name, else one of that name but for its case. */
static const struct name_value *
tag_find(const struct name_value *tags, size_t n, struct span name)
{
	const struct name_value *near = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (span_eq(tags[i].name, name))
			return (&tags[i]);
		if (near == NULL && span_eq_nocase(tags[i].name, name))
			near = &tags[i];
	}
	return (near);
}

static const struct name_value *
tag_of(struct policy_asking *a, const struct policy_key *key)
{
	const struct policy_request *request = a->request;
	const struct name_value *tag;

	(void)policy_spend(a, STEPS_PER_TAG * tags_most(request));
	if (key->id == POLICY_KEY_PRINCIPAL_TAG)
		return (tag_find(request->principal->tags,
		    request->principal->n_tags, key->tag));
	if (key->id == POLICY_KEY_RESOURCE_TAG)
		return (tag_find(request->resource_tags,
		    request->n_resource_tags, key->tag));
	tag =
	    tag_find(request->request_tags, request->n_request_tags, key->tag);
	/* A key alone is of a tag to be taken away. */
	return (tag != NULL && tag->value.p != NULL ? tag : NULL);
}

static struct span
time_text(struct policy_asking *a)
{
	if (a->time[0] == '\0')
		(void)clock_iso(a->request->now_ms, a->time);
	return (span_of(a->time));
}

static struct span
epoch_text(struct policy_asking *a)
{
	int64_t ms = a->request->now_ms;
	uint64_t seconds = ms > 0 ? (uint64_t)ms / 1000 : 0;
	size_t at = sizeof(a->epoch);

	do {
		a->epoch[--at] = (char)('0' + seconds % 10);
		seconds /= 10;
	} while (seconds > 0);
	return ((struct span){ a->epoch + at, sizeof(a->epoch) - at });
}

static struct span
arn_part(const struct policy_asking *a, enum policy_arn_part part)
{
	return (a->resource.ok ? a->resource.part[part] : SPAN_NONE);
}

/* Of the user; IAM's word for who showed nothing. */
static struct span
of_user(const struct principal *p, struct span known, struct span unknown)
{
	return (p->kind == PRINCIPAL_ANONYMOUS ? unknown : known);
}

static struct span
single(struct policy_asking *a, enum policy_key_id id)
{
	const struct policy_request *r = a->request;
	const struct principal *p = r->principal;

	switch (id) {
	case POLICY_KEY_SOURCE_IP:
		return (r->source_ip);
	case POLICY_KEY_SECURE_TRANSPORT:
		return (r->secure ? SPAN("true") : SPAN("false"));
	case POLICY_KEY_PRINCIPAL_ARN:
		return (of_user(p, p->arn, SPAN_NONE));
	case POLICY_KEY_PRINCIPAL_ACCOUNT:
		return (of_user(p, p->account, SPAN_NONE));
	case POLICY_KEY_PRINCIPAL_TYPE:
		return (of_user(p, SPAN("User"), SPAN("Anonymous")));
	case POLICY_KEY_CURRENT_TIME:
		return (time_text(a));
	case POLICY_KEY_EPOCH_TIME:
		return (epoch_text(a));
	case POLICY_KEY_USER_AGENT:
		return (r->user_agent);
	case POLICY_KEY_USERNAME:
		return (of_user(p, p->name, SPAN_NONE));
	case POLICY_KEY_USERID:
		return (of_user(p, p->id, SPAN("anonymous")));
	case POLICY_KEY_RESOURCE_ACCOUNT:
		return (arn_part(a, POLICY_ARN_ACCOUNT));
	case POLICY_KEY_REQUESTED_REGION:
		return (arn_part(a, POLICY_ARN_REGION));
	case POLICY_KEY_UNKNOWN:
	case POLICY_KEY_TAG_KEYS:
	case POLICY_KEY_PRINCIPAL_TAG:
	case POLICY_KEY_RESOURCE_TAG:
	case POLICY_KEY_REQUEST_TAG:
		break;
	}
	return (SPAN_NONE);
}

size_t
policy_key_count(struct policy_asking *a, const struct policy_key *key)
{
	if (!key_same(key->id))
		a->conditional = true;
	if (key->id == POLICY_KEY_TAG_KEYS)
		return (a->request->n_request_tags);
	/* A tag may be there and empty. */
	if (key->tag.n > 0)
		return (tag_of(a, key) != NULL);
	return (single(a, key->id).n > 0);
}

/* Is it the client who chooses how long it is? */
static bool
key_foreign(enum policy_key_id id)
{
	return (id == POLICY_KEY_USER_AGENT || id == POLICY_KEY_SOURCE_IP ||
		id == POLICY_KEY_TAG_KEYS || id == POLICY_KEY_REQUEST_TAG);
}

static struct span
value_of(struct policy_asking *a, const struct policy_key *key, size_t i)
{
	const struct name_value *tag;

	if (key->id == POLICY_KEY_TAG_KEYS)
		return (a->request->request_tags[i].name);
	if (key->tag.n == 0)
		return (single(a, key->id));
	tag = tag_of(a, key);
	return (tag != NULL ? tag->value : SPAN_NONE);
}

bool
policy_key_value(struct policy_asking *a, const struct policy_key *key,
    size_t i, struct span *value_r)
{
	*value_r = value_of(a, key, i);
	return (value_r->n <= POLICY_SEEN_MAX_BYTES || !key_foreign(key->id));
}
