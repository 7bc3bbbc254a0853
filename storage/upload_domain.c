#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/keys.h"
#include "storage/records.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * Under which key content is kept: as its repository keeps it, for life; of one
 * that is not there as it would be made.  When nobody has said how, or nobody
 * remembers (after a restart), it is sealed: nothing is written in the clear
 * that is not to be.  At its end content is copied if that was wrong.
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

enum rc
upload_domain(const struct upload *u, uint32_t *domain_r)
{
	const struct upload_wish *wish = u->wish;
	struct repository_settings settings = {
		.encryption = ENCRYPTION_AES256,
	};
	enum rc rc;

	if (wish != NULL) {
		settings.encryption = wish->encryption;
		settings.kms_key =
		    (struct span){ wish->kms_key, wish->kms_key_n };
	}
	rc = upload_domain_of(
	    u->table->store, upload_repository(u), &settings, domain_r);
	if (rc != RC_LOCKED || wish != NULL)
		return (rc);
	/* There is no key at all, and so nothing that is to be sealed. */
	*domain_r = KEY_DOMAIN_PLAIN;
	return (RC_OK);
}
