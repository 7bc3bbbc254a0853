#include "base/digest.h"
#include "base/hex.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/settings.h"
#include "storage/keys.h"

/*
 * Values of the model that several operations read and show: what the shapes
 * have let through becomes what the store keeps, and back.
 */

/* --- imageTagMutability -------------------------------------------------- */

static const struct {
	const char *text;
	enum tag_mutability value;
} mutabilities[] = {
	{ "MUTABLE", TAGS_MUTABLE },
	{ "IMMUTABLE", TAGS_IMMUTABLE },
	{ "IMMUTABLE_WITH_EXCLUSION", TAGS_IMMUTABLE_WITH_EXCLUSION },
	{ "MUTABLE_WITH_EXCLUSION", TAGS_MUTABLE_WITH_EXCLUSION },
};

enum tag_mutability
ecr_mutability(struct span text)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(mutabilities); i++)
		if (span_is(text, mutabilities[i].text))
			return (mutabilities[i].value);
	wrong("a value that the shape has not");
}

const char *
ecr_mutability_text(enum tag_mutability value)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(mutabilities); i++)
		if (mutabilities[i].value == value)
			return (mutabilities[i].text);
	wrong("a tag mutability without a name");
}

/* A filter of more is slow to match and says nothing that two do not. */
#define EXCLUSION_STARS_MAX 2

static enum rc
exclusion_check(struct call *c, struct span filter)
{
	unsigned stars = 0;
	size_t i;

	for (i = 0; i < filter.n; i++)
		stars += filter.p[i] == '*';
	if (stars <= EXCLUSION_STARS_MAX)
		return (RC_OK);
	return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
	    "the filter '" SPAN_FMT "' has more than %d wildcards (*)",
	    SPAN_ARG(filter), EXCLUSION_STARS_MAX));
}

static enum rc
exclusions_read(
    struct call *c, const json_t *list, struct repository_settings *s)
{
	struct span *filters;
	size_t i, n = json_array_size(list);
	enum rc rc;

	filters = arena_calloc(c->arena, n + 1, sizeof(*filters));
	if (filters == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		filters[i] = aws_string(json_array_get(list, i), "filter");
		if ((rc = exclusion_check(c, filters[i])) != RC_OK)
			return (rc);
	}
	s->exclusions = filters;
	s->n_exclusions = n;
	return (RC_OK);
}

enum rc
ecr_mutability_read(
    struct call *c, const json_t *in, struct repository_settings *s)
{
	const json_t *list =
	    aws_member(in, "imageTagMutabilityExclusionFilters");
	struct span text = aws_string(in, "imageTagMutability");
	bool excludes;

	if (text.p == NULL)
		text = SPAN("MUTABLE");
	s->mutability = ecr_mutability(text);
	s->exclusions = NULL;
	s->n_exclusions = 0;
	excludes = s->mutability == TAGS_IMMUTABLE_WITH_EXCLUSION ||
		   s->mutability == TAGS_MUTABLE_WITH_EXCLUSION;
	if (excludes && list == NULL)
		return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
		    "ImageTagMutabilityExclusionFilters can't be null when "
		    "imageTagMutability is set as " SPAN_FMT,
		    SPAN_ARG(text)));
	if (!excludes && list != NULL)
		return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
		    "ImageTagMutabilityExclusionFilters must be null when "
		    "imageTagMutability is set as " SPAN_FMT,
		    SPAN_ARG(text)));
	return (list != NULL ? exclusions_read(c, list, s) : RC_OK);
}

json_t *
ecr_exclusions_json(const struct repository_settings *s)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < s->n_exclusions; i++)
		aws_append(
		    list, json_pack("{s:s,s:o}", "filterType", "WILDCARD",
			      "filter", call_text(s->exclusions[i])));
	return (list);
}

/* --- encryptionConfiguration --------------------------------------------- */

static const struct {
	const char *text;
	enum encryption_type value;
} encryptions[] = {
	{ "AES256", ENCRYPTION_AES256 },
	{ "KMS", ENCRYPTION_KMS },
	{ "KMS_DSSE", ENCRYPTION_KMS_DSSE },
};

enum encryption_type
ecr_encryption(struct span text)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(encryptions); i++)
		if (span_is(text, encryptions[i].text))
			return (encryptions[i].value);
	wrong("a value that the shape has not");
}

const char *
ecr_encryption_text(enum encryption_type value)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(encryptions); i++)
		if (encryptions[i].value == value)
			return (encryptions[i].text);
	wrong("an encryption type without a name");
}

#define KEY_ID_BYTES 16

/*
 * The key that an account has without having made one, as AWS's key
 * "aws/ecr".  Its id is a UUID of version 8 (RFC 9562, section 5.8) that
 * follows from the account, so that it is the same in all that is ever told.
 */
static enum rc
registry_key(struct call *c, struct span *key_r)
{
	char h[2 * KEY_ID_BYTES + 1];
	struct digest d;
	char *text;

	text = arena_printf(
	    c->arena, "key aws/ecr of account %s", c->settings->account_id);
	if (text == NULL)
		return (RC_TOOBIG);
	digest_of(DIGEST_SHA256, text, strlen(text), &d);
	d.bytes[6] = (uint8_t)((d.bytes[6] & 0x0f) | 0x80);
	d.bytes[8] = (uint8_t)((d.bytes[8] & 0x3f) | 0x80);
	hex_encode(d.bytes, KEY_ID_BYTES, h);
	text = arena_printf(c->arena,
	    "arn:aws:kms:" SPAN_FMT ":%s:key/%.8s-%.4s-%.4s-%.4s-%s",
	    SPAN_ARG(ecr_region(c)), c->settings->account_id, h, h + 8, h + 12,
	    h + 16, h + 20);
	*key_r = span_of(text);
	return (text != NULL ? RC_OK : RC_TOOBIG);
}

/* Whoever names the key that is there without being named means that one. */
static enum rc
kms_key_read(struct call *c, struct repository_settings *s)
{
	struct span key, name = key_name(s->kms_key);
	enum rc rc;

	if (name.n > KEY_NAME_MAX_BYTES)
		return (aws_invalid(c, "encryptionConfiguration",
		    "kmsKey is longer than the %d bytes that the name of a key "
		    "may have",
		    KEY_NAME_MAX_BYTES));
	if (memchr(name.p, '\0', name.n) != NULL)
		return (aws_invalid(c, "encryptionConfiguration",
		    "kmsKey must not hold a NUL"));
	if ((rc = registry_key(c, &key)) != RC_OK)
		return (rc);
	if (span_eq(name, key_name(key)))
		s->kms_key = SPAN_NONE;
	return (RC_OK);
}

enum rc
ecr_encryption_read(
    struct call *c, const json_t *in, struct repository_settings *s)
{
	const json_t *o = aws_member(in, "encryptionConfiguration");

	s->encryption = ENCRYPTION_DEFAULT;
	s->kms_key = SPAN_NONE;
	if (o == NULL)
		return (RC_OK);
	s->encryption = ecr_encryption(aws_string(o, "encryptionType"));
	s->kms_key = aws_string(o, "kmsKey");
	if (s->encryption == ENCRYPTION_KMS_DSSE)
		return (aws_invalid(c, "encryptionConfiguration",
		    "KMS_DSSE promises two layers of encryption, and here "
		    "content would be encrypted once: use KMS"));
	if (s->encryption == ENCRYPTION_KMS)
		return (s->kms_key.n > 0 ? kms_key_read(c, s) : RC_OK);
	if (s->kms_key.n > 0)
		return (aws_invalid(c, "encryptionConfiguration",
		    "kmsKey can only be set when encryptionType is KMS"));
	return (RC_OK);
}

json_t *
ecr_encryption_json(struct call *c, const struct repository_settings *s)
{
	struct span key = s->kms_key;
	json_t *o;

	if (s->encryption != ENCRYPTION_AES256 &&
	    s->encryption != ENCRYPTION_KMS)
		return (NULL);
	o = json_pack(
	    "{s:s}", "encryptionType", ecr_encryption_text(s->encryption));
	if (s->encryption == ENCRYPTION_KMS && key.n == 0)
		(void)(registry_key(c, &key) == RC_OK);
	if (key.n > 0)
		aws_put_text(o, "kmsKey", key);
	return (o);
}

/* --- lists and filters --------------------------------------------------- */

json_t *
ecr_tags_json(const struct resource_tag *tags, size_t n)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		aws_append(
		    list, json_pack("{s:o,s:o}", "Key", call_text(tags[i].key),
			      "Value", call_text(tags[i].value)));
	return (list);
}
