// The newest offset of each key in a stretch of a log, in a bounded number of bytes (OffsetMap in Kafka's log cleaner).
// A key is known by 16 bytes of its SHA-256: two keys that met in one slot would lose a record, so the hash has to be one
// that nobody can make collide. An entry takes 24 bytes outside of the JavaScript heap. Memory grows as it is needed, in
// shards, so that no growth stops the event loop for long.
import { hash } from 'node:crypto'
import type { Offset } from '../protocol/types.ts'

const ENTRY_BYTES = 24
const HASH_WORDS = 4
const FIRST_SLOTS = 64
/** From this size on there are many shards. */
const LARGE_SLOTS = 65536
const SHARDS = 64

/** One hash table with open addressing. */
class Shard {
  readonly #maxSlots: number
  readonly #loadFactor: number
  slots = 0
  size = 0
  #hashes = new Int32Array(0)
  /** Offset + 1; 0 marks a free slot. */
  #offsets = new Float64Array(0)

  constructor(maxSlots: number, loadFactor: number) {
    this.#maxSlots = maxSlots
    this.#loadFactor = loadFactor
    this.#resize(Math.min(FIRST_SLOTS, maxSlots))
  }

  put(words: Int32Array, offset: Offset): boolean {
    let slot = this.#slotOf(words)
    if (this.#offsets[slot] === 0) {
      if (this.size >= capacityOf(this.slots, this.#loadFactor)) {
        if (this.slots === this.#maxSlots) return false
        this.#grow()
        slot = this.#slotOf(words)
      }
      this.#hashes.set(words, slot * HASH_WORDS)
      this.size++
    }
    this.#offsets[slot] = offset + 1
    return true
  }

  get(words: Int32Array): Offset {
    return (this.#offsets[this.#slotOf(words)] as number) - 1
  }

  /** The slot that holds these words, or the free one where they belong: there is always a free one. */
  #slotOf(words: Int32Array): number {
    let slot = ((words[0] as number) >>> 0) % this.slots
    while (this.#offsets[slot] !== 0 && !this.#holds(slot, words)) slot = slot + 1 === this.slots ? 0 : slot + 1
    return slot
  }

  #holds(slot: number, words: Int32Array): boolean {
    const at = slot * HASH_WORDS
    for (let i = 0; i < HASH_WORDS; i++) if (this.#hashes[at + i] !== words[i]) return false
    return true
  }

  #resize(slots: number): void {
    this.slots = slots
    this.#hashes = new Int32Array(slots * HASH_WORDS)
    this.#offsets = new Float64Array(slots)
  }

  #grow(): void {
    const hashes = this.#hashes
    const offsets = this.#offsets
    this.#resize(Math.min(this.#maxSlots, this.slots * 2))
    for (let i = 0; i < offsets.length; i++) {
      if (offsets[i] === 0) continue
      const words = hashes.subarray(i * HASH_WORDS, (i + 1) * HASH_WORDS)
      const slot = this.#slotOf(words)
      this.#hashes.set(words, slot * HASH_WORDS)
      this.#offsets[slot] = offsets[i] as number
    }
  }
}

/** Entries that so many slots may hold; one stays free, so that a search ends. */
function capacityOf(slots: number, loadFactor: number): number {
  return Math.max(1, Math.min(slots - 1, Math.floor(slots * loadFactor)))
}

export class OffsetMap {
  readonly #shards: Shard[]
  /** Every record up to here has been put. */
  latestOffset: Offset = -1

  /** log.cleaner.dedupe.buffer.size and log.cleaner.io.buffer.load.factor. */
  constructor(bytes: number, loadFactor: number) {
    const slots = Math.max(2, Math.floor(bytes / ENTRY_BYTES))
    const count = slots >= LARGE_SLOTS ? SHARDS : 1
    this.#shards = Array.from({ length: count }, () => new Shard(Math.floor(slots / count), loadFactor))
  }

  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0)
  }

  get sizeInBytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.slots, 0) * ENTRY_BYTES
  }

  /** False when the key is new and there is no room for it. Offsets of one key only grow. */
  put(key: Uint8Array, offset: Offset): boolean {
    const words = wordsOf(key)
    return this.#shardOf(words).put(words, offset)
  }

  /** The newest offset of the key, -1 when it was not put. */
  get(key: Uint8Array): Offset {
    const words = wordsOf(key)
    return this.#shardOf(words).get(words)
  }

  #shardOf(words: Int32Array): Shard {
    return this.#shards[(words[1] as number) & (this.#shards.length - 1)] as Shard
  }
}

function wordsOf(key: Uint8Array): Int32Array {
  // As text of one character a byte: three times as fast as a Buffer.
  const digest = hash('sha256', key, 'binary')
  const words = new Int32Array(HASH_WORDS)
  for (let i = 0; i < HASH_WORDS; i++) {
    const at = i * 4
    words[i] =
      digest.charCodeAt(at) |
      (digest.charCodeAt(at + 1) << 8) |
      (digest.charCodeAt(at + 2) << 16) |
      (digest.charCodeAt(at + 3) << 24)
  }
  return words
}
