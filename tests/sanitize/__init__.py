# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of daemon/ under AddressSanitizer (with UBSan and LeakSanitizer) and valgrind."""
