// Readers who catch up from the files: every batch once and whole, from where they ended, in memory that is theirs until
// they let go of it.
import { test } from 'tap'
import { Holds, memoryPool } from '../../protocol/memory-pool.ts'
import { Log } from '../../storage/log.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { batchOf, config, surroundings } from './log-fixture.ts'

const client = { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 } as const
const SEGMENT_BYTES = 3_000_000
const INDEXED = { ...config, segmentBytes: SEGMENT_BYTES, indexIntervalBytes: 100_000 }

/** A log whose newest batches are in no memory, and where its files were read. */
async function coldLog(values: readonly number[]) {
  const around = await surroundings({ config: INDEXED, tailCache: new TailCache(1) })
  const log = await Log.open(around.options)
  const batches: Buffer[] = []
  const fill = async (valueBytes: number): Promise<void> => {
    const batch = batchOf({ valueBytes, value: String(batches.length).padEnd(valueBytes, 'v') })
    log.appendAsLeader(batch, client)
    batches.push(Buffer.from(batch))
    await log.flush()
  }
  for (const each of values) await fill(each)
  const reads: { position: number; size: number }[] = []
  const read = around.files.read.bind(around.files)
  around.files.read = async (fd, buffer, position) => {
    const size = await read(fd, buffer, position)
    reads.push({ position, size })
    return size
  }
  return { log, batches, fill, reads }
}

/** One who reads on, and looks at what he has got when others have read too. */
class CatchingUp {
  readonly #log: Log
  readonly #maxBytes: number
  #holds = new Holds()
  #pending: Buffer[] = []
  offset = 0
  readonly got: Buffer[] = []

  constructor(log: Log, maxBytes: number) {
    this.#log = log
    this.#maxBytes = maxBytes
  }

  async next(): Promise<number> {
    const o = { upto: this.#log.logEndOffset, maxBytes: this.#maxBytes, minOneMessage: true, holds: this.#holds }
    const { records, sizeInBytes, endOffset } = await this.#log.read(this.offset, o)
    this.#pending = records
    this.offset = endOffset
    return sizeInBytes
  }

  letGo(): void {
    for (const each of this.#pending) this.got.push(Buffer.from(each))
    this.#pending = []
    this.#holds.letGo()
  }
}

const MIXED = Array.from({ length: 120 }, (_, index) => [90, 70_000, 3000, 300_000, 12][index % 5] as number)

test('several readers get every batch, whole, each in its own steps', async t => {
  memoryPool.isPoisonous = true
  t.teardown(() => {
    memoryPool.isPoisonous = false
  })
  const { log, batches } = await coldLog(MIXED)
  t.ok([...log.segments].length > 2)
  const readers = [1, 65_000, 600_000, 1_000_000, 9_000_000].map(maxBytes => new CatchingUp(log, maxBytes))
  for (let read = 1; read > 0; ) {
    const sizes = await Promise.all(readers.map(each => each.next()))
    for (const each of readers) each.letGo()
    read = Math.max(...sizes)
  }
  const all = Buffer.concat(batches)
  for (const each of readers) t.ok(Buffer.concat(each.got).equals(all))
})

test('who reads on is led to where he ended, and reads nothing twice but what was cut off', async t => {
  const { log, batches, reads } = await coldLog(Array(40).fill(200_000))
  const size = (batches[0] as Buffer).length
  const perSegment = Math.floor(SEGMENT_BYTES / size)
  const reader = new CatchingUp(log, 3 * size)
  let taken = 0
  for (let at = 0; (await reader.next()) > 0; at = reader.offset) {
    const { position } = reads[reads.length - 1] as (typeof reads)[number]
    t.equal(position, (at % perSegment) * size, `from ${at}`)
    reader.letGo()
    taken++
  }
  t.equal(reader.offset, 40)
  t.equal(reads.length, taken)
  // Memory that was let go is taken again.
  const before = memoryPool.sizeInBytes
  const again = new CatchingUp(log, 3 * size)
  while ((await again.next()) > 0) again.letGo()
  t.ok(memoryPool.sizeInBytes <= before + SEGMENT_BYTES)
})

test('where a reader ended means nothing after a cut', async t => {
  const { log, batches, fill } = await coldLog(Array(6).fill(200_000))
  const reader = new CatchingUp(log, 450_000)
  for (let n = 0; n < 3; n++) {
    await reader.next()
    reader.letGo()
  }
  t.equal(reader.offset, 6)
  await log.truncateTo(2)
  batches.length = 2
  for (const valueBytes of [50_000, 10, 120_000, 90_000, 700, 150_000]) await fill(valueBytes)
  t.equal(log.logEndOffset, 8)
  while ((await reader.next()) > 0) reader.letGo()
  t.ok(Buffer.concat(reader.got.slice(3)).equals(Buffer.concat(batches.slice(6))))
})
