// The metadata log of this node: loaded at start (snapshot, then log), led as the quorum decides, appended to by the
// controller's machine, and cut short behind snapshots. Performs the effects of replication/quorum/quorum.ts. What must
// hold: an epoch is on the disk before anything is done in it; nothing is committed before it is synced here.
import path from 'node:path'
import { formatQuorumState, parseQuorumState, type QuorumState } from '../protocol/cluster/quorum-state.ts'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import { type BrokerId, type LeaderEpoch, type Offset, type Uuid, ZERO_UUID } from '../protocol/types.ts'
import { checkFeatures } from '../replication/controller/features.ts'
import {
  leaderChangeBatch,
  type MetadataBatch,
  metadataBatch,
  metadataBatches,
  snapshotRecords
} from '../replication/metadata/batches.ts'
import { MetadataDelta } from '../replication/metadata/delta.ts'
import { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'
import { createQuorum, type Effect, type Input, type Quorum, step } from '../replication/quorum/quorum.ts'
import type { Files } from '../storage/files.ts'
import type { Log } from '../storage/log.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'
import type { MachineLog } from './machine.ts'
import { MetadataCache } from './metadata-cache.ts'
import { MetadataSnapshots } from './metadata-snapshots.ts'

const QUORUM_STATE = 'quorum-state'
const READ_BYTES = 1 << 20

export interface MetadataLogOptions {
  /** `__cluster_metadata-0`, always under group commit, its syncs before those of others. */
  readonly log: Log
  readonly files: Files
  readonly nodeId: BrokerId
  readonly voters: readonly BrokerId[]
  /** Where bootstrap.checkpoint lies: the first records of a new cluster. */
  readonly bootstrapCheckpoint: string
  readonly clock: Clock
  readonly logger: Logger
  readonly snapshotBytesMax: () => number
  readonly snapshotIntervalMs: () => number
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

export class MetadataLog implements MachineLog<MetadataRecord> {
  readonly cache: MetadataCache
  readonly #o: MetadataLogOptions
  readonly #quorum: Quorum
  readonly #snapshots: MetadataSnapshots
  #onCommitted: () => void = () => {}
  #bytesSinceSnapshot = 0
  #lastSnapshotMs: number
  #snapshotEndOffset: Offset
  #isSnapshotting = false
  #lastAppendMs = 0

  /** Loads everything that the log holds. Nothing of it is published before this node leads. */
  static async open(o: MetadataLogOptions): Promise<MetadataLog> {
    const snapshots = new MetadataSnapshots(o.files, o.log.directory, o.logger)
    const snapshot = await snapshots.newest(o.log.logStartOffset)
    const image = new MetadataImage()
    const delta = new MetadataDelta()
    for (const record of snapshot?.records ?? []) image.apply(record, delta)
    checkFeatures(image)
    const from = Math.max(snapshot?.endOffset ?? 0, o.log.logStartOffset)
    if (from > o.log.logEndOffset) {
      throw new MoldauError(
        'ERR_LOG_CORRUPT',
        `${o.log.directory}: a snapshot covers the metadata up to offset ${from}, but the log ends at ${o.log.logEndOffset}`
      )
    }
    let bytes = 0
    for await (const batch of batchesFrom(o.log, from)) {
      bytes += batch.sizeInBytes
      for (const record of batch.records) image.apply(record, delta)
    }
    checkFeatures(image)
    const voters = o.voters.map(id => ({ id, directoryId: ZERO_UUID }))
    const quorum = createQuorum(o.nodeId, voters, await storedState(o))
    // The log may know a later epoch than a lost quorum-state file: never lead twice in one.
    quorum.epoch = Math.max(quorum.epoch, o.log.epochs.latest?.epoch ?? 0)
    const cache = new MetadataCache(image, o.log.logEndOffset, delta)
    return new MetadataLog(o, cache, quorum, snapshots, from, bytes)
  }

  private constructor(
    o: MetadataLogOptions,
    cache: MetadataCache,
    quorum: Quorum,
    snapshots: MetadataSnapshots,
    snapshotEndOffset: Offset,
    bytesSinceSnapshot: number
  ) {
    this.#o = o
    this.cache = cache
    this.#quorum = quorum
    this.#snapshots = snapshots
    this.#snapshotEndOffset = snapshotEndOffset
    this.#bytesSinceSnapshot = bytesSinceSnapshot
    this.#lastSnapshotMs = o.clock.monotonicMs()
  }

  get logStartOffset(): Offset {
    return this.#o.log.logStartOffset
  }

  get logEndOffset(): Offset {
    return this.#o.log.logEndOffset
  }

  /** -1 until this life knows one. */
  get highWatermark(): Offset {
    return this.#quorum.highWatermark
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#quorum.epoch
  }

  /** -1: nobody leads. */
  get leaderId(): BrokerId {
    return this.#quorum.leaderId
  }

  get isLeader(): boolean {
    return this.#quorum.role.kind === 'leader'
  }

  get voters(): readonly BrokerId[] {
    return this.#quorum.voters.map(voter => voter.id)
  }

  /** When the own log got its last record: the own replica's "last caught up" in DescribeQuorum. */
  get lastAppendMs(): number {
    return this.#lastAppendMs
  }

  /** Takes part in the quorum. When it resolves with this node as the leader, appends may follow in the same turn. */
  async start(on: QuorumListener | (() => void)): Promise<void> {
    const onCommitted = typeof on === 'function' ? on : () => on.committed()
    this.#onCommitted = onCommitted
    this.#o.log.onSynced(syncedEndOffset => this.#step({ kind: 'synced', syncedEndOffset }))
    const [store] = step(this.#quorum, { kind: 'started', logEndOffset: this.logEndOffset })
    if (store?.kind !== 'store') return
    await this.#store(store)
    this.#step({ kind: 'stored', epoch: store.epoch, logEndOffset: this.logEndOffset })
  }

  /** As the leader only. One atomic batch. */
  append(records: readonly MetadataRecord[]): Offset {
    if (!this.isLeader) throw new MoldauError('ERR_NOT_LEADER', 'this node does not lead the metadata quorum')
    const batch = metadataBatch(records, this.leaderEpoch, this.#o.clock.nowMs())
    this.#append(batch)
    return this.logEndOffset
  }

  /** The cluster's id: of meta.properties, or as committed; null while nobody knows one. */
  get clusterId(): Uuid | null {
    throw new Error('not there yet')
  }

  /** True once the cache has reached a leader's high watermark as told in this life, the cluster id is known, and this
   *  directory says so durably. */
  get isCaughtUp(): boolean {
    throw new Error('not there yet')
  }

  /** Resolves when `isCaughtUp`; rejects (ERR_WRONG_DIRECTORY, ERR_CLOSED) when that will not be. */
  whenCaughtUp(): Promise<void> {
    throw new Error('not there yet')
  }

  /** Called after each change of leaderId or leaderEpoch. Gives the way to unsubscribe. */
  onLeaderChange(_listener: () => void): () => void {
    throw new Error('not there yet')
  }

  /** Where that voter's controller listens, by controller.quorum.voters; null: no voter. */
  controllerAddress(_nodeId: BrokerId): { readonly host: string; readonly port: number } | null {
    throw new Error('not there yet')
  }

  /** As the leader: resolves when every replica that fetched within the last second knows the high watermark to be at
   *  or above `endOffset`, or when the time is up, or when this node leads no more. */
  whenKnown(_endOffset: Offset, _limitMs: number): Promise<void> {
    throw new Error('not there yet')
  }

  /** Graceful: hands the leadership over (EndQuorumEpoch), then takes no part any more. Resolves within a second. */
  handOver(): Promise<void> {
    throw new Error('not there yet')
  }

  /** At once: takes no part any more. The listener's resign() was called if this node led. */
  stop(): void {
    throw new Error('not there yet')
  }

  /** Leads no more: the log failed, or the node stops. */
  resign(): void {
    this.#step({ kind: 'resigned' })
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
  async maybeSnapshot(): Promise<void> {
    const { clock, snapshotBytesMax, snapshotIntervalMs } = this.#o
    const endOffset = this.cache.endOffset
    if (this.#isSnapshotting || !this.isLeader || endOffset <= this.#snapshotEndOffset) return
    const isDue = clock.monotonicMs() - this.#lastSnapshotMs >= snapshotIntervalMs()
    if (!isDue && this.#bytesSinceSnapshot < snapshotBytesMax()) return
    this.#isSnapshotting = true
    try {
      await this.#snapshot(endOffset)
    } finally {
      this.#isSnapshotting = false
    }
  }

  async #snapshot(endOffset: Offset): Promise<void> {
    const { clock, log, logger } = this.#o
    const began = clock.monotonicMs()
    const id = { endOffset, epoch: log.epochs.epochForOffset(endOffset - 1) ?? this.leaderEpoch }
    const image = this.cache.image.copy()
    this.#bytesSinceSnapshot = 0
    this.#lastSnapshotMs = began
    this.#snapshotEndOffset = endOffset
    const needed = await this.#snapshots.write(image, id, this.#lastAppendMs || clock.nowMs(), clock)
    if (needed > log.logStartOffset) {
      log.advanceLogStartOffset(needed)
      log.deleteOldSegments(this.highWatermark, clock.nowMs())
    }
    logger.info({ ...id, ms: Math.round(clock.monotonicMs() - began) }, 'metadata-snapshot-written')
  }

  #step(input: Input): void {
    for (const effect of step(this.#quorum, input)) this.#perform(effect)
  }

  #perform(effect: Effect): void {
    const { clock, logger } = this.#o
    switch (effect.kind) {
      case 'lead': {
        const { epoch, grantingVoters } = effect
        logger.info({ epoch }, 'metadata-quorum-leader')
        const leaderId = this.#quorum.nodeId
        this.#append(leaderChangeBatch({ leaderId, voters: this.voters, grantingVoters }, epoch, clock.nowMs()))
        return
      }
      case 'advance-high-watermark':
        this.#onCommitted()
        return
      case 'store':
        // Only 'started' stores, and it waits for it; elections among several voters will park their input likewise.
        throw new MoldauError('ERR_NOT_LEADER', `epoch ${effect.epoch} must be stored before it is used`)
      default:
        effect satisfies never
    }
  }

  async #store({ epoch, leaderId, votedId }: Effect & { kind: 'store' }): Promise<void> {
    const { files, log } = this.#o
    const state = { version: 0, leaderId, leaderEpoch: epoch, votedId, votedDirectoryId: ZERO_UUID } as const
    const text = formatQuorumState({ ...state, currentVoters: this.voters })
    await files.writeFileAtomically(path.join(log.directory, QUORUM_STATE), Buffer.from(text), true)
  }

  #append(batch: Buffer): void {
    const { clock, log } = this.#o
    const nowMs = clock.nowMs()
    const result = log.appendAsLeader(batch, { leaderEpoch: this.leaderEpoch, origin: 'quorum', nowMs })
    if (result.kind !== 'appended') {
      const why = result.kind === 'refused' ? result.errorMessage : result.kind
      throw new MoldauError('ERR_STORAGE', `the metadata log took no records: ${why}`)
    }
    this.#bytesSinceSnapshot += batch.length
    this.#lastAppendMs = nowMs
  }
}

/** Null at the first start of all. Other voters than configured are another quorum: two leaders could be elected. */
async function storedState({ files, log, voters }: MetadataLogOptions): Promise<QuorumState | null> {
  const file = path.join(log.directory, QUORUM_STATE)
  const bytes = await files.readFile(file)
  if (bytes === null) return null
  const state = quorumStateIn(file, bytes.toString('utf8'))
  const known = new Set(state.currentVoters)
  if (state.version !== 0 || known.size !== voters.length || !voters.every(id => known.has(id))) {
    const who = state.version === 0 ? `the voters [${state.currentVoters}]` : 'voters that change at run time'
    throw new MoldauError('ERR_WRONG_DIRECTORY', `${file}: it names ${who}, this node is configured with [${voters}]`)
  }
  return state
}

function quorumStateIn(file: string, text: string): QuorumState {
  try {
    return parseQuorumState(text)
  } catch (error) {
    if (!isFailure(error)) throw error
    throw new MoldauError(error.code, `${file}: ${error.message}`, { cause: error })
  }
}

async function* batchesFrom(log: Log, from: Offset): AsyncGenerator<MetadataBatch> {
  let at = from
  while (at < log.logEndOffset) {
    const read = await log.read(at, { maxBytes: READ_BYTES, upto: log.logEndOffset, minOneMessage: true })
    if (read.endOffset <= at) {
      throw new MoldauError('ERR_LOG_CORRUPT', `${log.directory}: nothing can be read at offset ${at}`)
    }
    for (const bytes of read.records) {
      // The first batch may begin below the offset that a snapshot reaches to: it was counted there.
      for (const batch of soundBatches(log, bytes)) if (batch.endOffset > at) yield batch
    }
    at = read.endOffset
  }
}

/** A clean start reads the metadata log without having walked it. */
function* soundBatches(log: Log, bytes: Buffer): Generator<MetadataBatch> {
  try {
    yield* metadataBatches(bytes)
  } catch (error) {
    if (!isFailure(error, 'ERR_CORRUPT_BATCH')) throw error
    throw new MoldauError('ERR_LOG_CORRUPT', `${log.directory}: ${error.message}`, { cause: error })
  }
}
