#include "registryd/settings_upstreams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/reference.h"
#include "mirror/secrets.h"

/*
 * Other registries: the lists of mappings from texts to entries, each held
 * against those before it, and the keys that say what holds for all.
 */
#define KEY(name) setting_find(SPAN(name))
#define TABLE(name) (&setting_tables[setting_table_find(SPAN(name))])

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

#define PROXY_ALLOWED \
	"must be none, or http://HOST[:PORT] (or https://, socks5h://)"

/* --- proxies and authorities --------------------------------------------- */

enum proxy_fault { PROXY_OK, PROXY_MALFORMED, PROXY_CREDENTIALS };

static enum proxy_fault
proxy_read(const char *said, const char **proxy_r)
{
	static const char *const schemes[] = { "http://", "https://",
		"socks5://", "socks5h://" };
	const char *rest = NULL;
	size_t i, n;

	*proxy_r = said[0] != '\0' ? said : NULL;
	if (said[0] == '\0')
		return (PROXY_OK);
	if (strcmp(said, "none") == 0) {
		*proxy_r = "";
		return (PROXY_OK);
	}
	for (i = 0; rest == NULL && i < ARRAY_LEN(schemes); i++) {
		n = strlen(schemes[i]);
		if (strncmp(said, schemes[i], n) == 0)
			rest = said + n;
	}
	if (strchr(said, '@') != NULL)
		return (PROXY_CREDENTIALS);
	if (rest == NULL || *rest == '\0' ||
	    strcspn(rest, " \t\r\n\"<>?#\\") != strlen(rest) ||
	    (strchr(rest, '/') != NULL && strchr(rest, '/')[1] != '\0'))
		return (PROXY_MALFORMED);
	return (PROXY_OK);
}

static enum rc
check_proxy(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	struct upstream_defaults *u = &all->s.upstream;
	size_t key = KEY("upstream.proxy");

	switch (proxy_read(u->proxy_said, &u->proxy)) {
	case PROXY_OK:
		return (RC_OK);
	case PROXY_CREDENTIALS:
		return (settings_bad(all, key, "...", why,
		    "must not hold credentials: give those in the environment "
		    "(https_proxy)"));
	case PROXY_MALFORMED:
		break;
	}
	return (settings_bad(all, key, u->proxy_said, why, PROXY_ALLOWED));
}

/* Why it cannot be read; NULL: it can. */
static const char *
file_fault(const char *path)
{
	struct stat st;

	if (access(path, R_OK) == -1 || stat(path, &st) == -1)
		return (strerror(errno));
	return (S_ISREG(st.st_mode) ? NULL : "it is not a file");
}

static enum rc
check_ca(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *path = all->s.upstream.ca_file, *fault;

	if (path[0] == '\0' || (fault = file_fault(path)) == NULL)
		return (RC_OK);
	return (settings_bad(all, KEY("upstream.ca-file"), path, why,
	    "cannot be read: %s", fault));
}

/* --- secrets in files ---------------------------------------------------- */

/* Containers hand such files in readable for all: said, not refused. */
static void
warn_of_readers(struct settings_all *all, int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & S_IROTH) != 0)
		settings_warn(all,
		    "%s holds a secret, and its mode %04o lets everybody read "
		    "it; run: chmod 600 %s",
		    path, (unsigned)st.st_mode & 07777, path);
}

/* What a file holds, without the end of its last line; *${text_r} is in the
 * arena.  What is wrong, or NULL. */
static const char *
secret_read(struct settings_all *all, const char *path, char **text_r)
{
	char room[SECRET_MAX_BYTES + 2];
	const char *fault = NULL;
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (strerror(errno));
	n = read(fd, room, sizeof(room));
	if (n == -1)
		fault = strerror(errno);
	warn_of_readers(all, fd, path);
	(void)close(fd);
	while (n > 0 && (room[n - 1] == '\n' || room[n - 1] == '\r'))
		n--;
	if (fault == NULL && n == 0)
		fault = "it is empty";
	else if (fault == NULL && n > SECRET_MAX_BYTES)
		fault = "it is too long";
	else if (fault == NULL && memchr(room, '\0', (size_t)n) != NULL)
		fault = "there is a NUL in it";
	if (fault == NULL)
		*text_r = arena_dup(&all->arena, room, (size_t)n);
	mem_wipe(room, sizeof(room));
	return (fault);
}

/* --- upstreams ----------------------------------------------------------- */

static enum rc
check_url(struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	struct upstream_setting *u = &all->s.upstreams[i];
	const struct setting_table *t = TABLE("upstreams");
	char reason[REFERENCE_WHY_BYTES];
	size_t k;

	if (registry_url_parse(
		span_of(u->registry), &all->arena, &u->url, reason) != RC_OK)
		return (settings_entry_bad(
		    all, t, i, "registry", why, "%s", reason));
	for (k = 0; k < i; k++)
		if (strcmp(all->s.upstreams[k].url, u->url) == 0)
			return (settings_entry_bad(all, t, i, "registry", why,
			    "is the registry of entry %zu, too", k + 1));
	return (RC_OK);
}

static enum rc
check_password(struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	struct upstream_setting *u = &all->s.upstreams[i];
	const struct setting_table *t = TABLE("upstreams");
	const char *fault;

	if (u->password != NULL && u->password[0] == '\0')
		u->password = NULL;
	if (u->password != NULL && u->password_file[0] != '\0')
		return (settings_entry_bad(all, t, i, "password", why,
		    "password-file is there, too; say one of them"));
	if (u->password_file[0] != '\0' &&
	    (fault = secret_read(all, u->password_file, &u->password)) != NULL)
		return (settings_entry_bad(all, t, i, "password-file", why,
		    "cannot be used: %s", fault));
	if (u->password != NULL && u->username[0] == '\0')
		return (settings_entry_bad(
		    all, t, i, "username", why, "is needed with a password"));
	if (u->password == NULL && u->username[0] != '\0')
		return (settings_entry_bad(all, t, i, "username", why,
		    "needs password-file (or password) beside it"));
	return (RC_OK);
}

static bool
region_ok(const char *text)
{
	size_t n = strlen(text);

	return (n >= 2 && n <= 25 && strspn(text, LOWER DIGITS "-") == n);
}

static enum rc
check_access_key(
    struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	struct upstream_setting *u = &all->s.upstreams[i];
	const struct setting_table *t = TABLE("upstreams");
	const char *fault;

	if ((u->access_key_id[0] == '\0') != (u->secret_file[0] == '\0'))
		return (settings_entry_bad(all, t, i,
		    u->access_key_id[0] != '\0' ? "access-key-id"
						: "secret-access-key-file",
		    why, "needs %s beside it",
		    u->access_key_id[0] != '\0' ? "secret-access-key-file"
						: "access-key-id"));
	if (u->region[0] != '\0' && !region_ok(u->region))
		return (settings_entry_bad(all, t, i, "region", why,
		    "must be 2 to 25 of a-z, 0-9 and -"));
	if (u->access_key_id[0] == '\0')
		return (RC_OK);
	if (u->username[0] != '\0')
		return (settings_entry_bad(all, t, i, "access-key-id", why,
		    "username is there, too; say one of them"));
	fault = secret_read(all, u->secret_file, &u->secret_access_key);
	if (fault != NULL)
		return (settings_entry_bad(all, t, i, "secret-access-key-file",
		    why, "cannot be used: %s", fault));
	return (RC_OK);
}

static enum rc
check_way(struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	struct upstream_setting *u = &all->s.upstreams[i];
	const struct setting_table *t = TABLE("upstreams");
	const char *fault;

	switch (proxy_read(u->proxy_said, &u->proxy)) {
	case PROXY_OK:
		break;
	case PROXY_CREDENTIALS:
		return (settings_entry_bad(all, t, i, NULL, why,
		    "proxy must not hold credentials: give those in the "
		    "environment (https_proxy)"));
	case PROXY_MALFORMED:
		return (
		    settings_entry_bad(all, t, i, "proxy", why, PROXY_ALLOWED));
	}
	if (u->proxy_said[0] == '\0')
		u->proxy = all->s.upstream.proxy;
	if (u->ca_file[0] == '\0')
		u->ca_file = all->s.upstream.ca_file;
	else if ((fault = file_fault(u->ca_file)) != NULL)
		return (settings_entry_bad(
		    all, t, i, "ca-file", why, "cannot be read: %s", fault));
	if (u->connections == 0)
		u->connections = all->s.upstream.connections;
	return (RC_OK);
}

enum rc
settings_upstream_check(
    struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	enum rc rc;

	if ((rc = check_url(all, i, why)) != RC_OK ||
	    (rc = check_password(all, i, why)) != RC_OK ||
	    (rc = check_access_key(all, i, why)) != RC_OK)
		return (rc);
	return (check_way(all, i, why));
}

/* What the file said, also of entries that were not looked at. */
static void
texts_wipe(struct settings_all *all)
{
	const struct setting_table *t = TABLE("upstreams");
	const struct setting_entries *e = &all->tables[t - setting_tables];
	struct setting_value *v;
	size_t i, m;

	for (i = 0; i < e->n; i++)
		for (m = 0; m < t->n_members; m++) {
			v = &e->items[i].values[m];
			if (t->members[m].secret && v->n > 0)
				mem_wipe((char *)(uintptr_t)v->items[0],
				    strlen(v->items[0]));
		}
}

void
settings_credentials_wipe(struct settings *s)
{
	struct upstream_setting *u;
	size_t i;

	texts_wipe((struct settings_all *)s);
	for (i = 0; i < s->n_upstreams; i++) {
		u = &s->upstreams[i];
		if (u->password != NULL)
			mem_wipe(u->password, strlen(u->password));
		if (u->secret_access_key != NULL)
			mem_wipe(
			    u->secret_access_key, strlen(u->secret_access_key));
		u->password = u->secret_access_key = NULL;
	}
}

const struct upstream_setting *
settings_upstream(const struct settings *s, const char *url)
{
	size_t i;

	for (i = 0; i < s->n_upstreams; i++)
		if (strcmp(s->upstreams[i].url, url) == 0)
			return (&s->upstreams[i]);
	return (NULL);
}

/* --- mirrors ------------------------------------------------------------- */

enum rc
settings_mirror_check(
    struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	const struct mirror_spec *m = &all->s.mirrors[i];
	const struct setting_table *t = TABLE("mirrors");
	char reason[MIRROR_WHY_BYTES];
	const char *member;
	size_t k;

	if (mirror_spec_check(m, &member, reason) != RC_OK)
		return (
		    settings_entry_bad(all, t, i, member, why, "%s", reason));
	for (k = 0; k < i; k++)
		if (strcmp(all->s.mirrors[k].name, m->name) == 0)
			return (settings_entry_bad(all, t, i, "name", why,
			    "is the name of entry %zu, too", k + 1));
	return (RC_OK);
}

/* --- destinations of replication ----------------------------------------- */

enum rc
settings_destination_check(
    struct settings_all *all, size_t i, char why[SETTINGS_WHY_BYTES])
{
	struct replication_setting *d = &all->s.destinations[i];
	const struct setting_table *t = TABLE("replication-destinations");
	char reason[REFERENCE_WHY_BYTES];
	size_t k;

	if (!region_ok(d->region))
		return (settings_entry_bad(all, t, i, "region", why,
		    "must be 2 to 25 of a-z, 0-9 and -"));
	if (strlen(d->registry_id) != 12 ||
	    strspn(d->registry_id, DIGITS) != 12)
		return (settings_entry_bad(
		    all, t, i, "registry-id", why, "must be 12 digits"));
	if (registry_url_parse(
		span_of(d->address), &all->arena, &d->url, reason) != RC_OK)
		return (
		    settings_entry_bad(all, t, i, "url", why, "%s", reason));
	d->name = arena_printf(&all->arena, "%s/%s", d->region, d->registry_id);
	for (k = 0; k < i; k++)
		if (strcmp(all->s.destinations[k].name, d->name) == 0)
			return (settings_entry_bad(all, t, i, "region", why,
			    "with this registry-id is the destination of entry "
			    "%zu, too",
			    k + 1));
	return (RC_OK);
}

const struct replication_setting *
settings_destination(const struct settings *s, struct span name)
{
	size_t i;

	for (i = 0; i < s->n_destinations; i++)
		if (span_is(name, s->destinations[i].name))
			return (&s->destinations[i]);
	return (NULL);
}

/* --- all of them --------------------------------------------------------- */

static enum rc
member_parse(struct settings_all *all, const struct setting_table *t, size_t i,
    void *entry, const struct setting_key *key, char why[SETTINGS_WHY_BYTES])
{
	const struct setting_value *said =
	    &all->tables[t - setting_tables].items[i].values[key - t->members];
	char allowed[SETTING_ALLOWED_BYTES];
	struct setting_value v = *said;

	if (v.n == 0 && key->preset == NULL)
		return (
		    settings_entry_bad(all, t, i, NULL, why, "%s is needed: %s",
			key->name, setting_allowed(key, allowed)));
	if (v.n == 0 && key->kind != SETTING_LIST)
		setting_value_one(&all->arena, key->preset, "the default", &v);
	if (!setting_store(entry, key, &v))
		return (settings_entry_bad(all, t, i, key->name, why,
		    "must be %s", setting_allowed(key, allowed)));
	return (RC_OK);
}

static enum rc
table_check(struct settings_all *all, const struct setting_table *t,
    char why[SETTINGS_WHY_BYTES])
{
	const struct setting_entries *e = &all->tables[t - setting_tables];
	size_t i, m, n = e->n;
	char *entries;
	enum rc rc = RC_OK;

	entries = arena_calloc(&all->arena, n + 1, t->entry_bytes);
	memcpy((char *)&all->s + t->offset, &entries, sizeof(entries));
	for (i = 0; rc == RC_OK && i < n; i++) {
		for (m = 0; rc == RC_OK && m < t->n_members; m++)
			rc = member_parse(all, t, i,
			    entries + i * t->entry_bytes, &t->members[m], why);
		/* Whatever is said of it counts from here on. */
		i++;
		memcpy((char *)&all->s + t->n_offset, &i, sizeof(i));
		i--;
		if (rc == RC_OK)
			rc = t->check(all, i, why);
	}
	return (rc);
}

enum rc
settings_check_upstreams(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	enum rc rc;
	size_t t;

	if ((rc = check_proxy(all, why)) != RC_OK ||
	    (rc = check_ca(all, why)) != RC_OK)
		return (rc);
	for (t = 0; t < SETTING_TABLES && rc == RC_OK; t++)
		rc = table_check(all, &setting_tables[t], why);
	return (rc);
}
