// BrokerHeartbeat, API key 63. KIP-631; 1 reports offline directories (KIP-858), 2 cordoned ones (KIP-1066).

import { api, array, bool, i16, i32, i64, uuid } from '../schema.ts'

/** A broker renews its session with the controller and asks to be unfenced or to stop. */
export const brokerHeartbeat = api({
  key: 63,
  name: 'BrokerHeartbeat',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    brokerId: i32,
    brokerEpoch: i64.default(-1),
    currentMetadataOffset: i64,
    wantFence: bool,
    wantShutDown: bool,
    offlineLogDirs: array(uuid).tag(0, 1),
    cordonedLogDirs: array(uuid).orNull().tag(1, 2).default(null)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    isCaughtUp: bool,
    isFenced: bool.default(true),
    shouldShutDown: bool
  }
})
