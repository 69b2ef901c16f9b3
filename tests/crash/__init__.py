# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash enumerator: every state a power cut can leave, judged."""
