#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/records.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * Under which key content is kept: as its repository keeps it, for life; of one
 * that is not there as it would be made.  When nobody has said how, it is sealed
 * if there is a key: nothing is written in the clear that is not to be.  At its
 * end content is copied if that was wrong.
 */

struct upload_wish *
upload_wish_new(const struct repository_preset *create)
{
	struct upload_wish *wish;
	struct span key;

	if (create == NULL)
		return (NULL);
	key = create->settings.kms_key;
	wish = xcalloc(1, sizeof(*wish) + key.n);
	wish->encryption = create->settings.encryption;
	wish->kms_key_n = key.n;
	if (key.n > 0)
		memcpy(wish->kms_key, key.p, key.n);
	return (wish);
}

enum rc
upload_domain_of(struct store *s, struct span repository,
    const struct repository_settings *settings, uint32_t *domain_r)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(s->meta, repository, &row);
	if (rc == RC_OK)
		*domain_r = repo_domain(row.id);
	if (rc != RC_NOTFOUND || settings == NULL)
		return (rc);
	rc = keys_domain(s, settings, domain_r);
	return (rc == RC_MISSING ? RC_LOCKED : rc);
}

/* Nobody has said.  A key that is there already will do; where there is none
 * nothing is sealed, and none is made for what nobody has asked for. */
static enum rc
domain_unsaid(struct store *s, uint32_t *domain_r)
{
	const struct repository_settings settings = {
		.encryption = ENCRYPTION_DEFAULT,
	};
	enum rc rc;

	rc = keys_domain(s, &settings, domain_r);
	if (rc == RC_OK && *domain_r == KEY_DOMAIN_PLAIN)
		rc = keys_some(s, domain_r);
	return (rc == RC_MISSING ? RC_LOCKED : rc);
}

enum rc
upload_domain(const struct upload *u, uint32_t *domain_r)
{
	struct store *s = u->table->store;
	const struct upload_wish *wish = u->wish;
	struct repository_settings settings = { 0 };
	enum rc rc;

	if (wish != NULL) {
		settings.encryption = wish->encryption;
		settings.kms_key =
		    (struct span){ wish->kms_key, wish->kms_key_n };
	}
	rc = upload_domain_of(
	    s, upload_repository(u), wish != NULL ? &settings : NULL, domain_r);
	return (rc == RC_NOTFOUND ? domain_unsaid(s, domain_r) : rc);
}

bool
upload_wishes(const struct upload *u)
{

	OBJ_CHECK(u, UPLOAD_MAGIC);
	return (u->wish != NULL || u->offset_bytes > 0);
}

void
upload_wish(struct upload *u, const struct repository_preset *create)
{

	OBJ_CHECK(u, UPLOAD_MAGIC);
	free(u->wish);
	u->wish = upload_wish_new(create);
}
