// The active controller: takes requests about the cluster, decides on the newest image (replication/controller), appends
// the records to the metadata log, and answers once they are committed and this node's image has them. Also watches
// broker sessions and has snapshots written. There is one per cluster; this node is it while it leads the quorum.
import { ErrorCode } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import type { brokerHeartbeat } from '../protocol/messages/broker-heartbeat.ts'
import type { brokerRegistration } from '../protocol/messages/broker-registration.ts'
import type { createPartitions } from '../protocol/messages/create-partitions.ts'
import type { createTopics } from '../protocol/messages/create-topics.ts'
import type { deleteTopics } from '../protocol/messages/delete-topics.ts'
import type { electLeaders } from '../protocol/messages/elect-leaders.ts'
import type { RequestOf } from '../protocol/schema.ts'
import type { BrokerId, Offset, Uuid } from '../protocol/types.ts'
import { type ActivationFacts, decideActivation } from '../replication/controller/activation.ts'
import { type AutoCreation, decideAutoCreate } from '../replication/controller/auto-create.ts'
import {
  decideFence,
  decideHeartbeat,
  decideRegisterBroker,
  decideUnregisterBroker
} from '../replication/controller/brokers.ts'
import {
  type ConfigAlteration,
  type ConfigReplacement,
  decideAlterConfigs,
  decideIncrementalAlterConfigs
} from '../replication/controller/configs.ts'
import { type Decision, isActive, type Rules } from '../replication/controller/decision.ts'
import {
  decideAllocateProducerIds,
  decideBalance,
  decideElectLeaders,
  decideUncleanElections
} from '../replication/controller/leaders.ts'
import { Sessions } from '../replication/controller/sessions.ts'
import { decideCreatePartitions, decideCreateTopics, decideDeleteTopics } from '../replication/controller/topics.ts'
import type { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'
import type { Clock, Random, Timer } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { rulesOf } from './controller-rules.ts'
import type { Logger } from './log.ts'
import { Machine, type MachineState } from './machine.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { MetadataLog } from './metadata-log.ts'

export interface ControllerOptions {
  readonly metadataLog: MetadataLog
  readonly clusterId: Uuid
  readonly nodeId: BrokerId
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** What this controller says of itself to the cluster (KIP-919). */
  readonly self: Omit<ActivationFacts, 'minInsyncReplicas' | 'bootstrap'>
  /** Resolves when this broker has done what committed metadata asked of it so far: then a new topic can be used. */
  readonly settled: () => Promise<void>
}

const TICK_MS = 500
/** A gap between ticks that is longer than this was a stall of this process, not silence of the others. */
const STALL_MS = 100

export class Controller implements MachineState<MetadataRecord> {
  readonly metadata: MetadataCache
  readonly metadataLog: MetadataLog
  readonly #o: ControllerOptions
  readonly #sessions: Sessions
  /** Everything that was appended, committed or not: what decisions see. */
  #newest: MetadataImage
  #uncommitted: { readonly record: MetadataRecord; readonly endOffset: Offset }[] = []
  #machine: Machine<MetadataRecord> | null = null
  #timer: Timer | null = null
  #lastTickMs = 0
  #balancedMs = 0
  #uncleanMs = 0

  constructor(o: ControllerOptions) {
    this.#o = o
    this.metadataLog = o.metadataLog
    this.metadata = o.metadataLog.cache
    this.#newest = this.metadata.image.copy()
    this.#sessions = new Sessions(() => o.config.get('broker.session.timeout.ms'))
  }

  /** -1 while nobody leads the quorum. */
  get activeControllerId(): BrokerId {
    return this.metadataLog.leaderId
  }

  /** Takes over: leads the quorum, writes a new cluster's first records. Whoever listens to `metadata` hears of all there is. */
  async start(): Promise<void> {
    const bootstrap = this.#newest.metadataVersion === 0 ? await this.metadataLog.bootstrapRecords() : []
    await this.metadataLog.start(() => this.#machine?.advance())
    this.#machine = new Machine(this.metadataLog, this)
    const minInsyncReplicas = this.#o.config.get('min.insync.replicas')
    const { self } = this.#o
    await this.#submit(image => decideActivation(image, { ...self, minInsyncReplicas, bootstrap }))
    const nowMs = this.#o.clock.monotonicMs()
    this.#lastTickMs = nowMs
    this.#balancedMs = nowMs
    this.#uncleanMs = nowMs
    this.#scheduleTick()
  }

  /** The metadata log failed, or the node stops: nothing more is decided here. */
  stop(reason?: Error): void {
    this.#timer?.cancel()
    this.#timer = null
    this.metadataLog.resign()
    this.#machine?.close(reason)
    this.#machine = null
  }

  // Topics: answered when this node can serve them, so that a client never sees a topic appear and vanish.

  async createTopics(request: Pick<RequestOf<typeof createTopics>, 'topics' | 'validateOnly'>) {
    const reply = await this.#submit((image, rules) => decideCreateTopics(image, request, rules))
    for (const { name, topicId, partitionCount, errorCode } of reply) {
      if (errorCode === ErrorCode.NONE && !request.validateOnly) {
        this.#o.logger.info({ topic: name, topicId, partitions: partitionCount }, 'topic-created')
      }
    }
    await this.#o.settled()
    return reply
  }

  async deleteTopics(topics: RequestOf<typeof deleteTopics>['topics']) {
    const reply = await this.#submit((image, rules) => decideDeleteTopics(image, topics, rules))
    for (const { name, topicId, errorCode } of reply) {
      if (errorCode === ErrorCode.NONE) this.#o.logger.info({ topic: name, topicId }, 'topic-deleted')
    }
    await this.#o.settled()
    return reply
  }

  async createPartitions(request: Pick<RequestOf<typeof createPartitions>, 'topics' | 'validateOnly'>) {
    const reply = await this.#submit((image, rules) => decideCreatePartitions(image, request, rules))
    await this.#o.settled()
    return reply
  }

  /** Makes topics that a client asked about, or that the broker itself needs. Gives an error code for each name. */
  async autoCreate(names: readonly string[]): Promise<Map<string, number>> {
    const { config } = this.#o
    const settings: AutoCreation = {
      offsetsPartitions: config.get('offsets.topic.num.partitions'),
      offsetsReplicationFactor: config.get('offsets.topic.replication.factor'),
      offsetsSegmentBytes: config.get('offsets.topic.segment.bytes')
    }
    const reply = await this.#submit((image, rules) => decideAutoCreate(image, names, settings, rules))
    for (const { name, topicId, partitionCount, errorCode } of reply) {
      // -1: it was there already.
      if (errorCode === ErrorCode.NONE && partitionCount > 0) {
        this.#o.logger.info({ topic: name, topicId, partitions: partitionCount, auto: true }, 'topic-created')
      }
    }
    await this.#o.settled()
    return new Map(reply.map(({ name, errorCode }) => [name, errorCode]))
  }

  // Settings.

  incrementalAlterConfigs(resources: readonly ConfigAlteration[], validateOnly: boolean) {
    return this.#submit((image, rules) => decideIncrementalAlterConfigs(image, resources, validateOnly, rules))
  }

  /** The legacy way: what is not named goes back to its default. */
  alterConfigs(resources: readonly ConfigReplacement[], validateOnly: boolean) {
    return this.#submit((image, rules) => decideAlterConfigs(image, resources, validateOnly, rules))
  }

  // Leaders and producer ids.

  async electLeaders(request: Pick<RequestOf<typeof electLeaders>, 'electionType' | 'topicPartitions'>) {
    const reply = await this.#submit((image, rules) => decideElectLeaders(image, request, rules))
    await this.#o.settled()
    return reply
  }

  allocateProducerIds(brokerId: BrokerId, brokerEpoch: number) {
    return this.#submit(image => decideAllocateProducerIds(image, brokerId, brokerEpoch))
  }

  // Brokers.

  async registerBroker(request: RequestOf<typeof brokerRegistration>) {
    const { clock, clusterId, logger } = this.#o
    const { brokerId } = request
    const hasSession = this.#sessions.isValid(brokerId, clock.monotonicMs())
    const reply = await this.#submit((image, rules) => {
      const endOffset = this.metadataLog.logEndOffset
      return decideRegisterBroker(image, request, { clusterId, endOffset, hasSession }, rules)
    })
    if (reply.errorCode === ErrorCode.NONE) {
      this.#sessions.remove(brokerId)
      this.#sessions.touch(brokerId, -1, clock.monotonicMs())
      logger.info({ brokerId, brokerEpoch: reply.brokerEpoch }, 'broker-registered')
    }
    return reply
  }

  async heartbeat(request: RequestOf<typeof brokerHeartbeat>) {
    const { clock, logger } = this.#o
    const { brokerId } = request
    const wasFenced = this.#newest.brokers.get(brokerId)?.fenced
    const reply = await this.#submit((image, rules) => {
      const nowMs = clock.monotonicMs()
      const othersOffset = this.#sessions.lowestOffsetBut(brokerId, id => isActive(image.brokers.get(id)))
      const decision = decideHeartbeat(
        image,
        request,
        { othersOffset, shutdownOffset: this.#sessions.shutdownOffset(brokerId) },
        rules
      )
      if (decision.reply.errorCode === ErrorCode.NONE)
        this.#sessions.touch(brokerId, request.currentMetadataOffset, nowMs)
      if (decision.reply.isInControlledShutdown) this.#sessions.shutdownBegan(brokerId, this.metadataLog.logEndOffset)
      return decision
    })
    if (reply.shouldShutDown) this.#sessions.remove(brokerId)
    if (reply.errorCode === ErrorCode.NONE && reply.isFenced !== wasFenced) {
      logger.info({ brokerId }, reply.isFenced ? 'broker-fenced' : 'broker-unfenced')
    }
    return reply
  }

  unregisterBroker(brokerId: BrokerId) {
    return this.#submit((image, rules) => {
      const decision = decideUnregisterBroker(image, brokerId, rules)
      if (decision.records.length > 0) this.#sessions.remove(brokerId)
      return decision
    })
  }

  #submit<T>(decide: (image: MetadataImage, rules: Rules) => Decision<T>): Promise<T> {
    if (!this.#machine)
      return Promise.reject(new MoldauError('ERR_NOT_LEADER', 'this node is not the active controller'))
    const { config, random } = this.#o
    return this.#machine.submit(() => decide(this.#newest, rulesOf(config, random)))
  }

  #scheduleTick(): void {
    this.#timer = this.#o.clock.after(TICK_MS, () => this.#tick())
  }

  #tick(): void {
    const { clock, logger } = this.#o
    const nowMs = clock.monotonicMs()
    const stalledMs = nowMs - this.#lastTickMs - TICK_MS
    this.#lastTickMs = nowMs
    if (stalledMs > STALL_MS) this.#sessions.credit(stalledMs)
    for (const brokerId of this.#sessions.expired(nowMs)) this.#expire(brokerId)
    this.metadataLog.maybeSnapshot().catch(error => logger.error({ err: error }, 'metadata-snapshot-failed'))
    this.#elect(nowMs)
    if (this.#machine) this.#scheduleTick()
  }

  /** What nobody asks for: leaderships go back to preferred replicas, and unclean elections where a topic allows them. */
  #elect(nowMs: number): void {
    const { config, logger } = this.#o
    const failed = (error: unknown) => logger.error({ err: error }, 'election-failed')
    if (nowMs - this.#balancedMs >= config.get('leader.imbalance.check.interval.seconds') * 1000) {
      this.#balancedMs = nowMs
      if (config.get('auto.leader.rebalance.enable')) this.#submit(decideBalance).catch(failed)
    }
    if (nowMs - this.#uncleanMs >= config.get('unclean.leader.election.interval.ms')) {
      this.#uncleanMs = nowMs
      this.#submit(decideUncleanElections).catch(failed)
    }
  }

  #expire(brokerId: BrokerId): void {
    const { logger } = this.#o
    this.#sessions.remove(brokerId)
    this.#submit((image, rules): Decision<null> => {
      const broker = image.brokers.get(brokerId)
      const isLive = isActive(broker) || broker?.inControlledShutdown === true
      return { records: isLive ? decideFence(image, brokerId, rules) : [], reply: null }
    }).then(
      () => logger.warn({ brokerId }, 'broker-session-expired'),
      error => logger.error({ err: error, brokerId }, 'broker-fencing-failed')
    )
  }

  // What the machine does to the state.

  apply(record: MetadataRecord, endOffset: Offset): void {
    this.#newest.apply(record)
    this.#uncommitted.push({ record, endOffset })
  }

  committed(upto: Offset): void {
    const { length } = this.#uncommitted
    let count = 0
    while (count < length && (this.#uncommitted[count]?.endOffset as Offset) <= upto) count++
    if (count === 0) return
    const done = this.#uncommitted.splice(0, count)
    this.metadata.commit(
      done.map(one => one.record),
      upto
    )
  }

  rollback(upto: Offset): void {
    this.committed(upto)
    this.#uncommitted = []
    this.#newest = this.metadata.image.copy()
  }
}
