#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/policy.h"
#include "registryd/api/aws.h"
#include "registryd/permissions.h"
#include "registryd/route.h"

static void
every_route_names_its_permission(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < n_routes; i++)
		if (permission_find(routes[i].name) == NULL)
			fail_msg(
			    "route %s is not in the table", routes[i].name);
}

static void
every_operation_names_its_permission(void **state)
{
	const char *name;
	size_t i;

	(void)state;
	for (i = 0; (name = aws_operation_name(i)) != NULL; i++)
		if (permission_find(name) == NULL)
			fail_msg("operation %s is not in the table", name);
	assert_int_not_equal(i, 0);
}

/* Its URL says who gave it to whom, and for what. */
static bool
is_presigned(const struct permission *p)
{
	return (strcmp(p->name, "layer-download") == 0);
}

/* Only what the control listener alone serves asks nobody. */
static void
no_public_route_is_local_or_open_but_health_and_what_is_presigned(void **state)
{
	const struct permission *p;
	size_t i;

	(void)state;
	for (i = 0; i < n_routes; i++) {
		p = permission_find(routes[i].name);
		if ((routes[i].roles & 1u << ROLE_PUBLIC) == 0)
			continue;
		assert_int_not_equal(p->access, ACCESS_LOCAL);
		if (p->access == ACCESS_OPEN)
			assert_true(strncmp(p->name, "health-", 7) == 0 ||
				    is_presigned(p));
		if (p->access == ACCESS_SELF)
			assert_true(strcmp(p->name, "aws") == 0 ||
				    strcmp(p->name, "token") == 0);
	}
}

static void
routes_about_a_repository_ask_about_that_repository(void **state)
{
	const struct permission *p;
	size_t i;

	(void)state;
	for (i = 0; i < n_routes; i++) {
		p = permission_find(routes[i].name);
		if (strstr(routes[i].pattern, "{name}") != NULL &&
		    !is_presigned(p))
			assert_int_equal(p->access, ACCESS_REPOSITORY);
		else
			assert_int_not_equal(p->access, ACCESS_REPOSITORY);
	}
}

static bool
is_used(const char *name)
{
	const char *operation;
	size_t i;

	for (i = 0; i < n_routes; i++)
		if (strcmp(routes[i].name, name) == 0)
			return (true);
	for (i = 0; (operation = aws_operation_name(i)) != NULL; i++)
		if (strcmp(operation, name) == 0)
			return (true);
	return (false);
}

static void
every_row_is_of_a_route_or_an_operation_and_of_one_only(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < n_permissions; i++) {
		if (!is_used(permissions[i].name))
			fail_msg("%s is nothing that is served",
			    permissions[i].name);
		assert_ptr_equal(
		    permission_find(permissions[i].name), &permissions[i]);
	}
}

static void
actions_check(const char *name, const char *actions)
{
	struct span rest = span_of(actions), word, action;

	while (span_split(&rest, ' ', &word))
		while (span_split(&word, '|', &action))
			/* What ECR has not is of a service of its own. */
			if (!policy_action_known(action) &&
			    !span_has_prefix(action, SPAN("registryd:")))
				fail_msg("%s: IAM knows no action " SPAN_FMT,
				    name, SPAN_ARG(action));
}

static void
rows_name_actions_that_iam_knows(void **state)
{
	const struct permission *p;
	size_t i;

	(void)state;
	for (i = 0; i < n_permissions; i++) {
		p = &permissions[i];
		actions_check(p->name, p->actions);
		if (p->head_actions != NULL)
			actions_check(p->name, p->head_actions);
		if (p->access == ACCESS_REPOSITORY ||
		    p->access == ACCESS_REGISTRY || p->access == ACCESS_LISTED)
			assert_int_not_equal(p->actions[0], '\0');
		else
			assert_int_equal(p->actions[0], '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_names_its_permission),
		cmocka_unit_test(every_operation_names_its_permission),
		cmocka_unit_test(
		    no_public_route_is_local_or_open_but_health_and_what_is_presigned),
		cmocka_unit_test(
		    routes_about_a_repository_ask_about_that_repository),
		cmocka_unit_test(
		    every_row_is_of_a_route_or_an_operation_and_of_one_only),
		cmocka_unit_test(rows_name_actions_that_iam_knows),
	};

	return (cmocka_run_group_tests_name("permissions", tests, NULL, NULL));
}
