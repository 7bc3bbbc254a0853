#include <stdio.h>

#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl access-key: what programs prove themselves with.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] access-key ACTION "
    "...\n"
    "Access keys, as the AWS CLI and its kin use them. A user may have five.\n"
    "\n"
    "  create USER       make one and print it as JSON (AccessKeyId,\n"
    "                    SecretAccessKey), whatever --output says; the\n"
    "                    secret is shown this once\n"
    "  list [USER]       without secrets\n"
    "  deactivate ID     refuse it, and all tokens got with it, from now on\n"
    "  activate ID       take it again\n"
    "  delete ID\n"
    "  last-used ID      when, for what service and region\n"
    "\n"
    "  --account ID      the account of the user (12 digits); or write\n"
    "                    ID/USER\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                    DIR/master.key; REGISTRYD_MASTER_KEY holds the key\n"
    "                    itself)\n"
    "  --account-id ID   the registry's account (REGISTRYD_ACCOUNT_ID; the\n"
    "                    one that DIR is of)\n";

static const struct print_column columns[] = {
	{ "ACCESS KEY", "AccessKeyId" },
	{ "USER", "UserName" },
	{ "ACCOUNT", "Account" },
	{ "STATUS", "Status" },
	{ "CREATED", "CreateDate" },
	{ "LAST USED", "LastUsed.Date" },
};

/* Scripts read it, so it is JSON and flat either way. */
static enum ctl_exit
created_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	(void)ctl;
	(void)call;
	return (print_json(json_object_get(answer, "AccessKey")));
}

static enum ctl_exit
used_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	static const struct print_column fields[] = {
		{ "access key", "AccessKeyId" },
		{ "user", "UserName" },
	};
	static const struct print_column used_fields[] = {
		{ "last used ", "Date" },
		{ "service", "ServiceName" },
		{ "region", "Region" },
	};
	const json_t *used = json_object_get(answer, "LastUsed");

	(void)ctl;
	(void)call;
	print_fields(answer, fields, ARRAY_LEN(fields));
	if (json_is_object(used))
		print_fields(used, used_fields, ARRAY_LEN(used_fields));
	else
		(void)puts("last used   never");
	return (print_done(CTL_OK));
}

static const struct manage_action actions[] = {
	{
	    .name = "create",
	    .op = "access-key-create",
	    .words = { "user" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .show = created_show,
	    .shows_json = true,
	},
	{
	    .name = "list",
	    .op = "access-key-list",
	    .words = { "user" },
	    .last_word_optional = true,
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .member = "AccessKeys",
	    MANAGE_COLUMNS(columns),
	},
	{
	    .name = "activate",
	    .op = "access-key-activate",
	    .words = { "id" },
	    .done = "activated {id}",
	},
	{
	    .name = "deactivate",
	    .op = "access-key-deactivate",
	    .words = { "id" },
	    .done = "deactivated {id}",
	},
	{
	    .name = "delete",
	    .op = "access-key-delete",
	    .words = { "id" },
	    .done = "deleted {id}",
	},
	{
	    .name = "last-used",
	    .op = "access-key-last-used",
	    .words = { "id" },
	    .show = used_show,
	},
};

const struct manage_family manage_access_key = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
access_key_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_access_key));
}

const struct command command_access_key = {
	.name = "access-key",
	.title = "access-key",
	.summary = "keys with which the AWS CLI and programs sign",
	.help = help,
	.run = access_key_run,
};
