#ifndef REGISTRYCTL_COMMAND_H
#define REGISTRYCTL_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

/*
 * registryctl: one file for each command, and this is what a command looks
 * like.  Answers go to standard output, all else to standard error.
 */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_PROBLEMS = 3, /* a check found something */
};

enum ctl_output { CTL_TEXT, CTL_JSON };

/* What stands before (or behind) every command. */
struct ctl {
	const char *endpoint; /* NULL: not given */
	const char *data;
	enum ctl_output output;
	const struct command *command; /* the one that runs */
	bool words_only;	       /* "--" was met */
};

struct command {
	const char *name;
	const char *title;   /* its name as the list shows it */
	const char *summary; /* one line for the list */
	const char *help;    /* the whole of --help */
	enum ctl_exit (*run)(struct ctl *, int argc, char **argv);
};

extern const struct command command_access_key;
extern const struct command command_advisories;
extern const struct command command_apply;
extern const struct command command_backup;
extern const struct command command_cache;
extern const struct command command_copy;
extern const struct command command_docker_credential;
extern const struct command command_ecr;
extern const struct command command_export;
extern const struct command command_export_template;
extern const struct command command_fsck;
extern const struct command command_gc;
extern const struct command command_get_authorization_token;
extern const struct command command_get_login;
extern const struct command command_get_login_password;
extern const struct command command_group;
extern const struct command command_import;
extern const struct command command_key;
extern const struct command command_lifecycle;
extern const struct command command_mirror;
extern const struct command command_policy;
extern const struct command command_restore;
extern const struct command command_scan;
extern const struct command command_secret;
extern const struct command command_stats;
extern const struct command command_tls;
extern const struct command command_token;
extern const struct command command_undelete;
extern const struct command command_user;

/** ctl_say(fmt, ...): "registryctl: " and a line, to standard error. */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** ctl_usage(ctl, fmt, ...): say what is wrong and where help is; exits with
 * CTL_USAGE. */
__attribute__((noreturn, format(printf, 2, 3))) void
ctl_usage(const struct ctl *, const char *fmt, ...);

/**
 * ctl_option(ctl, argc, argv, own):
 * The code of the next of the command's options ${own} (ended by a row of
 * zeros; codes from 256 on, or the letter that is its short name), -1 behind
 * the last.  The options of all commands
 * are taken on the way; what is wrong exits.  getopt's optind and optarg.
 */
int ctl_option(struct ctl *, int argc, char **argv, const struct option *own);

/**
 * ctl_next(ctl, argc, argv, own, word_r):
 * The same where options and words stand in any order: the code of an option,
 * 0 with the next word in *${word_r}, -1 at the end.  Behind "--" all are
 * words.
 */
int ctl_next(struct ctl *, int argc, char **argv, const struct option *own,
    const char **word_r);

/** ctl_no_arguments(ctl, argc, argv): exits when something is left. */
void ctl_no_arguments(const struct ctl *, int argc, char **argv);

/** ctl_needs_data(ctl): exits when --endpoint was given: this command needs
 * the folder.  (What the environment names as endpoint is for others.) */
void ctl_needs_data(const struct ctl *);

#endif
