# SPDX-License-Identifier: GPL-2.0-or-later
"""The module on the kernels that people run: it builds, cleanly, from one source."""
