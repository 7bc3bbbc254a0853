#include <stdio.h>

#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl user: who there is.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] user ACTION ...\n"
    "Users of the registry. A name stands for the registry's own account;\n"
    "--account ID, or ID/NAME, names a user of another one. Policies say what\n"
    "a user may do (registryctl policy), access keys and passwords prove who\n"
    "it is.\n"
    "\n"
    "  create NAME [--password-stdin] [--tag KEY=VALUE]...\n"
    "                     make a user, who may do nothing yet\n"
    "  list               of all accounts, or of the one of --account\n"
    "  show NAME          with groups, policies and access keys\n"
    "  passwd NAME        set the password for docker login, asked for on\n"
    "                     the terminal or, with --password-stdin, read from\n"
    "                     standard input; --remove takes it away. Tokens got\n"
    "                     with the old one end\n"
    "  tag NAME --tag KEY=VALUE...\n"
    "                     replace all tags; --remove takes them away\n"
    "  delete NAME        with keys, memberships and policies of its own;\n"
    "                     the last administrator only with --force\n"
    "\n"
    "  --account ID       the account of the user (12 digits)\n"
    "  --password-stdin   read the password from standard input\n"
    "  --tag KEY=VALUE    for aws:PrincipalTag in policies; may be repeated\n"
    "  --remove           see passwd and tag\n"
    "  --force            see delete\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                     DIR/master.key; REGISTRYD_MASTER_KEY holds the key\n"
    "                     itself)\n"
    "  --account-id ID    the registry's account (REGISTRYD_ACCOUNT_ID; the "
    "one\n"
    "                     that DIR is of)\n";

static const struct print_column columns[] = {
	{ "NAME", "UserName" },
	{ "ACCOUNT", "Account" },
	{ "GROUPS", "Groups" },
	{ "POLICIES", "AttachedPolicies" },
	{ "INLINE", "InlinePolicies" },
	{ "PASSWORD", "HasPassword" },
	{ "CREATED", "CreateDate" },
};

static const struct print_column fields[] = {
	{ "name", "UserName" },
	{ "arn", "Arn" },
	{ "id", "UserId" },
	{ "account", "Account" },
	{ "created", "CreateDate" },
	{ "tags", "Tags" },
	{ "password", "HasPassword" },
	{ "groups", "Groups" },
	{ "policies", "AttachedPolicies" },
	{ "inline policies", "InlinePolicies" },
};

static const struct print_column key_columns[] = {
	{ "ACCESS KEY", "AccessKeyId" },
	{ "STATUS", "Status" },
	{ "CREATED", "CreateDate" },
	{ "LAST USED", "LastUsed.Date" },
};

static enum ctl_exit
created_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	const json_t *user = json_object_get(answer, "User");

	(void)ctl;
	(void)call;
	(void)fputs("created ", stdout);
	print_text(json_string_value(json_object_get(user, "Arn")));
	(void)putchar('\n');
	return (print_done(CTL_OK));
}

static enum ctl_exit
user_show(
    const struct ctl *ctl, const struct manage_call *call, const json_t *answer)
{
	const json_t *user = json_object_get(answer, "User");
	const json_t *keys = json_object_get(user, "AccessKeys");

	(void)ctl;
	(void)call;
	print_fields(user, fields, ARRAY_LEN(fields));
	if (json_array_size(keys) > 0) {
		(void)putchar('\n');
		print_table(keys, key_columns, ARRAY_LEN(key_columns));
	}
	return (print_done(CTL_OK));
}

static const struct manage_action actions[] = {
	{
	    .name = "create",
	    .op = "user-create",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) |
		     MANAGE_BIT(MANAGE_PASSWORD_STDIN) | MANAGE_BIT(MANAGE_TAG),
	    .show = created_show,
	},
	{
	    .name = "list",
	    .op = "user-list",
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .member = "Users",
	    MANAGE_COLUMNS(columns),
	},
	{
	    .name = "show",
	    .op = "user-show",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .show = user_show,
	},
	{
	    .name = "passwd",
	    .op = "user-password",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) |
		     MANAGE_BIT(MANAGE_PASSWORD_STDIN) |
		     MANAGE_BIT(MANAGE_REMOVE),
	    .asks_password = true,
	    .removes = "password",
	    .done = "changed the password of {name}",
	    .removed = "removed the password of {name}",
	},
	{
	    .name = "tag",
	    .op = "user-tag",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_TAG) |
		     MANAGE_BIT(MANAGE_REMOVE),
	    .removes = "tags",
	    .done = "changed the tags of {name}",
	    .removed = "removed the tags of {name}",
	},
	{
	    .name = "delete",
	    .op = "user-delete",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_FORCE),
	    .done = "deleted user {name}",
	},
};

const struct manage_family manage_user = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
user_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_user));
}

const struct command command_user = {
	.name = "user",
	.title = "user",
	.summary = "create, list, show and delete users; passwords, tags",
	.help = help,
	.run = user_run,
};
