// The newest offset of each key in a stretch of a log, in a fixed number of bytes (OffsetMap in Kafka's log cleaner).
// A key is known by 16 bytes of its SHA-256: two keys that met in one slot would lose a record, so the hash has to be one
// that nobody can make collide. An entry takes 24 bytes outside of the JavaScript heap; memory grows as it is needed.
import { hash } from 'node:crypto'
import type { Offset } from '../protocol/types.ts'

const ENTRY_BYTES = 24
const HASH_WORDS = 4
const FIRST_SLOTS = 1024

export class OffsetMap {
  readonly #maxSlots: number
  readonly #loadFactor: number
  #slots = 0
  #hashes = new Int32Array(0)
  /** Offset + 1; 0 marks a free slot. */
  #offsets = new Float64Array(0)
  #size = 0
  /** Every record up to here has been put. */
  latestOffset: Offset = -1

  /** log.cleaner.dedupe.buffer.size and log.cleaner.io.buffer.load.factor. */
  constructor(bytes: number, loadFactor: number) {
    this.#maxSlots = Math.max(2, Math.floor(bytes / ENTRY_BYTES))
    this.#loadFactor = loadFactor
    this.clear()
  }

  get size(): number {
    return this.#size
  }

  get capacity(): number {
    return Math.max(1, Math.floor(this.#maxSlots * this.#loadFactor))
  }

  get sizeInBytes(): number {
    return this.#slots * ENTRY_BYTES
  }

  clear(): void {
    this.#size = 0
    this.latestOffset = -1
    this.#resize(Math.min(FIRST_SLOTS, this.#maxSlots))
  }

  /** False when the key is new and there is no room for it. Offsets of one key only grow. */
  put(key: Uint8Array, offset: Offset): boolean {
    const words = wordsOf(key)
    let slot = this.#slotOf(words)
    if (this.#offsets[slot] === 0) {
      if (this.#size >= this.capacity) return false
      if (this.#size >= Math.floor(this.#slots * this.#loadFactor)) {
        this.#grow()
        slot = this.#slotOf(words)
      }
      this.#hashes.set(words, slot * HASH_WORDS)
      this.#size++
    }
    this.#offsets[slot] = offset + 1
    return true
  }

  /** The newest offset of the key, -1 when it was not put. */
  get(key: Uint8Array): Offset {
    return (this.#offsets[this.#slotOf(wordsOf(key))] as number) - 1
  }

  #slotOf(words: Int32Array): number {
    let slot = ((words[0] as number) >>> 0) % this.#slots
    while (this.#offsets[slot] !== 0 && !this.#holds(slot, words)) slot = slot + 1 === this.#slots ? 0 : slot + 1
    return slot
  }

  #holds(slot: number, words: Int32Array): boolean {
    const at = slot * HASH_WORDS
    for (let i = 0; i < HASH_WORDS; i++) if (this.#hashes[at + i] !== words[i]) return false
    return true
  }

  #resize(slots: number): void {
    this.#slots = slots
    this.#hashes = new Int32Array(slots * HASH_WORDS)
    this.#offsets = new Float64Array(slots)
  }

  #grow(): void {
    const hashes = this.#hashes
    const offsets = this.#offsets
    this.#resize(Math.min(this.#maxSlots, this.#slots * 2))
    for (let i = 0; i < offsets.length; i++) {
      if (offsets[i] === 0) continue
      const words = hashes.subarray(i * HASH_WORDS, (i + 1) * HASH_WORDS)
      const slot = this.#slotOf(words)
      this.#hashes.set(words, slot * HASH_WORDS)
      this.#offsets[slot] = offsets[i] as number
    }
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
