#include "registryd/settings_int.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * The keys about who may do what: accounts, passwords, the master key, and
 * what an operator should hear of doors that stand open.
 */
#define KEY(name) setting_find(SPAN(name))

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define URI_FORMAT_MAX_BYTES 255

/* From ${min} to ${max} characters, all of ${set}. */
static bool
made_of(const char *text, const char *set, size_t min, size_t max)
{
	size_t n = strlen(text);

	return (n >= min && n <= max && strspn(text, set) == n);
}

static enum rc
not_allowed(struct settings_all *all, size_t key, const char *value,
    char why[SETTINGS_WHY_BYTES])
{
	char allowed[SETTING_ALLOWED_BYTES];

	return (settings_bad(all, key, value, why, "must be %s",
	    setting_allowed(&setting_keys[key], allowed)));
}

static enum rc
check_registry(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const struct settings *s = &all->s;

	if (!made_of(s->account_id, DIGITS, 12, 12))
		return (
		    not_allowed(all, KEY("account-id"), s->account_id, why));
	if (!made_of(s->region, LOWER DIGITS "-", 2, 25))
		return (not_allowed(all, KEY("region"), s->region, why));
	return (RC_OK);
}

/* How long the placeholder is that ${text} begins with; 0: with none. */
static size_t
placeholder_len(const char *text)
{
	static const char *const names[] = { "{host}", "{account}",
		"{region}" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (span_has_prefix(span_of(text), span_of(names[i])))
			return (strlen(names[i]));
	return (0);
}

/* HOST[:PORT][/PATH] without a scheme; "/" and the repository follow it. */
static bool
uri_format_ok(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > URI_FORMAT_MAX_BYTES || text[0] == '/' ||
	    text[n - 1] == '/' || strstr(text, "//") != NULL)
		return (false);
	while (*text != '\0') {
		if ((n = placeholder_len(text)) == 0)
			n = strspn(text, LOWER DIGITS UPPER ".-_:/[]");
		if (n == 0)
			return (false);
		text += n;
	}
	return (true);
}

static enum rc
check_uri_format(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *text = all->s.repository_uri_format;

	if (!uri_format_ok(text))
		return (
		    not_allowed(all, KEY("repository-uri-format"), text, why));
	return (RC_OK);
}

static enum rc
check_htpasswd(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *file = all->s.htpasswd_file;
	size_t i, key = KEY("htpasswd.policies");
	const struct setting_value *v = &all->values[key];
	struct stat st;

	for (i = 0; i < v->n; i++)
		if (!made_of(v->items[i], LOWER UPPER DIGITS "_+=.@-", 1, 128))
			return (not_allowed(all, key, v->items[i], why));
	all->s.htpasswd_policies = v->items;
	all->s.n_htpasswd_policies = v->n;
	if (file[0] == '\0')
		return (RC_OK);
	key = KEY("htpasswd.file");
	if (access(file, R_OK) == -1 || stat(file, &st) == -1)
		return (settings_bad(all, key, file, why, "cannot be read: %s",
		    strerror(errno)));
	if (!S_ISREG(st.st_mode))
		return (settings_bad(all, key, file, why, "is not a file"));
	return (RC_OK);
}

/* ${path} stands below ${folder}, both as they are written. */
static bool
path_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	while (n > 1 && folder[n - 1] == '/')
		n--;
	return (strncmp(path, folder, n) == 0 &&
		(path[n] == '/' || (n == 1 && folder[0] == '/')));
}

/* Likewise, as the system finds them; one that is not there yet is below
 * nothing. */
static bool
path_leads_below(const char *path, const char *folder)
{
	char *copy = xstrdup(path), *top = realpath(folder, NULL), *real;
	bool below = false;

	if ((real = realpath(path, NULL)) == NULL)
		real = realpath(dirname(copy), NULL);
	if (real != NULL && top != NULL)
		below = path_below(real, top) || strcmp(real, top) == 0;
	free(real);
	free(top);
	free(copy);
	return (below);
}

static bool
master_key_in_environment(void)
{
	const char *text = getenv(SETTINGS_MASTER_KEY_VARIABLE);

	return (text != NULL && text[0] != '\0');
}

static bool
upstreams_have_credentials(const struct settings *s)
{
	size_t i;

	for (i = 0; i < s->n_upstreams; i++)
		if (s->upstreams[i].password != NULL ||
		    s->upstreams[i].secret_access_key != NULL)
			return (true);
	return (false);
}

static void
master_key_settle(struct settings_all *all)
{
	struct settings *s = &all->s;

	if (s->master_key_file[0] == '\0')
		s->master_key_file =
		    arena_printf(&all->arena, "%s/master.key", s->data);
	if ((s->auth == AUTH_NONE && !upstreams_have_credentials(s)) ||
	    master_key_in_environment())
		return;
	if (path_below(s->master_key_file, s->data) ||
	    path_leads_below(s->master_key_file, s->data))
		settings_warn(all,
		    "the master key %s lies in the data folder: a stolen disk "
		    "or copy of the folder is then readable, secrets of access "
		    "keys and of upstreams included; master-key-file puts it "
		    "elsewhere",
		    s->master_key_file);
}

/* Everybody may do everything: say so, and louder where that reaches others. */
static void
warn_of_no_auth(struct settings_all *all)
{
	const struct settings *s = &all->s;
	const struct setting_listener *l;
	size_t i;

	settings_warn(all,
	    "auth is none: everybody may do everything, without credentials");
	for (i = 0; i < s->n_listeners; i++) {
		l = &s->listeners[i];
		if (setting_address_loopback(l->address))
			continue;
		settings_warn(all,
		    "DANGER: auth is none, and %s is no loopback address: %s "
		    "can push, pull and delete everything",
		    l->address,
		    l->client_ca_file != NULL
			? "whoever has a client certificate"
			: "whoever reaches it over the network");
	}
}

/* Behind a proxy the way of the credentials is not for us to see. */
static void
warn_of_plain_credentials(struct settings_all *all)
{
	const struct settings *s = &all->s;
	const struct setting_listener *l;
	size_t i;

	for (i = 0; i < s->n_listeners && s->n_trusted_proxies == 0; i++) {
		l = &s->listeners[i];
		if (!l->tls && !setting_address_loopback(l->address))
			settings_warn(all,
			    "%s speaks plain HTTP: passwords and tokens can be "
			    "read on their way; see tls.cert",
			    l->address);
	}
}

static void
auth_settle(struct settings_all *all)
{
	struct settings *s = &all->s;

	if (s->auth == AUTH_NONE)
		warn_of_no_auth(all);
	else
		warn_of_plain_credentials(all);
	s->create_on_push =
	    s->create_on_push_said == CREATE_ALWAYS ||
	    (s->create_on_push_said == CREATE_AUTO && s->auth == AUTH_NONE);
}

enum rc
settings_check_who(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	enum rc rc;

	if ((rc = check_registry(all, why)) != RC_OK)
		return (rc);
	if ((rc = check_uri_format(all, why)) != RC_OK)
		return (rc);
	if ((rc = check_htpasswd(all, why)) != RC_OK)
		return (rc);
	auth_settle(all);
	master_key_settle(all);
	return (RC_OK);
}
