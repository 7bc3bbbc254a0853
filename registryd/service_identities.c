#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/keyring.h"
#include "base/log.h"
#include "base/mem.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "registryd/settings.h"

/*
 * Users and keys of the running server: opened with `auth: token`, made at the
 * first start, read again at a reload.
 */

/* ${file} belongs to the caller. */
static struct auth_options
auth_options(struct service *svc, const struct settings *s, char **file)
{
	*file = s->master_key_file[0] != '\0'
		    ? xstrdup(s->master_key_file)
		    : xasprintf("%s/master.key", s->data);
	return ((struct auth_options){
	    .meta = store_meta(svc->store),
	    .account_id = s->account_id,
	    .region = s->region,
	    .workers = s->workers,
	    .master_key_file = *file,
	    .master_key_text = getenv(SETTINGS_MASTER_KEY_VARIABLE),
	    .htpasswd_file = s->htpasswd_file,
	    .htpasswd_policies = s->htpasswd_policies,
	    .n_htpasswd_policies = s->n_htpasswd_policies,
	});
}

enum rc
service_identities_open(struct service *svc, char why[SERVICE_WHY_BYTES])
{
	const struct settings *s = svc->settings;
	struct auth_options options;
	char *key_file, *credentials;
	enum rc rc;

	options = auth_options(svc, s, &key_file);
	credentials = xasprintf("%s/admin-credentials", s->data);
	rc = auth_open(&options, why, &svc->auth);
	if (rc == RC_OK)
		rc = auth_first_admin(
		    svc->auth, credentials, s->region, &svc->admin_made, why);
	free(key_file);
	free(credentials);
	return (rc);
}

/* *${reload_r} NULL: there is nothing to be reloaded. */
enum rc
service_identities_prepare(struct service *svc, const struct settings *s,
    char why[SERVICE_WHY_BYTES], struct auth_reload **reload_r)
{
	struct auth_options options;
	char *key_file;
	enum rc rc;

	*reload_r = NULL;
	if (svc->auth == NULL)
		return (RC_OK);
	options = auth_options(svc, s, &key_file);
	rc = auth_reload_prepare(svc->auth, &options, why, reload_r);
	free(key_file);
	return (rc);
}

const struct seal_key *
service_seal_key(const struct service *svc)
{
	static const struct seal_key known = { .bytes = { 0 } };

	return (svc->auth != NULL ? auth_token_key(svc->auth) : &known);
}

/* A person has just started their first registry: what to type next. */
void
service_admin_say(const struct service *svc, const char *url)
{
	const char *data = svc->settings->data;

	if (!svc->admin_made)
		return;
	log_info("made the administrator \"admin\" of account %s; the "
		 "credentials are in %s/admin-credentials",
	    svc->settings->account_id, data);
	log_info("log in:  AWS_SHARED_CREDENTIALS_FILE=%s/admin-credentials "
		 "aws --region %s --endpoint-url %s ecr get-login-password | "
		 "docker login --username AWS --password-stdin %s",
	    data, svc->settings->region, url,
	    strstr(url, "://") != NULL ? strstr(url, "://") + 3 : url);
}
