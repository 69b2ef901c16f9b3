#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a User Mode Linux kernel: build-kernel.sh TARBALL OUTDIR FRAGMENT...
# Leaves in OUTDIR the program vmlinux and what an external module build needs
# (a tree for `make ARCH=um -C OUTDIR M=...`, scripts/ with checkpatch.pl included).
# The content of this file is part of the cache key: changing it builds anew.
set -euo pipefail

tarball=$1 out=$2
shift 2

mkdir -p "$out/src"
tar -xf "$tarball" -C "$out/src" --strip-components=1
cd "$out/src"

make -s ARCH=um allnoconfig
ARCH=um scripts/kconfig/merge_config.sh -m -O . .config "$@" >/dev/null
make -s ARCH=um olddefconfig
make -s ARCH=um -j"$(nproc)" KBUILD_BUILD_USER=tests KBUILD_BUILD_HOST=dm-remap

# Keep what Debian's header packages keep; drop some 1.5 GB of objects and sources.
mkdir "$out/keep"
mkdir "$out/keep/arch"
mv Makefile Kbuild Kconfig .config Module.symvers System.map vmlinux include scripts "$out/keep"
mv arch/um arch/x86 "$out/keep/arch"
mv arch/Kconfig "$out/keep/arch"
cd "$out"
rm -rf src
find keep/arch \( -name '*.o' -o -name '*.a' -o -name '*.c' -o -name '*.cmd' \) -delete
strip --strip-debug keep/vmlinux
mv keep/.config keep/* .
rmdir keep
