#include <assert.h>

#include "base/name.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"

/*
 * The shared shapes of the service's model, under the model's names.  Patterns
 * are written twice: as the model has them, for messages, and as a function.
 */
#define MEMBERS(m) \
	.type = AWS_STRUCTURE, .members = (m), .n_members = ARRAY_LEN(m)

const struct aws_shape ecr_boolean = { .type = AWS_BOOLEAN };

static const struct aws_shape text = { .type = AWS_STRING };

/* --- RegistryId ---------------------------------------------------------- */

static bool
registry_id_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
	return (s.n == 12);
}

const struct aws_shape ecr_registry_id = {
	.type = AWS_STRING,
	.expression = "[0-9]{12}",
	.matches = registry_id_ok,
};

const struct aws_shape ecr_registry_ids = {
	.type = AWS_LIST,
	.element = &ecr_registry_id,
	.min = 1,
	.max = 10,
};

/* --- RepositoryName ------------------------------------------------------ */

#define NAME_EXPRESSION \
	"[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)" \
	"[a-z0-9]+)*)*"

/* A push may have made one of a single letter: it can be named here too. */
const struct aws_shape ecr_repository_name = {
	.type = AWS_STRING,
	.min = 1,
	.max = NAME_REPOSITORY_MAX_BYTES,
	.expression = NAME_EXPRESSION,
	.matches = name_repository_ok,
};

const struct aws_shape ecr_new_repository_name = {
	.type = AWS_STRING,
	.min = 2,
	.max = NAME_REPOSITORY_MAX_BYTES,
	.expression = NAME_EXPRESSION,
	.matches = name_repository_ok,
};

const struct aws_shape ecr_repository_names = {
	.type = AWS_LIST,
	.element = &ecr_repository_name,
	.min = 1,
	.max = 100,
};

/* --- pages --------------------------------------------------------------- */

const struct aws_shape ecr_next_token = { .type = AWS_STRING };

const struct aws_shape ecr_max_results = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = AWS_PAGE_MAX,
};

/* --- Tag ----------------------------------------------------------------- */

/* Their lengths and characters have an exception of their own. */
static const struct aws_member tag_members[] = {
	{ "Key", &text, true },
	{ "Value", &text, true },
};

static const struct aws_shape tag = { MEMBERS(tag_members) };

const struct aws_shape ecr_tags = { .type = AWS_LIST, .element = &tag };

/* --- ImageTagMutability -------------------------------------------------- */

/* In the order in which ECR lists them to whoever sends another. */
static const char *const mutabilities[] = {
	"IMMUTABLE",
	"MUTABLE",
	"MUTABLE_WITH_EXCLUSION",
	"IMMUTABLE_WITH_EXCLUSION",
	NULL,
};
static const enum tag_mutability mutability_values[] = {
	TAGS_IMMUTABLE,
	TAGS_MUTABLE,
	TAGS_MUTABLE_WITH_EXCLUSION,
	TAGS_IMMUTABLE_WITH_EXCLUSION,
};
static_assert(ARRAY_LEN(mutabilities) == ARRAY_LEN(mutability_values) + 1,
    "each has its value");

enum tag_mutability
ecr_mutability(struct span value)
{
	size_t i;

	for (i = 0; mutabilities[i] != NULL; i++)
		if (span_is(value, mutabilities[i]))
			return (mutability_values[i]);
	wrong("a value that the shape has not");
}

const char *
ecr_mutability_text(enum tag_mutability value)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(mutability_values); i++)
		if (mutability_values[i] == value)
			return (mutabilities[i]);
	wrong("a tag mutability without a name");
}

const struct aws_shape ecr_tag_mutability = {
	.type = AWS_STRING,
	.values = mutabilities,
};

static const char *const exclusion_types[] = { "WILDCARD", NULL };

static const struct aws_shape exclusion_type = {
	.type = AWS_STRING,
	.values = exclusion_types,
};

static bool
exclusion_ok(struct span s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' &&
		    c != '*' && c != '-')
			return (false);
	}
	return (s.n >= 1 && s.n <= 128);
}

static const struct aws_shape exclusion_value = {
	.type = AWS_STRING,
	.min = 1,
	.max = 128,
	.expression = "^[0-9a-zA-Z._*-]{1,128}$",
	.matches = exclusion_ok,
};

static const struct aws_member exclusion_members[] = {
	{ "filterType", &exclusion_type, true },
	{ "filter", &exclusion_value, true },
};

static const struct aws_shape exclusion = { MEMBERS(exclusion_members) };

const struct aws_shape ecr_tag_exclusions = {
	.type = AWS_LIST,
	.element = &exclusion,
	.min = 1,
	.max = 5,
};

/* --- configurations ------------------------------------------------------ */

static const struct aws_member scanning_members[] = {
	{ "scanOnPush", &ecr_boolean, false },
};

const struct aws_shape ecr_scanning_configuration = { MEMBERS(
    scanning_members) };

static const char *const encryption_types[] = {
	"AES256",
	"KMS",
	"KMS_DSSE",
	NULL,
};

const char *
ecr_encryption_text(enum encryption_type value)
{
	switch (value) {
	case ENCRYPTION_AES256:
		return ("AES256");
	case ENCRYPTION_KMS:
		return ("KMS");
	case ENCRYPTION_KMS_DSSE:
		return ("KMS_DSSE");
	}
	wrong("an encryption type without a name");
}

static const struct aws_shape encryption_type = {
	.type = AWS_STRING,
	.values = encryption_types,
};

static const struct aws_shape kms_key = {
	.type = AWS_STRING,
	.min = 1,
	.max = 2048,
};

static const struct aws_member encryption_members[] = {
	{ "encryptionType", &encryption_type, true },
	{ "kmsKey", &kms_key, false },
};

const struct aws_shape ecr_encryption_configuration = { MEMBERS(
    encryption_members) };

/* --- policies ------------------------------------------------------------ */

const struct aws_shape ecr_policy_text = { .type = AWS_STRING, .max = 10240 };
