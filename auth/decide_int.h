#ifndef AUTH_DECIDE_INT_H
#define AUTH_DECIDE_INT_H

#include "auth/decide.h"

/**
 * decide_by_policy(input, decision_r, policy_r):
 * As decide(); also which of the principal's policies decided, where one of
 * them did (DECIDED_BY_IDENTITY).
 */
void decide_by_policy(
    const struct decide_input *, struct decision *decision_r, size_t *policy_r);

#endif
