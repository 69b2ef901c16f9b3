# SPDX-License-Identifier: GPL-2.0-or-later
# `make install`: what a package or an administrator puts on a system.
#   make install DESTDIR=/tmp/root PREFIX=/usr

PREFIX ?= /usr
ETC ?= /etc
VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
AT = $(DESTDIR)$(PREFIX)
MODULE = $(AT)/src/dm-remap-$(VERSION)

install:
	$(MAKE) -s -C daemon
	install -D -m 755 -t $(AT)/sbin build/dmremap build/dm-remapd
	install -D -m 755 -t $(AT)/lib/udev build/dm-remap-probe
	install -D -m 644 -t $(AT)/lib/udev/rules.d systemd/66-dm-remap.rules
	install -D -m 644 packaging/bash-completion/dmremap \
		$(AT)/share/bash-completion/completions/dmremap
	install -D -m 644 -t $(AT)/lib/systemd/system systemd/dm-remapd.service
	install -D -m 644 -t $(AT)/lib/systemd/catalog systemd/dm-remap.catalog
	install -D -m 755 systemd/dm-remap.sleep $(AT)/lib/systemd/system-sleep/dm-remap
	install -D -m 644 -t $(DESTDIR)$(ETC)/dm-remap packaging/dm-remapd.conf
	install -D -m 644 -t $(AT)/share/doc/dm-remap common/FORMAT.md
	install -D -m 644 -t $(AT)/share/dm-remap build/dmremap.schema.json build/dm_remap.yaml
	install -D -m 644 -t $(AT)/share/man/man7 $(wildcard packaging/man/*.7)
	install -D -m 644 -t $(AT)/share/man/man8 $(wildcard packaging/man/*.8)
	install -D -m 644 -t $(AT)/share/man/man5 $(wildcard packaging/man/*.5)
	install -D -m 644 -t $(MODULE) dkms.conf
	install -D -m 644 -t $(MODULE)/kmod $(filter-out %.mod.c,$(wildcard kmod/*.[ch])) kmod/Kbuild kmod/Makefile
	for layer in $(notdir $(patsubst %/,%,$(wildcard kmod/*/))); do \
		install -D -m 644 -t $(MODULE)/kmod/$$layer kmod/$$layer/*.[ch] || exit 1; done
	install -D -m 644 -t $(MODULE)/common $(wildcard common/*.[ch])

.PHONY: install
