/*
 * idle_conns [--tls] [--spread N] COUNT PORT: connections that do nothing.
 *
 * Each makes one request, so that the server has given it all it gives to a
 * connection, and then stays.  Prints "ready" and holds them until standard
 * input ends.
 */

#include <getopt.h>

#include "tests/bench/bench.h"

static const char request[] = "GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

int
main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "tls", no_argument, NULL, 't' },
		{ "spread", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct bench_client *c = xcalloc(1, sizeof(*c));
	SSL_CTX *tls = NULL;
	unsigned spread = 1;
	uint64_t i, count;
	uint16_t port;
	char end;
	int o;

	while ((o = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (o == 't')
			tls = bench_tls();
		else if (o == 's')
			spread = (unsigned)bench_number(optarg, "--spread");
	}
	if (optind + 2 != argc)
		bench_die("usage: idle_conns [--tls] COUNT PORT");
	count = bench_number(argv[optind], "COUNT");
	port = (uint16_t)bench_number(argv[optind + 1], "PORT");
	bench_need_files();
	for (i = 0; i < count; i++) {
		/* The descriptor and the session stay open to the end. */
		bench_client_open(c, port, tls, spread, i);
		bench_send(c, request, sizeof(request) - 1, false);
		bench_answer(c, 200, false);
	}
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	return (0);
}
