#include "registryd/scanning.h"

#include <string.h>

#include "base/obj.h"
#include "registryd/registry_config.h"

/*
 * The rules of the registry's scanning configuration, as
 * PutRegistryScanningConfiguration has set them (api/ecr_scanning.c).
 */

enum rc
scanning_configuration(struct meta *m, json_t **o_r)
{
	enum rc rc;

	rc = registry_config_get(m, ENTITY_REGISTRY, CONFIG_SCANNING, o_r);
	if (rc != RC_NOTFOUND)
		return (rc);
	*o_r = json_pack("{s:s,s:[]}", "scanType", "BASIC", "rules");
	return (RC_OK);
}

static struct span
text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return ((struct span){ json_string_value(v), json_string_length(v) });
}

/* A filter without a wildcard is of all names that it is in. */
static bool
filter_ok(struct span filter, struct span name)
{
	if (memchr(filter.p, '*', filter.n) != NULL)
		return (span_matches(name, filter));
	return (memmem(name.p, name.n, filter.p, filter.n) != NULL);
}

/* Those of the rule that match, the caller's. */
static json_t *
rule_matches(const json_t *rule, struct span name)
{
	const json_t *filters = json_object_get(rule, "repositoryFilters");
	json_t *list = json_array(), *f;
	struct span filter;
	size_t i;

	for (i = 0; i < json_array_size(filters); i++) {
		f = json_array_get(filters, i);
		filter = text_of(f, "filter");
		if (filter.p != NULL && filter_ok(filter, name))
			must(json_array_append(list, f) == 0);
	}
	return (list);
}

/* What is scanned more often goes before. */
static const char *const frequencies[] = {
	"CONTINUOUS_SCAN",
	"SCAN_ON_PUSH",
	"MANUAL",
};

const char *
scanning_rule(const json_t *configuration, struct span name, json_t **filters_r)
{
	const json_t *rules = json_object_get(configuration, "rules"), *rule;
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(frequencies); i++)
		for (k = 0; k < json_array_size(rules); k++) {
			rule = json_array_get(rules, k);
			if (!span_is(
				text_of(rule, "scanFrequency"), frequencies[i]))
				continue;
			*filters_r = rule_matches(rule, name);
			if (json_array_size(*filters_r) > 0)
				return (frequencies[i]);
			json_decref(*filters_r);
		}
	*filters_r = NULL;
	return (NULL);
}

/* One that is scanned for as long as it is here is scanned when it comes. */
bool
scanning_on_push(struct meta *m, struct span name)
{
	json_t *configuration, *filters;
	const char *frequency;

	if (scanning_configuration(m, &configuration) != RC_OK)
		return (false);
	frequency = scanning_rule(configuration, name, &filters);
	json_decref(filters);
	json_decref(configuration);
	return (frequency != NULL && strcmp(frequency, "MANUAL") != 0);
}

/* What a file system is made of: that of a configuration of Docker or OCI.
 * Charts, signatures and the like are no images to a scanner. */
bool
ecr_scannable(enum manifest_kind kind, struct span type)
{
	return (kind == MANIFEST_IMAGE &&
		(span_is(type, "application/vnd.oci.image.config.v1+json") ||
		    span_is(type,
			"application/vnd.docker.container.image.v1+json")));
}
