# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of dm-remap need around them: kernels, guests, disks that fail."""
