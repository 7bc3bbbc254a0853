#include "registryctl/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"

enum shared_code { OPT_ENDPOINT = 1024, OPT_DATA, OPT_OUTPUT, OPT_HELP };

static const struct option shared[] = {
	{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "help", no_argument, NULL, OPT_HELP },
};

#define OWN_MAX 24
#define LINE_BYTES 4096
/* "+:", two for each option, the end. */
#define SHORT_BYTES (2 + 2 * OWN_MAX + 1)

/* Parts of it may come from elsewhere: nothing in it moves the cursor. */
static void __attribute__((format(printf, 1, 0)))
line_say(const char *fmt, va_list ap)
{
	char line[LINE_BYTES];
	char *p;

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	for (p = line; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\n' && *p != '\t') ||
		    *p == 0x7f)
			*p = '?';
	(void)fprintf(stderr, "registryctl: %s\n", line);
}

void
ctl_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_say(fmt, ap);
	va_end(ap);
}

void
ctl_usage(const struct ctl *ctl, const char *fmt, ...)
{
	const char *name = ctl->command != NULL ? ctl->command->name : NULL;
	va_list ap;

	va_start(ap, fmt);
	line_say(fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "Try 'registryctl %s%s--help'.\n",
	    name != NULL ? name : "", name != NULL ? " " : "");
	exit(CTL_USAGE);
}

static void
shared_take(struct ctl *ctl, int code)
{
	switch (code) {
	case OPT_ENDPOINT:
		ctl->endpoint = optarg;
		break;
	case OPT_DATA:
		ctl->data = optarg;
		break;
	case OPT_OUTPUT:
		if (strcmp(optarg, "text") == 0)
			ctl->output = CTL_TEXT;
		else if (strcmp(optarg, "json") == 0)
			ctl->output = CTL_JSON;
		else
			ctl_usage(ctl, "--output: \"%s\" must be text or json",
			    optarg);
		break;
	case OPT_HELP:
		must(ctl->command != NULL);
		(void)fputs(ctl->command->help, stdout);
		exit(fflush(stdout) == 0 ? CTL_OK : CTL_FAILED);
	default:
		wrong("no such option");
	}
}

/* getopt would speak in the name of argv[0], which is the command here. */
__attribute__((noreturn)) static void
option_bad(const struct ctl *ctl, char **argv, int code)
{
	const char *option = argv[optind - 1];

	if (code == ':')
		ctl_usage(ctl, "the option %s needs a value", option);
	ctl_usage(ctl, "there is no option %s, or it takes no value", option);
}

/* Those whose code is a letter can be written so, too. */
static void
short_names(const struct option *own, char out[SHORT_BYTES])
{
	*out++ = '+';
	*out++ = ':';
	for (; own->name != NULL; own++) {
		if (own->val >= 256)
			continue;
		*out++ = (char)own->val;
		if (own->has_arg == required_argument)
			*out++ = ':';
	}
	*out = '\0';
}

/* One step of getopt; "--" is a step of its own. */
static int
option_next(struct ctl *ctl, int argc, char **argv, const char *letters,
    const struct option *options)
{
	int before = optind == 0 ? 1 : optind, code;

	code = getopt_long(argc, argv, letters, options, NULL);
	if (code == -1 && optind == before + 1)
		ctl->words_only = true;
	return (code);
}

int
ctl_option(struct ctl *ctl, int argc, char **argv, const struct option *own)
{
	struct option all[OWN_MAX + ARRAY_LEN(shared) + 1] = { 0 };
	char letters[SHORT_BYTES];
	size_t n = 0;
	int code;

	while (own[n].name != NULL) {
		must(n < OWN_MAX);
		all[n] = own[n];
		n++;
	}
	memcpy(all + n, shared, sizeof(shared));
	short_names(own, letters);
	while ((code = option_next(ctl, argc, argv, letters, all)) != -1) {
		if (code == '?' || code == ':')
			option_bad(ctl, argv, code);
		if (code < OPT_ENDPOINT)
			return (code);
		shared_take(ctl, code);
	}
	return (-1);
}

int
ctl_next(struct ctl *ctl, int argc, char **argv, const struct option *own,
    const char **word_r)
{
	int code;

	if (!ctl->words_only && (code = ctl_option(ctl, argc, argv, own)) != -1)
		return (code);
	if (optind >= argc)
		return (-1);
	*word_r = argv[optind++];
	return (0);
}

void
ctl_no_arguments(const struct ctl *ctl, int argc, char **argv)
{
	if (optind < argc)
		ctl_usage(ctl, "unexpected argument \"%s\"", argv[optind]);
}

void
ctl_needs_data(const struct ctl *ctl)
{
	if (ctl->endpoint != NULL)
		ctl_usage(ctl,
		    "%s needs the folder and does not work over --endpoint: "
		    "run it on the machine of the registry with --data DIR",
		    ctl->command->name);
}
