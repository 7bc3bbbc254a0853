#include "registryctl/template_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * A template with the values of the world outside: parameters first, then
 * conditions, resources, outputs.
 */

/* --- the stack's id ------------------------------------------------------ */

/* People cut the last part of it out to name what must be unique: it is
 * always the same one for the same stack. */
static char *
stack_id_make(const struct template_context *c)
{
	char *seed, *whole, hex[2 * DIGEST_BYTES_MAX + 1];
	struct digest d;

	if (c->stack_id != NULL)
		return (xstrdup(c->stack_id));
	seed = xasprintf("%s/%s/%s", c->account_id, c->region, c->stack_name);
	digest_of(DIGEST_SHA256, seed, strlen(seed), &d);
	hex_encode(d.bytes, digest_len(DIGEST_SHA256), hex);
	whole = xasprintf("arn:aws:cloudformation:%s:%s:stack/%s/"
			  "%.8s-%.4s-%.4s-%.4s-%.12s",
	    c->region, c->account_id, c->stack_name, hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
	free(seed);
	return (whole);
}

/* --- secrets ------------------------------------------------------------- */

/* No message shows a value that a parameter with NoEcho has. */
static void
secret_mask(char *why, const char *secret)
{
	static const char mask[] = "****";
	char *text = xstrdup(why), *p = text, *at;
	struct buf b;

	buf_init(&b, 4 * TEMPLATE_WHY_BYTES + 1);
	while ((at = strstr(p, secret)) != NULL) {
		buf_add(&b, p, (size_t)(at - p));
		buf_str(&b, mask);
		p = at + strlen(secret);
	}
	buf_str(&b, p);
	buf_char(&b, '\0');
	must(buf_ok(&b));
	(void)template_fail(why, RC_INVALID, "%s", b.p);
	mem_wipe(text, strlen(text));
	free(text);
	buf_free(&b);
}

static void
secrets_mask(const struct resolver *r)
{
	json_t *secret;
	size_t i;

	json_array_foreach(r->secrets, i, secret)
	{
		secret_mask(r->why, json_string_value(secret));
	}
}

/* --- states -------------------------------------------------------------- */

static enum rc
gone_find(struct resolver *r, struct template_state *s)
{
	const char *condition =
	    json_string_value(json_object_get(s->node, "Condition"));
	bool is = true;
	enum rc rc = RC_OK;

	if (condition != NULL)
		rc = template_condition(r, condition, &is);
	s->gone = !is;
	return (rc);
}

static enum rc
states_make(struct resolver *r)
{
	const json_t *all = json_object_get(r->t->doc, "Resources");
	const struct template_context *c = r->context;
	struct template_state *s;
	const char *logical_id;
	json_t *node;
	enum rc rc;

	r->states = xcalloc(json_object_size(all), sizeof(*r->states));
	json_object_foreach((json_t *)all, logical_id, node)
	{
		must(json_object_set_new(r->places, logical_id,
			 json_integer((json_int_t)r->n_states)) == 0);
		s = &r->states[r->n_states++];
		s->logical_id = logical_id;
		s->node = node;
		s->type = json_string_value(json_object_get(node, "Type"));
		s->ours = c->ours(c->arg, s->type);
		if ((rc = gone_find(r, s)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* --- all ----------------------------------------------------------------- */

static void
resolver_begin(struct resolver *r)
{
	r->parameters = json_object();
	r->secrets = json_array();
	r->conditions = json_object();
	r->places = json_object();
	must(r->parameters != NULL && r->secrets != NULL &&
	     r->conditions != NULL && r->places != NULL);
	r->stack_id = stack_id_make(r->context);
	r->nodes_left = TEMPLATE_NODES_MAX;
	r->bytes_left = TEMPLATE_VALUES_MAX_BYTES;
	r->steps_left = TEMPLATE_STEPS_MAX;
	r->why[0] = '\0';
}

static void
resolver_end(struct resolver *r)
{
	size_t i;

	for (i = 0; i < r->n_states; i++) {
		json_decref(r->states[i].properties);
		free(r->states[i].needs);
	}
	free(r->states);
	free(r->stack_id);
	json_decref(r->parameters);
	json_decref(r->secrets);
	json_decref(r->conditions);
	json_decref(r->places);
}

/* The properties go over to ${out}. */
static void
resources_hand_over(struct resolver *r, const size_t *order, size_t n,
    struct template_resolved *out)
{
	struct template_state *s;
	size_t i;

	out->resources = xcalloc(n + 1, sizeof(*out->resources));
	for (i = 0; i < n; i++) {
		s = &r->states[order[i]];
		out->resources[i] = (struct template_resource){
			.logical_id = s->logical_id,
			.type = s->type,
			.properties = s->properties,
			.deletion = s->deletion,
			.line = (int)json_integer_value(
			    json_object_get(r->t->lines, s->logical_id)),
		};
		s->properties = NULL;
	}
	out->n_resources = n;
}

static enum rc
all_resolve(struct resolver *r, struct template_resolved *out)
{
	size_t *order, n;
	enum rc rc;

	if ((rc = template_parameters(r)) != RC_OK ||
	    (rc = template_conditions(r)) != RC_OK ||
	    (rc = states_make(r)) != RC_OK)
		return (rc);
	order = xcalloc(r->n_states, sizeof(*order));
	if ((rc = template_resources(r, order, &n)) == RC_OK &&
	    (rc = template_outputs(r, out)) == RC_OK)
		resources_hand_over(r, order, n, out);
	free(order);
	return (rc);
}

enum rc
template_resolve(const struct template *t,
    const struct template_context *context, char why[TEMPLATE_WHY_BYTES],
    struct template_resolved *out)
{
	struct resolver r = { .t = t, .context = context, .why = why };
	enum rc rc;

	*out = (struct template_resolved){ 0 };
	resolver_begin(&r);
	rc = all_resolve(&r, out);
	if (rc == RC_UNSUPPORTED) /* of a condition */
		rc = RC_INVALID;
	if (rc == RC_OK)
		why[0] = '\0';
	else {
		secrets_mask(&r);
		template_resolved_end(out);
	}
	resolver_end(&r);
	return (rc);
}

void
template_resolved_end(struct template_resolved *out)
{
	size_t i;

	for (i = 0; i < out->n_resources; i++)
		json_decref(out->resources[i].properties);
	for (i = 0; i < out->n_outputs; i++) {
		free(out->outputs[i].value);
		free((char *)out->outputs[i].export_name);
	}
	free(out->resources);
	free(out->outputs);
	free(out->outputs_skipped);
	*out = (struct template_resolved){ 0 };
}
