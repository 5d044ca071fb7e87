// The active controller: takes requests about the cluster, decides on the newest image (replication/controller), appends
// the records to the metadata log, and answers once they are committed and this node's image has them. Also watches
// broker sessions. There is one per cluster; this node is it while it leads the quorum.
import { ErrorCode, errorName } from '../protocol/errors.ts'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { alterPartition } from '../protocol/messages/alter-partition.ts'
import type { brokerHeartbeat } from '../protocol/messages/broker-heartbeat.ts'
import type { brokerRegistration } from '../protocol/messages/broker-registration.ts'
import type { controllerRegistration } from '../protocol/messages/controller-registration.ts'
import type { createPartitions } from '../protocol/messages/create-partitions.ts'
import type { createTopics } from '../protocol/messages/create-topics.ts'
import type { deleteTopics } from '../protocol/messages/delete-topics.ts'
import type { electLeaders } from '../protocol/messages/elect-leaders.ts'
import type { RequestOf } from '../protocol/schema.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import {
  type ControllerFacts,
  clusterIdOf,
  decideActivation,
  decideRegisterController
} from '../replication/controller/activation.ts'
import { decideAlterPartition } from '../replication/controller/alter-partition.ts'
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
import { decideCreatePartitions, decideCreateTopics, decideDeleteTopics } from '../replication/controller/topics.ts'
import type { Broker, MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'
import type { Clock, Random, Timer } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { rulesOf } from './controller-rules.ts'
import { BrokerSessions, type Caller, interBrokerAddress } from './controller-sessions.ts'
import type { Logger } from './log.ts'
import { Machine, type MachineState } from './machine.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { MetadataLog } from './metadata-log.ts'
import type { Address } from './net/network.ts'
import type { Stalls } from './stalls.ts'

export interface ControllerOptions {
  readonly metadataLog: MetadataLog
  readonly nodeId: BrokerId
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly stalls: Stalls
  readonly random: Random
  readonly logger: Logger
  /** What this controller says of itself to the cluster (KIP-919). */
  readonly self: ControllerFacts
  /** The id of a cluster that has none yet. */
  readonly newClusterId: () => Uuid
  /** Resolves when this broker has done what committed metadata asked of it so far: then a new topic can be used. */
  readonly settled: () => Promise<void>
  /** Whether anybody listens at an address where a broker registered. */
  readonly probe: (address: Address) => Promise<'accepted' | 'refused' | 'silent'>
}

/** How often it is looked whether elections are due that nobody asked for. */
const TICK_MS = 500
/** How long a created topic waits for brokers that have not heard of it. */
const KNOWN_MS = 1000

export class Controller implements MachineState<MetadataRecord> {
  readonly metadata: MetadataCache
  readonly metadataLog: MetadataLog
  readonly #o: ControllerOptions
  readonly #sessions: BrokerSessions
  readonly #onActivation = new Set<() => void>()
  /** Everything that was appended, committed or not: what decisions see. Its own copy while this node is active. */
  #newest: MetadataImage
  /** What a new cluster begins with, if this node is the first to lead one. */
  #bootstrap: readonly MetadataRecord[] = []
  #machine: Machine<MetadataRecord> | null = null
  #timer: Timer | null = null
  #balancedMs = 0
  #uncleanMs = 0

  constructor(o: ControllerOptions) {
    const { metadataLog, clock, stalls, logger, config, probe } = o
    this.#o = o
    this.metadataLog = metadataLog
    this.metadata = metadataLog.cache
    this.#newest = this.metadata.image
    this.#sessions = new BrokerSessions({
      ...{ clock, stalls, logger, probe },
      timeoutMs: () => config.get('broker.session.timeout.ms'),
      addressOf: brokerId => this.#addressOf(this.#newest.brokers.get(brokerId)?.endPoints ?? []),
      fence: (brokerId, why) => this.#fence(brokerId, why)
    })
  }

  /** -1 while nobody leads the quorum. */
  get activeControllerId(): BrokerId {
    return this.metadataLog.leaderId
  }

  /** Decisions are made here, and nowhere else. */
  get isActive(): boolean {
    return this.#machine !== null
  }

  /** Called whenever this node becomes the active controller. Gives the way to unsubscribe. */
  onActivation(listener: () => void): () => void {
    this.#onActivation.add(listener)
    return () => this.#onActivation.delete(listener)
  }

  /** Takes part in the quorum; whether this node is to be active is for the quorum to say. */
  async start(): Promise<void> {
    if (this.metadata.image.metadataVersion === 0) this.#bootstrap = await this.metadataLog.bootstrapRecords()
    await this.metadataLog.start({
      lead: () => this.#activate(),
      resign: () => this.#deactivate(),
      committed: () => this.#machine?.advance()
    })
  }

  /** The metadata log failed, or the node stops: nothing more is decided here. */
  stop(reason?: Error): void {
    this.#deactivate(reason)
    this.metadataLog.stop()
  }

  #activate(): void {
    const { clock, config, self, newClusterId } = this.#o
    this.#newest = this.metadata.image.copy()
    this.#machine = new Machine(this.metadataLog, this)
    const minInsyncReplicas = config.get('min.insync.replicas')
    const facts = { ...self, minInsyncReplicas, bootstrap: this.#bootstrap, newClusterId }
    this.decide(image => decideActivation(image, facts)).catch(error => this.#failed(error, 'activation-failed'))
    this.#balancedMs = this.#uncleanMs = clock.monotonicMs()
    this.#scheduleTick()
    void this.#sessions.begin(this.#others()).then(() => this.#fenceEarlierLife(self.nodeId))
    for (const listener of this.#onActivation) listener()
  }

  #deactivate(reason?: Error): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#sessions.end()
    const machine = this.#machine
    this.#machine = null
    machine?.close(reason ?? notController())
    this.#newest = this.metadata.image
  }

  /** Brokers whom clients may be using; an earlier life of this process is none. */
  #others(): BrokerId[] {
    const { nodeId, incarnationId } = this.#o.self
    const brokers = [...this.#newest.brokers.values()]
    const isCounted = (broker: Broker) => broker.brokerId !== nodeId || broker.incarnationId === incarnationId
    return brokers.filter(broker => !broker.fenced && isCounted(broker)).map(({ brokerId }) => brokerId)
  }

  /** A node that is back says so as a controller first: its broker registers only once all its logs are open. An earlier
   *  life would lead as long, and who looks for it finds the new one, this node too (Kafka gives it a session,
   *  ClusterControlManager.activate). After those that are surely gone: the last one in sync is the one to lead next, and
   *  these come back. A sole broker is soon enough when it registers: nobody could lead instead. */
  #fenceEarlierLife(brokerId: BrokerId): void {
    const { brokers, controllers } = this.#newest
    const broker = brokers.get(brokerId)
    if (brokers.size <= 1 || broker === undefined || broker.fenced || this.#sessions.isConnected(brokerId)) return
    const presentId = controllers.get(brokerId)?.incarnationId ?? broker.incarnationId
    if (presentId === broker.incarnationId) return
    this.#sessions.remove(brokerId)
    this.#fence(brokerId, 'gone')
  }

  #addressOf(endPoints: Broker['endPoints']): Address | null {
    return interBrokerAddress(endPoints, this.#o.config.interBrokerListener)
  }

  /** Decides on the newest state; gives the reply once the records are committed. Rejects with ERR_NOT_CONTROLLER. */
  async decide<T>(decide: (image: MetadataImage, rules: Rules) => Decision<T>): Promise<T> {
    if (!this.#machine) throw notController()
    const { config, random } = this.#o
    try {
      return await this.#machine.submit(() => decide(this.#newest, rulesOf(config, random)))
    } catch (error) {
      throw isFailure(error, 'ERR_NOT_LEADER') ? notController(error) : error
    }
  }

  /** As decide; resolves when every live broker knows of it and this one has done it, so that a client sees it anywhere. */
  async decideAndShow<T>(decide: (image: MetadataImage, rules: Rules) => Decision<T>): Promise<T> {
    const reply = await this.decide(decide)
    await Promise.all([this.metadataLog.whenKnown(this.metadata.endOffset, KNOWN_MS), this.#o.settled()])
    return reply
  }

  // Topics: answered when this node can serve them, so that a client never sees a topic appear and vanish.

  async createTopics(request: Pick<RequestOf<typeof createTopics>, 'topics' | 'validateOnly'>) {
    const reply = await this.decideAndShow((image, rules) => decideCreateTopics(image, request, rules))
    for (const { name, topicId, partitionCount, errorCode } of reply) {
      if (errorCode === ErrorCode.NONE && !request.validateOnly) {
        this.#o.logger.info({ topic: name, topicId, partitions: partitionCount }, 'topic-created')
      }
    }
    return reply
  }

  async deleteTopics(topics: RequestOf<typeof deleteTopics>['topics']) {
    const reply = await this.decideAndShow((image, rules) => decideDeleteTopics(image, topics, rules))
    for (const { name, topicId, errorCode } of reply) {
      if (errorCode === ErrorCode.NONE) this.#o.logger.info({ topic: name, topicId }, 'topic-deleted')
    }
    return reply
  }

  createPartitions(request: Pick<RequestOf<typeof createPartitions>, 'topics' | 'validateOnly'>) {
    return this.decideAndShow((image, rules) => decideCreatePartitions(image, request, rules))
  }

  // Settings.

  incrementalAlterConfigs(resources: readonly ConfigAlteration[], validateOnly: boolean) {
    return this.decide((image, rules) => decideIncrementalAlterConfigs(image, resources, validateOnly, rules))
  }

  /** The legacy way: what is not named goes back to its default. */
  alterConfigs(resources: readonly ConfigReplacement[], validateOnly: boolean) {
    return this.decide((image, rules) => decideAlterConfigs(image, resources, validateOnly, rules))
  }

  // Leaders and producer ids.

  electLeaders(request: Pick<RequestOf<typeof electLeaders>, 'electionType' | 'topicPartitions'>) {
    return this.decideAndShow((image, rules) => decideElectLeaders(image, request, rules))
  }

  allocateProducerIds(brokerId: BrokerId, brokerEpoch: number) {
    return this.decide(image => decideAllocateProducerIds(image, brokerId, brokerEpoch))
  }

  // Brokers.

  /** `caller`: the connection that it came on, null for this node's own broker. */
  async registerBroker(request: RequestOf<typeof brokerRegistration>, caller: Caller | null) {
    const { logger } = this.#o
    const { brokerId, incarnationId } = request
    const existing = this.#newest.brokers.get(brokerId)
    const isOther = existing !== undefined && existing.incarnationId !== incarnationId
    const isRival = this.isActive && isOther && this.#sessions.isValid(brokerId)
    const isSucceeded = isRival && (await this.#sessions.isSucceeded(brokerId, this.#addressOf(request.listeners)))
    const reply = await this.decide((image, rules) => {
      // If the newcomer is refused for something else, the life before keeps its session, and is fenced by its end.
      const hasSession = !isSucceeded && this.#sessions.isValid(brokerId)
      const endOffset = this.metadataLog.logEndOffset
      const facts = { clusterId: clusterIdOf(image) ?? '', endOffset, hasSession }
      const decision = decideRegisterBroker(image, request, facts, rules)
      if (decision.reply.errorCode === ErrorCode.NONE) this.#sessions.registered(brokerId, caller)
      return decision
    })
    const { errorCode, errorMessage, brokerEpoch } = reply
    if (errorCode === ErrorCode.NONE) logger.info({ brokerId, brokerEpoch }, 'broker-registered')
    else logger.warn({ brokerId, error: errorName(errorCode), errorMessage }, 'broker-registration-refused')
    return reply
  }

  async heartbeat(request: RequestOf<typeof brokerHeartbeat>, caller: Caller | null) {
    const { logger } = this.#o
    const { brokerId } = request
    const wasFenced = this.#newest.brokers.get(brokerId)?.fenced
    const reply = await this.decide((image, rules) => {
      const othersOffset = this.#sessions.lowestOffsetBut(brokerId, id => isActive(image.brokers.get(id)))
      const shutdownOffset = this.#sessions.shutdownOffset(brokerId)
      const decision = decideHeartbeat(image, request, { othersOffset, shutdownOffset }, rules)
      const { errorCode, isInControlledShutdown, shouldShutDown } = decision.reply
      if (errorCode === ErrorCode.NONE) this.#sessions.touch(brokerId, request.currentMetadataOffset, caller)
      // Of the last record: the one that says so, or, where an earlier controller wrote that, the last one that there is.
      const lastOffset = this.metadataLog.logEndOffset + decision.records.length - 1
      if (isInControlledShutdown) this.#sessions.shutdownBegan(brokerId, lastOffset)
      if (shouldShutDown) this.#sessions.remove(brokerId)
      return decision
    })
    if (reply.errorCode === ErrorCode.NONE && reply.isFenced !== wasFenced) {
      logger.info({ brokerId }, reply.isFenced ? 'broker-fenced' : 'broker-unfenced')
    }
    return reply
  }

  alterPartition(request: RequestOf<typeof alterPartition>) {
    return this.decide((image, rules) => decideAlterPartition(image, request, rules))
  }

  async registerController(request: RequestOf<typeof controllerRegistration>) {
    const reply = await this.decide(image => decideRegisterController(image, request))
    this.#fenceEarlierLife(request.controllerId)
    return reply
  }

  unregisterBroker(brokerId: BrokerId) {
    return this.decide((image, rules) => {
      const decision = decideUnregisterBroker(image, brokerId, rules)
      if (decision.records.length > 0) this.#sessions.remove(brokerId)
      return decision
    })
  }

  #scheduleTick(): void {
    this.#timer = this.#o.clock.after(TICK_MS, () => this.#tick())
  }

  #tick(): void {
    this.#elect(this.#o.clock.monotonicMs())
    if (this.#machine) this.#scheduleTick()
  }

  /** What nobody asks for: leaderships go back to preferred replicas, and unclean elections where a topic allows them. */
  #elect(nowMs: number): void {
    const { config } = this.#o
    const failed = (error: unknown) => this.#failed(error, 'election-failed')
    if (nowMs - this.#balancedMs >= config.get('leader.imbalance.check.interval.seconds') * 1000) {
      this.#balancedMs = nowMs
      const again = (isFull: boolean) => {
        if (isFull) this.#balancedMs = Number.NEGATIVE_INFINITY
      }
      if (config.get('auto.leader.rebalance.enable')) this.decide(decideBalance).then(again, failed)
    }
    if (nowMs - this.#uncleanMs >= config.get('unclean.leader.election.interval.ms')) {
      this.#uncleanMs = nowMs
      this.decide(decideUncleanElections).catch(failed)
    }
  }

  #fence(brokerId: BrokerId, why: 'silent' | 'gone'): void {
    const { logger } = this.#o
    this.decide((image, rules): Decision<boolean> => {
      const broker = image.brokers.get(brokerId)
      const isLive = isActive(broker) || broker?.inControlledShutdown === true
      return { records: isLive ? decideFence(image, brokerId, rules) : [], reply: isLive }
    }).then(
      isFenced => isFenced && logger.warn({ brokerId, why }, 'broker-session-expired'),
      error => this.#failed(error, 'broker-fencing-failed')
    )
  }

  /** What is decided unasked and fails because another node leads now is that one's to do. */
  #failed(error: unknown, event: string): void {
    const { logger } = this.#o
    if (!isFailure(error, 'ERR_NOT_CONTROLLER')) logger.error({ err: error }, event)
  }

  // What the machine does to the state. What is committed is the metadata log's to say, to everyone at once.

  apply(record: MetadataRecord): void {
    this.#newest.apply(record)
  }

  committed(): void {}

  /** Nobody decides on it any more: the next time that this node is active it begins with what is committed. */
  rollback(): void {}
}

function notController(cause?: unknown): MoldauError {
  return new MoldauError('ERR_NOT_CONTROLLER', 'this node is not the active controller', { cause })
}
