// A cluster on paper for the controller's tests: an image, rules that can be changed, and decisions applied to it.
import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { ErrorCode } from '../../../protocol/errors.ts'
import { decideActivation } from '../../../replication/controller/activation.ts'
import { decideHeartbeat, decideRegisterBroker } from '../../../replication/controller/brokers.ts'
import type { Decision, Rules } from '../../../replication/controller/decision.ts'
import { FEATURES } from '../../../replication/controller/features.ts'
import { decideCreateTopics } from '../../../replication/controller/topics.ts'
import { MetadataImage } from '../../../replication/metadata/image.ts'

const CLUSTER_ID = 'cluster-of-this-test-00'

export interface Cluster {
  readonly image: MetadataImage
  readonly rules: Rules
  /** The log's end: one offset for each record. */
  endOffset: number
}

/** Numbers that look random and are the same each time. */
export function chance(seed = 1) {
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 1
    return state % limit
  }
  return { below, uuid: () => Buffer.from(Array.from({ length: 16 }, () => below(256))).toString('base64url') }
}

export function cluster(brokerIds: readonly number[], rules: Partial<Rules> = {}): Cluster {
  const made: Cluster = {
    image: new MetadataImage(),
    endOffset: 0,
    rules: {
      random: chance(),
      numPartitions: 2,
      defaultReplicationFactor: 1,
      deleteTopicEnable: true,
      minInsyncReplicas: overrides => Number(overrides.get('min.insync.replicas') ?? 1),
      mayElectUnclean: overrides => overrides.get('unclean.leader.election.enable') === 'true',
      configFault: (_type, _name, configs) => (configs.has('bad') ? 'bad is not good' : null),
      listDefault: (_type, name) => (name === 'cleanup.policy' ? 'delete' : null),
      ...rules
    }
  }
  run(
    made,
    decideActivation(made.image, {
      ...{
        nodeId: 100,
        incarnationId: made.rules.random.uuid(),
        controllerEndPoints: [],
        minInsyncReplicas: 1,
        newClusterId: () => CLUSTER_ID,
        bootstrap: []
      }
    })
  )
  for (const brokerId of brokerIds) {
    register(made, brokerId)
    heartbeat(made, brokerId)
  }
  return made
}

/** Applies what was decided, and gives the reply. */
export function run<T>(on: Cluster, { records, reply }: Decision<T>): T {
  for (const record of records) on.image.apply(record)
  on.endOffset += records.length
  return reply
}

export function registration(
  brokerId: number,
  o: { incarnationId?: string; previousBrokerEpoch?: number; rack?: string | null; directory?: string } = {}
) {
  const { rack = null, previousBrokerEpoch = -1, incarnationId = idOf(`first life of ${brokerId}`) } = o
  return {
    ...{ brokerId, clusterId: CLUSTER_ID, incarnationId, rack, previousBrokerEpoch, isMigratingZkBroker: false },
    listeners: [{ name: 'PLAINTEXT', host: `host-${brokerId}`, port: 9092, securityProtocol: 0 }],
    features: FEATURES.map(({ name, minVersion, maxVersion }) => ({
      name,
      minSupportedVersion: minVersion,
      maxSupportedVersion: maxVersion
    })),
    logDirs: [o.directory ?? directoryOf(brokerId)]
  }
}

/** A uuid that tests can tell apart. */
export const idOf = (text: string): string => Buffer.from(text.padEnd(16).slice(0, 16)).toString('base64url')
export const directoryOf = (brokerId: number): string => idOf(`directory of ${brokerId}`)

export function register(
  on: Cluster,
  brokerId: number,
  o: Parameters<typeof registration>[1] = {},
  hasSession = false
) {
  const facts = { clusterId: CLUSTER_ID, endOffset: on.endOffset, hasSession }
  const reply = run(on, decideRegisterBroker(on.image, registration(brokerId, o), facts, on.rules))
  if (reply.errorCode === ErrorCode.NONE) {
    assert.equal(on.image.brokers.get(brokerId)?.brokerEpoch, reply.brokerEpoch)
  }
  return reply
}

export function heartbeat(
  on: Cluster,
  brokerId: number,
  o: {
    wantFence?: boolean
    wantShutDown?: boolean
    offset?: number
    othersOffset?: number
    shutdownOffset?: number
  } = {}
) {
  const request = {
    ...{ brokerId, brokerEpoch: on.image.brokers.get(brokerId)?.brokerEpoch ?? -1 },
    ...{ currentMetadataOffset: o.offset ?? on.endOffset - 1, wantFence: o.wantFence ?? false },
    ...{ wantShutDown: o.wantShutDown ?? false, offlineLogDirs: [], cordonedLogDirs: null }
  }
  const others = { othersOffset: o.othersOffset ?? Number.POSITIVE_INFINITY, shutdownOffset: o.shutdownOffset ?? null }
  return run(on, decideHeartbeat(on.image, request, others, on.rules))
}

/** Exactly these values for exactly these keys (t.match takes [] for any list). */
export function shows<T extends object>(t: Test, actual: T | undefined, expected: Partial<T>, name = 'shown'): void {
  const part = Object.fromEntries(Object.keys(expected).map(key => [key, actual?.[key as keyof T]]))
  t.strictSame(part, expected, name)
}

/** A cluster with a topic `a` of one partition on these replicas. */
export function withTopic(brokerIds: number[], replicas: number[], configs: Record<string, string> = {}): Cluster {
  const on = cluster(brokerIds)
  const topic = {
    ...{
      name: 'a',
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: replicas }]
    },
    configs: Object.entries(configs).map(([name, value]) => ({ name, value }))
  }
  run(on, decideCreateTopics(on.image, { topics: [topic], validateOnly: false }, on.rules))
  return on
}

export const partition = (on: Cluster) => on.image.topicsByName.get('a')?.partitions[0] ?? assert.fail('no partition')
