#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "registryctl/aws_config.h"

/*
 * The first line of the input is "PROFILE KEY", the rest a file of the AWS
 * CLI.  A value that is found lies in the text, on one line, without white
 * space around it, and is still there when another section follows.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define KEY_BYTES 64

static void
value_check(struct span text, struct span value)
{
	must(value.n == 0 ||
	     (value.p >= text.p && value.p + value.n <= text.p + text.n));
	must(value.n == 0 || memchr(value.p, '\n', value.n) == NULL);
	must(value.n <= AWS_CONFIG_LINE_MAX_BYTES);
	must(span_eq(span_trim(value), value));
}

static void
again_check(const struct aws_config *c, struct span profile, const char *key,
    struct span value)
{
	static const char more[] = "\n[x-other]\nx-key = 1\n";
	char why[AWS_CONFIG_WHY_BYTES];
	struct aws_config longer = *c;
	size_t n = c->text.n + sizeof(more) - 1;
	struct span again = SPAN_NONE;
	char *text;

	if (n > AWS_CONFIG_MAX_BYTES || span_is(profile, "x-other"))
		return;
	text = malloc(n);
	must(text != NULL);
	memcpy(text, c->text.p, c->text.n);
	memcpy(text + c->text.n, more, sizeof(more) - 1);
	longer.text = (struct span){ text, n };
	must(aws_config_get(&longer, profile, key, &again, why) == RC_OK);
	must(span_eq(again, value));
	free(text);
}

static void
config_check(const struct aws_config *c, struct span profile, const char *key)
{
	char why[AWS_CONFIG_WHY_BYTES] = "";
	struct span value = SPAN_NONE;
	enum rc rc;

	rc = aws_config_get(c, profile, key, &value, why);
	if (rc == RC_OK) {
		value_check(c->text, value);
		again_check(c, profile, key, value);
		return;
	}
	must(rc == RC_NOTFOUND || rc == RC_INVALID || rc == RC_TOOBIG);
	must(why[0] != '\0');
	must(memchr(why, '\0', AWS_CONFIG_WHY_BYTES) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span rest = { (const char *)data, n_bytes }, line, profile;
	struct aws_config c;
	char key[KEY_BYTES];

	if (!span_split(&rest, '\n', &line) ||
	    !span_split(&line, ' ', &profile) || line.n >= sizeof(key))
		return (0);
	memcpy(key, line.p, line.n);
	key[line.n] = '\0';
	c.text = rest;
	for (c.kind = AWS_CREDENTIALS_FILE; c.kind <= AWS_CONFIG_FILE; c.kind++)
		config_check(&c, profile, key);
	return (0);
}
