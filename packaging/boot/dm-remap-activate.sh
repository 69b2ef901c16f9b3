#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Of dracut (initqueue/settled): again and again while the root device is not there.
/usr/lib/dm-remap/boot activate
