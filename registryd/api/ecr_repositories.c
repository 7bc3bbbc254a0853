#include "registryd/api/ecr_int.h"

#include <string.h>

#include "base/clock.h"
#include "registryd/authorize.h"
#include "registryd/permissions.h"
#include "registryd/settings.h"

/* CreateRepository, DescribeRepositories, DeleteRepository. */

/* --- CreateRepository ---------------------------------------------------- */

/* A filter of more is slow to match and says nothing that two do not. */
#define EXCLUSION_STARS_MAX 2

static enum rc
exclusion_check(struct call *c, struct span filter)
{
	unsigned stars = 0;
	size_t i;

	for (i = 0; i < filter.n; i++)
		stars += filter.p[i] == '*';
	if (stars <= EXCLUSION_STARS_MAX)
		return (RC_OK);
	return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
	    "the filter '" SPAN_FMT "' has more than %d wildcards (*)",
	    SPAN_ARG(filter), EXCLUSION_STARS_MAX));
}

static enum rc
exclusions_read(
    struct call *c, const json_t *list, struct repository_settings *s)
{
	struct span *filters;
	size_t i, n = json_array_size(list);
	enum rc rc;

	filters = arena_calloc(c->arena, n + 1, sizeof(*filters));
	if (filters == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		filters[i] = aws_string(json_array_get(list, i), "filter");
		if ((rc = exclusion_check(c, filters[i])) != RC_OK)
			return (rc);
	}
	s->exclusions = filters;
	s->n_exclusions = n;
	return (RC_OK);
}

static enum rc
mutability_read(struct call *c, const json_t *in, struct repository_settings *s)
{
	const json_t *list =
	    aws_member(in, "imageTagMutabilityExclusionFilters");
	struct span text = aws_string(in, "imageTagMutability");
	bool excludes;

	if (text.p == NULL)
		text = SPAN("MUTABLE");
	s->mutability = ecr_mutability(text);
	excludes = s->mutability == TAGS_IMMUTABLE_WITH_EXCLUSION ||
		   s->mutability == TAGS_MUTABLE_WITH_EXCLUSION;
	if (excludes && list == NULL)
		return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
		    "ImageTagMutabilityExclusionFilters can't be null when "
		    "imageTagMutability is set as " SPAN_FMT,
		    SPAN_ARG(text)));
	if (!excludes && list != NULL)
		return (aws_invalid(c, "imageTagMutabilityExclusionFilters",
		    "ImageTagMutabilityExclusionFilters must be null when "
		    "imageTagMutability is set as " SPAN_FMT,
		    SPAN_ARG(text)));
	return (list != NULL ? exclusions_read(c, list, s) : RC_OK);
}

/* All content can be encrypted under keys of the registry's own; there is no
 * service here that holds the keys of others. */
static enum rc
encryption_read(struct call *c, const json_t *in, struct repository_settings *s)
{
	const json_t *o = aws_member(in, "encryptionConfiguration");
	struct span type;

	s->encryption = ENCRYPTION_AES256;
	if (o == NULL)
		return (RC_OK);
	type = aws_string(o, "encryptionType");
	if (!span_is(type, "AES256"))
		return (call_fail(c, AWS_KMS,
		    json_pack("{s:s}", "kmsError", "UnsupportedOperation"),
		    "encryptionType " SPAN_FMT
		    ": keys of KMS are not available in this version; "
		    "use AES256",
		    SPAN_ARG(type)));
	if (aws_member(o, "kmsKey") != NULL)
		return (aws_invalid(c, "encryptionConfiguration",
		    "kmsKey can only be set when encryptionType is KMS or "
		    "KMS_DSSE"));
	return (RC_OK);
}

enum rc
ecr_create_repository_check(struct call *c, const json_t *in)
{
	const json_t *scanning = aws_member(in, "imageScanningConfiguration");
	struct repository_create *create;
	struct resource_tag *tags;
	enum rc rc;

	create = arena_calloc(c->arena, 1, sizeof(*create));
	if (create == NULL)
		return (RC_TOOBIG);
	create->name = aws_string(in, "repositoryName");
	create->settings.scan_on_push = aws_true(scanning, "scanOnPush");
	rc = ecr_tags_check(c, in, &tags, &create->n_tags);
	if (rc != RC_OK ||
	    (rc = mutability_read(c, in, &create->settings)) != RC_OK ||
	    (rc = encryption_read(c, in, &create->settings)) != RC_OK)
		return (rc);
	create->tags = tags;
	c->state = create;
	return (RC_OK);
}

enum rc
ecr_create_repository(struct call *c, const json_t *in, json_t *out)
{
	struct repository_create *create = c->state;
	struct repository_description d = { .settings = create->settings };
	enum rc rc;

	(void)in;
	if (create->n_tags > 0) {
		rc = authorize_require(c, "ecr:TagResource", c->repository);
		if (rc != RC_OK)
			return (rc);
	}
	create->now_ms = clock_real_ms();
	rc = meta_repository_create(c->meta, create, &d.row);
	if (rc == RC_EXISTS)
		return (call_fail(c, AWS_REPOSITORY_EXISTS, NULL,
		    "The repository with name '" SPAN_FMT
		    "' already exists in the registry with id '%s'",
		    SPAN_ARG(create->name), c->settings->account_id));
	if (rc != RC_OK)
		return (rc);
	aws_put(out, "repository", ecr_repository_json(c, create->name, &d));
	return (RC_OK);
}

/* --- DescribeRepositories ------------------------------------------------ */

/* Names looked at for one page: who may see few of many gets short pages
 * rather than a request without end. */
#define LIST_LOOKED_MAX 10000
#define LIST_CHUNK 1000
#define LIST_CHUNK_BYTES ((size_t)1 << 20)
#define DESCRIBE_BYTES ((size_t)1 << 20)

/* The ARN that covers all of them: no repository is called so. */
#define ALL_REPOSITORIES SPAN("*")

struct list {
	struct aws_page page;
	size_t looked;
	bool more;
	json_t *found;
	char after[NAME_REPOSITORY_MAX_BYTES]; /* holds page.after */
};

enum rc
ecr_describe_repositories_check(struct call *c, const json_t *in)
{
	if (aws_member(in, "repositoryNames") == NULL)
		return (RC_OK);
	if (aws_member(in, "maxResults") != NULL)
		return (aws_invalid(c, "maxResults",
		    "maxResults cannot be used together with "
		    "repositoryNames"));
	if (aws_member(in, "nextToken") != NULL)
		return (aws_invalid(c, "nextToken",
		    "nextToken cannot be used together with "
		    "repositoryNames"));
	return (RC_OK);
}

static enum rc
describe_one(struct call *c, struct span name, json_t *found)
{
	struct repository_description d;
	struct arena own;
	enum rc rc;

	arena_init(&own, DESCRIBE_BYTES);
	rc = meta_repository_describe(c->meta, name, &own, &d);
	if (rc == RC_OK)
		aws_append(found, ecr_repository_json(c, name, &d));
	arena_reset(&own);
	return (rc);
}

static struct span
name_at(const json_t *names, size_t i)
{
	const json_t *v = json_array_get(names, i);

	return ((struct span){ json_string_value(v), json_string_length(v) });
}

/* Whether they may see all of them comes before what is there. */
static enum rc
describe_named(struct call *c, const json_t *names, json_t *found)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < json_array_size(names); i++) {
		rc = authorize_require(
		    c, c->permission->actions, name_at(names, i));
		if (rc != RC_OK)
			return (rc);
	}
	for (i = 0; i < json_array_size(names); i++) {
		rc = describe_one(c, name_at(names, i), found);
		if (rc == RC_NOTFOUND)
			return (ecr_unknown(c, name_at(names, i)));
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* Those of a chunk of names that may be seen, until the page is full. */
static enum rc
list_chunk(struct call *c, struct list *l, const struct page *names)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < names->n; i++) {
		if (json_array_size(l->found) == l->page.n) {
			l->more = true;
			return (RC_OK);
		}
		memcpy(l->after, names->items[i].p, names->items[i].n);
		l->page.after = (struct span){ l->after, names->items[i].n };
		l->looked++;
		rc = authorize_repository(
		    c, c->permission->actions, names->items[i]);
		if (rc != RC_OK)
			continue;
		l->page.seen = true;
		rc = describe_one(c, names->items[i], l->found);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
	}
	l->more = names->more;
	return (RC_OK);
}

static enum rc
list_fill(struct call *c, struct list *l)
{
	struct page names;
	struct arena own;
	enum rc rc;

	do {
		arena_init(&own, LIST_CHUNK_BYTES);
		rc = meta_repository_page(
		    c->meta, l->page.after, LIST_CHUNK, &own, &names);
		if (rc == RC_OK)
			rc = list_chunk(c, l, &names);
		arena_reset(&own);
		if (rc != RC_OK)
			return (rc);
	} while (l->more && json_array_size(l->found) < l->page.n &&
		 l->looked < LIST_LOOKED_MAX);
	return (RC_OK);
}

/* Whoever may see nothing at all is told so, rather than that there is
 * nothing. */
static enum rc
describe_listed(struct call *c, const json_t *in, json_t *found, json_t *out)
{
	struct list l = { .found = found };
	enum rc rc;

	if ((rc = aws_page_read(c, in, &l.page)) != RC_OK ||
	    (rc = list_fill(c, &l)) != RC_OK)
		return (rc);
	if (l.more)
		aws_page_next(c, out, &l.page);
	else if (!l.page.seen)
		return (authorize_require(
		    c, c->permission->actions, ALL_REPOSITORIES));
	return (RC_OK);
}

enum rc
ecr_describe_repositories(struct call *c, const json_t *in, json_t *out)
{
	const json_t *names = aws_member(in, "repositoryNames");
	json_t *found = json_array();

	aws_put(out, "repositories", found);
	if (names != NULL)
		return (describe_named(c, names, found));
	return (describe_listed(c, in, found, out));
}

/* --- DeleteRepository ---------------------------------------------------- */

enum rc
ecr_delete_repository(struct call *c, const json_t *in, json_t *out)
{
	struct repository_description d;
	enum rc rc;

	rc = meta_repository_delete(
	    c->meta, c->repository, aws_true(in, "force"), c->arena, &d);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_REFERENCED)
		return (call_fail(c, AWS_REPOSITORY_NOT_EMPTY, NULL,
		    "The repository with name '" SPAN_FMT
		    "' in registry with id '%s' cannot be deleted because it "
		    "still contains images",
		    SPAN_ARG(c->repository), c->settings->account_id));
	if (rc != RC_OK)
		return (rc);
	aws_put(out, "repository", ecr_repository_json(c, c->repository, &d));
	return (RC_OK);
}
