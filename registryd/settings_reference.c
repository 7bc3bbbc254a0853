#include <string.h>

#include "base/buf.h"
#include "registryd/settings_int.h"

/*
 * The list of keys in docs/configuration.md, and behind it the lists of
 * mappings.
 */
static const char *
kind_text(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_TEXT:
		return ("Text");
	case SETTING_LIST:
		return ("List");
	case SETTING_WORD:
		return ("Word");
	case SETTING_COUNT:
		return ("Number");
	case SETTING_SIZE:
		return ("Size");
	case SETTING_DURATION:
		return ("Duration");
	}
	return ("");
}

static void
preset_text(struct buf *out, const struct setting_key *key)
{
	if (key->preset[0] != '\0')
		buf_printf(out, "`%s`", key->preset);
	else
		buf_str(out, "empty");
	if (key->preset_help != NULL)
		buf_printf(out, " (%s)", key->preset_help);
}

static void
key_text(struct buf *out, const struct setting_key *key)
{
	char env[SETTING_ENV_BYTES], allowed[SETTING_ALLOWED_BYTES];

	buf_printf(out, "### `%s`\n\n%s\n\n", key->name, key->help);
	buf_printf(out, "- %s: %s\n", kind_text(key->kind),
	    setting_allowed(key, allowed));
	buf_str(out, "- Default: ");
	preset_text(out, key);
	buf_printf(out, "\n- Environment: `%s`\n- Changed by: %s\n\n",
	    setting_env_name(key, env), key->restart ? "restart" : "reload");
}

/* | key | default | reload | */
static void
key_row(struct buf *out, const struct setting_key *key)
{
	const char *p;

	buf_char(out, '|');
	buf_str(out, " [`");
	buf_str(out, key->name);
	buf_str(out, "`](#");
	for (p = key->name; *p != '\0'; p++)
		if (*p != '.')
			buf_char(out, *p);
	buf_str(out, ") | ");
	preset_text(out, key);
	buf_printf(out, " | %s |\n", key->restart ? "restart" : "reload");
}

/* --- lists of mappings --------------------------------------------------- */

static void
member_text(struct buf *out, const struct setting_key *key)
{
	char allowed[SETTING_ALLOWED_BYTES];

	buf_printf(out, "- `%s` (%s", key->name,
	    key->kind == SETTING_LIST ? "list: " : "");
	buf_str(out, setting_allowed(key, allowed));
	if (key->preset == NULL) {
		buf_str(out, "; needed");
	} else {
		buf_str(out, "; default: ");
		preset_text(out, key);
	}
	buf_printf(out, "): %s\n", key->help);
}

static void
table_row(struct buf *out, const struct setting_table *t)
{
	buf_printf(out, "| [`%s`](#%s) | empty | reload |\n", t->name, t->name);
}

static void
table_text(struct buf *out, const struct setting_table *t)
{
	size_t i;

	buf_printf(out, "### `%s`\n\n%s\n\n", t->name, t->help);
	for (i = 0; i < t->n_members; i++)
		member_text(out, &t->members[i]);
	buf_str(out,
	    "\nA list of mappings, in the configuration file only.\n\n- "
	    "Changed by: reload\n\n");
}

/* --- all of it ----------------------------------------------------------- */

void
settings_reference(struct buf *out)
{
	size_t k;

	buf_str(out, "| Key | Default | Changed by |\n|---|---|---|\n");
	for (k = 0; k < SETTING_KEYS; k++)
		key_row(out, &setting_keys[k]);
	for (k = 0; k < SETTING_TABLES; k++)
		table_row(out, &setting_tables[k]);
	buf_char(out, '\n');
	for (k = 0; k < SETTING_KEYS; k++)
		key_text(out, &setting_keys[k]);
	for (k = 0; k < SETTING_TABLES; k++)
		table_text(out, &setting_tables[k]);
}
