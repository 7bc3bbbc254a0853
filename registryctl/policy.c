#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl policy: who may do what.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] policy ACTION ...\n"
    "Policies in the language of AWS IAM. AWS's own for registries are there\n"
    "by name: AmazonEC2ContainerRegistryReadOnly, -PullOnly, -PowerUser and\n"
    "-FullAccess, and AdministratorAccess. A POLICY is a name or an ARN.\n"
    "\n"
    "  attach USER POLICY       with --group GROUP: attach POLICY to that\n"
    "  detach USER POLICY       likewise; AdministratorAccess from the last\n"
    "                           who has it only with --force\n"
    "  put NAME --file FILE     make or replace a policy to be attached; with\n"
    "                           --user or --group an inline one of that\n"
    "  get NAME                 print its document; --user, --group as in put\n"
    "  list                     all policies, or those of --user or --group\n"
    "  delete NAME              --user, --group as in put\n"
    "  simulate --principal P --action A --resource R\n"
    "                           may P, a user, an ARN or \"anonymous\", do A\n"
    "                           (ecr:PutImage) to R, a repository, an ARN or\n"
    "                           \"*\"? Says which statement decides\n"
    "  put-registry --file FILE the policy of the whole registry\n"
    "  get-registry\n"
    "  delete-registry\n"
    "\n"
    "  --user USER, --group GROUP\n"
    "                           whose policy it is\n"
    "  --account ID             the account of users, groups and policies\n"
    "                           (12 digits); or write ID/NAME\n"
    "  --file FILE              the document; \"-\" is standard input\n"
    "  --force                  see detach\n"
    "What simulate supposes of the request:\n"
    "  --source-ip IP           where it comes from\n"
    "  --tls                    that it comes over TLS\n"
    "  --user-agent TEXT        by which program\n"
    "  --time TIME              when (2026-01-31T12:00:00Z; now)\n"
    "Where no server runs:\n"
    "  --master-key-file FILE   the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                           DIR/master.key; REGISTRYD_MASTER_KEY holds "
    "the\n"
    "                           key itself)\n"
    "  --account-id ID          the registry's account (REGISTRYD_ACCOUNT_ID;\n"
    "                           the one that DIR is of)\n";

#define REPOSITORY_ARN ":repository/"

#define OWNER \
	(MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_USER) | \
	    MANAGE_BIT(MANAGE_GROUP))

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

/* As it was put, so that "put" takes it again. */
static enum ctl_exit
document_show(const json_t *o)
{
	const char *text = text_of(o, "Document");
	size_t n = json_string_length(json_object_get(o, "Document"));

	(void)fwrite(text, 1, n, stdout);
	if (n == 0 || text[n - 1] != '\n')
		(void)putchar('\n');
	return (print_done(CTL_OK));
}

static enum ctl_exit
policy_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	(void)ctl;
	(void)call;
	return (document_show(json_object_get(answer, "Policy")));
}

/* Attached ones and, of a user or group, its own. */
static enum ctl_exit
list_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	static const struct print_column all[] = {
		{ "NAME", "PolicyName" },
		{ "ARN", "Arn" },
		{ "ATTACHED", "AttachmentCount" },
		{ "CREATED", "CreateDate" },
	};
	static const struct print_column owned[] = {
		{ "NAME", "PolicyName" },
		{ "ARN", "Arn" },
		{ "INLINE OF", "InlineOf" },
	};
	const json_t *list = json_object_get(answer, "Policies"), *one;
	bool inlines = false;
	size_t i;

	(void)ctl;
	(void)call;
	json_array_foreach(list, i, one)
	{
		inlines = inlines || json_object_get(one, "InlineOf") != NULL;
	}
	if (inlines)
		print_table(list, owned, ARRAY_LEN(owned));
	else
		print_table(list, all, ARRAY_LEN(all));
	return (print_done(CTL_OK));
}

/* A policy of a resource has no name but the resource's; NULL: none did. */
static char *
decider_of(const json_t *request, const json_t *answer)
{
	const char *by = text_of(answer, "decided_by"), *name, *at;

	if (text_of(answer, "policy")[0] != '\0')
		return (xstrdup(text_of(answer, "policy")));
	if (strcmp(by, "registry") == 0)
		return (xstrdup("policy of the registry"));
	if (strcmp(by, "repository") != 0)
		return (NULL);
	name = text_of(request, "resource");
	at = strstr(name, REPOSITORY_ARN);
	return (xasprintf("policy of repository %s",
	    at != NULL ? at + strlen(REPOSITORY_ARN) : name));
}

static enum ctl_exit
decision_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	static const struct print_column fields[] = {
		{ "decided by", "decided_by" },
		{ "policy", "policy" },
		{ "statement", "statement" },
		{ "sid", "sid" },
		{ "message", "message" },
	};
	static const struct print_column nobody[] = {
		{ "decided by", "decided_by" },
		{ "message", "message" },
	};
	char *policy = decider_of(call->request, answer);
	json_t *shown = json_copy((json_t *)(uintptr_t)answer);

	(void)ctl;
	print_text(text_of(answer, "decision"));
	(void)putchar('\n');
	if (policy != NULL) {
		(void)json_object_set_new(shown, "policy", json_string(policy));
		print_fields(shown, fields, ARRAY_LEN(fields));
	} else {
		print_fields(shown, nobody, ARRAY_LEN(nobody));
	}
	json_decref(shown);
	free(policy);
	return (print_done(CTL_OK));
}

static const struct manage_action actions[] = {
	{
	    .name = "attach",
	    .op = "policy-attach",
	    .words = { "user", "policy" },
	    .subject = true,
	    .takes = OWNER,
	    .done = "attached {policy} to {user}{group}",
	},
	{
	    .name = "detach",
	    .op = "policy-detach",
	    .words = { "user", "policy" },
	    .subject = true,
	    .takes = OWNER | MANAGE_BIT(MANAGE_FORCE),
	    .done = "detached {policy} from {user}{group}",
	},
	{
	    .name = "put",
	    .op = "policy-put",
	    .words = { "name" },
	    .takes = OWNER,
	    .needs = MANAGE_BIT(MANAGE_FILE),
	    .done = "put policy {name}",
	},
	{
	    .name = "get",
	    .op = "policy-get",
	    .words = { "name" },
	    .takes = OWNER,
	    .show = policy_show,
	},
	{
	    .name = "list",
	    .op = "policy-list",
	    .takes = OWNER,
	    .show = list_show,
	},
	{
	    .name = "delete",
	    .op = "policy-delete",
	    .words = { "name" },
	    .takes = OWNER,
	    .done = "deleted policy {name}",
	},
	{
	    .name = "simulate",
	    .op = "policy-simulate",
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_SOURCE_IP) |
		     MANAGE_BIT(MANAGE_TLS) | MANAGE_BIT(MANAGE_USER_AGENT) |
		     MANAGE_BIT(MANAGE_TIME),
	    .needs = MANAGE_BIT(MANAGE_PRINCIPAL) | MANAGE_BIT(MANAGE_ACTION) |
		     MANAGE_BIT(MANAGE_RESOURCE),
	    .show = decision_show,
	},
	{
	    .name = "put-registry",
	    .op = "registry-policy-put",
	    .needs = MANAGE_BIT(MANAGE_FILE),
	    .done = "put the registry's policy",
	},
	{
	    .name = "get-registry",
	    .op = "registry-policy-get",
	    .show = policy_show,
	},
	{
	    .name = "delete-registry",
	    .op = "registry-policy-delete",
	    .done = "deleted the registry's policy",
	},
};

const struct manage_family manage_policy = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
policy_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_policy));
}

const struct command command_policy = {
	.name = "policy",
	.title = "policy",
	.summary = "who may do what: attach, write and try out policies",
	.help = help,
	.run = policy_run,
};
