/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MESSAGE_IDs of what the daemon itself has to say; those of the kernel's events are in
 * system/event-kinds.c.  Never changed or reused, because people filter by them.
 * systemd/dm-remap.catalog explains each; a unit test compares.
 */
#ifndef DM_REMAP_MESSAGE_IDS_H
#define DM_REMAP_MESSAGE_IDS_H

#define MESSAGE_ID_STEP "09cc46e4b82040b8a1de418468b204ad"
#define MESSAGE_ID_HEALTH "0672679c8d0643f0ae5dc7fe2945d33a"
#define MESSAGE_ID_ALARM "610d6ba25a5749fbbcef7c66900119bd"
#define MESSAGE_ID_HELD "b188ae3da33b4264bb19d832d82a828c"
#define MESSAGE_ID_EVENTS_LOST "6607dbaaa86f410da2b78d60abc0d146"
#define MESSAGE_ID_CONFIG "15db4e7c88bf4ebf9655a32be2366a8a"
#define MESSAGE_ID_WAITING "24af4db9131a4e8f86cb65e232818fdb"
#define MESSAGE_ID_FOUND "414d464269ae47808f74ec8d3febef62"
#define MESSAGE_ID_CAUGHT_UP "001debbfa5d14b2cb6c6f821b703190a"
#define MESSAGE_ID_NOT_ACTIVE "d2c87f66bc5544efb814c0f67b9be867"
#define MESSAGE_ID_RETURNED "96c433a0980d40e5988fee8b82463429"
#define MESSAGE_ID_JOB_LATE "fc17f07ae92c4d9fb991d4193cedaa8f"
#define MESSAGE_ID_JOB_FAILED "c0e6982ca3aa4189810cc478d9f970b8"
#define MESSAGE_ID_NETLINK "3cb622213d2c4a0591233e8b120b4cd6"
#define MESSAGE_ID_GONE "5d0a3cf1b7be4f3c8e2d6c1f90a4b7e3"
#define MESSAGE_ID_THAWED "e41b8d06f2a94c57a3c9072d5b6f18ac"
#define MESSAGE_ID_HOOK "ba1233f7645749ec97d6a0806b190f56"
#define MESSAGE_ID_FILE "7c2f5e0b9a6d4e318f47d1c05b3ea968"

#endif /* DM_REMAP_MESSAGE_IDS_H */
