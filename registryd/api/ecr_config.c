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

enum rc
ecr_full(struct call *c, const char *what, uint64_t max)
{
	return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
	    "The maximum number of %s (%llu) in the registry with id '%s' has "
	    "been reached",
	    what, (unsigned long long)max, c->settings->account_id));
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
row_name(const json_t *row)
{
	const json_t *name = json_array_get(row, 0);

	return (
	    (struct span){ json_string_value(name), json_string_length(name) });
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
