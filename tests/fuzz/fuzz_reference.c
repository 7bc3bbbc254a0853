#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/obj.h"
#include "mirror/reference.h"
#include "mirror/url.h"

/*
 * The input as the name of an image, and as the address of a registry.  What is
 * taken is valid in all its parts, means the same when it is read again, and
 * what asks for it understands the address as we do.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES 65536

static void
url_check(const char *url, struct arena *arena)
{
	char why[REFERENCE_WHY_BYTES], wrong[FETCH_WHY_BYTES];
	const char *again;
	struct url u;

	must(registry_url_parse(span_of(url), arena, &again, why) == RC_OK);
	must(strcmp(url, again) == 0);
	must(url_parse(url, &u, wrong) == RC_OK);
	must(strcmp(u.path, "/") == 0);
	must(u.tls == (strncmp(url, "https://", 8) == 0));
	url_free(&u);
}

static void
reference_check(const struct image_reference *r, struct arena *arena)
{
	struct digest d;
	struct span again;

	must((r->url == NULL) == (r->registry == NULL));
	must(name_repository_ok(r->name));
	must(r->tag.n == 0 || name_tag_ok(r->tag));
	must(r->digest.n == 0 || digest_parse(r->digest, &d) == RC_OK);
	if (r->url == NULL)
		return;
	url_check(r->url, arena);
	again = registry_name(r->url, r->name, arena);
	must(span_eq(again, r->name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = { (const char *)data, n };
	char why[REFERENCE_WHY_BYTES] = "";
	struct image_reference r;
	struct arena arena;
	const char *url;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	rc = image_reference_parse(text, &arena, &r, why);
	must(rc == RC_OK || rc == RC_INVALID);
	if (rc == RC_OK)
		reference_check(&r, &arena);
	else
		must(memchr(why, '\0', sizeof(why)) != NULL && why[0] != '\0');
	rc = registry_url_parse(text, &arena, &url, why);
	must(rc == RC_OK || rc == RC_INVALID);
	if (rc == RC_OK)
		url_check(url, &arena);
	arena_reset(&arena);
	return (0);
}
