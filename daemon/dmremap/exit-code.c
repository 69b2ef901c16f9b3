// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "exit-code.h"

int exit_code_of(int r)
{
	switch (-r) {
	case 0:
		return EXIT_CODE_OK;
	case EINVAL:
		return EXIT_CODE_USAGE;
	case ENODEV:
	case ENODATA:
	case ENOENT:
	case ENXIO:
		return EXIT_CODE_NOT_FOUND;
	case EAGAIN:
	case ETIMEDOUT: /* a disk does not answer */
		return EXIT_CODE_WAITING;
	case EBUSY:
	case EEXIST:
	case EPERM:
	case ECANCELED:
	case EMEDIUMTYPE:
	case ESTALE:
	case ENOTSUP:
		return EXIT_CODE_REFUSED;
	case EUCLEAN:
		return EXIT_CODE_DAMAGED;
	default:
		return EXIT_CODE_FAILED;
	}
}
