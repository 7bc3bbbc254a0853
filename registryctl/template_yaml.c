#include "registryctl/template_int.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Templates in YAML.  The library gives events, of which a tree of JSON is
 * built from the top down.  An alias is the node of its anchor once more: the
 * tree shares it, so that it costs nothing; but it counts as all the nodes
 * that it stands for, or else nine lines of aliases to aliases would be a
 * billion values to whoever walks the tree.
 */
#define LINE(mark) ((mark).line + 1)
#define COLUMN(mark) ((mark).column + 1)
#define STANDARD_TAG "tag:yaml.org,2002:"

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the one to look at */
	char *why;
	json_t *lines;
	/* By name of the anchor: the node; and what it counts, 0 while it is
	 * not complete. */
	json_t *anchors;
	json_t *sizes;
	json_t *heights;
	size_t n_nodes;
	unsigned depth;
	bool in_resources;
};

/* A value and how large it is. */
struct node {
	json_t *value;
	size_t n_nodes;
	unsigned height; /* 0: a scalar */
};

static enum rc __attribute__((format(printf, 3, 4)))
refuse(struct reader *r, enum rc rc, const char *fmt, ...)
{
	char reason[TEMPLATE_WHY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)template_vfail(reason, rc, fmt, ap);
	va_end(ap);
	return (template_fail(r->why, rc, "line %zu, column %zu: %.900s",
	    LINE(r->event.start_mark), COLUMN(r->event.start_mark), reason));
}

static enum rc
syntax_refuse(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem =
	    p->problem != NULL ? p->problem : "this cannot be read";

	if (p->error == YAML_READER_ERROR)
		return (template_fail(r->why, RC_INVALID, "byte %zu: %s",
		    p->problem_offset + 1, problem));
	return (template_fail(r->why, RC_INVALID,
	    "line %zu, column %zu: %s%s%s", LINE(p->problem_mark),
	    COLUMN(p->problem_mark), problem, p->context != NULL ? ", " : "",
	    p->context != NULL ? p->context : ""));
}

static enum rc
event_next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event))
		return (syntax_refuse(r));
	return (RC_OK);
}

static enum rc
nodes_count(struct reader *r, size_t n)
{
	r->n_nodes += n;
	if (r->n_nodes > TEMPLATE_NODES_MAX)
		return (refuse(r, RC_TOOBIG,
		    "more than %d values, aliases followed",
		    TEMPLATE_NODES_MAX));
	return (RC_OK);
}

static enum rc
depth_check(struct reader *r, unsigned height)
{
	if (r->depth + height > TEMPLATE_DEPTH_MAX)
		return (refuse(r, RC_TOOBIG, "nested more than %d levels deep",
		    TEMPLATE_DEPTH_MAX));
	return (RC_OK);
}

/* --- anchors ------------------------------------------------------------- */

static void
anchor_open(struct reader *r, const char *name)
{
	must(json_object_set_new(r->sizes, name, json_integer(0)) == 0);
}

static void
anchor_close(struct reader *r, const char *name, const struct node *n)
{
	must(json_object_set(r->anchors, name, n->value) == 0);
	must(json_object_set_new(
		 r->sizes, name, json_integer((json_int_t)n->n_nodes)) == 0);
	must(json_object_set_new(r->heights, name, json_integer(n->height)) ==
	     0);
}

static enum rc
alias_read(struct reader *r, struct node *n)
{
	const char *name = (const char *)r->event.data.alias.anchor;
	const json_t *size = json_object_get(r->sizes, name);
	enum rc rc;

	if (size == NULL)
		return (refuse(r, RC_INVALID, "there is no anchor &%s", name));
	if (json_integer_value(size) == 0)
		return (refuse(
		    r, RC_INVALID, "*%s stands within &%s itself", name, name));
	n->n_nodes = (size_t)json_integer_value(size);
	n->height =
	    (unsigned)json_integer_value(json_object_get(r->heights, name));
	if ((rc = nodes_count(r, n->n_nodes)) != RC_OK ||
	    (rc = depth_check(r, n->height)) != RC_OK)
		return (rc);
	n->value = json_incref(json_object_get(r->anchors, name));
	return (RC_OK);
}

/* --- tags ---------------------------------------------------------------- */

/* What a tag "!..." stands for; those without "Fn::" first. */
static const char *const short_forms[] = { "Ref", "Condition", "And", "Base64",
	"Cidr", "Contains", "EachMemberEquals", "EachMemberIn", "Equals",
	"FindInMap", "GetAtt", "GetAZs", "If", "ImportValue", "Join", "Length",
	"Not", "Or", "RefAll", "Select", "Split", "Sub", "ToJsonString",
	"Transform", "ValueOf", "ValueOfAll" };
#define N_BARE 2

/* The member of the long form, the caller's; NULL: none of ours. */
static char *
tag_function(const char *tag)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(short_forms); i++)
		if (tag[0] == '!' && strcmp(tag + 1, short_forms[i]) == 0)
			return (xasprintf(
			    "%s%s", i < N_BARE ? "" : "Fn::", short_forms[i]));
	return (NULL);
}

static bool
tag_is_standard(const char *tag, const char *name)
{
	size_t n = sizeof(STANDARD_TAG) - 1;

	return (
	    strncmp(tag, STANDARD_TAG, n) == 0 && strcmp(tag + n, name) == 0);
}

/* "Logical.Attribute" as the list of the long form. */
static json_t *
attribute_pair(const char *text)
{
	const char *dot = strchr(text, '.');
	json_t *pair;

	if (dot == NULL || dot == text || dot[1] == '\0')
		return (NULL);
	pair = json_pack("[s%,s]", text, (size_t)(dot - text), dot + 1);
	must(pair != NULL);
	return (pair);
}

/* Wrap ${n} into the function of ${tag}. */
static enum rc
tag_wrap(struct reader *r, const char *tag, struct node *n)
{
	char *function = tag_function(tag);
	json_t *pair, *whole;
	size_t n_more = 1;
	enum rc rc = RC_OK;

	must(function != NULL);
	if (strcmp(tag, "!GetAtt") == 0 && json_is_string(n->value)) {
		pair = attribute_pair(json_string_value(n->value));
		if (pair == NULL) {
			rc = refuse(r, RC_INVALID,
			    "!GetAtt must be followed by LogicalId.Attribute");
			goto out;
		}
		json_decref(n->value);
		n->value = pair;
		n->height++;
		n_more += 2;
	}
	whole = json_object();
	must(whole != NULL &&
	     json_object_set_new(whole, function, n->value) == 0);
	n->value = whole;
	n->height++;
	n->n_nodes += n_more;
	if ((rc = nodes_count(r, n_more)) == RC_OK)
		rc = depth_check(r, n->height);
out:
	free(function);
	return (rc);
}

/* --- nodes --------------------------------------------------------------- */

static enum rc node_read(struct reader *, struct node *);

static enum rc
scalar_bad(struct reader *r, const char *tag)
{
	return (refuse(r, RC_INVALID, "this is no value of the kind %.100s",
	    tag + sizeof(STANDARD_TAG) - 1));
}

/* A scalar that says what it is: !!str, !!int, ... */
static enum rc
scalar_of_kind(
    struct reader *r, const char *tag, struct span text, json_t **v_r)
{
	json_t *v = template_scalar_plain(text);
	bool fits;

	if (tag_is_standard(tag, "str")) {
		json_decref(v);
		*v_r = json_stringn(text.p, text.n);
		return (*v_r != NULL ? RC_OK : scalar_bad(r, tag));
	}
	fits = (tag_is_standard(tag, "int") && json_is_integer(v)) ||
	       (tag_is_standard(tag, "float") && json_is_number(v)) ||
	       (tag_is_standard(tag, "bool") && json_is_boolean(v)) ||
	       (tag_is_standard(tag, "null") && json_is_null(v));
	*v_r = v;
	return (fits ? RC_OK : scalar_bad(r, tag));
}

static bool
scalar_is_plain(const yaml_event_t *event)
{
	return (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		event->data.scalar.tag == NULL);
}

static enum rc
scalar_read(struct reader *r, const char *tag, struct node *n)
{
	struct span text = { (const char *)r->event.data.scalar.value,
		r->event.data.scalar.length };
	enum rc rc = RC_OK;

	if (memchr(text.p, '\0', text.n) != NULL)
		return (refuse(r, RC_INVALID, "a text has a NUL in it"));
	if (tag != NULL && strncmp(tag, STANDARD_TAG, 4) == 0)
		rc = scalar_of_kind(r, tag, text, &n->value);
	else if (scalar_is_plain(&r->event))
		n->value = template_scalar_plain(text);
	else
		n->value = json_stringn(text.p, text.n);
	if (rc == RC_OK && n->value == NULL)
		rc = refuse(r, RC_INVALID, "a text is not UTF-8");
	return (rc);
}

static enum rc
sequence_read(struct reader *r, struct node *n)
{
	struct node item;
	enum rc rc;

	n->value = json_array();
	must(n->value != NULL);
	if ((rc = event_next(r)) != RC_OK)
		return (rc);
	while (r->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = node_read(r, &item)) != RC_OK)
			return (rc);
		must(json_array_append_new(n->value, item.value) == 0);
		n->n_nodes += item.n_nodes;
		if (item.height >= n->height)
			n->height = item.height + 1;
		if ((rc = event_next(r)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* The name of a member; the caller frees it. */
static enum rc
key_read(struct reader *r, const json_t *into, char **key_r)
{
	const char *text;

	*key_r = NULL;
	if (r->event.type != YAML_SCALAR_EVENT)
		return (
		    refuse(r, RC_INVALID, "the name of a member must be text"));
	text = (const char *)r->event.data.scalar.value;
	if (strlen(text) != r->event.data.scalar.length)
		return (refuse(r, RC_INVALID, "a name has a NUL in it"));
	if (strcmp(text, "<<") == 0 && scalar_is_plain(&r->event))
		return (refuse(r, RC_INVALID,
		    "\"<<\" is not supported: CloudFormation merges nothing"));
	if (json_object_get(into, text) != NULL)
		return (
		    refuse(r, RC_INVALID, "\"%.200s\" is there twice", text));
	*key_r = xstrdup(text);
	return (RC_OK);
}

/* ${key} is on the way to a resource, or one. */
static void
key_note(struct reader *r, const char *key)
{
	if (r->depth == 1)
		r->in_resources = strcmp(key, "Resources") == 0;
	else if (r->depth == 2 && r->in_resources)
		(void)json_object_set_new(r->lines, key,
		    json_integer((json_int_t)LINE(r->event.start_mark)));
}

static enum rc
member_read(struct reader *r, struct node *n)
{
	struct node value = { 0 };
	char *key;
	enum rc rc;

	if ((rc = key_read(r, n->value, &key)) != RC_OK)
		return (rc);
	must(key != NULL);
	key_note(r, key);
	if ((rc = event_next(r)) == RC_OK)
		rc = node_read(r, &value);
	if (rc == RC_OK && json_object_set_new(n->value, key, value.value) != 0)
		rc = refuse(r, RC_INVALID, "a name is not UTF-8");
	if (rc == RC_OK) {
		n->n_nodes += value.n_nodes;
		if (value.height >= n->height)
			n->height = value.height + 1;
	}
	free(key);
	return (rc);
}

static enum rc
mapping_read(struct reader *r, struct node *n)
{
	enum rc rc;

	n->value = json_object();
	must(n->value != NULL);
	if ((rc = event_next(r)) != RC_OK)
		return (rc);
	while (r->event.type != YAML_MAPPING_END_EVENT)
		if ((rc = member_read(r, n)) != RC_OK ||
		    (rc = event_next(r)) != RC_OK)
			return (rc);
	return (RC_OK);
}

static enum rc
tag_check(struct reader *r, const char *tag)
{
	static const char *const of_scalars[] = { "str", "int", "float", "bool",
		"null" };
	yaml_event_type_t type = r->event.type;
	char *function;
	size_t i;

	if (tag == NULL || strcmp(tag, "!") == 0)
		return (RC_OK);
	if ((function = tag_function(tag)) != NULL) {
		free(function);
		return (RC_OK);
	}
	for (i = 0; i < ARRAY_LEN(of_scalars); i++)
		if (type == YAML_SCALAR_EVENT &&
		    tag_is_standard(tag, of_scalars[i]))
			return (RC_OK);
	if ((type == YAML_MAPPING_START_EVENT && tag_is_standard(tag, "map")) ||
	    (type == YAML_SEQUENCE_START_EVENT && tag_is_standard(tag, "seq")))
		return (RC_OK);
	return (refuse(r, RC_INVALID, "the tag \"%.200s\" is not known", tag));
}

/* What stands at the event that is there, in front of its tag. */
static enum rc
bare_read(struct reader *r, const char *tag, struct node *n)
{
	bool scalar = r->event.type == YAML_SCALAR_EVENT;
	unsigned height = scalar ? 0 : 1;
	enum rc rc;

	n->n_nodes = 1;
	n->height = height;
	if ((rc = nodes_count(r, 1)) != RC_OK ||
	    (rc = depth_check(r, height)) != RC_OK)
		return (rc);
	r->depth += height;
	if (scalar)
		rc = scalar_read(r, tag, n);
	else if (r->event.type == YAML_SEQUENCE_START_EVENT)
		rc = sequence_read(r, n);
	else
		rc = mapping_read(r, n);
	r->depth -= height;
	return (rc);
}

/* The name of the tag or anchor of the event that is there. */
static const char *
event_label(const yaml_event_t *e, bool tag)
{
	const yaml_char_t *label;

	if (e->type == YAML_SCALAR_EVENT)
		label = tag ? e->data.scalar.tag : e->data.scalar.anchor;
	else if (e->type == YAML_SEQUENCE_START_EVENT)
		label = tag ? e->data.sequence_start.tag
			    : e->data.sequence_start.anchor;
	else
		label = tag ? e->data.mapping_start.tag
			    : e->data.mapping_start.anchor;
	return ((const char *)label);
}

/* The event behind the last of the node is not asked for. */
static enum rc
node_read(struct reader *r, struct node *n)
{
	const char *tag_there, *anchor_there;
	char *tag = NULL, *anchor = NULL;
	enum rc rc;

	*n = (struct node){ 0 };
	if (r->event.type == YAML_ALIAS_EVENT)
		return (alias_read(r, n));
	tag_there = event_label(&r->event, true);
	anchor_there = event_label(&r->event, false);
	if ((rc = tag_check(r, tag_there)) != RC_OK)
		return (rc);
	/* They are gone with the event. */
	if (tag_there != NULL)
		tag = xstrdup(tag_there);
	if (anchor_there != NULL) {
		anchor = xstrdup(anchor_there);
		anchor_open(r, anchor);
	}
	rc = bare_read(r, tag, n);
	if (rc == RC_OK && tag != NULL && tag[0] == '!' && tag[1] != '\0')
		rc = tag_wrap(r, tag, n);
	if (rc == RC_OK && anchor != NULL)
		anchor_close(r, anchor, n);
	if (rc != RC_OK) {
		json_decref(n->value);
		n->value = NULL;
	}
	free(tag);
	free(anchor);
	return (rc);
}

/* --- documents ----------------------------------------------------------- */

static enum rc
event_expect(struct reader *r, yaml_event_type_t type, const char *else_what)
{
	if (r->event.type == type)
		return (RC_OK);
	return (refuse(r, RC_INVALID, "%s", else_what));
}

static enum rc
events_pass(struct reader *r, unsigned n)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && n > 0; n--)
		rc = event_next(r);
	return (rc);
}

static enum rc
stream_read(struct reader *r, json_t **doc_r)
{
	struct node n;
	enum rc rc;

	if ((rc = events_pass(r, 2)) != RC_OK ||
	    (rc = event_expect(r, YAML_DOCUMENT_START_EVENT,
		 "there is nothing in it")) != RC_OK ||
	    (rc = event_next(r)) != RC_OK || (rc = node_read(r, &n)) != RC_OK)
		return (rc);
	if ((rc = events_pass(r, 2)) == RC_OK)
		rc = event_expect(r, YAML_STREAM_END_EVENT,
		    "a second document: a template is one");
	if (rc == RC_OK)
		*doc_r = n.value;
	else
		json_decref(n.value);
	return (rc);
}

enum rc
template_yaml_read(struct span text, char why[TEMPLATE_WHY_BYTES],
    json_t **doc_r, json_t *lines)
{
	struct reader r = { .lines = lines,
		.anchors = json_object(),
		.sizes = json_object(),
		.heights = json_object() };
	enum rc rc;

	*doc_r = NULL;
	r.why = why;
	must(yaml_parser_initialize(&r.parser) == 1);
	yaml_parser_set_input_string(
	    &r.parser, (const unsigned char *)text.p, text.n);
	rc = stream_read(&r, doc_r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	json_decref(r.anchors);
	json_decref(r.sizes);
	json_decref(r.heights);
	return (rc);
}
