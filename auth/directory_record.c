#include "auth/directory_int.h"

#include <stdlib.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"

/*
 * Records into structs.  Everything is copied: the JSON goes when its row is
 * done.  A member that is there has the right type, or the record is damaged.
 */

static enum rc
corrupt_unless(bool ok)
{

	return (ok ? RC_OK : RC_CORRUPT);
}

static enum rc
get_str(struct directory *d, const json_t *o, const char *key, bool required,
    struct span *s_r)
{
	struct span s;
	enum rc rc;

	*s_r = SPAN_NONE;
	rc = json_get_str(o, key, &s);
	if (rc == RC_NOTFOUND && !required)
		return (RC_OK);
	if (rc != RC_OK)
		return (RC_CORRUPT);
	*s_r = dir_span(d, s);
	return (RC_OK);
}

static enum rc
get_ms(const json_t *o, const char *key, bool required, int64_t *ms_r)
{
	enum rc rc;

	*ms_r = 0;
	rc = json_get_int(o, key, ms_r);
	if (rc == RC_NOTFOUND && !required)
		return (RC_OK);
	return (corrupt_unless(rc == RC_OK));
}

static enum rc
get_strings(struct directory *d, const json_t *o, const char *key,
    struct span **list_r, size_t *n_r)
{
	json_t *a, *v;
	enum rc rc;
	size_t i;

	*list_r = NULL;
	*n_r = 0;
	rc = json_get_array(o, key, &a);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (RC_CORRUPT);
	*list_r = dir_alloc(d, json_array_size(a), sizeof(**list_r));
	json_array_foreach(a, i, v)
	{
		if (!json_is_string(v))
			return (RC_CORRUPT);
		(*list_r)[i] = dir_span(d, (struct span){ json_string_value(v),
					       json_string_length(v) });
	}
	*n_r = json_array_size(a);
	return (RC_OK);
}

static enum rc
get_inlines(struct directory *d, const json_t *o, const char *what,
    struct dir_holder *h)
{
	struct dir_inline *in;
	struct span label, text;
	const char *key;
	json_t *map, *v;
	enum rc rc;

	rc = json_get_object(o, "inline", &map);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (RC_CORRUPT);
	h->inlines = dir_alloc(d, json_object_size(map), sizeof(*h->inlines));
	json_object_foreach(map, key, v)
	{
		if (!json_is_string(v))
			return (RC_CORRUPT);
		text = (struct span){ json_string_value(v),
			json_string_length(v) };
		in = &h->inlines[h->n_inlines++];
		in->name = dir_span(d, span_of(key));
		label = dir_printf(d, "inline policy %s of %s " SPAN_FMT, key,
		    what, SPAN_ARG(h->name));
		in->label = label.p;
		in->policy = dir_policy_take(d, POLICY_IDENTITY, text, label.p);
	}
	return (RC_OK);
}

/* What users and groups have in common; the name is known. */
static enum rc
holder_decode(struct directory *d, const json_t *o, const char *what,
    struct dir_holder *h)
{
	enum rc rc;

	if ((rc = get_str(d, o, "id", true, &h->id)) != RC_OK ||
	    (rc = get_ms(o, "created_ms", true, &h->created_ms)) != RC_OK ||
	    (rc = get_strings(
		 d, o, "attached", &h->attached, &h->n_attached)) != RC_OK)
		return (rc);
	return (get_inlines(d, o, what, h));
}

static enum rc
get_tags(struct directory *d, const json_t *o, struct dir_user *u)
{
	struct name_value *tag;
	const char *key;
	json_t *map, *v;
	enum rc rc;

	rc = json_get_object(o, "tags", &map);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (RC_CORRUPT);
	u->tags = dir_alloc(d, json_object_size(map), sizeof(*u->tags));
	json_object_foreach(map, key, v)
	{
		if (!json_is_string(v))
			return (RC_CORRUPT);
		tag = &u->tags[u->n_tags++];
		tag->name = dir_span(d, span_of(key));
		tag->value = dir_span(d, (struct span){ json_string_value(v),
					     json_string_length(v) });
	}
	return (RC_OK);
}

enum rc
dir_user_decode(struct directory *d, const json_t *o, struct dir_user *u)
{
	enum rc rc;

	if ((rc = holder_decode(d, o, "user", &u->holder)) != RC_OK ||
	    (rc = get_ms(o, "revoked_ms", false, &u->revoked_ms)) != RC_OK ||
	    (rc = get_str(d, o, "password", false, &u->password)) != RC_OK ||
	    (rc = get_strings(d, o, "groups", &u->groups, &u->n_groups)) !=
		RC_OK)
		return (rc);
	return (get_tags(d, o, u));
}

enum rc
dir_group_decode(struct directory *d, const json_t *o, struct dir_group *g)
{

	return (holder_decode(d, o, "group", &g->holder));
}

enum rc
dir_policy_decode(struct directory *d, const json_t *o, struct dir_policy *p)
{
	struct span text, label;

	if (json_get_str(o, "document", &text) != RC_OK ||
	    get_ms(o, "created_ms", true, &p->created_ms) != RC_OK ||
	    get_ms(o, "updated_ms", true, &p->updated_ms) != RC_OK)
		return (RC_CORRUPT);
	label = dir_printf(d, "policy " SPAN_FMT, SPAN_ARG(p->arn));
	p->policy = dir_policy_take(d, POLICY_IDENTITY, text, label.p);
	return (RC_OK);
}

enum rc
dir_key_decode(struct directory *d, const json_t *o, struct dir_key *k)
{
	struct span text;
	uint8_t *sealed;
	size_t n;

	if (get_str(d, o, "account", true, &k->account) != RC_OK ||
	    get_str(d, o, "user", true, &k->user_name) != RC_OK ||
	    get_ms(o, "created_ms", true, &k->key.created_ms) != RC_OK ||
	    json_get_str(o, "sealed", &text) != RC_OK ||
	    !json_is_boolean(json_object_get(o, "active")))
		return (RC_CORRUPT);
	sealed = dir_alloc(d, 1, 3 * (text.n / 4) + 1);
	if (base64_decode(text, sealed, &n) != RC_OK)
		return (RC_CORRUPT);
	k->key.sealed = (struct span){ (const char *)sealed, n };
	k->key.active = json_is_true(json_object_get(o, "active"));
	return (RC_OK);
}
