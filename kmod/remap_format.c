// SPDX-License-Identifier: GPL-2.0-only
/* The on-disk format, shared with userspace; kbuild wants its source here. */
#include "../common/remap_format.c"
