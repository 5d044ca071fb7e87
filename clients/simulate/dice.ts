// Chance from a seed. Every user of chance has dice of its own, made from the seed and a name, so that what one of them
// throws, or no longer throws, changes nothing for the others.
import type { Random } from '../../broker/clock.ts'

/** sfc32: 128 bits of state, fast, and good enough to be asked billions of times. */
export class Dice implements Random {
  readonly #name: string
  #a: number
  #b: number
  #c: number
  #count = 1

  constructor(name: string) {
    this.#name = name
    this.#a = hashOf(name, 0x9e3779b9)
    this.#b = hashOf(name, 0x243f6a88)
    this.#c = hashOf(name, 0xb7e15162)
    for (let round = 0; round < 12; round++) this.next()
  }

  /** Dice that throw their own numbers. */
  of(name: string): Dice {
    return new Dice(`${this.#name}/${name}`)
  }

  /** 32 random bits. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0
    this.#count = (this.#count + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** 0 <= n < limit. */
  below(limit: number): number {
    return Math.floor((this.next() / 4294967296) * limit)
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  isOneIn(count: number): boolean {
    return this.below(count) === 0
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  uuid(): string {
    const bytes = Buffer.allocUnsafe(16)
    for (;;) {
      for (let at = 0; at < 16; at += 4) bytes.writeUInt32LE(this.next(), at)
      const text = bytes.toString('base64url')
      if (!text.startsWith('-')) return text
    }
  }
}

function hashOf(text: string, start: number): number {
  let hash = start
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x85ebca6b)
    hash ^= hash >>> 13
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}
