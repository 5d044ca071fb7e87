// The life of a broker in the cluster: registered (fenced), unfenced once it has read its own registration, fenced when
// it falls silent or stops (KIP-631; metadata/.../ClusterControlManager.java, ReplicationControlManager.java). Every
// registration of a new incarnation takes the broker out of all leaderships first, so that the leader epoch of each
// of its partitions grows before it leads again: offsets of an earlier life are never given to other bytes.
import { ErrorCode } from '../../protocol/errors.ts'
import type { brokerHeartbeat } from '../../protocol/messages/broker-heartbeat.ts'
import type { brokerRegistration } from '../../protocol/messages/broker-registration.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { type BrokerId, type Offset, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import type { Broker, MetadataImage, Topic } from '../metadata/image.ts'
import {
  isDirectoryOnline,
  LOST_DIRECTORY,
  NO_LEADER,
  type Partition,
  UNASSIGNED_DIRECTORY
} from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import {
  brokerEpochFault,
  type Decision,
  DONE,
  isActive,
  isElrEnabled,
  type Outcome,
  type Rules,
  recordFor,
  refused
} from './decision.ts'
import { featureFault } from './features.ts'
import { partitionChange } from './partition-change.ts'

export interface Registered extends Outcome {
  readonly brokerEpoch: number
}

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
  // A stop whose epoch the broker remembers was clean, or at least lost nothing that it had acknowledged.
  const isClean = request.previousBrokerEpoch === existing?.brokerEpoch || !isElrEnabled(image)
  // One that was unregistered left its name, and its directory's, with its partitions.
  const records = isSameLife ? [] : decideReturn(image, brokerId, { isClean, logDirs: request.logDirs }, rules)
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

/**
 * What a new life of a broker changes: out of all in-sync sets, since it may lead only in higher epochs, and out of the
 * eligible replicas where it may have lost records. A replica whose directory is gone begins anew in one that is there
 * (Kafka's brokers say so themselves, AssignReplicasToDirs; ours have one directory). Where others have a copy it is not
 * the last known leader either (Kafka forgets that name only when somebody leads): all of them would cut their logs to
 * match an empty one, in a topic that allows no unclean election. With no other copy there is none to save.
 */
function decideReturn(
  image: MetadataImage,
  brokerId: BrokerId,
  { isClean, logDirs }: { readonly isClean: boolean; readonly logDirs: readonly Uuid[] },
  rules: Rules
): MetadataRecord[] {
  const home = logDirs.length === 1 ? (logDirs[0] as Uuid) : UNASSIGNED_DIRECTORY
  const records: MetadataRecord[] = []
  for (const [topic, id, partition] of partitionsOf(image)) {
    if (!partition.replicas.includes(brokerId)) continue
    const isHome = isDirectoryOnline(partition, brokerId, logDirs)
    const isComplete = isClean && isHome
    const counts = partition.isr.includes(brokerId) || partition.leader === brokerId
    if (isHome && !counts && (isComplete || !partition.elr.includes(brokerId))) continue
    const wish = {
      isr: partition.isr.filter(one => one !== brokerId),
      ...(isComplete ? {} : { uncleanReplicas: [brokerId] }),
      ...(isHome ? {} : { directories: new Map([[brokerId, home]]) }),
      ...(isHome || partition.replicas.length === 1 ? {} : { emptyReplicas: [brokerId] })
    }
    pushChange(records, image, topic, id, wish, rules, allBut(image, brokerId))
  }
  return records
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
  // -1 says in every record that nobody leads.
  if (request.brokerId < 0) return invalid(`Invalid broker ID ${request.brokerId} in request`)
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
  const { brokerId, wantFence, wantShutDown } = request
  const broker = image.brokers.get(brokerId)
  const stale = brokerEpochFault(image, brokerId, request.brokerEpoch)
  if (stale || !broker) {
    const fenced = { isCaughtUp: false, isFenced: true, isInControlledShutdown: false, shouldShutDown: false }
    return { records: [], reply: { ...(stale ?? refused(ErrorCode.BROKER_ID_NOT_REGISTERED)), ...fenced } }
  }
  const isCaughtUp = request.currentMetadataOffset >= broker.brokerEpoch
  const { fenced: isFenced, inControlledShutdown: isInControlledShutdown } = broker
  const stays = { ...DONE, isCaughtUp, isFenced, isInControlledShutdown, shouldShutDown: false }
  const unchanged = { records: [], reply: stays }
  const fence = (shouldShutDown: boolean): Decision<Heartbeat> => {
    const records = isFenced ? [] : decideFence(image, brokerId, rules)
    return { records, reply: { ...stays, isFenced: true, shouldShutDown } }
  }
  if (wantShutDown && (isFenced || wantFence)) return fence(true)
  if (isInControlledShutdown && !isFenced) {
    // A controller that took over meanwhile knows no offset yet, and has to wait for one.
    const { shutdownOffset, othersOffset } = o
    if (leadsAny(image, brokerId) || shutdownOffset === null || othersOffset < shutdownOffset) return unchanged
    return fence(true)
  }
  if (wantShutDown) {
    if (!leadsAny(image, brokerId)) return fence(true)
    const records = decideControlledShutdown(image, brokerId, rules)
    return { records, reply: { ...stays, isInControlledShutdown: true } }
  }
  if (wantFence || isHomeless(broker, request.offlineLogDirs)) return fence(false)
  const offline = decideOfflineDirectories(image, broker, request.offlineLogDirs, rules)
  if (offline.length > 0) return { records: offline, reply: stays }
  if (!isFenced || !isCaughtUp) return unchanged
  return { records: decideUnfence(image, brokerId, rules), reply: { ...stays, isFenced: false } }
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
  const isLive = (id: BrokerId) => id === brokerId || isActive(image.brokers.get(id))
  for (const [topic, id, partition] of partitionsOf(image)) {
    if (partition.leader !== NO_LEADER || !partition.replicas.includes(brokerId)) continue
    pushChange(records, image, topic, id, {}, rules, isLive)
  }
  return records
}

/** Without any directory a broker is of no use, as often as it says so. */
function isHomeless({ logDirs }: Broker, offline: readonly Uuid[]): boolean {
  return logDirs.length > 0 && logDirs.every(directory => offline.includes(directory))
}

/** Directories that failed: what is kept in them is led by others (KIP-858). */
function decideOfflineDirectories(
  image: MetadataImage,
  { brokerId, brokerEpoch, logDirs }: Broker,
  offline: readonly Uuid[],
  rules: Rules
): MetadataRecord[] {
  const remaining = logDirs.filter(directory => !offline.includes(directory))
  if (remaining.length === logDirs.length) return []
  const records: MetadataRecord[] = []
  for (const [topic, id, partition] of partitionsOf(image)) {
    if (!partition.isr.includes(brokerId) && partition.leader !== brokerId) continue
    if (isDirectoryOnline(partition, brokerId, remaining)) continue
    const isr = partition.isr.filter(one => one !== brokerId)
    pushChange(records, image, topic, id, { isr }, rules, allBut(image, brokerId))
  }
  records.push(recordFor(image)('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch, logDirs: remaining }))
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
  for (const [topic, id, partition] of partitionsOf(image)) {
    const isEligible = how === 'lost-records' && partition.elr.includes(brokerId)
    if (!partition.isr.includes(brokerId) && partition.leader !== brokerId && !isEligible) continue
    const isr = partition.isr.filter(one => one !== brokerId)
    const wish = how === 'lost-records' ? { isr, uncleanReplicas: [brokerId] } : { isr }
    pushChange(records, image, topic, id, wish, rules, allBut(image, brokerId))
  }
  return records
}

function allBut(image: MetadataImage, brokerId: BrokerId): (id: BrokerId) => boolean {
  return id => id !== brokerId && isActive(image.brokers.get(id))
}

function pushChange(records: MetadataRecord[], ...change: Parameters<typeof partitionChange>): void {
  const record = partitionChange(...change)
  if (record) records.push(record)
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
