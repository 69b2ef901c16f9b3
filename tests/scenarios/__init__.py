# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that run inside a User Mode Linux guest with dm-remap.ko loaded.

    python3 -m tests.harness.uml tests/scenarios/test_NAME.py [-k EXPRESSION]
"""
