#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "scan/layer.h"
#include "scan/sandbox.h"

/*
 * The process without rights: a layer in, its index out.  It ends by _exit(),
 * so that nothing that belongs to the program it was started from is cleared
 * up: nothing of that was ever set up.
 */
#define INPUT_BYTES ((size_t)256 << 10)

struct input {
	char bytes[INPUT_BYTES];
};

static long
input_read(void *arg, const void **p_r)
{
	struct input *in = arg;
	ssize_t n;

	do
		n = read(STDIN_FILENO, in->bytes, sizeof(in->bytes));
	while (n == -1 && errno == EINTR);
	*p_r = in->bytes;
	return (n);
}

__attribute__((noreturn)) static void
say_and_exit(const char *why, enum sandbox_exit code)
{
	(void)!write(STDERR_FILENO, why, strlen(why));
	_exit(code);
}

/* Whatever failed may have failed for lack of memory. */
static enum sandbox_exit
exit_of(enum rc rc)
{
	if (sandbox_memory_spent())
		return (SANDBOX_EXIT_NOSPACE);
	if (rc == RC_INVALID)
		return (SANDBOX_EXIT_INVALID);
	if (rc == RC_TOOBIG)
		return (SANDBOX_EXIT_TOOBIG);
	if (rc == RC_UNSUPPORTED)
		return (SANDBOX_EXIT_UNSUPPORTED);
	return (SANDBOX_EXIT_FAILED);
}

static void
index_write(struct buf *out)
{
	size_t at = 0;
	ssize_t n;

	while (at < out->n) {
		n = write(STDOUT_FILENO, out->p + at, out->n - at);
		if (n == -1 && errno != EINTR)
			say_and_exit("the index of the layer cannot be told",
			    SANDBOX_EXIT_FAILED);
		if (n > 0)
			at += (size_t)n;
	}
}

void
layer_main(int argc, char **argv)
{
	static struct input in;
	char why[LAYER_WHY_BYTES] = "";
	struct sandbox_limits limits;
	struct buf out;
	enum rc rc;

	if (sandbox_limits_read(argc, argv, &limits) != RC_OK)
		say_and_exit("this program is started by registryd",
		    SANDBOX_EXIT_REFUSED);
	/* Names in a layer may be of any language. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	sandbox_enter(limits.memory_bytes, limits.cpu_ms);
	buf_init(&out, limits.output_bytes);
	rc = layer_index_make(input_read, &in, &limits.layer, &out, why);
	if (rc != RC_OK)
		say_and_exit(why[0] != '\0' ? why : rc_text(rc), exit_of(rc));
	index_write(&out);
	_exit(SANDBOX_EXIT_OK);
}
