#include <inttypes.h>

#include "base/clock.h"
#include "registryd/api/control_int.h"
#include "registryd/audit_images.h"
#include "registryd/settings.h"
#include "storage/deleted.h"

/* What was deleted and can be restored: looked at, and restored. */

#define PAGE_ROWS 100

/* --- lists --------------------------------------------------------------- */

static void
image_json(struct call *c, const struct deleted_image *image, struct buf *out)
{
	char digest[DIGEST_STR_BYTES];
	bool expired = image->why == DELETED_EXPIRED;

	buf_printf(
	    out, "{\"digest\":\"%s\",", digest_str(&image->digest, digest));
	control_tags(out, "tags", image->tags, image->n_tags);
	buf_char(out, ',');
	control_time(out, "deleted", image->deleted_ms);
	buf_char(out, ',');
	control_time(out, "until",
	    image->deleted_ms + c->settings->lifecycle.undelete_ms);
	buf_char(out, ',');
	control_time(out, "pushed", image->pushed_ms);
	buf_printf(out, ",\"bytes\":%" PRIu64 ",\"why\":\"%s\",\"rule\":",
	    image->image_bytes, expired ? "lifecycle" : "request");
	if (expired)
		buf_printf(out, "%" PRId64 "}", image->priority);
	else
		buf_str(out, "null}");
}

/* *${at_r} NULL: from the first. */
static enum rc
after_digest(struct call *c, struct digest *after, const struct digest **at_r)
{
	struct span text;

	*at_r = NULL;
	if (!http_request_param(c->request, "after", &text))
		return (RC_OK);
	if (digest_parse(text, after) != RC_OK)
		return (control_bad(c, "after", text, "a digest"));
	*at_r = after;
	return (RC_OK);
}

enum rc
control_deleted(struct call *c)
{
	struct deleted_image_page page;
	const struct digest *at;
	struct digest after;
	struct span name;
	struct buf out;
	size_t i;
	enum rc rc;

	if ((rc = control_repository(c, true, &name)) != RC_OK ||
	    (rc = after_digest(c, &after, &at)) != RC_OK)
		return (rc);
	rc = meta_deleted_image_page(
	    c->meta, name, at, PAGE_ROWS, c->arena, &page);
	if (rc == RC_NOTFOUND)
		return (control_no_repository(c, name));
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"images\":[");
	for (i = 0; i < page.n; i++) {
		if (i > 0)
			buf_char(&out, ',');
		image_json(c, &page.rows[i], &out);
	}
	buf_printf(&out, "],\"more\":%s}\n", page.more ? "true" : "false");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

static void
repository_json(
    struct call *c, const struct deleted_repository *row, struct buf *out)
{
	buf_str(out, "{\"name\":");
	buf_json(out, row->name);
	buf_printf(out, ",\"id\":%" PRIu64 ",", row->id);
	control_time(out, "deleted", row->deleted_ms);
	buf_char(out, ',');
	control_time(
	    out, "until", row->deleted_ms + c->settings->lifecycle.undelete_ms);
	buf_printf(out, ",\"images\":%" PRIu64 "}", row->images);
}

enum rc
control_deleted_repositories(struct call *c)
{
	struct deleted_repository_page page;
	uint64_t after = 0;
	struct buf out;
	size_t i;
	enum rc rc;

	if ((rc = control_u64(c, "after", &after)) != RC_OK)
		return (rc);
	rc = meta_deleted_repository_page(
	    c->meta, after, PAGE_ROWS, c->arena, &page);
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"repositories\":[");
	for (i = 0; i < page.n; i++) {
		if (i > 0)
			buf_char(&out, ',');
		repository_json(c, &page.rows[i], &out);
	}
	buf_printf(&out, "],\"more\":%s}\n", page.more ? "true" : "false");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

/* --- restoring ----------------------------------------------------------- */

static enum rc
no_window(struct call *c)
{
	return (call_fail(c, OCI_NOT_FOUND, NULL,
	    "nothing that was deleted can be restored: "
	    "lifecycle.undelete-window is 0"));
}

static void
undelete_audit(
    struct call *c, struct span name, const struct image_restored *image)
{
	struct audit_event event = {
		.kind = AUDIT_UNDELETE,
		.by = c->principal,
		.repository = name,
	};

	if (image != NULL) {
		event.digest = &image->digest;
		event.tags_known = true;
		event.tags = image->tags;
		event.n_tags = image->n_tags;
		event.children = image->children;
	}
	audit_write(c->service->audit, &event);
	if (image == NULL)
		return;
	audit_images(c, AUDIT_UNDELETE, &image->undeleted, &image->digest);
	audit_images(c, AUDIT_IMAGE_RESTORE, &image->activated, &image->digest);
}

static enum rc
restored_answer(
    struct call *c, struct span name, const struct image_restored *image)
{
	char digest[DIGEST_STR_BYTES];
	struct buf out;

	undelete_audit(c, name, image);
	/* What it needs may lie in the archive. */
	service_collect_soon(c->service);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"repository\":");
	buf_json(&out, name);
	if (image == NULL) {
		buf_str(&out, ",\"digest\":null,\"tags\":[],\"taken\":[],"
			      "\"children\":0}\n");
		return (call_json_take(c, 200, CONTROL_JSON, &out));
	}
	buf_printf(
	    &out, ",\"digest\":\"%s\",", digest_str(&image->digest, digest));
	control_tags(&out, "tags", image->tags, image->n_tags);
	buf_char(&out, ',');
	control_tags(&out, "taken", image->taken, image->n_taken);
	buf_printf(&out, ",\"children\":%zu}\n", image->children);
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

static enum rc
repository_missing(struct call *c, struct span name, uint64_t id)
{
	if (id != 0)
		return (call_fail(c, OCI_NOT_FOUND, NULL,
		    "no deleted repository " SPAN_FMT " with the id %" PRIu64
		    " can be restored",
		    SPAN_ARG(name), id));
	return (call_fail(c, OCI_NOT_FOUND, NULL,
	    "no deleted repository " SPAN_FMT " can be restored",
	    SPAN_ARG(name)));
}

static enum rc
repository_restore(struct call *c, struct span name, uint64_t id)
{
	enum rc rc;

	rc = meta_repository_undelete(c->meta, name, id, clock_real_ms());
	if (rc == RC_OK)
		return (restored_answer(c, name, NULL));
	if (rc == RC_NOTFOUND)
		return (repository_missing(c, name, id));
	if (rc == RC_EXISTS)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "there is a repository " SPAN_FMT
		    ", so no deleted one can have that name",
		    SPAN_ARG(name)));
	return (rc);
}

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
	    "no deleted image %.*s of the repository " SPAN_FMT
	    " can be restored",
	    CALL_SHOW(ref), SPAN_ARG(name)));
}

static enum rc
image_restore(struct call *c, struct span name, struct span text)
{
	struct image_restored restored;
	char missing[DIGEST_STR_BYTES];
	struct reference ref;
	enum rc rc;

	if (reference_parse(text, &ref) != RC_OK)
		return (control_bad(c, "reference", text, "a tag or a digest"));
	rc = meta_image_undelete(
	    c->meta, name, &ref, clock_real_ms(), c->arena, &restored);
	if (rc == RC_OK)
		return (restored_answer(c, name, &restored));
	if (rc == RC_NOTFOUND)
		return (image_missing(c, name, text));
	if (rc == RC_MISSING)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "it is an index that needs the image %s, which is not "
		    "there any more",
		    digest_str(&restored.missing, missing)));
	if (rc == RC_LIMIT)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "the index needs more deleted images than can be restored "
		    "at once, or through too many other indexes: restore the "
		    "indexes that it needs first, by digest"));
	return (rc);
}

enum rc
control_undelete(struct call *c)
{
	struct span name, ref, text;
	uint64_t id = 0;
	enum rc rc;

	if ((rc = control_repository(c, true, &name)) != RC_OK ||
	    (rc = control_u64(c, "id", &id)) != RC_OK)
		return (rc);
	if (http_request_param(c->request, "id", &text) &&
	    (id == 0 || http_request_param(c->request, "reference", &ref)))
		return (control_bad(c, "id", text,
		    "that of a deleted repository, without \"reference\""));
	if (c->settings->lifecycle.undelete_ms == 0)
		return (no_window(c));
	if (!http_request_param(c->request, "reference", &ref))
		return (repository_restore(c, name, id));
	return (image_restore(c, name, ref));
}
