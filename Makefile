# SPDX-License-Identifier: GPL-2.0-or-later
# dm-remap: what to type. The module's own makefile is kmod/Makefile.

PYTHON = /usr/bin/python3
# What is made with sudo in a user's tree belongs to the user.
AS_OWNER = packaging/as-owner
KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@echo "make demo         a disk dies in a virtual machine and nothing is lost (root)"
	@echo "make check        everything that should hold before each change (root)"
	@echo "make check-quick  the part of check that takes a minute or two"
	@echo "make check-all    check, and the tests that are too slow for it"
	@echo "make bench        what I/O, relocations, a dying disk and many remaps cost (long; root)"
	@echo "make coverage     which lines of the module run in the scenarios (an hour; root)"
	@echo "make soak         sets that live for an hour with all that can go wrong (MINUTES=60)"
	@echo "make peers        xfstests, blktests, lvm2's tests and fio on a set, beside the same on dm-linear"
	@echo "                  (XFSTESTS=DIR BLKTESTS=DIR LVM2=DIR FIO=1: tests/peers/README.md)"
	@echo "make lint         checkpatch, sparse, warnings, clang-format"
	@echo "make module       kmod/dm-remap.ko for the running kernel (KDIR=... for another)"
	@echo "make userspace    build/dmremap, the command, and build/dm-remapd, the daemon"
	@echo "make install      programs, unit, manuals, module sources for DKMS (DESTDIR=... PREFIX=/usr)"
	@echo "make uninstall    remove them (with the same DESTDIR and PREFIX)"
	@echo "make deb          Debian packages in build/deb"
	@echo "make rpm          rpm packages in build/rpm"
	@echo "make release      a tarball to be signed in build/release, if this tree can be released"
	@echo "make clean        remove what was built (the cache in ~/.cache/dm-remap stays)"
	@echo
	@echo "demo, check and bench install what they need with apt; without root they print what is missing."

demo:
	@$(AS_OWNER) tests/demo

check check-quick check-all:
	@tests/setup $(if $(filter check-all,$@),all,check)
	@$(AS_OWNER) tests/run $(patsubst check-%,%,$@)

bench:
	@tests/setup demo
	@$(AS_OWNER) $(PYTHON) -m tests.bench.run $(BENCH)

coverage:
	@tests/setup check
	@$(AS_OWNER) $(PYTHON) -m tests.coverage

soak:
	@tests/setup check
	@$(AS_OWNER) $(MAKE) -s -C daemon all in-process
	@$(AS_OWNER) $(PYTHON) -m tests.soak.run --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

# Nothing is fetched: the directories are built checkouts.
PEERS = $(if $(XFSTESTS),xfstests=$(abspath $(XFSTESTS))) $(if $(BLKTESTS),blktests=$(abspath $(BLKTESTS))) \
	$(if $(LVM2),lvm2=$(abspath $(LVM2))) $(if $(FIO),fio)
peers:
	@test -n "$(strip $(PEERS))" || { echo "Give at least one of XFSTESTS=DIR, BLKTESTS=DIR," \
		"LVM2=DIR and FIO=1: tests/peers/README.md"; exit 2; }
	@tests/setup check
	@$(AS_OWNER) $(PYTHON) -m tests.peers.run $(if $(PEERS_TESTS),--tests "$(PEERS_TESTS)") \
		$(if $(PEERS_VARIANTS),--variants "$(PEERS_VARIANTS)") \
		$(if $(PEERS_MINUTES),--minutes $(PEERS_MINUTES)) $(PEERS_OPTIONS) $(PEERS)

lint:
	@tests/setup check
	@$(AS_OWNER) tests/lint

module:
	@test -d "$(KDIR)" || { echo "No kernel headers at $(KDIR): install linux-headers-$(shell uname -r)," \
		"or give KDIR=<kernel build directory>."; exit 1; }
	$(AS_OWNER) $(MAKE) -C kmod KDIR=$(KDIR)

userspace:
	@tests/setup userspace
	@$(AS_OWNER) $(MAKE) -s -C daemon

release:
	@$(AS_OWNER) packaging/release build/release

include packaging/install.mk
include packaging/deb.mk
include packaging/rpm.mk

clean:
	rm -rf build
	find kmod \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '.*.cmd' -o -name Module.symvers -o -name modules.order \) -delete

.PHONY: help demo check check-quick check-all bench coverage soak peers lint module userspace release clean
