#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/api/service.h"
#include "registryd/dispatch.h"
#include "registryd/sdnotify.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "scan/sandbox.h"

/*
 * registryd: read the command line, open the folder, serve, and wait for
 * signals.  The main thread does nothing else: SIGTERM and SIGINT stop the
 * server in peace, a second one at once; SIGHUP reads the settings again.
 */
enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char help_text[] =
    "Usage: registryd [OPTION]...\n"
    "Serve an OCI registry from one folder, in the foreground.\n"
    "\n"
    "  --config FILE       read settings from FILE (YAML)\n"
    "  --data DIR          the folder that holds everything (./data)\n"
    "  --listen ADDRESS    listen there (127.0.0.1:5000); may be repeated:\n"
    "                      ADDR:PORT, [ADDR]:PORT, unix:PATH; port 0 picks\n"
    "                      one; http:// or https:// in front decides about\n"
    "                      TLS for that address alone, mtls:// asks clients\n"
    "                      for a certificate too (tls.client-ca)\n"
    "  --auth token|none   who may do what. token: users with policies; the\n"
    "                      first start makes an administrator and writes the\n"
    "                      credentials to DIR/admin-credentials. none:\n"
    "                      everybody may do everything (token)\n"
    "  --tls-cert FILE     speak TLS with this certificate (PEM) ...\n"
    "  --tls-key FILE      ... and its private key (PEM)\n"
    "  --log-level LEVEL   debug, info, warn or error (info)\n"
    "  --check-config      check the settings and exit\n"
    "  --version           show the version and exit\n"
    "  --help              show this and exit\n"
    "\n"
    "Each key of the configuration file has an environment variable:\n"
    "REGISTRYD_ and its name in capitals, '_' for '.' and '-', such as\n"
    "REGISTRYD_LIMITS_CONNECTIONS. REGISTRYD_MASTER_KEY holds the master key\n"
    "itself, where that is not to stand in a file. Flags win over the\n"
    "environment, that over the file, that over the defaults.\n"
    "registryd.yml(5) lists all keys.\n"
    "\n"
    "SIGTERM and SIGINT stop the server once requests under way have ended\n"
    "(a second one: at once); SIGHUP reads settings and certificates again.\n"
    "Exit status: 0 stopped, 2 wrong usage or settings, 1 anything else.\n";

/* --- the command line ---------------------------------------------------- */

struct command_line {
	struct settings_flags flags;
	bool check_config;
};

enum option_code {
	OPT_CONFIG = 256,
	OPT_DATA,
	OPT_LISTEN,
	OPT_AUTH,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_LOG_LEVEL,
	OPT_CHECK_CONFIG,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "auth", required_argument, NULL, OPT_AUTH },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "check-config", no_argument, NULL, OPT_CHECK_CONFIG },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

__attribute__((noreturn)) static void
usage_fail(void)
{
	(void)fprintf(stderr, "Try 'registryd --help'.\n");
	exit(EXIT_USAGE);
}

__attribute__((noreturn)) static void
say_and_exit(const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
		exit(EXIT_FAILED);
	exit(EXIT_OK);
}

static void
listen_add(struct settings_flags *f, const char *address)
{
	f->listen = xrealloc(f->listen, (f->n_listen + 1) * sizeof(*f->listen));
	f->listen[f->n_listen++] = address;
}

static void
option_take(struct command_line *cl, int code)
{
	struct settings_flags *f = &cl->flags;

	switch (code) {
	case OPT_CONFIG:
		f->config_file = optarg;
		break;
	case OPT_DATA:
		f->data = optarg;
		break;
	case OPT_LISTEN:
		listen_add(f, optarg);
		break;
	case OPT_AUTH:
		f->auth = optarg;
		break;
	case OPT_TLS_CERT:
		f->tls_cert = optarg;
		break;
	case OPT_TLS_KEY:
		f->tls_key = optarg;
		break;
	case OPT_LOG_LEVEL:
		f->log_level = optarg;
		break;
	case OPT_CHECK_CONFIG:
		cl->check_config = true;
		break;
	case OPT_VERSION:
		say_and_exit("registryd " REGISTRYD_VERSION "\n");
	case OPT_HELP:
		say_and_exit(help_text);
	default:
		usage_fail();
	}
}

static void
command_line_read(int argc, char **argv, struct command_line *cl)
{
	int code;

	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(cl, code);
	if (optind < argc) {
		(void)fprintf(stderr, "registryd: unexpected argument \"%s\"\n",
		    argv[optind]);
		usage_fail();
	}
}

/* --- the process --------------------------------------------------------- */

/*
 * Few arenas keep the resident memory small.  A burst's memory is kept for the
 * next one, up to a bound; the background thread gives it back.
 */
static void
memory_tune(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_ARENA_MAX, 4);
	/* Each child transaction takes 2 MiB and touches little of them: from
	 * the heap that costs nothing, from mmap() more than the rest of it. */
	(void)mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
#endif
}

/* Signals wait until the main thread asks for them; threads inherit that. */
static void
signals_block(sigset_t *set)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	must(sigemptyset(set) == 0);
	must(sigaddset(set, SIGTERM) == 0);
	must(sigaddset(set, SIGINT) == 0);
	must(sigaddset(set, SIGHUP) == 0);
	must(sigprocmask(SIG_BLOCK, set, NULL) == 0);
	must(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

/* All that was acknowledged is on the disk: there is nothing to be saved. */
static void
signal_cut(int number)
{
	static const char text[] = "second signal: stopped at once\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_OK);
}

static void
signals_cut(void)
{
	struct sigaction cut = { .sa_handler = signal_cut };
	sigset_t set;

	must(sigaction(SIGTERM, &cut, NULL) == 0);
	must(sigaction(SIGINT, &cut, NULL) == 0);
	must(sigemptyset(&set) == 0);
	must(sigaddset(&set, SIGTERM) == 0);
	must(sigaddset(&set, SIGINT) == 0);
	must(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void
logs_tune(const struct settings *s)
{
	size_t i;

	log_set_level(s->log_level);
	log_set_format(s->log_format);
	for (i = 0; i < s->n_warnings; i++)
		log_warn("%s", s->warnings[i]);
}

/* A failed reload changes nothing, and says why. */
static void
reload(struct service *svc, const struct settings_flags *flags)
{
	struct settings *now = service_settings(svc), *fresh = NULL;
	char why[SERVICE_WHY_BYTES];
	enum rc rc;

	sdnotify_reloading();
	rc = settings_reload(now, flags, why, &fresh);
	if (rc == RC_OK)
		rc = service_reload(svc, fresh, why);
	if (rc == RC_OK) {
		logs_tune(fresh);
		log_info("settings reloaded");
	} else {
		log_error("reload failed, the old settings stay: %s", why);
	}
	settings_unref(&fresh);
	settings_unref(&now);
	sdnotify_ready();
}

static void
run(struct service *svc, const struct settings_flags *flags, sigset_t *set)
{
	int number;

	for (;;) {
		number = sigwaitinfo(set, NULL);
		if (number == SIGHUP)
			reload(svc, flags);
		else if (number == SIGTERM || number == SIGINT)
			break;
		else
			must(number == -1 && errno == EINTR);
	}
	log_info("%s: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static enum exit_code
serve(struct settings *s, const struct settings_flags *flags)
{
	struct service svc;
	char why[SERVICE_WHY_BYTES];
	sigset_t set;
	enum rc rc;

	signals_block(&set);
	logs_tune(s);
	log_info("registryd %s, data in %s", REGISTRYD_VERSION, s->data);
	if ((rc = service_open(&svc, s, why)) != RC_OK) {
		log_error("cannot start: %s", why);
		return (rc == RC_INVALID ? EXIT_USAGE : EXIT_FAILED);
	}
	dispatch_init();
	metrics_init();
	if ((rc = service_serve(&svc, why)) != RC_OK) {
		log_error("listen: %s", why);
		service_stop(&svc);
		return (rc == RC_INVALID ? EXIT_USAGE : EXIT_FAILED);
	}
	sdnotify_ready();
	run(&svc, flags, &set);
	sdnotify_stopping();
	signals_cut();
	service_stop(&svc);
	log_info("stopped");
	return (EXIT_OK);
}

/* The settings are valid by themselves; what about the file they name? */
static enum exit_code
check(const struct settings *s)
{
	char why[AUTH_WHY_BYTES];

	logs_tune(s);
	if (s->auth == AUTH_TOKEN && s->htpasswd_file[0] != '\0' &&
	    auth_htpasswd_check(s->htpasswd_file, why) != RC_OK) {
		(void)fprintf(stderr, "registryd: htpasswd.file: %s\n", why);
		return (EXIT_USAGE);
	}
	(void)printf("the settings are valid\n");
	return (EXIT_OK);
}

int
main(int argc, char **argv)
{
	struct command_line cl = { 0 };
	char why[SETTINGS_WHY_BYTES];
	struct settings *s = NULL;
	enum exit_code code = EXIT_OK;

	if (sandbox_is_child(argv))
		layer_main(argc, argv);
	command_line_read(argc, argv, &cl);
	memory_tune();
	(void)umask(S_IRWXG | S_IRWXO);
	if (settings_load(&cl.flags, why, &s) != RC_OK) {
		(void)fprintf(stderr, "registryd: %s\n", why);
		code = EXIT_USAGE;
	} else if (cl.check_config) {
		code = check(s);
	} else {
		code = serve(s, &cl.flags);
	}
	settings_unref(&s);
	free(cl.flags.listen);
	return (code);
}
