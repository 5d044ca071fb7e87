// What every decision of the controller is made of: the newest image, a request, the rules of this cluster, and out
// come records to be appended as one atomic batch and a reply that is held until they are committed.
import { ErrorCode, errorMessage as messageOf } from '../../protocol/errors.ts'
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import type { Broker, MetadataImage } from '../metadata/image.ts'
import { UNASSIGNED_DIRECTORY } from '../metadata/partition.ts'
import { type MetadataRecord, recordAt } from '../metadata/records.ts'
import type { Chance } from './placement.ts'

export interface Decision<T> {
  readonly records: readonly MetadataRecord[]
  readonly reply: T
}

/** How a request or a part of it ended. `errorMessage` is null where there is no error, never "" (clients show it). */
export interface Outcome {
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const DONE: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null }

export function refused(errorCode: number, errorMessage: string = messageOf(errorCode)): Outcome {
  return { errorCode, errorMessage }
}

/** Settings and chance, as far as decisions need them; read anew for each decision, since settings are dynamic. */
export interface Rules {
  readonly random: Chance & { uuid(): Uuid }
  readonly numPartitions: number
  readonly defaultReplicationFactor: number
  readonly deleteTopicEnable: boolean
  /** The effective min.insync.replicas of a topic with these overrides. */
  minInsyncReplicas(overrides: ReadonlyMap<string, string>): number
  /** The effective unclean.leader.election.enable of a topic with these overrides. */
  mayElectUnclean(overrides: ReadonlyMap<string, string>): boolean
  /** What is wrong with a resource's settings taken together, null for nothing. */
  configFault(resourceType: number, resourceName: string, configs: ReadonlyMap<string, string>): string | null
  /** A list setting's default, null for a setting that is no list. */
  listDefault(resourceType: number, name: string): string | null
}

/** One request may not make more records than fit into one batch (Kafka's MAX_RECORDS_PER_USER_OP). */
export const RECORDS_MAX = 10_000

/** Live: registered, unfenced, not shutting down. */
export function isActive(broker: Broker | undefined): boolean {
  return broker !== undefined && !broker.fenced && !broker.inControlledShutdown
}

/** Where that broker keeps a new replica: its directory if it has one only, else it says later (KIP-858). */
export function defaultDirectory(image: MetadataImage, brokerId: BrokerId): Uuid {
  const directories = image.brokers.get(brokerId)?.logDirs ?? []
  return directories.length === 1 ? (directories[0] as Uuid) : UNASSIGNED_DIRECTORY
}

/**
 * Null if that is the broker's present life. Kafka says STALE_BROKER_EPOCH of a broker that nobody knows, too
 * (ClusterControlManager.checkBrokerEpoch); said apart, it can register again.
 */
export function brokerEpochFault(image: MetadataImage, brokerId: BrokerId, brokerEpoch: number): Outcome | null {
  const broker = image.brokers.get(brokerId)
  if (broker?.brokerEpoch === brokerEpoch) return null
  return refused(broker ? ErrorCode.STALE_BROKER_EPOCH : ErrorCode.BROKER_ID_NOT_REGISTERED)
}

export function isElrEnabled(image: MetadataImage): boolean {
  return (image.features.get('eligible.leader.replicas.version') ?? 0) >= 1
}

/** A record at the version that the finalised metadata.version writes. */
export const recordFor = (image: MetadataImage): RecordMaker => {
  const at = image.metadataVersion
  return (type, draft) => recordAt(at, type, draft)
}

type RecordMaker = <T extends MetadataRecord['type']>(
  type: T,
  draft: Parameters<typeof recordAt<T>>[2]
) => MetadataRecord
