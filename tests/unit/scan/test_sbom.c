#include "layer_help.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "scan/sbom.h"

/*
 * Lists of packages, and the URLs in them.
 */
#define DIGEST \
	"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060" \
	"f61caaff8a"

static const struct sbom_subject subject = {
	.repository = SPAN_INIT("registry.example.com:5000/team/app"),
	.digest = SPAN_INIT(DIGEST),
	.tag = SPAN_INIT("v1"),
	.created_ms = 1700000000123,
};

static struct package packages[] = {
	{ .type = PACKAGE_DEB,
	    .name = SPAN_INIT("libc6"),
	    .version = SPAN_INIT("1:2.36-9+deb12u4"),
	    .arch = SPAN_INIT("amd64"),
	    .source_name = SPAN_INIT("glibc"),
	    .path = SPAN_INIT("var/lib/dpkg/status"),
	    .layer = SPAN_INIT(DIGEST) },
	{ .type = PACKAGE_PYPI,
	    .name = SPAN_INIT("a\"b"),
	    .version = SPAN_INIT("1.0"),
	    .license = SPAN_INIT("MIT or \"so\"") },
};

static const struct inventory full = {
	.os = { SPAN_INIT("debian"), SPAN_INIT("12"), SPAN_INIT("bookworm"),
	    SPAN_INIT("Debian GNU/Linux 12 (bookworm)") },
	.packages = packages,
	.n_packages = 2,
};

static void
purl_is(struct package p, struct os_release os, const char *want)
{
	struct buf out;

	buf_init(&out, 4096);
	package_purl(&p, &os, &out);
	buf_char(&out, '\0');
	assert_string_equal(out.p, want);
	buf_free(&out);
}

#define P(kind, called, at, machine) \
	((struct package){ .type = (kind), \
	    .name = SPAN(called), \
	    .version = SPAN(at), \
	    .arch = SPAN(machine) })
#define OS(is, at) \
	((struct os_release){ .id = SPAN(is), .version_id = SPAN(at) })

static void
package_urls_are_those_of_the_specification(void **state)
{
	(void)state;
	purl_is(P(PACKAGE_DEB, "curl", "7.50.3-1", "i386"), OS("debian", "12"),
	    "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=debian-12");
	purl_is(P(PACKAGE_DEB, "g++", "4:12.2.0-3+b1~x", "amd64"),
	    (struct os_release){
		.id = SPAN("debian"), .codename = SPAN("sid") },
	    "pkg:deb/debian/g%2B%2B@4:12.2.0-3%2Bb1~x?arch=amd64&"
	    "distro=debian-sid");
	purl_is(P(PACKAGE_APK, "musl", "1.2.4-r2", "x86_64"),
	    OS("alpine", "3.18.4"),
	    "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4");
	purl_is(P(PACKAGE_RPM, "NetworkManager", "1:1.42.2-1.el9", "x86_64"),
	    OS("rhel", "9.2"),
	    "pkg:rpm/redhat/NetworkManager@1.42.2-1.el9?arch=x86_64&"
	    "distro=rhel-9.2&epoch=1");
	purl_is(P(PACKAGE_NPM, "@angular/animation", "12.3.1", ""),
	    OS("debian", "12"), "pkg:npm/%40angular/animation@12.3.1");
	purl_is(P(PACKAGE_NPM, "foobar", "12.3.1", ""), OS("", ""),
	    "pkg:npm/foobar@12.3.1");
	purl_is(P(PACKAGE_PYPI, "django", "1!1.11.1+x", ""), OS("", ""),
	    "pkg:pypi/django@1%211.11.1%2Bx");
	purl_is(P(PACKAGE_DEB, "a", "1", ""), OS("", ""), "pkg:deb/a@1");
}

static json_t *
written(enum sbom_format format, const struct inventory *v)
{
	json_t *doc;
	struct buf out;

	buf_init(&out, 1 << 20);
	sbom_write(format, &subject, v, &out);
	assert_true(buf_ok(&out));
	doc = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	buf_free(&out);
	return (doc);
}

static void
member_is(json_t *o, const char *key, const char *want)
{
	assert_string_equal(json_string_value(json_object_get(o, key)), want);
}

static void
cyclonedx_has_what_its_schema_asks_for(void **state)
{
	json_t *doc = written(SBOM_CYCLONEDX, &full), *list, *c, *meta;

	(void)state;
	member_is(doc, "bomFormat", "CycloneDX");
	member_is(doc, "specVersion", "1.5");
	meta = json_object_get(doc, "metadata");
	member_is(meta, "timestamp", "2023-11-14T22:13:20Z");
	member_is(json_object_get(meta, "component"), "purl",
	    "pkg:oci/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe7"
	    "7e8310c060f61caaff8a?repository_url=registry.example.com:5000/"
	    "team/"
	    "app&tag=v1");
	list = json_object_get(doc, "components");
	assert_int_equal(json_array_size(list), 3);
	member_is(json_array_get(list, 0), "type", "operating-system");
	c = json_array_get(list, 1);
	member_is(c, "name", "libc6");
	member_is(c, "version", "1:2.36-9+deb12u4");
	member_is(c, "bom-ref", "package-1");
	member_is(json_array_get(list, 2), "name", "a\"b");
	json_decref(doc);
}

static void
spdx_has_what_its_schema_asks_for(void **state)
{
	json_t *doc = written(SBOM_SPDX, &full), *list, *p;

	(void)state;
	member_is(doc, "spdxVersion", "SPDX-2.3");
	member_is(doc, "dataLicense", "CC0-1.0");
	member_is(doc, "SPDXID", "SPDXRef-DOCUMENT");
	member_is(json_object_get(doc, "creationInfo"), "created",
	    "2023-11-14T22:13:20Z");
	list = json_object_get(doc, "packages");
	assert_int_equal(json_array_size(list), 4);
	p = json_array_get(list, 2);
	member_is(p, "SPDXID", "SPDXRef-package-1");
	member_is(p, "downloadLocation", "NOASSERTION");
	member_is(p, "sourceInfo",
	    "found in var/lib/dpkg/status of layer " DIGEST
	    "; built from glibc 1:2.36-9+deb12u4");
	assert_int_equal(
	    json_array_size(json_object_get(doc, "relationships")), 4);
	json_decref(doc);
}

static void
image_without_packages_has_a_list(void **state)
{
	static const struct inventory none;
	json_t *doc;

	(void)state;
	doc = written(SBOM_CYCLONEDX, &none);
	assert_int_equal(
	    json_array_size(json_object_get(doc, "components")), 0);
	json_decref(doc);
	doc = written(SBOM_SPDX, &none);
	assert_int_equal(json_array_size(json_object_get(doc, "packages")), 1);
	json_decref(doc);
}

static void
same_image_gives_the_same_bytes(void **state)
{
	struct buf a, b;
	int format;

	(void)state;
	for (format = SBOM_CYCLONEDX; format <= SBOM_SPDX; format++) {
		buf_init(&a, 1 << 20);
		buf_init(&b, 1 << 20);
		sbom_write((enum sbom_format)format, &subject, &full, &a);
		sbom_write((enum sbom_format)format, &subject, &full, &b);
		assert_true(span_eq(buf_as_span(&a), buf_as_span(&b)));
		buf_free(&a);
		buf_free(&b);
	}
	assert_string_equal(
	    sbom_media_type(SBOM_CYCLONEDX), "application/vnd.cyclonedx+json");
	assert_string_equal(
	    sbom_media_type(SBOM_SPDX), "application/spdx+json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(package_urls_are_those_of_the_specification),
		cmocka_unit_test(cyclonedx_has_what_its_schema_asks_for),
		cmocka_unit_test(spdx_has_what_its_schema_asks_for),
		cmocka_unit_test(image_without_packages_has_a_list),
		cmocka_unit_test(same_image_gives_the_same_bytes),
	};

	return (cmocka_run_group_tests_name("sbom", tests, NULL, NULL));
}
