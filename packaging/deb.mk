# SPDX-License-Identifier: GPL-2.0-or-later
# `make deb`: packages for Debian 12 and 13 in build/deb/. The packaging is kept out of the
# top level; dpkg-buildpackage sees it as debian/ in a copy of the tree.

DEB = build/deb
DEB_TREE = $(DEB)/dm-remap-$(VERSION)
DEB_PARTS = Makefile dkms.conf README.md common kmod daemon packaging systemd

deb:
	@tests/setup deb
	rm -rf $(DEB)
	mkdir -p $(DEB_TREE)
	cp -a $(DEB_PARTS) $(DEB_TREE)
	cp -a packaging/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary \
		>../build.log 2>&1 || { tail -n 40 ../build.log >&2; exit 1; }
	rm -rf $(DEB_TREE)
	@ls $(DEB)/*.deb

.PHONY: deb
