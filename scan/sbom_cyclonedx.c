#include "scan/sbom_int.h"

/*
 * CycloneDX 1.5 (bom-1.5.schema.json).
 */
#define PROPERTY "registryd:"

static void
purl_member(struct buf *out, const char *name, struct buf *purl)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, buf_as_span(purl));
}

static void
metadata_add(const struct sbom_subject *s, struct buf *out)
{
	char time[SBOM_TIME_BYTES];
	struct buf purl;

	buf_printf(out,
	    "\"metadata\":{\"timestamp\":\"%s\",\"tools\":{\"components\":["
	    "{\"type\":\"application\",\"name\":\"registryd\","
	    "\"version\":\"" REGISTRYD_VERSION
	    "\"}]},\"component\":{\"type\":\"container\","
	    "\"bom-ref\":\"image\"",
	    sbom_time(s->created_ms, time));
	buf_str(out, ",\"name\":");
	buf_json(out, s->repository);
	buf_str(out, ",\"version\":");
	buf_json(out, s->digest);
	buf_init(&purl, SIZE_MAX);
	sbom_image_purl(s, &purl);
	purl_member(out, "purl", &purl);
	buf_free(&purl);
	if (s->tag.n > 0) {
		buf_str(out, ",\"properties\":[{\"name\":\"" PROPERTY
			     "tag\",\"value\":");
		buf_json(out, s->tag);
		buf_str(out, "}]");
	}
	buf_str(out, "}}");
}

static void
os_add(const struct os_release *os, struct buf *out)
{
	buf_str(out, "{\"type\":\"operating-system\",\"bom-ref\":\"os\"");
	buf_str(out, ",\"name\":");
	buf_json(out, os->id);
	sbom_member(out, "version",
	    os->version_id.n > 0 ? os->version_id : os->codename);
	sbom_member(out, "description", os->pretty_name);
	buf_char(out, '}');
}

static void
property_add(
    struct buf *out, char *separator, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	if (*separator == '[')
		buf_str(out, ",\"properties\":");
	buf_printf(
	    out, "%c{\"name\":\"" PROPERTY "%s\",\"value\":", *separator, name);
	buf_json(out, value);
	buf_char(out, '}');
	*separator = ',';
}

static void
component_add(const struct inventory *v, size_t i, struct buf *out)
{
	const struct package *p = &v->packages[i];
	char separator = '[';
	struct buf purl;

	buf_printf(out,
	    "{\"type\":\"library\",\"bom-ref\":\"package-%zu\",\"name\":",
	    i + 1);
	buf_json(out, p->name);
	buf_str(out, ",\"version\":");
	buf_json(out, p->version);
	if (p->license.n > 0) {
		buf_str(out, ",\"licenses\":[{\"license\":{\"name\":");
		buf_json(out, p->license);
		buf_str(out, "}}]");
	}
	buf_init(&purl, SIZE_MAX);
	package_purl(p, &v->os, &purl);
	purl_member(out, "purl", &purl);
	buf_free(&purl);
	property_add(out, &separator, "source-name", p->source_name);
	property_add(out, &separator, "source-version", p->source_version);
	property_add(out, &separator, "path", p->path);
	property_add(out, &separator, "layer", p->layer);
	if (separator == ',')
		buf_char(out, ']');
	buf_char(out, '}');
}

static void
dependencies_add(const struct inventory *v, struct buf *out)
{
	const char *separator = "";
	size_t i;

	buf_str(out, "\"dependencies\":[{\"ref\":\"image\",\"dependsOn\":[");
	if (v->os.id.n > 0) {
		buf_str(out, "\"os\"");
		separator = ",";
	}
	for (i = 0; i < v->n_packages; i++) {
		buf_printf(out, "%s\"package-%zu\"", separator, i + 1);
		separator = ",";
	}
	buf_str(out, "]}]");
}

void
sbom_cyclonedx_write(
    const struct sbom_subject *s, const struct inventory *v, struct buf *out)
{
	char id[SBOM_ID_BYTES];
	size_t i;

	buf_printf(out,
	    "{\"$schema\":\"http://cyclonedx.org/schema/bom-1.5.schema.json\","
	    "\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\","
	    "\"serialNumber\":\"urn:uuid:%s\",\"version\":1,",
	    sbom_id(s, "cyclonedx", id));
	metadata_add(s, out);
	buf_str(out, ",\"components\":[");
	if (v->os.id.n > 0)
		os_add(&v->os, out);
	for (i = 0; i < v->n_packages; i++) {
		if (i > 0 || v->os.id.n > 0)
			buf_char(out, ',');
		component_add(v, i, out);
	}
	buf_str(out, "],");
	dependencies_add(v, out);
	buf_str(out, "}\n");
}
