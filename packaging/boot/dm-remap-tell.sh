#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Of dracut (emergency): before the shell.
/usr/lib/dm-remap/boot tell
