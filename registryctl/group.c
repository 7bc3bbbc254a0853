#include "base/obj.h"
#include "registryctl/manage.h"

/*
 * registryctl group: users who share policies.
 */
static const char help[] =
    "Usage: registryctl [--data DIR] [--output text|json] group ACTION ...\n"
    "Groups of users. What a policy allows a group it allows each of its\n"
    "users.\n"
    "\n"
    "  create GROUP\n"
    "  list\n"
    "  show GROUP\n"
    "  delete GROUP          its users stay\n"
    "  add GROUP USER        make the user a member\n"
    "  remove GROUP USER     it is none any more\n"
    "\n"
    "  --account ID          the account of group and user (12 digits); or\n"
    "                        write ID/NAME\n"
    "  --force               delete and remove, also when nobody is left with\n"
    "                        AdministratorAccess then\n"
    "Where no server runs:\n"
    "  --master-key-file FILE  the master key (REGISTRYD_MASTER_KEY_FILE,\n"
    "                        DIR/master.key; REGISTRYD_MASTER_KEY holds the\n"
    "                        key itself)\n"
    "  --account-id ID       the registry's account (REGISTRYD_ACCOUNT_ID; "
    "the\n"
    "                        one that DIR is of)\n";

static const struct print_column columns[] = {
	{ "NAME", "GroupName" },
	{ "ACCOUNT", "Account" },
	{ "USERS", "Users" },
	{ "POLICIES", "AttachedPolicies" },
	{ "INLINE", "InlinePolicies" },
	{ "CREATED", "CreateDate" },
};

static const struct print_column fields[] = {
	{ "name", "GroupName" },
	{ "arn", "Arn" },
	{ "id", "GroupId" },
	{ "account", "Account" },
	{ "created", "CreateDate" },
	{ "users", "Users" },
	{ "policies", "AttachedPolicies" },
	{ "inline policies", "InlinePolicies" },
};

static const struct manage_action actions[] = {
	{
	    .name = "create",
	    .op = "group-create",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .done = "created group {name}",
	},
	{
	    .name = "list",
	    .op = "group-list",
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .member = "Groups",
	    MANAGE_COLUMNS(columns),
	},
	{
	    .name = "show",
	    .op = "group-show",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .member = "Group",
	    MANAGE_COLUMNS(fields),
	},
	{
	    .name = "delete",
	    .op = "group-delete",
	    .words = { "name" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_FORCE),
	    .done = "deleted group {name}",
	},
	{
	    .name = "add",
	    .op = "group-add",
	    .words = { "name", "user" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT),
	    .done = "added {user} to {name}",
	},
	{
	    .name = "remove",
	    .op = "group-remove",
	    .words = { "name", "user" },
	    .takes = MANAGE_BIT(MANAGE_ACCOUNT) | MANAGE_BIT(MANAGE_FORCE),
	    .done = "removed {user} from {name}",
	},
};

const struct manage_family manage_group = { actions, ARRAY_LEN(actions) };

static enum ctl_exit
group_run(struct ctl *ctl, int argc, char **argv)
{
	return (manage_run(ctl, argc, argv, &manage_group));
}

const struct command command_group = {
	.name = "group",
	.title = "group",
	.summary = "groups of users, which share policies",
	.help = help,
	.run = group_run,
};
