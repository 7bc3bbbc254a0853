#include "registryd/settings.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryd/settings_int.h"

extern char **environ;

/* --- layers, the upper ones later ---------------------------------------- */

static void
value_set(
    struct settings_all *all, size_t k, const char *text, const char *origin)
{
	if (setting_keys[k].kind == SETTING_LIST)
		setting_value_split(&all->arena, text, origin, &all->values[k]);
	else
		setting_value_one(&all->arena, text, origin, &all->values[k]);
}

static void
layer_presets(struct settings_all *all)
{
	size_t k;

	for (k = 0; k < SETTING_KEYS; k++)
		value_set(all, k, setting_keys[k].preset, "the default");
}

static void
layer_environment(struct settings_all *all)
{
	char name[SETTING_ENV_BYTES];
	const char *text;
	size_t k;

	for (k = 0; k < SETTING_KEYS; k++) {
		text = getenv(setting_env_name(&setting_keys[k], name));
		if (text != NULL)
			value_set(all, k, text,
			    arena_printf(&all->arena,
				"the environment variable %s", name));
	}
}

/* Is ${entry}, "NAME=value", the variable of some key? */
static bool
variable_known(const char *entry)
{
	char name[SETTING_ENV_BYTES];
	size_t k, n = strcspn(entry, "=");

	if (span_is((struct span){ entry, n }, SETTINGS_MASTER_KEY_VARIABLE))
		return (true);
	for (k = 0; k < SETTING_KEYS; k++) {
		(void)setting_env_name(&setting_keys[k], name);
		if (strlen(name) == n && strncmp(entry, name, n) == 0)
			return (true);
	}
	return (false);
}

/*
 * A misspelt variable must not pass in silence, but it is no error either:
 * Kubernetes invents REGISTRYD_PORT and the like for a service of our name.
 */
static void
environment_warn(struct settings_all *all)
{
	char **e;

	for (e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, "REGISTRYD_", 10) == 0 && !variable_known(*e))
			settings_warn(all,
			    "the environment variable %.*s is ignored: there "
			    "is no such key",
			    (int)strcspn(*e, "="), *e);
}

static void
flag_set(struct settings_all *all, struct span key, const char *text,
    const char *origin)
{
	if (text != NULL)
		value_set(all, setting_find(key), text, origin);
}

static void
layer_flags(struct settings_all *all, const struct settings_flags *flags)
{
	struct setting_value *v = &all->values[setting_find(SPAN("listen"))];
	size_t i;

	flag_set(all, SPAN("data"), flags->data, "the flag --data");
	flag_set(all, SPAN("auth"), flags->auth, "the flag --auth");
	flag_set(all, SPAN("tls.cert"), flags->tls_cert, "the flag --tls-cert");
	flag_set(all, SPAN("tls.key"), flags->tls_key, "the flag --tls-key");
	flag_set(
	    all, SPAN("log.level"), flags->log_level, "the flag --log-level");
	if (flags->n_listen == 0)
		return;
	v->items =
	    arena_calloc(&all->arena, flags->n_listen, sizeof(*v->items));
	v->n = flags->n_listen;
	v->origin = "the flag --listen";
	for (i = 0; i < v->n; i++)
		v->items[i] = arena_dup(
		    &all->arena, flags->listen[i], strlen(flags->listen[i]));
}

static enum rc
layers(struct settings_all *all, const struct settings_flags *flags,
    char why[SETTINGS_WHY_BYTES])
{
	enum rc rc = RC_OK;

	layer_presets(all);
	if (flags->config_file != NULL)
		rc = settings_file_read(flags->config_file, &all->arena,
		    all->values, all->tables, why);
	layer_environment(all);
	layer_flags(all, flags);
	return (rc);
}

/* --- snapshots ----------------------------------------------------------- */

static struct settings_all *
all_new(void)
{
	struct settings_all *all = xcalloc(1, sizeof(*all));

	/* Its size is an operator's, who is not held to a limit. */
	arena_init(&all->arena, SIZE_MAX);
	atomic_init(&all->refs, 1);
	return (all);
}

static void
all_free(struct settings_all *all)
{
	settings_credentials_wipe(&all->s);
	arena_reset(&all->arena);
	free(all);
}

static struct setting_value
value_copy(struct arena *a, const struct setting_value *from)
{
	struct setting_value v = { .n = from->n };
	size_t i;

	v.items = arena_calloc(a, from->n + 1, sizeof(*v.items));
	for (i = 0; i < from->n; i++)
		v.items[i] =
		    arena_dup(a, from->items[i], strlen(from->items[i]));
	v.origin = arena_dup(a, from->origin, strlen(from->origin));
	return (v);
}

static void
keep_restart_keys(struct settings_all *all, const struct settings_all *now)
{
	const struct setting_value *was;
	size_t k;

	for (k = 0; k < SETTING_KEYS; k++) {
		was = &now->values[k];
		if (!setting_keys[k].restart ||
		    setting_value_eq(&all->values[k], was))
			continue;
		settings_warn(all,
		    "%s has changed (%s): that takes effect with the next "
		    "start",
		    setting_keys[k].name, all->values[k].origin);
		all->values[k] = value_copy(&all->arena, was);
	}
}

/*
 * Listeners stay through a reload and so does what they speak; only the
 * certificate is another.
 */
static enum rc
keep_tls(struct settings_all *all, struct setting_listener *l,
    const struct setting_listener *was, char why[SETTINGS_WHY_BYTES])
{
	if (was->tls && !l->tls)
		return (settings_bad(all, setting_find(SPAN("tls.cert")), "",
		    why,
		    "%s speaks TLS: a reload can replace the certificate, not "
		    "take it away; restart for that",
		    was->address));
	if (l->tls && !was->tls) {
		settings_warn(all,
		    "tls.cert has been set: %s speaks TLS from the next start "
		    "on",
		    l->address);
		l->tls = false;
		l->cert_file = l->key_file = l->client_ca_file = NULL;
	}
	return (RC_OK);
}

static enum rc
keep_listeners(struct settings_all *all, const struct settings *was,
    char why[SETTINGS_WHY_BYTES])
{
	struct settings *s = &all->s;
	enum rc rc = RC_OK;
	size_t i;

	must(s->n_listeners == was->n_listeners);
	for (i = 0; i < s->n_listeners && rc == RC_OK; i++)
		rc = keep_tls(all, &s->listeners[i], &was->listeners[i], why);
	if (rc == RC_OK && s->metrics.address != NULL)
		rc = keep_tls(all, &s->metrics, &was->metrics, why);
	return (rc);
}

static enum rc
load(const struct settings_all *now, const struct settings_flags *flags,
    char why[SETTINGS_WHY_BYTES], struct settings **s_r)
{
	struct settings_all *all = all_new();
	enum rc rc;

	if ((rc = layers(all, flags, why)) != RC_OK)
		goto err0;
	environment_warn(all);
	if (now != NULL)
		keep_restart_keys(all, now);
	if ((rc = settings_parse(all, why)) != RC_OK)
		goto err0;
	if ((rc = settings_check(all, why)) != RC_OK)
		goto err0;
	if (now != NULL && (rc = keep_listeners(all, &now->s, why)) != RC_OK)
		goto err0;
	*s_r = &all->s;
	return (RC_OK);
err0:
	all_free(all);
	return (rc);
}

enum rc
settings_load(const struct settings_flags *flags, char why[SETTINGS_WHY_BYTES],
    struct settings **s_r)
{
	return (load(NULL, flags, why, s_r));
}

enum rc
settings_reload(const struct settings *now, const struct settings_flags *flags,
    char why[SETTINGS_WHY_BYTES], struct settings **s_r)
{
	return (load((const struct settings_all *)now, flags, why, s_r));
}

struct settings *
settings_ref(struct settings *s)
{
	struct settings_all *all = (struct settings_all *)s;

	must(
	    atomic_fetch_add_explicit(&all->refs, 1, memory_order_relaxed) > 0);
	return (s);
}

void
settings_unref(struct settings **s_p)
{
	struct settings_all *all = (struct settings_all *)*s_p;

	*s_p = NULL;
	if (all == NULL)
		return;
	if (atomic_fetch_sub_explicit(&all->refs, 1, memory_order_acq_rel) == 1)
		all_free(all);
}
