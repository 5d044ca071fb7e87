// One seeded life story of a log on the disk that crashes: it appends, syncs, rolls, checkpoints, truncates, loses
// segments to retention, fails a write or a sync, dies at any moment, also in the middle of recovery, and comes back.
// A model keeps what was appended and what was synced; after each start the log must be a prefix of the model that holds
// everything synced, its indexes, epochs and producers must agree with its batches. Used by the test and by scripts/crash.
import assert from 'node:assert/strict'
import { isFailure } from '../../protocol/failure.ts'
import { setBaseOffset, setPartitionLeaderEpoch } from '../../protocol/records/batch.ts'
import type { Offset } from '../../protocol/types.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { Log, type LogOptions } from '../../storage/log.ts'
import type { CrashKind } from '../../storage/memory-disk.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { Agenda, diceOf } from './agenda.ts'
import { Model } from './crash-model.ts'
import { batchOf, TestClock } from './log-fixture.ts'
import { sampleConfig } from './sample-config.ts'

const DIRECTORY = '/data/t-0'
const PRODUCERS = 3

/** What the catalog would have written down, durably. */
interface Recorded {
  recoveryPoint: Offset
  syncedEnd: Offset
  logStartOffset: Offset
  isClean: boolean
  isSuspect: boolean
}

/** Counts of what happened, so that a test can see that the story was worth telling. */
export interface Story {
  crashes: number
  recoveries: number
  truncatedTails: number
  rolls: number
  failures: number
  batches: number
}

class Life {
  readonly #dice: { below(limit: number): number }
  readonly #clock = new TestClock()
  readonly #config
  readonly #policy: 'group-commit' | 'page-cache'
  readonly story: Story = { crashes: 0, recoveries: 0, truncatedTails: 0, rolls: 0, failures: 0, batches: 0 }
  readonly #agenda: Agenda
  #files: MemoryFiles
  #log: Log | null = null
  readonly #model = new Model()
  /** Everything below was published as synced (page-cache: as written), or cut on purpose. */
  #acked = 0
  /** A crash may have taken back what page-cache published: only a kept disk must still have it. */
  #durable = 0
  #start = 0
  /** The power failed in the middle of something: there is no stopping in order. */
  #mustCrash = false
  #epoch = 0
  readonly #sequences: number[] = Array(PRODUCERS).fill(0)
  #recorded: Recorded = { recoveryPoint: 0, syncedEnd: 0, logStartOffset: 0, isClean: false, isSuspect: false }

  constructor(seed: number) {
    this.#dice = diceOf(seed)
    this.#policy = this.#dice.below(4) === 0 ? 'page-cache' : 'group-commit'
    this.#config = sampleConfig({
      segmentBytes: 2400 + this.#dice.below(4000),
      indexIntervalBytes: this.#dice.below(3) * 150,
      segmentIndexBytes: this.#dice.below(4) === 0 ? 64 : 10485760,
      retentionBytes: 5000,
      fileDeleteDelayMs: 1000,
      flushMessages: this.#dice.below(3) === 0 ? 5 : Number.POSITIVE_INFINITY,
      preallocate: this.#dice.below(4) === 0
    })
    this.#agenda = new Agenda(this.#dice)
    this.#files = new MemoryFiles({ later: complete => this.#agenda.add(complete) })
  }

  async run(lives: number, steps: number): Promise<Story> {
    await this.#agenda.settled(this.#files.mkdir('/data'))
    await this.#agenda.settled(this.#files.syncDirectory('/'))
    for (let life = 0; life < lives; life++) {
      try {
        this.#mustCrash = false
        if (await this.#begin()) await this.#live(this.#dice.below(steps))
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        this.#mustCrash = true
      }
      await this.#end()
    }
    return this.story
  }

  /** Opens the log, unless the power fails while it recovers: false then. */
  async #begin(): Promise<boolean> {
    this.#epoch++
    this.#sequences.fill(0)
    const opening = Log.open(this.#options())
    const patience = this.#dice.below(6) === 0 ? this.#dice.below(30) : Number.POSITIVE_INFINITY
    if (!(await this.#agenda.happens(opening, patience))) return false
    const log = await opening
    this.#log = log
    if (log.wasWalked) this.story.recoveries++
    if (log.truncatedBytes > 0) this.story.truncatedTails++
    await this.#check(log)
    this.#recorded.isSuspect = false
    this.#recorded.isClean = false
    log.onSynced(end => {
      this.#acked = Math.max(this.#acked, end)
      this.#durable = Math.max(this.#durable, log.durableEndOffset)
    })
    return true
  }

  #options(): LogOptions {
    const recorded = { ...this.#recorded }
    return {
      files: this.#files,
      openFiles: new OpenFiles(this.#files, 1 + this.#dice.below(4)),
      tailCache: new TailCache(this.#dice.below(3) * 2000),
      clock: this.#clock,
      random: this.#dice,
      policy: this.#policy,
      diskSpace: { isLow: false },
      directory: DIRECTORY,
      topicPartition: { topic: 't', partition: 0 },
      topicId: null,
      config: this.#config,
      producerIdExpirationMs: 1e15,
      recoveryPoint: recorded.recoveryPoint,
      syncedEnd: recorded.syncedEnd,
      logStartOffset: recorded.logStartOffset,
      cleanShutdown: recorded.isClean,
      isSuspect: recorded.isSuspect,
      syncsLater: this.#dice.below(2) === 0,
      onFailure: failure => {
        this.story.failures++
        if (failure.operation === 'sync') this.#recorded.isSuspect = true
      },
      onRecoveryPoint: recoveryPoint => {
        if (this.#dice.below(2) === 0) this.#recorded.recoveryPoint = recoveryPoint
      },
      beforeTruncation: async to => {
        this.#recorded.recoveryPoint = Math.min(this.#recorded.recoveryPoint, to)
        this.#recorded.syncedEnd = Math.min(this.#recorded.syncedEnd, to)
        this.#acked = Math.min(this.#acked, to)
        this.#durable = Math.min(this.#durable, to)
      }
    }
  }

  async #live(steps: number): Promise<void> {
    const log = this.#log as Log
    for (let step = 0; step < steps && !log.isOffline; step++) await this.#step(log)
  }

  async #step(log: Log): Promise<void> {
    const roll = this.#dice.below(100)
    if (roll < 36) this.#append(log)
    else if (roll < 40) this.#resend(log)
    else if (roll < 45) this.#appendFetched(log)
    else if (roll < 60) this.#clock.endTurn()
    else if (roll < 75) await this.#agenda.completeOne()
    else if (roll < 80) await this.#agenda.settled(log.flush().catch(() => 0))
    else if (roll < 84) await this.#checkpoint(log)
    else if (roll < 87) this.#recorded.syncedEnd = Math.max(this.#recorded.syncedEnd, log.durableEndOffset)
    else if (roll < 91) await this.#read(log)
    else if (roll < 93) await this.#truncate(log)
    else if (roll < 95) this.#retain(log)
    else if (roll < 96) this.#clock.advance(1500)
    else if (roll < 97) this.#injectFault()
    else await this.#agenda.run(3)
  }

  #append(log: Log): void {
    const producerId = this.#dice.below(2) === 0 ? this.#dice.below(PRODUCERS) : -1
    const count = 1 + this.#dice.below(3)
    const sequence = producerId < 0 ? -1 : (this.#sequences[producerId] as number)
    const batch = batchOf({
      count,
      valueBytes: 1 + this.#dice.below(this.#dice.below(4) === 0 ? 700 : 100),
      timestamp: this.#clock.ms + this.#dice.below(50) - 20,
      producerId,
      producerEpoch: producerId < 0 ? -1 : this.#epoch,
      baseSequence: sequence
    })
    const before = log.segments.count
    const end = log.logEndOffset
    const result = log.appendAsLeader(batch, { leaderEpoch: this.#epoch, origin: 'client', nowMs: this.#clock.ms })
    if (result.kind === 'refused' && log.isOffline) return
    assert.equal(result.kind, 'appended', JSON.stringify(result))
    assert(result.kind === 'appended')
    assert.equal(result.baseOffset, end, 'offsets are given without a gap')
    assert.equal(log.logEndOffset, end + count)
    if (log.segments.count > before) this.story.rolls++
    this.story.batches++
    const lastSequence = producerId < 0 ? -1 : sequence + count - 1
    if (producerId >= 0) this.#sequences[producerId] = lastSequence + 1
    const kept = { base: end, last: result.lastOffset, epoch: this.#epoch, bytes: Buffer.from(batch), producerId }
    this.#model.batches.push({ ...kept, lastSequence })
  }

  /** A producer that missed its answer sends its last batch again: the old offsets, and nothing is appended. */
  #resend(log: Log): void {
    const producerId = this.#dice.below(PRODUCERS)
    const last = this.#model.lastOf(producerId)
    if (!last || last.epoch !== this.#epoch || log.producers.get(producerId) === undefined) return
    const again = Buffer.from(last.bytes)
    setBaseOffset(again, 0, 0)
    const end = log.logEndOffset
    const result = log.appendAsLeader(again, { leaderEpoch: this.#epoch, origin: 'client', nowMs: this.#clock.ms })
    assert.deepEqual(
      { ...result, logAppendTimeMs: -1 },
      { kind: 'duplicate', baseOffset: last.base, lastOffset: last.last, logAppendTimeMs: -1 }
    )
    assert.equal(log.logEndOffset, end)
  }

  /** A batch as a leader gave it, whose compaction may have left offsets out. */
  #appendFetched(log: Log): void {
    const count = 1 + this.#dice.below(3)
    const batch = batchOf({ count, valueBytes: 1 + this.#dice.below(200), timestamp: this.#clock.ms })
    const base = log.logEndOffset + (this.#dice.below(3) === 0 ? this.#dice.below(4) : 0)
    setBaseOffset(batch, 0, base)
    setPartitionLeaderEpoch(batch, 0, this.#epoch)
    try {
      log.appendAsFollower(batch, this.#epoch)
    } catch (error) {
      if (log.isOffline) return
      throw error
    }
    this.story.batches++
    const last = base + count - 1
    const kept = { base, last, epoch: this.#epoch, bytes: Buffer.from(batch), producerId: -1, lastSequence: -1 }
    this.#model.batches.push(kept)
    assert.equal(log.logEndOffset, last + 1)
  }

  async #checkpoint(log: Log): Promise<void> {
    const done = log.checkpoint().catch(() => -1)
    if (this.#dice.below(2) === 0) return
    const recoveryPoint = await this.#agenda.settled(done)
    if (recoveryPoint >= 0) this.#recorded.recoveryPoint = recoveryPoint
  }

  async #read(log: Log): Promise<void> {
    const span = log.logEndOffset - log.logStartOffset
    const from = log.logStartOffset + this.#dice.below(span + 1)
    const upto = this.#dice.below(2) === 0 ? log.logEndOffset : log.syncedEndOffset
    const minOneMessage = this.#dice.below(2) === 0
    const read = log.read(from, { maxBytes: this.#dice.below(1500), upto, minOneMessage })
    const result = await this.#agenda.settled(
      Promise.resolve(read).catch(error => (isFailure(error) ? null : Promise.reject(error)))
    )
    if (!result) return
    const bytes = Buffer.concat(result.records)
    assert.equal(bytes.length, result.sizeInBytes)
    if (minOneMessage && from < upto) assert(bytes.length > 0 || upto <= this.#lastOf(from), 'one batch at least')
    this.#model.compare(bytes, from, result.endOffset)
  }

  #lastOf(offset: Offset): Offset {
    return this.#model.batches.find(batch => batch.last >= offset)?.last ?? Number.POSITIVE_INFINITY
  }

  async #truncate(log: Log): Promise<void> {
    const span = log.logEndOffset - log.logStartOffset
    const to = log.logStartOffset + this.#dice.below(span + 1)
    const before = log.logEndOffset
    this.#clock.endTurn()
    const cutting = log.truncateTo(to).catch(() => -1)
    if (
      !(await this.#agenda.happens(
        cutting,
        this.#dice.below(4) === 0 ? this.#dice.below(12) : Number.POSITIVE_INFINITY
      ))
    ) {
      // The power fails in the middle: the old end or the new one.
      throw new Crash()
    }
    const end = await cutting
    if (end < 0) return
    const kept = this.#model.batches.findLast(batch => batch.last < to)
    const expected = to >= before ? before : Math.max(kept ? kept.last + 1 : 0, log.logStartOffset)
    assert.equal(end, expected, 'cut behind the last batch that does not reach the offset')
    this.#model.cutTo(end)
    this.#epoch++
    this.#sequences.fill(0)
  }

  #retain(log: Log): void {
    if (this.#dice.below(2) === 0) {
      const span = log.syncedEndOffset - log.logStartOffset
      if (span > 0) log.advanceLogStartOffset(log.logStartOffset + this.#dice.below(span + 1))
    }
    log.deleteOldSegments(log.syncedEndOffset, this.#clock.ms)
    this.#start = log.logStartOffset
    this.#model.highestStart = Math.max(this.#model.highestStart, this.#start)
    if (this.#dice.below(2) === 0) this.#recorded.logStartOffset = log.logStartOffset
  }

  #injectFault(): void {
    const operation = (['write', 'sync', 'open', 'truncate'] as const)[this.#dice.below(4)] as 'write'
    const path = ['.log', 'index', 'snapshot', ''][this.#dice.below(4)] as string
    this.#files.inject({ operation, path, code: this.#dice.below(2) === 0 ? 'EIO' : 'ENOSPC', times: 1 })
  }

  /** Stops in order, dies, or (after a failure) goes on with the pages as they are. */
  async #end(): Promise<void> {
    const log = this.#log
    this.#log = null
    const choice = this.#mustCrash ? 10 : this.#dice.below(10)
    this.#files.heal()
    if (log && !log.isOffline && choice < 2) {
      this.#clock.endTurn()
      if (await this.#close(log)) return
    } else if (log?.isOffline && choice < 6) {
      await this.#agenda.settled(log.discard())
      await this.#agenda.run(20)
      this.#afterDeath('keep')
      return
    }
    const kind = (['keep', 'drop', 'mixed', 'mixed'] as const)[this.#dice.below(4)] as CrashKind
    this.story.crashes++
    this.#files = this.#files.crash(this.#dice, kind)
    this.#agenda.forget()
    this.#clock.forget()
    this.#afterDeath(kind)
  }

  /** True when the next life begins at once; a failure under way may still come in between. */
  async #close(log: Log): Promise<boolean> {
    const end = await this.#agenda.settled(log.close().catch(error => (isFailure(error) ? -1 : Promise.reject(error))))
    if (end < 0) return false
    assert.equal(end, Math.max(this.#model.endOffset, log.logStartOffset))
    this.#recorded = { ...this.#recorded, recoveryPoint: end, syncedEnd: end, isClean: true }
    this.#recorded.logStartOffset = log.logStartOffset
    this.#acked = this.#durable = end
    assert.equal(this.#files.openCount, 0, 'a closed log holds no file')
    return this.#dice.below(2) === 0
  }

  #afterDeath(kind: CrashKind): void {
    // Under page-cache only a disk that kept its pages owes what was merely written.
    const isLost = kind !== 'keep' || this.#recorded.isSuspect
    if (this.#policy === 'page-cache' && isLost) this.#acked = this.#durable
  }

  /** The log that came back is a sound prefix of the model, with everything synced. */
  async #check(log: Log): Promise<void> {
    assert(log.logEndOffset >= this.#acked, `synced to ${this.#acked}, came back with ${log.logEndOffset}`)
    assert(log.logStartOffset >= this.#recorded.logStartOffset)
    assert(
      log.logStartOffset <= Math.max(this.#start, this.#recorded.logStartOffset),
      'no more is gone than was let go'
    )
    const isSynced = !log.writer.isRecoveredUnsynced
    if (isSynced) assert.equal(log.syncedEndOffset, log.logEndOffset)
    const all: Buffer[] = []
    let from = log.logStartOffset
    while (from < log.logEndOffset) {
      const o = { maxBytes: 700, upto: log.logEndOffset, minOneMessage: true }
      const result = await this.#agenda.settled(Promise.resolve(log.read(from, o)))
      assert(result.endOffset > from, 'a read before the end gives something')
      all.push(...result.records)
      from = result.endOffset
    }
    this.#model.compare(Buffer.concat(all), log.logStartOffset, log.logEndOffset)
    // What is not synced yet is nobody's before it is.
    this.#acked = Math.max(this.#acked, log.syncedEndOffset)
    this.#durable = isSynced ? log.logEndOffset : Math.max(this.#durable, log.durableEndOffset)
    this.#start = log.logStartOffset
    this.#model.cutTo(log.logEndOffset)
    this.#model.checkEpochs(log)
    this.#model.checkProducers(log, PRODUCERS)
    for (const segment of log.segments) {
      const bytes = (await this.#agenda.settled(this.#files.readFile(segment.file.path))) ?? Buffer.alloc(0)
      this.#model.checkSegment(segment, bytes, this.#config.preallocate && segment === log.segments.active)
    }
  }
}

/** Thrown where the power fails in the middle of something. */
class Crash extends Error {}

/** Throws an AssertionError where a promise of durability was broken. */
export function crashRun(seed: number, lives = 4, steps = 80): Promise<Story> {
  return new Life(seed).run(lives, steps)
}
