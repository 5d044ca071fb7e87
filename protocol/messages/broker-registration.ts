// BrokerRegistration, API key 62. KIP-631; 1 and 2 serve migration and directories (KIP-866, KIP-858), 3 the
// previous epoch (KIP-966), 4 features whose lowest version is 0.

import { api, array, bool, i16, i32, i64, text, u16, uuid } from '../schema.ts'

/** A broker registers with the controller and gets its epoch. */
export const brokerRegistration = api({
  key: 62,
  name: 'BrokerRegistration',
  versions: [0, 4],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    brokerId: i32,
    clusterId: text,
    incarnationId: uuid,
    listeners: array({
      name: text,
      host: text,
      port: u16,
      securityProtocol: i16
    }),
    features: array({
      name: text,
      minSupportedVersion: i16,
      maxSupportedVersion: i16
    }),
    rack: text.orNull(),
    isMigratingZkBroker: bool.since(1),
    logDirs: array(uuid).since(2),
    previousBrokerEpoch: i64.since(3).default(-1)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    brokerEpoch: i64.default(-1)
  }
})
