#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/master_key.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/encryption.h"
#include "registryd/settings.h"
#include "storage/keys.h"

/*
 * Where the store gets its master key from.  Without encrypted repositories it
 * needs none: with `auth: none` there may not even be one, until somebody wants
 * the first of them.
 */
static_assert(SERVICE_WHY_BYTES >= MASTER_KEY_WHY_BYTES, "one buffer");

static struct master_key
master_key_of(const struct service *svc, const struct settings *s)
{
	return ((struct master_key){
	    .store = svc->store,
	    .file = s->master_key_file,
	    .text = getenv(SETTINGS_MASTER_KEY_VARIABLE),
	});
}

/* --- where it lies ------------------------------------------------------- */

static bool
lies_inside(const char *path, const char *folder)
{
	char *file = realpath(path, NULL), *dir = realpath(folder, NULL);
	bool inside = false;
	size_t n;

	if (file != NULL && dir != NULL) {
		n = strlen(dir);
		inside = strncmp(file, dir, n) == 0 &&
			 (file[n] == '/' || dir[n - 1] == '/');
	}
	free(file);
	free(dir);
	return (inside);
}

/* Whoever takes the disk takes both. */
static void
place_warn(const struct service *svc, const struct settings *s)
{
	const struct master_key m = master_key_of(svc, s);

	/* The settings warn of the others themselves. */
	if (s->auth != AUTH_NONE || (m.text != NULL && m.text[0] != '\0') ||
	    !lies_inside(m.file, s->data))
		return;
	log_warn("the master key %s lies inside of the data folder, together "
		 "with what is encrypted under it: whoever gets a copy of the "
		 "folder can read all of it.  Move the file elsewhere and name "
		 "it with master-key-file",
	    m.file);
}

/* --- the start ----------------------------------------------------------- */

/* With the lock held, or before there are other threads. */
static enum rc
keys_make(struct service *svc, const struct settings *s, bool make,
    char why[SERVICE_WHY_BYTES])
{
	const struct master_key m = master_key_of(svc, s);
	bool lacking = s->missing_keys == MISSING_KEYS_SERVE;
	enum rc rc;

	rc = master_key_open(&m, make, lacking, why);
	if (rc == RC_OK)
		atomic_store(&svc->keys_open, true);
	if (rc == RC_OK && why[0] != '\0')
		log_error("%s", why);
	return (rc);
}

static enum encryption_type
default_of(const struct settings *s)
{
	return (s->encryption_default == ENCRYPT_AES256 ? ENCRYPTION_AES256
							: ENCRYPTION_NONE);
}

enum rc
service_keys_open(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	size_t n;
	enum rc rc;

	rc = keys_make(svc, svc->settings, false, why);
	if (rc == RC_NOTFOUND && why[0] == '\0')
		return (RC_OK);
	/* Users have secrets under it: without it they cannot be served. */
	if (svc->settings->auth == AUTH_NONE &&
	    (rc == RC_NOTFOUND || rc == RC_MISSING || rc == RC_DENIED)) {
		n = strlen(why);
		(void)snprintf(why + n, SERVICE_WHY_BYTES - n,
		    ".  With \"encryption.missing-keys: serve\" all other "
		    "repositories are served");
	}
	return (rc);
}

enum rc
service_keys_settle(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	const struct settings *s = svc->settings;
	bool make = default_of(s) != ENCRYPTION_NONE;
	size_t n = 0;
	enum rc rc = RC_OK;

	if (!atomic_load(&svc->keys_open))
		rc = keys_make(svc, s, make, why);
	if (rc == RC_NOTFOUND && why[0] == '\0')
		rc = RC_OK;
	if (rc != RC_OK)
		return (rc);
	if ((rc = store_keys_count(svc->store, &n)) != RC_OK) {
		(void)snprintf(why, SERVICE_WHY_BYTES,
		    "reading the keys of repositories: %s", rc_text(rc));
		return (rc);
	}
	service_keys_default(svc, s);
	if (n > 0 || make)
		place_warn(svc, s);
	return (RC_OK);
}

/* --- later --------------------------------------------------------------- */

static enum rc
keys_want(
    struct service *svc, const struct settings *s, char why[SERVICE_WHY_BYTES])
{
	enum rc rc = RC_OK;

	mutex_lock(&svc->keys_lock);
	if (!atomic_load(&svc->keys_open)) {
		rc = keys_make(svc, s, true, why);
		if (rc == RC_OK)
			place_warn(svc, s);
	}
	mutex_unlock(&svc->keys_lock);
	return (rc);
}

enum rc
service_keys_prepare(
    struct service *svc, const struct settings *s, char why[SERVICE_WHY_BYTES])
{
	if (default_of(s) == ENCRYPTION_NONE)
		return (RC_OK);
	return (keys_want(svc, s, why));
}

void
service_keys_default(struct service *svc, const struct settings *s)
{
	store_encryption_default_set(svc->store, default_of(s));
}

enum rc
service_keys_rotate(
    struct service *svc, size_t *n_r, char why[SERVICE_WHY_BYTES])
{
	struct settings *s = service_settings(svc);
	const struct master_key m = master_key_of(svc, s);
	enum rc rc;

	mutex_lock(&svc->keys_lock);
	rc = master_key_rotate(&m, n_r, why);
	/* It has given the store its ring. */
	if (rc == RC_OK)
		atomic_store(&svc->keys_open, true);
	mutex_unlock(&svc->keys_lock);
	if (rc == RC_OK)
		log_info("the master key %s was replaced by a new one, and %zu "
			 "keys were wrapped anew",
		    m.file, *n_r);
	settings_unref(&s);
	return (rc);
}

/* --- for requests -------------------------------------------------------- */

static bool
wants_key(const struct call *c, const struct repository_settings *rs)
{
	switch (rs->encryption) {
	case ENCRYPTION_NONE:
		return (false);
	case ENCRYPTION_DEFAULT:
		return (default_of(c->settings) != ENCRYPTION_NONE);
	case ENCRYPTION_AES256:
	case ENCRYPTION_KMS:
	case ENCRYPTION_KMS_DSSE:
		break;
	}
	return (true);
}

static json_t *
detail_of(const struct call *c)
{
	if (c->shape == SHAPE_OCI)
		return (call_detail("name", c->repository));
	return (json_pack("{s:s}", "kmsError", "KEY_NOT_FOUND"));
}

enum rc
encryption_ready(struct call *c, const struct repository_settings *rs)
{
	char why[SERVICE_WHY_BYTES] = "";

	if (!wants_key(c, rs) || atomic_load(&c->service->keys_open))
		return (RC_OK);
	if (!c->may_block)
		return (RC_WOULDBLOCK);
	if (keys_want(c->service, c->settings, why) == RC_OK)
		return (RC_OK);
	log_error("there can be no encrypted repositories: %s", why);
	return (call_fail(c, OCI_KEY_MISSING, detail_of(c),
	    "the repository cannot be encrypted: the server has no master key "
	    "to keep its key under, and cannot make one; the server's log says "
	    "why"));
}

static struct span
key_of(struct call *c)
{
	struct repository_description d;

	if (c->repository.n == 0 || meta_repository_describe(c->meta,
					c->repository, c->arena, &d) != RC_OK)
		return (SPAN_NONE);
	if (d.settings.encryption == ENCRYPTION_KMS)
		return (key_name(d.settings.kms_key));
	return (SPAN("AES256"));
}

enum rc
encryption_locked(struct call *c, const char *what)
{
	struct span key = key_of(c);

	if (key.n == 0)
		return (call_fail(c, OCI_KEY_MISSING, detail_of(c),
		    "%s: repository '" SPAN_FMT
		    "' is to be encrypted, and cannot be: the master key of "
		    "the server is missing, or is another one",
		    what, SPAN_ARG(c->repository)));
	return (call_fail(c, OCI_KEY_MISSING, detail_of(c),
	    "%s: the content of repository '" SPAN_FMT
	    "' is encrypted, and its key '" SPAN_FMT
	    "' is not here: the master key of the server is missing, or is "
	    "another one",
	    what, SPAN_ARG(c->repository), SPAN_ARG(key)));
}
