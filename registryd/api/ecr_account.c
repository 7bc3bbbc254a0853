#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/* Account settings, and the principals whose pulls do not count as use of an
 * image. */

/* --- settings ------------------------------------------------------------ */

/* "Member must satisfy enum value set: [A, B]" */
static enum rc
refuse(struct call *c, const char *place, const struct buf *allowed)
{
	return (aws_invalid(c, place,
	    "Member must satisfy enum value set: [" SPAN_FMT "]",
	    SPAN_ARG(buf_as_span(allowed))));
}

static void
allow(struct buf *allowed, const char *text)
{
	if (allowed->n > 0)
		buf_str(allowed, ", ");
	buf_str(allowed, text);
}

/* *${i_r}: which one it is. */
static enum rc
name_check(struct call *c, const json_t *in, size_t *i_r)
{
	struct span name = aws_string(in, "name");
	struct buf allowed;
	enum rc rc;
	size_t i;

	buf_init(&allowed, SIZE_MAX);
	for (i = 0; registry_setting_name(i) != NULL; i++) {
		if (span_is(name, registry_setting_name(i)))
			break;
		allow(&allowed, registry_setting_name(i));
	}
	*i_r = i;
	rc = registry_setting_name(i) != NULL ? RC_OK
					      : refuse(c, "name", &allowed);
	buf_free(&allowed);
	return (rc);
}

static enum rc
value_check(struct call *c, const json_t *in, const char *const *values)
{
	struct span value = aws_string(in, "value");
	struct buf allowed;
	enum rc rc;

	buf_init(&allowed, SIZE_MAX);
	while (*values != NULL && !span_is(value, *values))
		allow(&allowed, *values++);
	rc = *values != NULL ? RC_OK : refuse(c, "value", &allowed);
	buf_free(&allowed);
	return (rc);
}

enum rc
ecr_get_account_setting_check(struct call *c, const json_t *in)
{
	size_t i;

	return (name_check(c, in, &i));
}

enum rc
ecr_put_account_setting_check(struct call *c, const json_t *in)
{
	enum rc rc;
	size_t i;

	if ((rc = name_check(c, in, &i)) != RC_OK)
		return (rc);
	return (value_check(c, in, registry_setting_values(i)));
}

enum rc
ecr_get_account_setting(struct call *c, const json_t *in, json_t *out)
{
	const char *name = json_string_value(aws_member(in, "name"));

	aws_put_text(out, "name", span_of(name));
	aws_put_text(out, "value", span_of(registry_setting(c->meta, name)));
	return (RC_OK);
}

static enum rc
setting_change(json_t *o, void *arg)
{
	const json_t *in = arg;
	const char *name = json_string_value(aws_member(in, "name"));

	aws_put(o, name, json_incref(aws_member(in, "value")));
	return (RC_OK);
}

enum rc
ecr_put_account_setting(struct call *c, const json_t *in, json_t *out)
{
	struct span name = aws_string(in, "name");
	struct span value = aws_string(in, "value");
	void *arg = (void *)(uintptr_t)in;
	enum rc rc;

	if (span_is(name, "REGISTRY_POLICY_SCOPE"))
		rc = ecr_policy_scope_put(c, value, setting_change, arg);
	else
		rc = registry_config_update(c->meta, ENTITY_REGISTRY,
		    CONFIG_ACCOUNT_SETTINGS, setting_change, arg);
	if (rc != RC_OK)
		return (rc);
	aws_put_text(out, "name", name);
	aws_put_text(out, "value", value);
	return (RC_OK);
}

/* --- exclusions ---------------------------------------------------------- */

/* Of one answer, by the model. */
#define EXCLUSIONS_MAX 100

enum rc
ecr_register_pull_time_update_exclusion(
    struct call *c, const json_t *in, json_t *out)
{
	struct span arn = aws_string(in, "principalArn");
	const struct ecr_config_add add = {
		.kind = ENTITY_PULL_EXCLUSION,
		.key = arn,
		.name = arn,
		.max = c->settings->quotas.pull_exclusions,
		.exists = AWS_EXCLUSION_EXISTS,
		.one = "The pull time update exclusion for the principal",
		.many = "pull time update exclusions",
	};
	json_t *o = json_pack("{s:I}", "createdAt", clock_real_ms());
	enum rc rc;

	rc = ecr_config_add(c, &add, o);
	if (rc == RC_OK) {
		aws_put_text(out, "principalArn", arn);
		ecr_put_ms(out, "createdAt", o);
	}
	json_decref(o);
	return (rc);
}

enum rc
ecr_deregister_pull_time_update_exclusion(
    struct call *c, const json_t *in, json_t *out)
{
	struct span arn = aws_string(in, "principalArn");
	enum rc rc;

	rc = registry_config_delete(c->meta, ENTITY_PULL_EXCLUSION, arn, NULL);
	if (rc == RC_NOTFOUND)
		return (call_fail(c, AWS_EXCLUSION_NOT_FOUND, NULL,
		    "The pull time update exclusion for the principal "
		    "'" SPAN_FMT
		    "' does not exist in the registry with id '%s'",
		    SPAN_ARG(arn), c->settings->account_id));
	if (rc == RC_OK)
		aws_put_text(out, "principalArn", arn);
	return (rc);
}

static json_t *
exclusion_show(struct call *c, struct span name, const json_t *o)
{
	(void)c;
	(void)o;
	return (call_text(name));
}

enum rc
ecr_list_pull_time_update_exclusions(
    struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_list l = { .kind = ENTITY_PULL_EXCLUSION,
		.show = exclusion_show,
		.max = EXCLUSIONS_MAX };
	json_t *list = json_array();

	aws_put(out, "pullTimeUpdateExclusions", list);
	return (ecr_config_list(c, in, &l, list, out));
}
