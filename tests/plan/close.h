/* close.h: numbers worked out by hand beside those that a formula gives. */
#ifndef FERRY_TESTS_PLAN_CLOSE_H
#define FERRY_TESTS_PLAN_CLOSE_H

#include <math.h>

#define assert_close(found, expected) assert_near((found), (expected), 1e-9)

/* Within that part of the expected one. */
#define assert_near(found, expected, part)                                                                   \
    do {                                                                                                     \
        double found_ = (found), expected_ = (expected);                                                     \
        if (!(fabs(found_ - expected_) <= (part)*fabs(expected_) + 1e-300))                                  \
            fail_msg("%s is %.12g, expected %.12g", #found, found_, expected_);                              \
    } while (0)

#endif
