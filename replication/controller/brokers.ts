// The life of a broker in the cluster: registered (fenced), unfenced once it has read its own registration, fenced when
// it falls silent or stops (KIP-631; metadata/.../ClusterControlManager.java, ReplicationControlManager.java). Every
// registration of a new incarnation takes the broker out of all leaderships first, so that the leader epoch of each
// of its partitions grows before it leads again: offsets of an earlier life are never given to other bytes.
import { ErrorCode } from '../../protocol/errors.ts'
import type { brokerHeartbeat } from '../../protocol/messages/broker-heartbeat.ts'
import type { brokerRegistration } from '../../protocol/messages/broker-registration.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { type BrokerId, type Offset, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { NO_LEADER, type Partition } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import {
  type Decision,
  DONE,
  effectiveMinIsr,
  isActive,
  isElrEnabled,
  type Outcome,
  type Rules,
  recordFor,
  refused,
  UNASSIGNED_DIRECTORY
} from './decision.ts'
import { changePartition } from './election.ts'
import { featureFault } from './features.ts'

export interface Registered extends Outcome {
  readonly brokerEpoch: number
}

/** DirectoryId.LOST: the 128-bit number 2. The first hundred numbers are reserved; nobody makes such ids by chance. */
const LOST_DIRECTORY: Uuid = 'AAAAAAAAAAAAAAAAAAAAAg'
const RESERVED_DIRECTORIES: ReadonlySet<Uuid> = new Set([ZERO_UUID, UNASSIGNED_DIRECTORY, LOST_DIRECTORY])
const FENCE = 1
const UNFENCE = -1

/** `endOffset` is the log's end; the registration record's own offset becomes the broker epoch. */
export function decideRegisterBroker(
  image: MetadataImage,
  request: RequestOf<typeof brokerRegistration>,
  o: { readonly clusterId: string; readonly endOffset: Offset; readonly hasSession: boolean },
  rules: Rules
): Decision<Registered> {
  const fault = registrationFault(image, request, o)
  if (fault) return { records: [], reply: { ...fault, brokerEpoch: -1 } }
  const { brokerId, incarnationId } = request
  const existing = image.brokers.get(brokerId)
  const isSameLife = existing?.incarnationId === incarnationId
  const records: MetadataRecord[] = []
  if (existing && !isSameLife) {
    // A stop whose epoch the broker remembers was clean, or at least lost nothing that it had acknowledged.
    const isClean = request.previousBrokerEpoch === existing.brokerEpoch || !isElrEnabled(image)
    records.push(...withoutBroker(image, brokerId, isClean ? 'gone' : 'lost-records', rules))
  }
  const brokerEpoch = isSameLife ? existing.brokerEpoch : o.endOffset + records.length
  records.push(
    recordFor(image)('RegisterBrokerRecord', {
      brokerId,
      incarnationId,
      brokerEpoch,
      endPoints: request.listeners,
      features: request.features,
      rack: request.rack,
      fenced: isSameLife ? existing.fenced : true,
      inControlledShutdown: isSameLife && existing.inControlledShutdown,
      logDirs: request.logDirs
    })
  )
  return { records, reply: { ...DONE, brokerEpoch } }
}

function registrationFault(
  image: MetadataImage,
  request: RequestOf<typeof brokerRegistration>,
  o: { readonly clusterId: string; readonly hasSession: boolean }
): Outcome | null {
  if (request.clusterId !== o.clusterId) {
    const message = `Expected cluster ID ${o.clusterId}, but got cluster ID ${request.clusterId}`
    return refused(ErrorCode.INCONSISTENT_CLUSTER_ID, message)
  }
  const existing = image.brokers.get(request.brokerId)
  if (existing && o.hasSession && existing.incarnationId !== request.incarnationId) {
    return refused(ErrorCode.DUPLICATE_BROKER_REGISTRATION, 'Another broker is registered with that broker id.')
  }
  const invalid = (message: string) => refused(ErrorCode.INVALID_REGISTRATION, message)
  if (request.logDirs.length === 0) return invalid('No directories specified in request')
  if (request.logDirs.some(id => RESERVED_DIRECTORIES.has(id))) return invalid('Reserved directory ID in request')
  if (new Set(request.logDirs).size < request.logDirs.length) return invalid('Duplicate directory ID in request')
  for (const other of image.brokers.values()) {
    const taken =
      other.brokerId === request.brokerId ? undefined : other.logDirs.find(id => request.logDirs.includes(id))
    if (taken !== undefined) return invalid(`Broker ${other.brokerId} is already registered with directory ${taken}`)
  }
  for (const [name, level] of image.features) {
    const range = request.features.find(feature => feature.name === name)
    const misfit = featureFault(name, level, range && [range.minSupportedVersion, range.maxSupportedVersion])
    if (misfit) return refused(ErrorCode.UNSUPPORTED_VERSION, misfit)
  }
  return null
}

export interface Heartbeat extends Outcome {
  readonly isCaughtUp: boolean
  readonly isFenced: boolean
  readonly isInControlledShutdown: boolean
  readonly shouldShutDown: boolean
}

/**
 * The state a broker may be in next (BrokerHeartbeatManager.calculateNextBrokerState). `othersOffset` is the lowest
 * metadata offset of the other active brokers: once it has passed `shutdownOffset`, nobody takes the stopping broker
 * for a leader any more, and it may go.
 */
export function decideHeartbeat(
  image: MetadataImage,
  request: RequestOf<typeof brokerHeartbeat>,
  o: { readonly othersOffset: Offset; readonly shutdownOffset: Offset | null },
  rules: Rules
): Decision<Heartbeat> {
  const broker = image.brokers.get(request.brokerId)
  if (broker?.brokerEpoch !== request.brokerEpoch) {
    const code = broker ? ErrorCode.STALE_BROKER_EPOCH : ErrorCode.BROKER_ID_NOT_REGISTERED
    const reply = {
      ...refused(code),
      isCaughtUp: false,
      isFenced: true,
      isInControlledShutdown: false,
      shouldShutDown: false
    }
    return { records: [], reply }
  }
  const isCaughtUp = request.currentMetadataOffset >= broker.brokerEpoch
  const stays = { ...DONE, isCaughtUp, isFenced: broker.fenced, isInControlledShutdown: broker.inControlledShutdown }
  if (broker.fenced) {
    if (request.wantShutDown) return { records: [], reply: { ...stays, shouldShutDown: true } }
    if (request.wantFence || !isCaughtUp) return { records: [], reply: { ...stays, shouldShutDown: false } }
    const records = decideUnfence(image, request.brokerId, rules)
    return { records, reply: { ...stays, isFenced: false, shouldShutDown: false } }
  }
  if (request.wantShutDown) {
    if (!broker.inControlledShutdown) {
      const records = decideControlledShutdown(image, request.brokerId, rules)
      return { records, reply: { ...stays, isInControlledShutdown: true, shouldShutDown: false } }
    }
    if (leadsAny(image, request.brokerId) || o.othersOffset < (o.shutdownOffset ?? 0)) {
      return { records: [], reply: { ...stays, shouldShutDown: false } }
    }
    return {
      records: decideFence(image, request.brokerId, rules),
      reply: { ...stays, isFenced: true, shouldShutDown: true }
    }
  }
  if (!request.wantFence) return { records: [], reply: { ...stays, shouldShutDown: false } }
  return {
    records: decideFence(image, request.brokerId, rules),
    reply: { ...stays, isFenced: true, shouldShutDown: false }
  }
}

/** Out of every in-sync set, no leader any more, and marked so. */
export function decideFence(image: MetadataImage, brokerId: BrokerId, rules: Rules): MetadataRecord[] {
  const brokerEpoch = image.brokers.get(brokerId)?.brokerEpoch ?? -1
  const fenced = recordFor(image)('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch, fenced: FENCE })
  return [...withoutBroker(image, brokerId, 'gone', rules), fenced]
}

/** Marked live, then made leader wherever nobody leads and it may. */
function decideUnfence(image: MetadataImage, brokerId: BrokerId, rules: Rules): MetadataRecord[] {
  const brokerEpoch = image.brokers.get(brokerId)?.brokerEpoch ?? -1
  const records = [recordFor(image)('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch, fenced: UNFENCE })]
  const mayLead = (id: BrokerId) => id === brokerId || isActive(image.brokers.get(id))
  for (const [topic, id, partition] of partitionsOf(image)) {
    if (partition.leader !== NO_LEADER || !partition.replicas.includes(brokerId)) continue
    pushChange(records, image, topic, id, partition, {}, mayLead, rules)
  }
  return records
}

function decideControlledShutdown(image: MetadataImage, brokerId: BrokerId, rules: Rules): MetadataRecord[] {
  const brokerEpoch = image.brokers.get(brokerId)?.brokerEpoch ?? -1
  const stopping = { brokerId, brokerEpoch, inControlledShutdown: 1 }
  const records = [recordFor(image)('BrokerRegistrationChangeRecord', stopping)]
  return [...records, ...withoutBroker(image, brokerId, 'gone', rules)]
}

export function decideUnregisterBroker(image: MetadataImage, brokerId: BrokerId, rules: Rules): Decision<Outcome> {
  const broker = image.brokers.get(brokerId)
  if (!broker) {
    const message = `Broker ID ${brokerId} is not currently registered`
    return { records: [], reply: refused(ErrorCode.BROKER_ID_NOT_REGISTERED, message) }
  }
  const records = withoutBroker(image, brokerId, 'lost-records', rules)
  records.push(recordFor(image)('UnregisterBrokerRecord', { brokerId, brokerEpoch: broker.brokerEpoch }))
  return { records, reply: DONE }
}

/** Takes a broker out of every in-sync set and leadership; 'lost-records': out of the eligible replicas too. */
function withoutBroker(
  image: MetadataImage,
  brokerId: BrokerId,
  how: 'gone' | 'lost-records',
  rules: Rules
): MetadataRecord[] {
  const records: MetadataRecord[] = []
  const mayLead = (id: BrokerId) => id !== brokerId && isActive(image.brokers.get(id))
  for (const [topic, id, partition] of partitionsOf(image)) {
    const isEligible = how === 'lost-records' && partition.elr.includes(brokerId)
    if (!partition.isr.includes(brokerId) && partition.leader !== brokerId && !isEligible) continue
    const isr = partition.isr.filter(one => one !== brokerId)
    const wish = how === 'lost-records' ? { isr, uncleanReplicas: [brokerId] } : { isr }
    pushChange(records, image, topic, id, partition, wish, mayLead, rules)
  }
  return records
}

function pushChange(
  records: MetadataRecord[],
  image: MetadataImage,
  topic: Topic,
  partitionId: number,
  partition: Partition,
  wish: Parameters<typeof changePartition>[1],
  mayLead: (brokerId: BrokerId) => boolean,
  rules: Rules
): void {
  const isUnclean = rules.mayElectUnclean(image.configs(2, topic.name))
  const change = changePartition(partition, isUnclean ? { ...wish, election: 'unclean' } : wish, {
    mayLead,
    minIsr: effectiveMinIsr(topic, partition.replicas.length, image, rules),
    elrEnabled: isElrEnabled(image)
  })
  if (change)
    records.push(recordFor(image)('PartitionChangeRecord', { topicId: topic.topicId, partitionId, ...change }))
}

function leadsAny(image: MetadataImage, brokerId: BrokerId): boolean {
  for (const [, , partition] of partitionsOf(image)) if (partition.leader === brokerId) return true
  return false
}

function* partitionsOf(image: MetadataImage): Generator<[Topic, number, Partition]> {
  for (const topic of image.topicsById.values()) {
    for (const [id, partition] of topic.partitions.entries()) yield [topic, id, partition]
  }
}
