# SPDX-License-Identifier: GPL-2.0-or-later
# `make install`: what a package or an administrator puts on a system.
#   make install DESTDIR=/tmp/root PREFIX=/usr

PREFIX ?= /usr
ETC ?= /etc
VERSION := $(shell packaging/version)
INSTALLER = DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" ETC="$(ETC)" VERSION=$(VERSION) \
	packaging/installer

install:
	@$(AS_OWNER) $(MAKE) -s -C daemon
	@$(INSTALLER) install

uninstall:
	@$(INSTALLER) uninstall

.PHONY: install uninstall
