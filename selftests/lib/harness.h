/* SPDX-License-Identifier: GPL-2.0-only */
/* The kselftest harness, for tests that may run on a slow machine. */
#ifndef SELFTESTS_LIB_HARNESS_H
#define SELFTESTS_LIB_HARNESS_H

#include "kselftest_harness.h"

/* In seconds. A busy machine with a debug kernel, emulated, takes its time. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#endif /* SELFTESTS_LIB_HARNESS_H */
