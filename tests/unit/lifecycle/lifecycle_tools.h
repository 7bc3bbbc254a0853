#ifndef TESTS_LIFECYCLE_TOOLS_H
#define TESTS_LIFECYCLE_TOOLS_H

#include <stddef.h>

#include "base/arena.h"

/*
 * The words that texts of lifecycle policies are made of, and the arena that
 * they are read into.
 */
#define POLICY(rules) "{\"rules\":[" rules "]}"
#define RULE(priority, selection, action) \
	"{\"rulePriority\":" priority ",\"selection\":{" selection \
	"},\"action\":{" action "}}"
#define ONE(selection, action) POLICY(RULE("1", selection, action))

#define EXPIRE "\"type\":\"expire\""
#define ARCHIVE "\"type\":\"transition\",\"targetStorageClass\":\"archive\""

#define TAGS(status) "\"tagStatus\":\"" status "\","
#define UNTAGGED TAGS("untagged")
#define ANY TAGS("any")
#define PREFIXES(list) TAGS("tagged") "\"tagPrefixList\":[" list "],"
#define PATTERNS(list) TAGS("tagged") "\"tagPatternList\":[" list "],"

#define COUNT(n) "\"countType\":\"imageCountMoreThan\",\"countNumber\":" n
#define DAYS(type, n) \
	"\"countType\":\"" type "\",\"countUnit\":\"days\",\"countNumber\":" n
#define PUSHED(n) DAYS("sinceImagePushed", n)
#define PULLED(n) DAYS("sinceImagePulled", n)
#define ARCHIVED(n) \
	"\"storageClass\":\"archive\"," DAYS("sinceImageTransitioned", n)

#define ARENA_BYTES ((size_t)4 << 20)

extern struct arena arena;

/** arena_begin(state), arena_end(state): for cmocka, of a test or of a group:
 * ${arena} is made with ARENA_BYTES at the most, and emptied. */
int arena_begin(void **state);
int arena_end(void **state);

#endif
