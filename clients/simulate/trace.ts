// What happened, in short: a running hash of every event, every byte on the wire and every operation on a disk. Two runs
// of a seed are the same if their hashes are. Lines for people are made only when somebody listens.
import { crc32c } from '../../protocol/records/crc32c.ts'

export class Trace {
  #a = 0x811c9dc5
  #b = 0x01000193
  /** Set to hear what happens, a line each. */
  onLine: ((line: string) => void) | null = null

  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return hex(this.#a) + hex(this.#b)
  }

  add(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193)
    this.#b = Math.imul(this.#b + value, 0x9e3779b1) ^ (this.#b >>> 15)
  }

  addBytes(bytes: Uint8Array): void {
    this.add(bytes.length)
    this.add(crc32c(bytes))
  }

  addText(text: string): void {
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i))
  }
}
