// Memory for record batches on their way from a socket to a file and back to sockets. Slabs are filled from front to
// back by many frames, and filled anew once nobody holds any of them: a broker under load takes no new memory from the
// system, and gives the garbage collector nothing to mark. What must hold: bytes are changed by nobody while someone
// holds their slab. Whoever keeps slices of pooled memory beyond the call that gave them holds the slab and lets it go
// later, or says that he will never let it go (`lend`): then the slab is left to the garbage collector.
import assert from 'node:assert/strict'

const KIB = 1024
const SLAB_BYTES = 2048 * KIB
/** Pieces larger than this part of a slab get one of their own, of a size that others are likely to want again. */
const SHARED_PART = 1 / 4
const OWN_SLAB_STEP_BYTES = 128 * KIB
/** What the pool keeps for later; the rest goes back to the system. */
const IDLE_BYTES_MAX = 32 * 1024 * KIB
const POISON = 0xdd

/** One piece of memory, and how many hold slices of it. */
export class Slab {
  readonly bytes: Buffer
  used = 0
  readonly #pool: MemoryPool
  #holds = 0
  #isLent = false

  constructor(pool: MemoryPool, sizeInBytes: number) {
    this.#pool = pool
    this.bytes = Buffer.allocUnsafeSlow(sizeInBytes)
  }

  get isLent(): boolean {
    return this.#isLent
  }

  hold(): void {
    this.#holds++
  }

  letGo(): void {
    assert(this.#holds > 0, 'nobody holds this slab')
    if (--this.#holds === 0) this.#pool.returned(this)
  }

  /** Slices of it are kept by somebody who will not say when he is done. */
  lend(): void {
    this.#isLent = true
  }
}

/** What one holds for a while, to be let go at once. */
export class Holds {
  #slabs: Slab[] = []

  /** Neighbours mostly lie in one slab, which then is held once. */
  add(slab: Slab): void {
    if (this.#slabs[this.#slabs.length - 1] === slab) return
    slab.hold()
    this.#slabs.push(slab)
  }

  get isEmpty(): boolean {
    return this.#slabs.length === 0
  }

  letGo(): void {
    const slabs = this.#slabs
    if (slabs.length === 0) return
    this.#slabs = []
    for (const slab of slabs) slab.letGo()
  }
}

export class MemoryPool {
  readonly #slabs = new Map<ArrayBufferLike, Slab>()
  /** Those that nobody holds, longest idle first. */
  #idle: Slab[] = []
  #idleBytes = 0
  #sizeInBytes = 0
  /** The one that is being filled; the pool holds it itself. */
  #current: Slab | null = null
  /** Who fills memory of the current slab slowly: told to leave when it is full. */
  #leavers = new Set<() => void>()
  #slabBytes = SLAB_BYTES
  /** Overwrites memory that nobody holds: whoever still reads it is found out. For tests and the simulator. */
  isPoisonous = false

  /** Bytes of all slabs, held or idle; those lent and let go are the garbage collector's. */
  get sizeInBytes(): number {
    return this.#sizeInBytes
  }

  /** Bytes that nobody holds. */
  get idleBytes(): number {
    return this.#idleBytes
  }

  /** Begins anew, with slabs of that size; what is held is the garbage collector's. For simulated worlds, whose processes
   *  die without letting go. */
  renew(slabBytes: number): void {
    for (const slab of this.#slabs.values()) slab.lend()
    this.#slabs.clear()
    this.#leavers.clear()
    this.#idle = []
    this.#idleBytes = this.#sizeInBytes = 0
    this.#current = null
    this.#slabBytes = slabBytes
  }

  /** Memory for `size` bytes, held once for the caller. */
  take(size: number): Buffer {
    const slab = size <= this.#slabBytes * SHARED_PART ? this.#withRoom(size) : this.#slab(ownSize(size))
    const from = slab.used
    slab.used += size
    slab.hold()
    return slab.bytes.subarray(from, from + size)
  }

  /** The slab that the bytes lie in; null for memory from elsewhere, which needs no care. */
  slabOf(buffer: Buffer): Slab | null {
    return this.#slabs.get(buffer.buffer) ?? null
  }

  /** For one who has taken these bytes, or holds their slab: he does so no longer. */
  letGo(buffer: Buffer): void {
    this.slabOf(buffer)?.letGo()
  }

  /** Where the bytes are pooled, `holds` comes to hold them. */
  hold(buffer: Buffer, holds: Holds): void {
    const slab = this.slabOf(buffer)
    if (slab !== null) holds.add(slab)
  }

  /** One who is slow must not keep a slab from being filled anew: `leave` is called when the current slab is full. */
  onFull(leave: () => void): void {
    this.#leavers.add(leave)
  }

  offFull(leave: () => void): void {
    this.#leavers.delete(leave)
  }

  #withRoom(size: number): Slab {
    const current = this.#current
    if (current !== null && current.used + size <= this.#slabBytes) return current
    const leavers = this.#leavers
    this.#leavers = new Set()
    for (const leave of leavers) leave()
    const next = this.#slab(this.#slabBytes)
    next.hold()
    this.#current = next
    current?.letGo()
    return next
  }

  #slab(sizeInBytes: number): Slab {
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const idle = this.#idle[index] as Slab
      if (idle.bytes.length !== sizeInBytes) continue
      this.#idle.splice(index, 1)
      this.#idleBytes -= sizeInBytes
      return idle
    }
    const slab = new Slab(this, sizeInBytes)
    this.#slabs.set(slab.bytes.buffer, slab)
    this.#sizeInBytes += sizeInBytes
    return slab
  }

  /** By the last one who held it. */
  returned(slab: Slab): void {
    // One that is larger than all that may be idle would only drive out the others.
    if (slab.isLent || slab.bytes.length > IDLE_BYTES_MAX) {
      this.#forget(slab)
      return
    }
    if (this.isPoisonous) slab.bytes.fill(POISON, 0, slab.used)
    slab.used = 0
    this.#idle.push(slab)
    this.#idleBytes += slab.bytes.length
    while (this.#idleBytes > IDLE_BYTES_MAX) {
      const oldest = this.#idle.shift() as Slab
      this.#idleBytes -= oldest.bytes.length
      this.#forget(oldest)
    }
  }

  #forget(slab: Slab): void {
    if (this.#slabs.delete(slab.bytes.buffer)) this.#sizeInBytes -= slab.bytes.length
  }
}

function ownSize(size: number): number {
  return Math.ceil(size / OWN_SLAB_STEP_BYTES) * OWN_SLAB_STEP_BYTES
}

/** The one of this process: brokers that share a process share it. */
export const memoryPool = new MemoryPool()
