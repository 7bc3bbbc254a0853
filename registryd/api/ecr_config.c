#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/* What operations on the configuration of the registry share. */

/* --- what is kept -------------------------------------------------------- */

static json_t *
pick_structure(const struct aws_shape *shape, const json_t *in)
{
	json_t *o = json_object(), *v;
	size_t i;

	for (i = 0; i < shape->n_members; i++) {
		v = aws_member(in, shape->members[i].name);
		if (v != NULL)
			aws_put(o, shape->members[i].name,
			    ecr_pick(shape->members[i].shape, v));
	}
	return (o);
}

/* How deep it goes is bounded by the shape. */
json_t *
ecr_pick(const struct aws_shape *shape, const json_t *in)
{
	json_t *list;
	size_t i;

	if (shape->type == AWS_STRUCTURE)
		return (pick_structure(shape, in));
	if (shape->type != AWS_LIST)
		return (json_deep_copy(in));
	list = json_array();
	for (i = 0; i < json_array_size(in); i++)
		aws_append(
		    list, ecr_pick(shape->element, json_array_get(in, i)));
	return (list);
}

struct span
ecr_config_key(struct span prefix)
{
	if (prefix.n > 1 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	return (prefix);
}

enum rc
ecr_config_add(struct call *c, const struct ecr_config_add *a, json_t *o)
{
	enum rc rc;

	rc = registry_config_put(
	    c->meta, a->kind, a->key, o, CONFIG_ADD, a->max);
	if (rc == RC_EXISTS)
		return (call_fail(c, a->exists, NULL,
		    "%s '" SPAN_FMT
		    "' already exists in the registry with id '%s'",
		    a->one, SPAN_ARG(a->name), c->settings->account_id));
	if (rc == RC_LIMIT)
		return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
		    "The maximum number of %s (%u) in the registry with id "
		    "'%s' has been reached",
		    a->many, a->max, c->settings->account_id));
	return (rc);
}

/* --- what is answered ---------------------------------------------------- */

void
ecr_put_member(json_t *out, const char *name, const json_t *o)
{
	json_t *v = aws_member(o, name);

	if (v != NULL)
		aws_put(out, name, json_incref(v));
}

void
ecr_put_ms(json_t *out, const char *name, const json_t *o)
{
	const json_t *v = aws_member(o, name);

	if (v != NULL)
		aws_put_time(out, name, json_integer_value(v));
}

/* --- lists --------------------------------------------------------------- */

enum rc
ecr_paging_check(struct call *c, const json_t *in, const char *names)
{
	static const char *const paging[] = { "maxResults", "nextToken" };
	size_t i;

	if (aws_member(in, names) == NULL)
		return (RC_OK);
	for (i = 0; i < ARRAY_LEN(paging); i++)
		if (aws_member(in, paging[i]) != NULL)
			return (aws_invalid(c, paging[i],
			    "%s cannot be used together with %s", paging[i],
			    names));
	return (RC_OK);
}

static struct span
text_of(const json_t *v)
{
	return ((struct span){ json_string_value(v), json_string_length(v) });
}

static struct span
row_name(const json_t *row)
{
	return (text_of(json_array_get(row, 0)));
}

enum rc
ecr_config_list(struct call *c, const json_t *in,
    const struct ecr_config_list *l, json_t *list, json_t *out)
{
	struct aws_page page;
	json_t *rows, *row = NULL;
	size_t i;
	bool more;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK)
		return (rc);
	if (l->max > 0 && page.n > l->max)
		page.n = l->max;
	rc = registry_config_page(
	    c->meta, l->kind, page.after, page.n, &rows, &more);
	if (rc != RC_OK)
		return (rc);
	json_array_foreach(rows, i, row)
	    aws_append(list, l->show(c, row_name(row), json_array_get(row, 1)));
	if (more) {
		page.after = row_name(row);
		page.seen = true;
		aws_page_next(c, out, &page);
	}
	json_decref(rows);
	return (RC_OK);
}

enum rc
ecr_config_named(struct call *c, const json_t *prefixes,
    const struct ecr_config_list *l, json_t *list)
{
	struct span prefix;
	json_t *o;
	size_t i;
	enum rc rc;

	for (i = 0; i < json_array_size(prefixes); i++) {
		prefix = text_of(json_array_get(prefixes, i));
		rc = registry_config_get(
		    c->meta, l->kind, ecr_config_key(prefix), &o);
		if (rc == RC_NOTFOUND && l->missing == NULL)
			continue;
		if (rc == RC_NOTFOUND)
			return (l->missing(c, prefix));
		if (rc != RC_OK)
			return (rc);
		aws_append(list, l->show(c, prefix, o));
		json_decref(o);
	}
	return (RC_OK);
}
