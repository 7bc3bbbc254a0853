#include "registryd/api/ecr_int.h"

#include "auth/principal.h"

/*
 * Resource tags: up to 50, keys of 1 to 128 characters, values of up to 256:
 * letters and digits of any language, spaces, and _ . : / = + - @
 * (the rules that AWS has for all of its services).
 */
#define TAG_KEY_MAX 128
#define TAG_VALUE_MAX 256

static bool
tag_char(unsigned char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || c >= 0x80 || c == ' ' || c == '_' ||
		c == '.' || c == ':' || c == '/' || c == '=' || c == '+' ||
		c == '-' || c == '@');
}

/* Characters of a text of those; -1: there are others in it. */
static int
tag_length(struct span s)
{
	size_t i;
	int n = 0;

	for (i = 0; i < s.n; i++) {
		if (!tag_char((unsigned char)s.p[i]))
			return (-1);
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	}
	return (n);
}

static enum rc
refuse(struct call *c, const char *what, struct span value, const char *rule)
{
	return (call_fail(c, AWS_INVALID_TAG_PARAMETER, NULL,
	    "Invalid tag %s '%.*s': %s", what, CALL_SHOW(value), rule));
}

static enum rc
key_check(struct call *c, struct span key)
{
	int n = tag_length(key);

	if (n < 1 || n > TAG_KEY_MAX)
		return (refuse(c, "key", key,
		    "a key has 1 to 128 letters, digits, spaces and "
		    "_ . : / = + - @"));
	if (key.n >= 4 &&
	    span_eq_nocase((struct span){ key.p, 4 }, SPAN("aws:")))
		return (refuse(c, "key", key, "keys with aws: are reserved"));
	return (RC_OK);
}

static enum rc
tag_check(struct call *c, const struct resource_tag *tags, size_t i)
{
	struct span key = tags[i].key, value = tags[i].value;
	int n_value = tag_length(value);
	size_t k;
	enum rc rc;

	if ((rc = key_check(c, key)) != RC_OK)
		return (rc);
	if (n_value < 0 || n_value > TAG_VALUE_MAX)
		return (refuse(c, "value", value,
		    "a value has up to 256 letters, digits, spaces and "
		    "_ . : / = + - @"));
	for (k = 0; k < i; k++)
		if (span_eq(tags[k].key, key))
			return (refuse(c, "key", key, "the key stands twice"));
	return (RC_OK);
}

/* As policies see them. */
static enum rc
request_tags_set(struct call *c, const struct resource_tag *tags, size_t n)
{
	struct name_value *pairs;
	size_t i;

	pairs = arena_calloc(c->arena, n + 1, sizeof(*pairs));
	if (pairs == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++)
		pairs[i] = (struct name_value){
			.name = tags[i].key,
			.value = tags[i].value,
		};
	c->request_tags = pairs;
	c->n_request_tags = n;
	return (RC_OK);
}

enum rc
ecr_tags_check(
    struct call *c, const json_t *in, struct resource_tag **tags_r, size_t *n_r)
{
	const json_t *list = aws_member(in, "tags"), *one;
	struct resource_tag *tags;
	size_t i, n = json_array_size(list);
	enum rc rc;

	*tags_r = NULL;
	*n_r = 0;
	if (n > REPOSITORY_TAGS_MAX)
		return (call_fail(c, AWS_TOO_MANY_RESOURCE_TAGS, NULL,
		    "%zu tags are given; a repository can have %d", n,
		    REPOSITORY_TAGS_MAX));
	tags = arena_calloc(c->arena, n + 1, sizeof(*tags));
	if (tags == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		one = json_array_get(list, i);
		tags[i].key = aws_string(one, "Key");
		tags[i].value = aws_string(one, "Value");
		if ((rc = tag_check(c, tags, i)) != RC_OK)
			return (rc);
	}
	*tags_r = tags;
	*n_r = n;
	return (request_tags_set(c, tags, n));
}

enum rc
ecr_tag_keys_check(
    struct call *c, const json_t *in, struct span **keys_r, size_t *n_r)
{
	const json_t *list = aws_member(in, "tagKeys"), *one;
	size_t i, n = json_array_size(list);
	struct resource_tag *tags;
	struct span *keys;
	enum rc rc;

	*keys_r = NULL;
	*n_r = 0;
	if (n > REPOSITORY_TAGS_MAX)
		return (call_fail(c, AWS_TOO_MANY_RESOURCE_TAGS, NULL,
		    "%zu tag keys are given; a repository can have %d tags", n,
		    REPOSITORY_TAGS_MAX));
	keys = arena_calloc(c->arena, n + 1, sizeof(*keys));
	tags = arena_calloc(c->arena, n + 1, sizeof(*tags));
	if (keys == NULL || tags == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		one = json_array_get(list, i);
		keys[i] = (struct span){ json_string_value(one),
			json_string_length(one) };
		if ((rc = key_check(c, keys[i])) != RC_OK)
			return (rc);
		tags[i].key = keys[i];
	}
	*keys_r = keys;
	*n_r = n;
	return (request_tags_set(c, tags, n));
}
