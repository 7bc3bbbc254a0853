#include <inttypes.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "registryd/api/control_int.h"
#include "registryd/scan_image.h"
#include "registryd/scanning.h"
#include "registryd/settings.h"
#include "scan/match.h"
#include "scan/sbom.h"
#include "storage/findings.h"

/*
 * Scans, as an operator asks for them: without a quota, and with the packages
 * that were found.
 */
#define FINDINGS_BYTES (3 * FINDINGS_TEXT_MAX_BYTES)

/* --- which image --------------------------------------------------------- */

static enum rc
image_missing(struct call *c, struct span name, struct span ref)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(c->meta, name, &row);
	if (rc == RC_NOTFOUND)
		return (control_no_repository(c, name));
	if (rc != RC_OK)
		return (rc);
	return (call_fail(c, OCI_NOT_FOUND, NULL,
	    "the repository " SPAN_FMT " has no image %.*s", SPAN_ARG(name),
	    CALL_SHOW(ref)));
}

static enum rc
scannable_check(
    struct call *c, const struct image_row *row, struct span reference)
{
	if (row->kind == MANIFEST_INDEX)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "%.*s is an index, which has no file system of its own: "
		    "name one of the images that it refers to by digest",
		    CALL_SHOW(reference)));
	if (!ecr_scannable(row->kind, row->manifest.artifact_type))
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "%.*s is no image of a container, but of type %.*s",
		    CALL_SHOW(reference),
		    CALL_SHOW(row->manifest.artifact_type)));
	return (RC_OK);
}

/* "repository" and "reference". */
static enum rc
image_of(struct call *c, struct span *name_r, struct image_row *row_r)
{
	struct reference ref;
	struct span text = SPAN_NONE;
	enum rc rc;

	if ((rc = control_repository(c, true, name_r)) != RC_OK)
		return (rc);
	if (!http_request_param(c->request, "reference", &text) ||
	    reference_parse(text, &ref) != RC_OK)
		return (control_bad(c, "reference", text, "a tag or a digest"));
	rc = meta_image_get(c->meta, *name_r, &ref, c->arena, row_r);
	if (rc == RC_NOTFOUND)
		return (image_missing(c, *name_r, text));
	return (rc == RC_OK ? scannable_check(c, row_r, text) : rc);
}

/* --- what is known of its scan ------------------------------------------- */

static const char *
status_text(enum scan_status status)
{
	switch (status) {
	case SCAN_IN_PROGRESS:
		return ("in progress");
	case SCAN_COMPLETE:
		return ("complete");
	case SCAN_FAILED:
		return ("failed");
	case SCAN_UNSUPPORTED_IMAGE:
		return ("unsupported");
	case SCAN_NONE:
	default:
		return ("none");
	}
}

static void
scan_json(struct span name, const struct image_row *row, struct buf *out)
{
	char digest[DIGEST_STR_BYTES];

	buf_str(out, "{\"repository\":");
	buf_json(out, name);
	buf_printf(out, ",\"digest\":\"%s\",",
	    digest_str(&row->manifest.digest, digest));
	control_tags(out, "tags", row->tags, row->n_tags);
	buf_printf(
	    out, ",\"status\":\"%s\",\"why\":", status_text(row->scan.status));
	if (row->scan.reason.n > 0)
		buf_json(out, row->scan.reason);
	else
		buf_str(out, "null");
	buf_char(out, ',');
	control_time(out, "started", row->scan.started_ms);
	buf_char(out, ',');
	control_time(out, "ended", row->scan.ended_ms);
}

static void
counts_json(const struct scan_findings *f, struct buf *out)
{
	const char *comma = "";
	size_t i;

	buf_str(out, ",\"severities\":{");
	for (i = FINDING_SEVERITIES; i-- > 0;) {
		if (f->counts[i] == 0)
			continue;
		buf_printf(out, "%s\"%s\":%" PRIu32, comma,
		    severity_text((enum severity)i), f->counts[i]);
		comma = ",";
	}
	buf_str(out, "},");
	control_time(out, "advisories", f->updated_ms);
	buf_char(out, ',');
}

/* The text is an object with one member, as scan_image.c writes it. */
static enum rc
findings_json(struct call *c, struct span name, const struct image_row *row,
    struct buf *out)
{
	struct scan_findings f;
	struct arena own;
	enum rc rc;

	if (row->scan.status != SCAN_COMPLETE)
		return (RC_OK);
	arena_init(&own, FINDINGS_BYTES);
	rc = meta_findings_get(
	    c->meta, name, &row->manifest.digest, true, &own, &f);
	if (rc == RC_OK && f.text.n > 2) {
		counts_json(&f, out);
		buf_add(out, f.text.p + 1, f.text.n - 2);
	}
	arena_reset(&own);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
control_scan(struct call *c)
{
	struct image_row row = { 0 };
	struct span name = SPAN_NONE;
	struct buf out;
	enum rc rc;

	if ((rc = image_of(c, &name, &row)) != RC_OK)
		return (rc);
	buf_init(&out, FINDINGS_TEXT_MAX_BYTES + CONTROL_ANSWER_BYTES);
	scan_json(name, &row, &out);
	rc = findings_json(c, name, &row, &out);
	buf_str(&out, "}\n");
	if (rc == RC_OK)
		return (call_json_take(c, 200, CONTROL_JSON, &out));
	buf_free(&out);
	return (rc);
}

/* --- starting one -------------------------------------------------------- */

enum rc
control_scan_start(struct call *c)
{
	struct scan_start start = { .now_ms = clock_real_ms() };
	struct image_row row = { 0 };
	struct span name = SPAN_NONE;
	struct buf out;
	enum rc rc;

	if ((rc = image_of(c, &name, &row)) != RC_OK)
		return (rc);
	start.repository = name;
	start.digest = row.manifest.digest;
	if ((rc = meta_scan_start(c->meta, &start)) != RC_OK)
		return (
		    rc == RC_NOTFOUND ? control_no_repository(c, name) : rc);
	service_scan_wake(c->service);
	if (row.scan.status != SCAN_IN_PROGRESS)
		row.scan = (struct image_scan){ .status = SCAN_IN_PROGRESS,
			.started_ms = start.now_ms };
	buf_init(&out, CONTROL_ANSWER_BYTES);
	scan_json(name, &row, &out);
	buf_str(&out, "}\n");
	return (call_json_take(c, 202, CONTROL_JSON, &out));
}

/* --- what is installed --------------------------------------------------- */

static enum rc
inventory_of(struct call *c, struct span name, const struct image_row *row,
    struct arena *a, struct inventory *inv)
{
	struct scan_image si = {
		.store = c->store,
		.repository = name,
		.digest = row->manifest.digest,
		.settings = &c->settings->scan,
	};
	enum rc rc;

	rc = scan_image_inventory(&si, a, inv);
	if (rc == RC_OK || si.why[0] == '\0')
		return (rc);
	if (rc == RC_MISSING)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "%s; registryctl scan start", si.why));
	return (call_fail(c, OCI_CONFLICT, NULL, "%s", si.why));
}

static void
text_member(struct buf *out, const char *key, struct span value)
{
	buf_printf(out, ",\"%s\":", key);
	if (value.n > 0)
		buf_json(out, value);
	else
		buf_str(out, "null");
}

static void
package_json(
    const struct package *p, const struct os_release *os, struct buf *out)
{
	static const char *const types[] = {
		[PACKAGE_DEB] = "deb",
		[PACKAGE_APK] = "apk",
		[PACKAGE_RPM] = "rpm",
		[PACKAGE_NPM] = "npm",
		[PACKAGE_PYPI] = "pypi",
	};
	struct buf purl;

	buf_printf(out, "{\"type\":\"%s\"", types[p->type]);
	text_member(out, "name", p->name);
	text_member(out, "version", p->version);
	text_member(out, "arch", p->arch);
	text_member(out, "source", p->source_name);
	text_member(out, "license", p->license);
	text_member(out, "path", p->path);
	text_member(out, "layer", p->layer);
	buf_init(&purl, CONTROL_ANSWER_BYTES);
	package_purl(p, os, &purl);
	text_member(out, "purl", buf_as_span(&purl));
	buf_free(&purl);
	buf_char(out, '}');
}

static void
packages_json(const struct inventory *inv, struct buf *out)
{
	size_t i;

	buf_str(out, ",\"system\":");
	if (inv->os.pretty_name.n > 0)
		buf_json(out, inv->os.pretty_name);
	else
		buf_str(out, "null");
	buf_char(out, ',');
	control_tags(out, "unread", inv->unread, inv->n_unread);
	buf_str(out, ",\"packages\":[");
	for (i = 0; i < inv->n_packages; i++) {
		if (i > 0)
			buf_char(out, ',');
		package_json(&inv->packages[i], &inv->os, out);
	}
	buf_char(out, ']');
}

enum rc
control_scan_packages(struct call *c)
{
	struct image_row row = { 0 };
	struct inventory inv = { 0 };
	struct arena own;
	struct span name = SPAN_NONE;
	struct buf out;
	enum rc rc;

	if ((rc = image_of(c, &name, &row)) != RC_OK)
		return (rc);
	arena_init(&own, SCAN_IMAGE_BYTES);
	if ((rc = inventory_of(c, name, &row, &own, &inv)) != RC_OK) {
		arena_reset(&own);
		return (rc);
	}
	buf_init(&out, 4 * CONTROL_ANSWER_BYTES);
	scan_json(name, &row, &out);
	packages_json(&inv, &out);
	buf_str(&out, "}\n");
	arena_reset(&own);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

/* --- the same as a document ---------------------------------------------- */

static enum rc
format_of(struct call *c, enum sbom_format *format_r)
{
	struct span text;

	*format_r = SBOM_CYCLONEDX;
	if (!http_request_param(c->request, "format", &text) ||
	    span_is(text, "cyclonedx"))
		return (RC_OK);
	if (!span_is(text, "spdx"))
		return (control_bad(c, "format", text, "cyclonedx or spdx"));
	*format_r = SBOM_SPDX;
	return (RC_OK);
}

/* Who attaches it needs to know to what; the time is when the scan began, which
 * advisories that come later leave as it is, so that the document is the same
 * until there is another scan. */
static void
sbom_json(enum sbom_format format, struct span name,
    const struct image_row *row, const struct inventory *inv, struct buf *out)
{
	char digest[DIGEST_STR_BYTES];
	const struct sbom_subject subject = {
		.repository = name,
		.digest = span_of(digest_str(&row->manifest.digest, digest)),
		.tag = row->n_tags > 0 ? row->tags[0] : SPAN_NONE,
		.created_ms = row->scan.started_ms != 0
				  ? row->scan.started_ms
				  : row->manifest.pushed_ms,
	};

	buf_printf(out, "{\"media_type\":\"%s\",\"subject\":{\"mediaType\":",
	    sbom_media_type(format));
	buf_json(out, row->manifest.media_type);
	buf_printf(out, ",\"digest\":\"%s\",\"size\":%" PRIu64 "},", digest,
	    row->manifest.size_bytes);
	control_time(out, "created", subject.created_ms);
	buf_str(out, ",\"document\":");
	sbom_write(format, &subject, inv, out);
	buf_str(out, "}\n");
}

enum rc
control_scan_sbom(struct call *c)
{
	enum sbom_format format;
	struct image_row row = { 0 };
	struct inventory inv = { 0 };
	struct arena own;
	struct span name = SPAN_NONE;
	struct buf out;
	enum rc rc;

	if ((rc = format_of(c, &format)) != RC_OK ||
	    (rc = image_of(c, &name, &row)) != RC_OK)
		return (rc);
	arena_init(&own, SCAN_IMAGE_BYTES);
	if ((rc = inventory_of(c, name, &row, &own, &inv)) != RC_OK) {
		arena_reset(&own);
		return (rc);
	}
	buf_init(&out, 4 * CONTROL_ANSWER_BYTES);
	sbom_json(format, name, &row, &inv, &out);
	arena_reset(&own);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

/* --- all together -------------------------------------------------------- */

void
control_scan_stats(struct service *svc, struct buf *out)
{
	struct service_counts *n = &svc->counts;
	struct service_scan_state st;

	service_scan_state(svc, &st);
	buf_printf(out,
	    ",\"scan\":{\"running\":%u,\"waiting_for_layers\":%u,"
	    "\"matching\":%s,\"completed\":%" PRIu64 ",\"failed\":%" PRIu64
	    ",\"unsupported\":%" PRIu64 ",\"matched_again\":%" PRIu64
	    ",\"layers\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
	    st.running, st.waiting_for_layers, st.matching ? "true" : "false",
	    atomic_load(&n->scans_completed), atomic_load(&n->scans_failed),
	    atomic_load(&n->scans_unsupported), st.matched,
	    atomic_load(&n->scan_layers), atomic_load(&n->scan_bytes));
}
