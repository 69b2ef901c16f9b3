/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MESSAGE_IDs of the journal entries: never changed or reused, because people
 * filter by them.  systemd/dm-remap.catalog explains each; a unit test compares.
 */
#ifndef DM_REMAP_MESSAGE_IDS_H
#define DM_REMAP_MESSAGE_IDS_H

/* Events of the kernel, in the order of enum dm_remap_event */
#define MESSAGE_ID_LOADED "001501561a3e448082b11f579e7e610b"
#define MESSAGE_ID_UNLOADED "9f219ea745c34ff3a1adc6eb094d784d"
#define MESSAGE_ID_RELOCATED "e54b0a2c50b844d790e5158268248664"
#define MESSAGE_ID_REMAPPED "31feffd868d1438da86f5920498755b3"
#define MESSAGE_ID_UNREMAPPED "998c239a593442799cd4b068f04a705c"
#define MESSAGE_ID_READ_ERROR "c4f64c0163aa495aa221333427eb53cb"
#define MESSAGE_ID_REFUSED "32b0671fa0a940629355b72f5f493b0c"
#define MESSAGE_ID_FLUSH_ERROR "8d056d42a3934575871dd46f74dc494f"
#define MESSAGE_ID_SPARE_LOW "7bea9f3b97984e5fafcfbfebe2222d9a"
#define MESSAGE_ID_SPARE_FULL "c9ac0aeafa6e4857ad2bff9fdeebb19e"
#define MESSAGE_ID_SPARE_BAD "5c4b7de0339e4629a8c34b9e536ed34d"
#define MESSAGE_ID_COMMIT_FAILED "bcb17f5c49ea44d7bb51019a6e678c69"
#define MESSAGE_ID_REPAIRED "ca45d64316b04c19a0a16d4654563073"
#define MESSAGE_ID_MODE "df665f2736c641a5a988cfdd9ffd8724"
#define MESSAGE_ID_SAVED "e87d06621c8c4889b9c55b4bef6e2c39"
#define MESSAGE_ID_STORM "39c6858282204d99b04f558887688b4e"
#define MESSAGE_ID_LOST_CACHE "46af0e5d74c04298b648d70f25042f30"

/* What the daemon itself has to say */
#define MESSAGE_ID_STEP "09cc46e4b82040b8a1de418468b204ad"
#define MESSAGE_ID_HEALTH "0672679c8d0643f0ae5dc7fe2945d33a"
#define MESSAGE_ID_ALARM "610d6ba25a5749fbbcef7c66900119bd"
#define MESSAGE_ID_HELD "b188ae3da33b4264bb19d832d82a828c"
#define MESSAGE_ID_EVENTS_LOST "6607dbaaa86f410da2b78d60abc0d146"
#define MESSAGE_ID_CONFIG "15db4e7c88bf4ebf9655a32be2366a8a"
#define MESSAGE_ID_WAITING "24af4db9131a4e8f86cb65e232818fdb"

#endif /* DM_REMAP_MESSAGE_IDS_H */
