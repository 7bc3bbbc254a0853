#include <string.h>

#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/authorize.h"
#include "registryd/identify.h"
#include "registryd/settings.h"

/* What the operations share: names, addresses, and the errors of repositories
 * that are not there. */

/* --- names and addresses ------------------------------------------------- */

struct span
ecr_region(const struct call *c)
{
	return (c->region.n > 0 ? c->region : span_of(c->settings->region));
}

/* "registry.example:5000", as the client knows us. */
static struct span
host_of(struct call *c)
{
	struct span url = span_of(identify_base_url(c));
	const char *host;

	host = url.n > 0 ? strstr(url.p, "://") : NULL;
	if (host == NULL)
		return (url);
	host += strlen("://");
	return (span_of(host));
}

/* Append what stands at the front of *${format}, one word in braces or one
 * character. */
static void
format_step(struct call *c, struct span *format, struct buf *out)
{
	const struct {
		struct span word, value;
	} words[] = {
		{ SPAN("{host}"), host_of(c) },
		{ SPAN("{account}"), span_of(c->settings->account_id) },
		{ SPAN("{region}"), ecr_region(c) },
	};
	size_t i, n = 1;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (!span_has_prefix(*format, words[i].word))
			continue;
		buf_span(out, words[i].value);
		n = words[i].word.n;
		break;
	}
	if (i == ARRAY_LEN(words))
		buf_char(out, format->p[0]);
	format->p += n;
	format->n -= n;
}

const char *
ecr_place(struct call *c)
{
	struct span format = span_of(c->settings->repository_uri_format);
	const char *text;
	struct buf b;

	buf_init(&b, SIZE_MAX);
	while (format.n > 0)
		format_step(c, &format, &b);
	text = arena_printf(c->arena, SPAN_FMT, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
	return (text != NULL ? text : "");
}

/*
 * A credential helper asks for the very host it was given,
 * https://ACCOUNT.dkr.ecr.REGION.amazonaws.com; whoever prints such names has
 * them resolve, and TLS for them.
 */
const char *
ecr_endpoint(struct call *c)
{
	const char *format = c->settings->repository_uri_format, *text;

	if (strstr(format, "{account}") == NULL &&
	    strstr(format, "{region}") == NULL)
		return (identify_base_url(c));
	text = arena_printf(c->arena, "https://%s", ecr_place(c));
	return (text != NULL ? text : "");
}

/* --- errors -------------------------------------------------------------- */

enum rc
ecr_unknown(struct call *c, struct span name)
{
	return (call_fail(c, AWS_REPOSITORY_NOT_FOUND, NULL,
	    "The repository with name '" SPAN_FMT
	    "' does not exist in the registry with id '%s'",
	    SPAN_ARG(name), c->settings->account_id));
}

/* The one that should be there, or the first of them. */
static struct span
repository_asked(const struct call *c, const json_t *in)
{
	const json_t *names = aws_member(in, "repositoryNames"), *first;

	if (strcmp(c->operation->name, "CreateRepository") == 0)
		return (SPAN_NONE);
	if (c->repository.n > 0 || names == NULL)
		return (c->repository);
	first = json_array_get(names, 0);
	return ((struct span){
	    json_string_value(first), json_string_length(first) });
}

enum rc
ecr_before(struct call *c, const json_t *in)
{
	struct span id = aws_string(in, "registryId");

	struct span name = repository_asked(c, in);

	if (id.p == NULL || span_is(id, c->settings->account_id))
		return (RC_OK);
	if (name.n > 0)
		return (call_fail(c, AWS_REPOSITORY_NOT_FOUND, NULL,
		    "The repository with name '" SPAN_FMT
		    "' does not exist in the registry with id '" SPAN_FMT "'",
		    SPAN_ARG(name), SPAN_ARG(id)));
	return (aws_invalid(c, "registryId",
	    "there is no registry with id " SPAN_FMT
	    " here; this one has the id %s",
	    SPAN_ARG(id), c->settings->account_id));
}

/* --- Repository ---------------------------------------------------------- */

json_t *
ecr_repository_json(
    struct call *c, struct span name, const struct repository_description *d)
{
	const struct repository_settings *s = &d->settings;
	json_t *o = json_object(), *encryption;

	aws_put_text(o, "repositoryArn", span_of(authorize_arn(c, name)));
	aws_put_text(o, "registryId", span_of(c->settings->account_id));
	aws_put_text(o, "repositoryName", name);
	aws_put(o, "repositoryUri",
	    json_sprintf("%s/" SPAN_FMT, ecr_place(c), SPAN_ARG(name)));
	aws_put_time(o, "createdAt", d->row.created_ms);
	aws_put(o, "imageTagMutability",
	    json_string(ecr_mutability_text(s->mutability)));
	if (s->n_exclusions > 0)
		aws_put(o, "imageTagMutabilityExclusionFilters",
		    ecr_exclusions_json(s));
	aws_put(o, "imageScanningConfiguration",
	    json_pack("{s:b}", "scanOnPush", s->scan_on_push));
	if ((encryption = ecr_encryption_json(c, s)) != NULL)
		aws_put(o, "encryptionConfiguration", encryption);
	return (o);
}
