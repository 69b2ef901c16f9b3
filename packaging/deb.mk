# SPDX-License-Identifier: GPL-2.0-or-later
# `make deb`: packages for Debian 12 and 13 in build/deb/, and what they were built from. The
# packaging is kept out of the top level; dpkg-buildpackage sees it as debian/ beside the sources.

DEB = build/deb
DEB_TREE = $(DEB)/dm-remap-$(VERSION)

deb:
	@tests/setup deb
	@$(AS_OWNER) $(MAKE) -s debian-packages

# One build at a time in this tree: each begins by removing what is in build/deb.
debian-packages:
	@mkdir -p build
	@flock build/deb.lock $(MAKE) -s debian-packages-locked

debian-packages-locked:
	rm -rf $(DEB)
	mkdir -p $(DEB)
	mv "$$(packaging/tarball $(DEB))" $(DEB)/dm-remap_$(VERSION).orig.tar.xz
	tar -C $(DEB) -xf $(DEB)/dm-remap_$(VERSION).orig.tar.xz
	cp -a $(DEB_TREE)/packaging/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && MAKEFLAGS= dpkg-buildpackage --unsigned-source --unsigned-changes --build=full \
		>../build.log 2>&1 || { tail -n 40 ../build.log >&2; exit 1; }
	rm -rf $(DEB_TREE)
	@ls $(DEB)/*.deb

.PHONY: deb debian-packages debian-packages-locked
