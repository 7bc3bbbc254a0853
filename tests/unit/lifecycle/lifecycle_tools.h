#ifndef TESTS_LIFECYCLE_TOOLS_H
#define TESTS_LIFECYCLE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "lifecycle/evaluate.h"
#include "lifecycle/policy.h"

/*
 * The words that texts of lifecycle policies are made of, the arena that they
 * are read into, and tables of images for which it is told what a policy does.
 */
#define POLICY(rules) "{\"rules\":[" rules "]}"
#define GUARDED(guards, rules) "{" guards ",\"rules\":[" rules "]}"
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
#define USED(n) DAYS("sinceImagePushedAndPulled", n)
#define ARCHIVED(n) \
	"\"storageClass\":\"archive\"," DAYS("sinceImageTransitioned", n)

#define ARENA_BYTES ((size_t)4 << 20)

extern struct arena arena;

/** arena_begin(state), arena_end(state): for cmocka, of a test or of a group:
 * ${arena} is made with ARENA_BYTES at the most, and emptied. */
int arena_begin(void **state);
int arena_end(void **state);

/** policy_of(text, extensions): in ${arena}; another text ends the test. */
struct lifecycle_policy policy_of(const char *text, bool extensions);

/*
 * A table's image has a letter, its tags as a list with commas, and times as
 * days before now.  What a policy does is told as a text: the letters in the
 * order of action, each with the priority of its rule, its action ('x'
 * expires, 'a' archives) and '!' where an index holds it: "B1x A2a!".
 */
#define DAY_MS INT64_C(86400000)
#define NOW_MS (INT64_C(20000) * DAY_MS)

struct image {
	char letter;
	const char *tags;
	double pushed, pulled, restored; /* 0: never */
	double archived;		 /* it is, since */
	bool held, held_by_active, subject_here;
};

int64_t days_ago(double days);
struct digest digest_of_letter(char letter);
void image_add(struct lifecycle_run *, const struct image *);

/** decided(run): how many verdicts there are. */
size_t decided(struct lifecycle_run *);

/** done(policy, rows, n, want): with the images in one order and in the other;
 * extended_done: by the grammar with extensions. */
void done(const char *policy, const struct image *, size_t n, const char *want);
void extended_done(
    const char *policy, const struct image *, size_t n, const char *want);

#define DONE(policy, rows, want) done(policy, rows, ARRAY_LEN(rows), want)
#define EXTENDED_DONE(policy, rows, want) \
	extended_done(policy, rows, ARRAY_LEN(rows), want)

#endif
