# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of the layers finds what it is for."""

from tests import layers

GOOD = {"meta/commit.c": {"base/io.c", "meta/block.c"}, "meta/block.c": {"base/io.c"},
        "base/io.c": {"map/table.c"}, "target.c": {"construct.c", "iface/status.c"}}


def test_order() -> None:
    assert not layers.upward(GOOD, "calls") and not layers.circles(GOOD)
    for name, target in (("base/io.c", "meta/block.c"), ("map/table.c", "base/set.h"),
                         ("iface/status.c", "construct.c"), ("remap_format.c", "base/io.c")):
        found, = layers.upward({name: {target}}, "calls")
        assert found == f"kmod/{name} calls kmod/{target}, which is above it"


def test_order_of_userspace() -> None:
    good = {"lib/ops/create.c": {"lib/set/handle.c", "lib/ops/guard.c"},
            "dmremap/main.c": {"lib/ops/create.h", "dmremap/verbs.h"}}
    assert not layers.userspace_upward(good, "calls")
    for name, target in (("lib/set/handle.c", "lib/ops/create.c"),
                         ("lib/util/util.c", "dmremap/verbs.h"),
                         ("dmremap/main.c", "dm-remapd/jobs.h")):
        found, = layers.userspace_upward({name: {target}}, "includes")
        assert found == f"daemon/{name} includes daemon/{target}, which is above it"


def test_circles() -> None:
    around = {"a.c": {"b.c"}, "b.c": {"c.c"}, "c.c": {"a.c"}, "d.c": {"a.c"}}
    assert layers.circles(around) == [["a.c", "b.c", "c.c"]]


def test_lines_and_fields() -> None:
    text = "/* a\n * b */\nstruct x {\n\tint a, b;\n\n\tint (*f)(int, int);\t/* c */\n" \
           "\tenum y { Z, Q, } e;\n\tint g[2];\n};\n"
    assert layers.code_lines(text) == 6
    assert layers.fields(text) == {"x": 5}


def test_every_file_has_a_layer() -> None:
    assert {layers.layer(name) for name in layers.sources()} == set(range(len(layers.ORDER)))


def test_calls_are_seen() -> None:
    """By name of the symbol: a call that the sources have is in the list."""
    from tests.harness import kernels
    kernels.build_module("uml")
    called = layers.calls(kernels.BUILD / "uml" / "kmod")
    assert "meta/block.c" in called["meta/commit.c"]
    assert "meta/copies.c" in called["meta/block.c"] and "base/io.c" in called["meta/copies.c"]
    assert "engine/worker.c" in called["construct.c"]
