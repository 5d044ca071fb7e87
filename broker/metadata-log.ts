// The metadata log of this node, and this node in its quorum: loaded at start (snapshot, then log), led or followed as the
// quorum decides, cut short behind snapshots. What must hold: nothing is seen in the cache before it is committed; an
// epoch is on the disk before anything is done in it; nothing counts as this node's before it is synced here.
import { MoldauError } from '../protocol/failure.ts'
import type { fetch } from '../protocol/messages/fetch.ts'
import type { RequestOf, ResponseDraft } from '../protocol/schema.ts'
import type { BrokerId, LeaderEpoch, Offset, TimestampMs, Uuid } from '../protocol/types.ts'
import { clusterIdOf } from '../replication/controller/activation.ts'
import { checkFeatures } from '../replication/controller/features.ts'
import { leaderChangeBatch, metadataBatch, snapshotRecords } from '../replication/metadata/batches.ts'
import { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'
import type { QuorumTimeouts } from '../replication/quorum/state.ts'
import type { Files } from '../storage/files.ts'
import type { Log } from '../storage/log.ts'
import type { Clock, Random } from './clock.ts'
import type { VoterAddress } from './config.ts'
import type { Logger } from './log.ts'
import type { MachineLog } from './machine.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { MetadataSnapshots } from './metadata-snapshots.ts'
import type { Address, Network } from './net/network.ts'
import { describeReplicas, type ReplicaView } from './quorum/describe.ts'
import type { FetchedSnapshot } from './quorum/follower.ts'
import { KnownOffsets } from './quorum/known-offsets.ts'
import { type LoadedMetadata, type LoadedVote, loadMetadata, loadVote } from './quorum/load.ts'
import { Participant } from './quorum/participant.ts'
import { QuorumLog } from './quorum/quorum-log.ts'
import { SnapshotSchedule } from './quorum/snapshot-schedule.ts'
import type { UncommittedBatches } from './quorum/uncommitted.ts'
import type { Stalls } from './stalls.ts'
import type { QuorumFacts } from './waiting.ts'

export interface MetadataLogOptions {
  /** `__cluster_metadata-0`, always under group commit, its syncs before those of others. */
  readonly log: Log
  readonly files: Files
  readonly nodeId: BrokerId
  /** Every voter with the address of its controller; this node at least. */
  readonly voters: readonly VoterAddress[]
  /** The directory says whose it is (meta.properties): an operator, or this node in an earlier life, vouches for it. */
  readonly isFormatted: boolean
  /** Whether the directory shows an earlier life of a broker. */
  readonly hasLived: () => Promise<boolean>
  /** Where bootstrap.checkpoint lies: the first records of a new cluster. */
  readonly bootstrapCheckpoint: string
  readonly timeouts: QuorumTimeouts
  readonly requestTimeoutMs: () => number
  readonly fetchMaxBytes: () => number
  readonly snapshotMaxBytes: () => number
  /** What the directory says now; null while it says nothing. */
  readonly clusterId: () => Uuid | null
  /** What this node was told to call a new cluster (moldau.cluster.id); null: nothing. */
  readonly configuredClusterId: Uuid | null
  /** Writes it down, durably. Rejects where the directory is of another cluster. */
  readonly adoptClusterId: (clusterId: Uuid) => Promise<void>
  readonly network: Network
  readonly clock: Clock
  readonly stalls: Stalls
  readonly random: Random
  readonly logger: Logger
  readonly snapshotBytesMax: () => number
  readonly snapshotIntervalMs: () => number
  /** This node cannot go on; one clear reason. */
  readonly onFatal: (reason: MoldauError) => void
}

/** Whom the log tells what this node is in the quorum: its controller. Called synchronously. */
export interface QuorumListener {
  /** This node leads; everything before its epoch is committed and in the cache. Appends may follow in the same turn. */
  lead(): void
  /** It leads no more, or never again: no more appends. Also after a failed log. */
  resign(): void
  /** The high watermark moved while this node leads; the cache has what is committed. */
  committed(): void
}

const NOBODY: QuorumListener = { lead() {}, resign() {}, committed() {} }

export class MetadataLog implements MachineLog<MetadataRecord> {
  readonly cache: MetadataCache
  readonly #o: MetadataLogOptions
  readonly #log: QuorumLog
  readonly #uncommitted: UncommittedBatches
  readonly #participant: Participant
  readonly #snapshots: SnapshotSchedule
  readonly #known: KnownOffsets
  readonly #leaderListeners = new Set<() => void>()
  #caughtUpWaiters: { resolve: () => void; reject: (error: MoldauError) => void }[] = []
  #on: QuorumListener = NOBODY
  /** Where the own epoch begins, until the controller has been told of it. */
  #leadsFrom: Offset | null = null
  #isLeading = false
  /** The cache has reached what was committed when this life first heard of it. */
  #isInTime = false
  #adopting: Uuid | null = null
  #ended: MoldauError | null = null

  /** Loads everything that the disk has. Nothing of it is published before the quorum says that it is committed. */
  static async open(o: MetadataLogOptions): Promise<MetadataLog> {
    const snapshots = new MetadataSnapshots(o.files, o.log.directory, o.logger)
    const loaded = await loadMetadata(o.log, snapshots, o.voters.length === 1)
    return new MetadataLog(o, new QuorumLog(o.log, snapshots), loaded, await loadVote(o))
  }

  private constructor(o: MetadataLogOptions, log: QuorumLog, loaded: LoadedMetadata, vote: LoadedVote) {
    const { cache, uncommitted } = loaded
    this.#o = o
    this.#log = log
    this.cache = cache
    this.#uncommitted = uncommitted
    this.#snapshots = new SnapshotSchedule({ ...o, ...loaded, log, highWatermark: () => this.highWatermark })
    this.#participant = new Participant({
      ...{ ...o, ...vote, log, clusterId: () => this.clusterId },
      part: {
        lead: (epoch, grantingVoters) => this.#lead(epoch, grantingVoters),
        resigned: () => this.#resigned(),
        committed: upto => this.#commit(upto),
        viewChanged: () => {
          for (const listener of [...this.#leaderListeners]) listener()
        },
        settled: () => this.#settled()
      },
      follower: {
        committedEnd: () => cache.endOffset,
        onFetched: batches => {
          for (const batch of batches) uncommitted.push(batch)
        },
        onTruncated: logEndOffset => uncommitted.truncateTo(logEndOffset),
        install: snapshot => this.#install(snapshot)
      },
      onFailure: error => this.#failed(error)
    })
    this.#known = new KnownOffsets(this.#participant.quorum, o.clock)
  }

  get logStartOffset(): Offset {
    return this.#o.log.logStartOffset
  }

  get logEndOffset(): Offset {
    return this.#o.log.logEndOffset
  }

  /** -1 until this life knows one. */
  get highWatermark(): Offset {
    return this.#participant.quorum.highWatermark
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#participant.view.epoch
  }

  /** This node takes no part in the quorum any more, and hears nothing new of it. */
  get hasEnded(): boolean {
    return this.#ended !== null
  }

  /** -1: nobody leads, as far as this node knows. */
  get leaderId(): BrokerId {
    return this.#participant.view.leaderId
  }

  get isLeader(): boolean {
    return this.#isLeading
  }

  get voters(): readonly BrokerId[] {
    return this.#participant.quorum.voters
  }

  get quorumFacts(): QuorumFacts {
    return this.#participant.facts
  }

  /** The cluster's id: of meta.properties, or as committed; null while nobody knows one. */
  get clusterId(): Uuid | null {
    return this.#o.clusterId() ?? clusterIdOf(this.cache.image)
  }

  /** What a new cluster is to be called: a voter has that id already. Null where nobody has one. */
  get namedClusterId(): Uuid | null {
    return this.#participant.cluster.forNewCluster
  }

  /** True once the cache has reached a leader's high watermark as told in this life, the cluster id is known, and this
   *  directory says so durably. */
  get isCaughtUp(): boolean {
    return this.#isInTime && this.#o.clusterId() !== null
  }

  /** Resolves when `isCaughtUp`; rejects (ERR_WRONG_DIRECTORY, ERR_CLOSED) when that will not be. */
  whenCaughtUp(): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended)
    if (this.isCaughtUp) return Promise.resolve()
    return new Promise((resolve, reject) => this.#caughtUpWaiters.push({ resolve, reject }))
  }

  /** Called after each change of leaderId or leaderEpoch. Gives the way to unsubscribe. */
  onLeaderChange(listener: () => void): () => void {
    this.#leaderListeners.add(listener)
    return () => this.#leaderListeners.delete(listener)
  }

  /** Where that voter's controller listens, by controller.quorum.voters; null: no voter. */
  controllerAddress(nodeId: BrokerId): Address | null {
    return this.#participant.peers.addressOf(nodeId)
  }

  /** Takes part in the quorum; resolves when it does. A sole voter leads then. */
  async start(on: QuorumListener): Promise<void> {
    this.#on = on
    this.#snapshots.start()
    await this.#participant.start()
    if (this.#ended) throw this.#ended
  }

  /** As the leader only. One atomic batch. */
  append(records: readonly MetadataRecord[]): Offset {
    if (!this.#isLeading) throw new MoldauError('ERR_NOT_LEADER', 'this node does not lead the metadata quorum')
    const nowMs = this.#o.clock.nowMs()
    this.#append(metadataBatch(records, this.leaderEpoch, nowMs), records, nowMs)
    return this.logEndOffset
  }

  /** As the leader: resolves when every replica that fetched within the last second knows the high watermark to be at
   *  or above `endOffset`, or when the time is up, or when this node leads no more. */
  whenKnown(endOffset: Offset, limitMs: number): Promise<void> {
    return this.#known.when(endOffset, limitMs)
  }

  /** Graceful: hands the leadership over (EndQuorumEpoch), then takes no part any more. Resolves within a second. */
  async handOver(): Promise<void> {
    if (this.#ended) return
    await this.#participant.handOver()
    this.stop()
  }

  /** At once: takes no part any more. The listener's resign() was called if this node led. */
  stop(): void {
    this.#end(new MoldauError('ERR_CLOSED', 'this node takes no part in the metadata quorum any more'))
  }

  // Requests of other nodes.

  get answers() {
    return this.#participant.answers
  }

  serveFetch(request: RequestOf<typeof fetch>, signal: AbortSignal): Promise<ResponseDraft<typeof fetch>> {
    const reply = this.#participant.server.fetch(request, signal)
    this.#known.look()
    return reply
  }

  get server() {
    return this.#participant.server
  }

  /** Voters and others who fetch, as the leader knows them; null where this node does not lead. */
  describe(): { readonly currentVoters: ReplicaView[]; readonly observers: ReplicaView[] } | null {
    return this.#participant.view.isLeader
      ? describeReplicas(this.#participant.quorum, this.logEndOffset, this.#o.clock)
      : null
  }

  /** The records of bootstrap.checkpoint; none where the file is missing. */
  async bootstrapRecords(): Promise<MetadataRecord[]> {
    const { bootstrapCheckpoint, files } = this.#o
    const bytes = await files.readFile(bootstrapCheckpoint)
    const records = bytes === null ? [] : snapshotRecords(bytes, bootstrapCheckpoint)
    const image = new MetadataImage()
    for (const record of records) image.apply(record)
    checkFeatures(image)
    return records
  }

  /** Writes a snapshot where enough has been committed since the last one, or enough time has passed. */
  maybeSnapshot(): Promise<void> {
    return this.#snapshots.maybe()
  }

  #lead(epoch: LeaderEpoch, grantingVoters: readonly BrokerId[]): void {
    const nowMs = this.#o.clock.nowMs()
    const { nodeId } = this.#o
    this.#leadsFrom = this.logEndOffset
    this.#append(leaderChangeBatch({ leaderId: nodeId, voters: this.voters, grantingVoters }, epoch, nowMs), [], nowMs)
    this.#maybeTellLead()
  }

  /** Not before the cache has all that came before this epoch: a decision on less could undo what was promised. */
  #maybeTellLead(): void {
    if (this.#leadsFrom === null || this.cache.endOffset < this.#leadsFrom) return
    this.#leadsFrom = null
    this.#isLeading = true
    this.#on.lead()
  }

  #resigned(): void {
    this.#leadsFrom = null
    this.#known.look()
    if (!this.#isLeading) return
    this.#isLeading = false
    this.#on.resign()
  }

  #append(batch: Buffer, records: readonly MetadataRecord[], nowMs: TimestampMs): void {
    const { log } = this.#o
    const result = log.appendAsLeader(batch, { leaderEpoch: this.leaderEpoch, origin: 'quorum', nowMs })
    if (result.kind !== 'appended') {
      const why = result.kind === 'refused' ? result.errorMessage : result.kind
      throw new MoldauError('ERR_STORAGE', `the metadata log took no records: ${why}`)
    }
    const endOffset = log.logEndOffset
    this.#uncommitted.push({ endOffset, maxTimestamp: nowMs, sizeInBytes: batch.length, records })
    this.#participant.runner.take({ kind: 'appended', ...this.#log.end })
  }

  #commit(upto: Offset): void {
    const batches = this.#uncommitted.take(upto)
    const records = batches.flatMap(batch => batch.records)
    const endOffset = Math.max(this.cache.endOffset, batches.at(-1)?.endOffset ?? upto)
    this.cache.commit(records, endOffset)
    if (records.some(record => record.type === 'FeatureLevelRecord')) checkFeatures(this.cache.image)
    this.#snapshots.committed(batches)
    this.#maybeTellLead()
    if (this.#isLeading) this.#on.committed()
  }

  #settled(): void {
    const { isFresh, role } = this.#participant.quorum
    const told = role.kind === 'leader' ? role.highWatermark : role.kind === 'follower' ? role.leaderHighWatermark : -1
    if (told >= 0 && this.cache.endOffset >= told) this.#isInTime = true
    // Only a node whose vote counts is a member of the cluster by its directory.
    if (!isFresh) this.#maybeAdopt()
    this.#maybeTellCaughtUp()
  }

  /** Called while nothing else of the quorum is under way. */
  async #install({ id, bytes, records }: FetchedSnapshot): Promise<void> {
    const image = new MetadataImage()
    for (const record of records) image.apply(record)
    checkFeatures(image)
    if (id.endOffset < this.cache.endOffset) {
      throw new MoldauError(
        'ERR_LOG_CORRUPT',
        `the leader's snapshot ends at ${id.endOffset}, below what was committed`
      )
    }
    await this.#snapshots.hold()
    await this.#log.snapshots.keep(id, bytes)
    await this.#log.log.truncateFullyAndStartAt(id.endOffset)
    await this.#log.snapshots.dropOlder()
    this.#uncommitted.clear()
    this.cache.replace(image, id.endOffset)
    this.#snapshots.installed(id.endOffset)
  }

  #maybeAdopt(): void {
    const committed = clusterIdOf(this.cache.image)
    if (committed === null || this.#adopting === committed) return
    this.#adopting = committed
    this.#o.adoptClusterId(committed).then(
      () => this.#maybeTellCaughtUp(),
      error => this.#failed(error)
    )
  }

  #maybeTellCaughtUp(): void {
    if (!this.isCaughtUp) return
    for (const { resolve } of this.#caughtUpWaiters.splice(0)) resolve()
  }

  #failed(error: unknown): void {
    if (this.#ended) return
    const reason =
      error instanceof MoldauError
        ? error
        : new MoldauError('ERR_CLOSED', `metadata quorum: ${error}`, { cause: error })
    this.#o.logger.error({ err: error }, 'metadata-quorum-failed')
    this.#end(reason)
    this.#o.onFatal(reason)
  }

  #end(reason: MoldauError): void {
    if (this.#ended) return
    this.#ended = reason
    this.#participant.stop()
    this.#resigned()
    this.#snapshots.stop()
    this.#known.look()
    for (const { reject } of this.#caughtUpWaiters.splice(0)) reject(reason)
  }
}
