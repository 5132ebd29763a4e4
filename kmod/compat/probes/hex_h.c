/* SPDX-License-Identifier: GPL-2.0-only */
/* 6.5: bin2hex() has a header of its own. */
#include <linux/hex.h>
