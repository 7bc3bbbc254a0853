#include "registryd/api/ecr_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "registryd/audit.h"
#include "registryd/authorize.h"
#include "registryd/encryption.h"
#include "registryd/permissions.h"
#include "registryd/quota.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/* CreateRepository, DescribeRepositories, DeleteRepository. */

/* --- CreateRepository ---------------------------------------------------- */

enum rc
ecr_create_repository_check(struct call *c, const json_t *in)
{
	const json_t *scanning = aws_member(in, "imageScanningConfiguration");
	struct repository_create *create;
	struct repository_preset *preset;
	struct resource_tag *tags;
	enum rc rc;

	create = arena_calloc(c->arena, 1, sizeof(*create));
	if (create == NULL)
		return (RC_TOOBIG);
	create->name = aws_string(in, "repositoryName");
	preset = &create->preset;
	preset->max_repositories = c->settings->quotas.repositories;
	preset->settings.scan_on_push = aws_true(scanning, "scanOnPush");
	rc = ecr_tags_check(c, in, &tags, &preset->n_tags);
	if (rc != RC_OK ||
	    (rc = ecr_mutability_read(c, in, &preset->settings)) != RC_OK ||
	    (rc = ecr_encryption_read(c, in, &preset->settings)) != RC_OK)
		return (rc);
	preset->tags = tags;
	c->state = create;
	return (RC_OK);
}

static enum rc
create_refuse(
    struct call *c, const struct repository_create *create, enum rc rc)
{
	if (rc == RC_EXISTS)
		return (call_fail(c, AWS_REPOSITORY_EXISTS, NULL,
		    "The repository with name '" SPAN_FMT
		    "' already exists in the registry with id '%s'",
		    SPAN_ARG(create->name), c->settings->account_id));
	return (rc == RC_LIMIT ? quota_exceeded(c, LIMIT_REPOSITORIES) : rc);
}

enum rc
ecr_create_repository(struct call *c, const json_t *in, json_t *out)
{
	struct repository_create *create = c->state;
	struct repository_description d;
	enum rc rc;

	(void)in;
	if ((rc = encryption_ready(c, &create->preset.settings)) != RC_OK)
		return (rc);
	if (create->preset.n_tags > 0) {
		rc = authorize_require(c, "ecr:TagResource", c->repository);
		if (rc != RC_OK)
			return (rc);
	}
	create->now_ms = clock_real_ms();
	rc = meta_repository_create(c->meta, create, &d.row);
	if (rc == RC_OK)
		rc = meta_repository_describe(
		    c->meta, create->name, c->arena, &d);
	if (rc != RC_OK)
		return (create_refuse(c, create, rc));
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
	const struct audit_event event = {
		.kind = AUDIT_REPOSITORY_DELETE,
		.by = c->principal,
		.repository = c->repository,
	};
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
	audit_write(c->service->audit, &event);
	service_collect_soon(c->service);
	aws_put(out, "repository", ecr_repository_json(c, c->repository, &d));
	return (RC_OK);
}
