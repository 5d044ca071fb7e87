// The newest batches of all logs, in memory, so that tailing consumers and followers never touch the disk. Bounded by
// the bytes of the buffers that lie behind the batches, not by the slices: a slice keeps its whole frame alive. A frame
// shared by many batches counts once, and so does a slab of the pool, which is held as long as a batch in it is here; a
// small batch out of a large frame of its own is copied. First in, first out over all logs. Only appends put batches in:
// a catch-up read never evicts the tail.
import assert from 'node:assert/strict'
import { memoryPool, type Slab } from '../protocol/memory-pool.ts'
import type { Offset } from '../protocol/types.ts'
import type { ReadOptions, ReadResult } from './read-result.ts'

const SLAB_BYTES = 64 * 1024
const COPY_BYTES_MAX = 4096
/** A batch is copied when its frame is at least this many times larger. */
const COPY_RATIO = 8

/** Memory held once for all batches that lie in it. */
interface Backing {
  readonly memory: ArrayBufferLike
  readonly slab: Slab | null
  batches: number
}

interface CachedBatch {
  tail: LogTail | null
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  /** Empty once the batch is dropped: the queue may hold the entry for a while, but not its memory. */
  buffer: Buffer
  backing: Backing | null
}

const NO_BYTES = Buffer.alloc(0)

export class TailCache {
  readonly #limitBytes: number
  #sizeInBytes = 0
  /** Oldest first from `#from` on; entries whose tail is null were truncated away. */
  #queue: CachedBatch[] = []
  #from = 0
  readonly #backings = new Map<ArrayBufferLike, Backing>()
  #slab: Buffer = Buffer.alloc(0)
  #slabUsed = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes of memory that the cache keeps alive. */
  get sizeInBytes(): number {
    return this.#sizeInBytes
  }

  add(tail: LogTail, buffer: Buffer, baseOffset: Offset, lastOffset: Offset): CachedBatch {
    const slab = memoryPool.slabOf(buffer)
    // Pooled frames lie close to each other, and most of what is in them are batches.
    const kept = slab === null && this.#isWasteful(buffer) ? this.#copy(buffer) : buffer
    const batch = { tail, baseOffset, lastOffset, buffer: kept, backing: this.#hold(kept, slab) }
    this.#queue.push(batch)
    while (this.#from < this.#queue.length && (this.#sizeInBytes > this.#limitBytes || this.#isOldestDropped())) {
      this.#evictOldest()
    }
    return batch
  }

  /** A batch that is no longer part of its log. */
  drop(batch: CachedBatch): void {
    batch.tail = null
    if (batch.backing) this.#release(batch.backing)
    batch.buffer = NO_BYTES
    batch.backing = null
  }

  #isOldestDropped(): boolean {
    return (this.#queue[this.#from] as CachedBatch).tail === null
  }

  #isWasteful(buffer: Buffer): boolean {
    return buffer.length <= COPY_BYTES_MAX && buffer.length * COPY_RATIO < buffer.buffer.byteLength
  }

  #copy(buffer: Buffer): Buffer {
    if (this.#slabUsed + buffer.length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabUsed = 0
    }
    const copy = this.#slab.subarray(this.#slabUsed, this.#slabUsed + buffer.length)
    this.#slabUsed += buffer.length
    buffer.copy(copy)
    return copy
  }

  #hold({ buffer: memory }: Buffer, slab: Slab | null): Backing {
    let backing = this.#backings.get(memory)
    if (backing === undefined) {
      backing = { memory, slab, batches: 0 }
      this.#backings.set(memory, backing)
      this.#sizeInBytes += memory.byteLength
      slab?.hold()
    }
    backing.batches++
    return backing
  }

  #release(backing: Backing): void {
    assert(backing.batches > 0)
    if (--backing.batches > 0) return
    this.#backings.delete(backing.memory)
    this.#sizeInBytes -= backing.memory.byteLength
    backing.slab?.letGo()
  }

  #evictOldest(): void {
    const batch = this.#queue[this.#from++] as CachedBatch
    if (batch.tail) {
      batch.tail.evict(batch)
      this.drop(batch)
    }
    if (this.#from > 1024 && this.#from * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#from)
      this.#from = 0
    }
  }
}

/** The part of the cache that belongs to one log: always its last batches, without a gap. */
export class LogTail {
  readonly #cache: TailCache
  #batches: CachedBatch[] = []
  #from = 0

  constructor(cache: TailCache) {
    this.#cache = cache
  }

  append(buffer: Buffer, baseOffset: Offset, lastOffset: Offset): void {
    const batch = this.#cache.add(this, buffer, baseOffset, lastOffset)
    // Adding may have evicted everything, this batch too.
    if (batch.tail) this.#batches.push(batch)
  }

  /** Called by the cache, oldest first. */
  evict(batch: CachedBatch): void {
    if (this.#from === this.#batches.length) return
    assert.equal(this.#batches[this.#from], batch)
    this.#batches[this.#from++] = undefined as unknown as CachedBatch
    if (this.#from > 64 && this.#from * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#from)
      this.#from = 0
    }
  }

  /** Null when the batch that holds `from` is not here. */
  read(from: Offset, o: ReadOptions): ReadResult | null {
    let index = this.#find(from)
    if (index < 0) return null
    const records: Buffer[] = []
    let size = 0
    let endOffset = from
    for (; index < this.#batches.length; index++) {
      const batch = this.#batches[index] as CachedBatch
      if (batch.lastOffset >= o.upto) break
      if (size + batch.buffer.length > o.maxBytes && !(o.minOneMessage && size === 0)) break
      records.push(batch.buffer)
      const slab = batch.backing?.slab
      if (slab) {
        if (o.holds) o.holds.add(slab)
        else slab.lend()
      }
      size += batch.buffer.length
      endOffset = batch.lastOffset + 1
    }
    return { records, sizeInBytes: size, endOffset }
  }

  /** Drops the batches that reach `offset` or beyond. */
  truncateTo(offset: Offset): void {
    while (this.#batches.length > this.#from) {
      const batch = this.#batches[this.#batches.length - 1] as CachedBatch
      if (batch.lastOffset < offset) return
      this.#cache.drop(batch)
      this.#batches.pop()
    }
  }

  /** Drops the batches that begin before `offset`: on the disk there are others, or none, in their place now. */
  dropBefore(offset: Offset): void {
    for (let batch = this.#batches[this.#from]; batch && batch.baseOffset < offset; batch = this.#batches[this.#from]) {
      this.#cache.drop(batch)
      this.evict(batch)
    }
  }

  clear(): void {
    this.truncateTo(-1)
  }

  /** Index of the batch that holds `from`, -1 when the cache begins after it. */
  #find(from: Offset): number {
    let low = this.#from
    let high = this.#batches.length
    if (low === high || (this.#batches[low] as CachedBatch).baseOffset > from) return -1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#batches[middle] as CachedBatch).lastOffset < from) low = middle + 1
      else high = middle
    }
    return low
  }
}
