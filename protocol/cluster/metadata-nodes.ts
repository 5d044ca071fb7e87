// Records of __cluster_metadata about nodes, features and the log itself.

import { array, bool, i8, i16, i32, i64, message, text, u16, uuid } from '../schema.ts'

/** A broker registered: its incarnation, endpoints, features and directories (KIP-631). */
export const registerBrokerRecord = message({
  name: 'RegisterBrokerRecord',
  versions: [0, 4],
  flexibleFrom: 0,
  fields: {
    brokerId: i32,
    isMigratingZkBroker: bool.since(2),
    incarnationId: uuid,
    brokerEpoch: i64,
    endPoints: array({
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
    fenced: bool.default(true),
    inControlledShutdown: bool.since(1),
    logDirs: array(uuid).tag(0, 3),
    cordonedLogDirs: array(uuid).orNull().tag(1, 4).default(null)
  }
})

/** A broker is gone for good. */
export const unregisterBrokerRecord = message({
  name: 'UnregisterBrokerRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    brokerId: i32,
    brokerEpoch: i64
  }
})

/** A broker is fenced; older metadata versions only. */
export const fenceBrokerRecord = message({
  name: 'FenceBrokerRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    id: i32,
    epoch: i64
  }
})

/** A broker is unfenced; older metadata versions only. */
export const unfenceBrokerRecord = message({
  name: 'UnfenceBrokerRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    id: i32,
    epoch: i64
  }
})

/** The finalized level of a feature; metadata.version is one of them. */
export const featureLevelRecord = message({
  name: 'FeatureLevelRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    name: text,
    featureLevel: i16
  }
})

/** What changed in the registration of a broker: fencing, controlled shutdown, directories. */
export const brokerRegistrationChangeRecord = message({
  name: 'BrokerRegistrationChangeRecord',
  versions: [0, 3],
  flexibleFrom: 0,
  fields: {
    brokerId: i32,
    brokerEpoch: i64,
    fenced: i8.tag(0, 0),
    inControlledShutdown: i8.tag(1, 1),
    logDirs: array(uuid).tag(2, 2),
    cordonedLogDirs: array(uuid).orNull().tag(3, 3).default(null)
  }
})

/** Nothing: keeps the high watermark moving (KIP-835). */
export const noOpRecord = message({
  name: 'NoOpRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {}
})

/** The state of the migration from ZooKeeper. */
export const zkMigrationStateRecord = message({
  name: 'ZkMigrationStateRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    zkMigrationState: i8
  }
})

/** Begins a change that applies as a whole (KIP-868). */
export const beginTransactionRecord = message({
  name: 'BeginTransactionRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    name: text.orNull().tag(0, 0).default(null)
  }
})

/** Applies the change begun. */
export const endTransactionRecord = message({
  name: 'EndTransactionRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {}
})

/** Drops the change begun. */
export const abortTransactionRecord = message({
  name: 'AbortTransactionRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    reason: text.orNull().tag(0, 0).default(null)
  }
})

/** A controller registered (KIP-919). */
export const registerControllerRecord = message({
  name: 'RegisterControllerRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    controllerId: i32,
    incarnationId: uuid,
    zkMigrationReady: bool,
    endPoints: array({
      name: text,
      host: text,
      port: u16,
      securityProtocol: i16
    }),
    features: array({
      name: text,
      minSupportedVersion: i16,
      maxSupportedVersion: i16
    })
  }
})
