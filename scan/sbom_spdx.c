#include "scan/sbom_int.h"

/*
 * SPDX 2.3 (spdx-schema.json).  What a package says of its licence is not
 * always an expression of SPDX, so it stands in the comment.
 */
#define NOBODY_SAYS \
	",\"downloadLocation\":\"NOASSERTION\",\"filesAnalyzed\":false," \
	"\"licenseConcluded\":\"NOASSERTION\"," \
	"\"licenseDeclared\":\"NOASSERTION\"," \
	"\"copyrightText\":\"NOASSERTION\""

static void
purl_add(struct buf *out, struct buf *purl)
{
	buf_str(out,
	    ",\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\","
	    "\"referenceType\":\"purl\",\"referenceLocator\":");
	buf_json(out, buf_as_span(purl));
	buf_str(out, "}]");
	buf_free(purl);
}

static void
image_add(const struct sbom_subject *s, struct buf *out)
{
	struct buf purl;

	buf_str(out, "{\"SPDXID\":\"SPDXRef-image\",\"name\":");
	buf_json(out, s->repository);
	buf_str(out, ",\"versionInfo\":");
	buf_json(out, s->digest);
	buf_str(out, NOBODY_SAYS ",\"primaryPackagePurpose\":\"CONTAINER\"");
	buf_init(&purl, SIZE_MAX);
	sbom_image_purl(s, &purl);
	purl_add(out, &purl);
	buf_char(out, '}');
}

static void
os_add(const struct os_release *os, struct buf *out)
{
	buf_str(out, ",{\"SPDXID\":\"SPDXRef-os\",\"name\":");
	buf_json(out, os->id);
	sbom_member(out, "versionInfo",
	    os->version_id.n > 0 ? os->version_id : os->codename);
	sbom_member(out, "description", os->pretty_name);
	buf_str(out,
	    NOBODY_SAYS ",\"primaryPackagePurpose\":\"OPERATING-SYSTEM\"}");
}

/* Where it was found, and what it was built from. */
static void
source_info_add(const struct package *p, struct buf *out)
{
	struct buf text;

	buf_init(&text, SIZE_MAX);
	if (p->path.n > 0)
		buf_printf(&text, "found in " SPAN_FMT, SPAN_ARG(p->path));
	if (p->layer.n > 0)
		buf_printf(&text, " of layer " SPAN_FMT, SPAN_ARG(p->layer));
	if (p->source_name.n > 0)
		buf_printf(&text, "%sbuilt from " SPAN_FMT " " SPAN_FMT,
		    text.n > 0 ? "; " : "", SPAN_ARG(p->source_name),
		    SPAN_ARG(p->source_version.n > 0 ? p->source_version
						     : p->version));
	sbom_member(out, "sourceInfo", buf_as_span(&text));
	buf_free(&text);
}

static void
package_add_to(const struct inventory *v, size_t i, struct buf *out)
{
	const struct package *p = &v->packages[i];
	struct buf purl;

	buf_printf(
	    out, ",{\"SPDXID\":\"SPDXRef-package-%zu\",\"name\":", i + 1);
	buf_json(out, p->name);
	buf_str(out, ",\"versionInfo\":");
	buf_json(out, p->version);
	buf_str(out, NOBODY_SAYS);
	if (p->license.n > 0) {
		buf_str(out, ",\"licenseComments\":");
		buf_json(out, p->license);
	}
	source_info_add(p, out);
	buf_init(&purl, SIZE_MAX);
	package_purl(p, &v->os, &purl);
	purl_add(out, &purl);
	buf_char(out, '}');
}

static void
contains_add(const char *id, size_t number, struct buf *out)
{
	buf_printf(out,
	    ",{\"spdxElementId\":\"SPDXRef-image\","
	    "\"relationshipType\":\"CONTAINS\","
	    "\"relatedSpdxElement\":\"SPDXRef-%s",
	    id);
	if (number > 0)
		buf_u64(out, number);
	buf_str(out, "\"}");
}

static void
relationships_add(const struct inventory *v, struct buf *out)
{
	size_t i;

	buf_str(out,
	    "\"relationships\":[{\"spdxElementId\":\"SPDXRef-DOCUMENT\","
	    "\"relationshipType\":\"DESCRIBES\","
	    "\"relatedSpdxElement\":\"SPDXRef-image\"}");
	if (v->os.id.n > 0)
		contains_add("os", 0, out);
	for (i = 0; i < v->n_packages; i++)
		contains_add("package-", i + 1, out);
	buf_char(out, ']');
}

void
sbom_spdx_write(
    const struct sbom_subject *s, const struct inventory *v, struct buf *out)
{
	char id[SBOM_ID_BYTES], time[SBOM_TIME_BYTES];
	size_t i;

	buf_str(out,
	    "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\","
	    "\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":");
	buf_json(out, s->repository);
	buf_printf(out,
	    ",\"documentNamespace\":\"urn:uuid:%s\",\"creationInfo\":{"
	    "\"created\":\"%s\",\"creators\":["
	    "\"Tool: registryd-" REGISTRYD_VERSION "\"]},\"packages\":[",
	    sbom_id(s, "spdx", id), sbom_time(s->created_ms, time));
	image_add(s, out);
	if (v->os.id.n > 0)
		os_add(&v->os, out);
	for (i = 0; i < v->n_packages; i++)
		package_add_to(v, i, out);
	buf_str(out, "],");
	relationships_add(v, out);
	buf_str(out, "}\n");
}
