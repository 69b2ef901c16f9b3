# SPDX-License-Identifier: GPL-2.0-or-later
# `make rpm`: packages of the same split in build/rpm/. rpmbuild is in Debian, too, where it does
# not know what is installed: hence --nodeps.

RPM = $(CURDIR)/build/rpm
RPM_OPTIONS ?=

rpm:
	@command -v rpmbuild >/dev/null || \
		{ echo "rpmbuild is missing: install the package rpm."; exit 1; }
	@$(AS_OWNER) $(MAKE) -s rpm-packages

rpm-packages:
	rm -rf $(RPM)
	mkdir -p $(RPM)/sources
	packaging/tarball $(RPM)/sources >/dev/null
	SOURCE_DATE_EPOCH=$$(packaging/version --epoch) MAKEFLAGS= rpmbuild -ba --nodeps \
		--define "_topdir $(RPM)" --define "_sourcedir $(RPM)/sources" \
		--define "_rpmdir $(RPM)" --define "_srcrpmdir $(RPM)" \
		--define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
		--define "clamp_mtime_to_source_date_epoch 1" --define "use_source_date_epoch_as_buildtime 1" \
		--define "_buildhost reproducible" $(RPM_OPTIONS) \
		packaging/rpm/dm-remap.spec >$(RPM)/build.log 2>&1 || { tail -n 40 $(RPM)/build.log >&2; exit 1; }
	rm -rf $(RPM)/BUILD $(RPM)/BUILDROOT $(RPM)/SPECS $(RPM)/sources
	@ls $(RPM)/*.rpm

.PHONY: rpm rpm-packages
