#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * Content that came in one request and is in memory: hashed there, and few
 * bytes go straight into the metadata.  More go through a scratch of their
 * own; its entry in the table only keeps the sweep away from it.
 */
#define WHOLE_MAX_BYTES (256ULL * 1024)

uint64_t
upload_whole_max(const struct store *s)
{
	(void)s;
	return (WHOLE_MAX_BYTES);
}

static enum rc
whole_check(struct uploads *t, const struct blob_put *put)
{
	const struct store_options *o = &t->store->options;
	struct digest got;
	enum rc rc;

	if (put->size_bytes > WHOLE_MAX_BYTES ||
	    (o->upload_max_bytes != 0 && put->size_bytes > o->upload_max_bytes))
		return (RC_TOOBIG);
	rc = upload_may_end(t, put->repository, put->create);
	if (rc != RC_OK)
		return (rc);
	if ((rc = store_room(t->store, put->size_bytes)) != RC_OK)
		return (rc);
	digest_of(put->digest.alg, put->content.p, put->content.n, &got);
	return (digest_eq(&got, &put->digest) ? RC_OK : RC_DIGEST);
}

static enum rc
file_put(struct uploads *t, const char *id, struct blob_put *put)
{
	struct scratch *scratch = NULL;
	uint32_t domain;
	enum rc rc;

	rc = upload_domain_of(t->store, put->repository,
	    put->create != NULL ? &put->create->settings : NULL, &domain);
	if (rc == RC_OK)
		rc = scratch_create(t->store->blobs, domain, id, &scratch);
	if (rc != RC_OK)
		return (rc);
	rc = scratch_append(scratch, put->content.p, put->content.n);
	if (rc == RC_OK)
		rc = upload_place(t->store, scratch, put);
	scratch_close(&scratch);
	if (rc != RC_OK)
		(void)!scratch_remove(t->store->blobs, id);
	return (rc);
}

static enum rc
whole_in_file(struct uploads *t, struct blob_put *put)
{
	struct upload *guard;
	char id[UPLOAD_ID_BYTES];
	enum rc rc;

	upload_id_new(id);
	guard = upload_entry_new(t, id, SPAN_NONE, put->digest.alg);
	guard->busy = true;
	mutex_lock(&t->lock);
	upload_table_add(t, guard);
	mutex_unlock(&t->lock);

	rc = file_put(t, id, put);

	mutex_lock(&t->lock);
	upload_table_remove(t, guard);
	mutex_unlock(&t->lock);
	upload_entry_free(&guard);
	return (rc);
}

static enum rc
whole_put(struct uploads *t, struct blob_put *put)
{
	enum rc rc;

	if ((rc = whole_check(t, put)) != RC_OK)
		return (rc);
	put->now_ms = clock_real_ms();
	put->location = BLOB_IN_META;
	if (put->size_bytes > t->store->options.inline_max_bytes &&
	    put->size_bytes > 0)
		return (whole_in_file(t, put));
	return (upload_record(t->store, put));
}

enum rc
upload_whole(struct store *s, struct span repository, const struct digest *d,
    struct span bytes, struct span id, const struct repository_preset *create)
{
	struct uploads *t = s->uploads;
	struct upload *u = NULL;
	struct blob_put put = {
		.repository = repository,
		.digest = *d,
		.size_bytes = bytes.n,
		.content = bytes,
		.upload_id = id,
		.create = create,
	};
	enum rc rc;

	OBJ_CHECK(t, UPLOADS_MAGIC);
	if (id.n > 0) {
		rc = upload_claim(t, repository, id, clock_real_ms(), &u);
		if (rc != RC_OK)
			return (rc);
		if (upload_offset(u) > 0) {
			rc = RC_RANGE;
			goto err0;
		}
	}
	if ((rc = whole_put(t, &put)) != RC_OK)
		goto err0;
	if (u != NULL)
		upload_forget(&u);
	return (RC_OK);

err0:
	upload_release(&u);
	return (rc);
}
