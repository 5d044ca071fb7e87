// Latencies of a run, in buckets that grow with the value (HDR): 128 to each doubling, so that a quantile is within 1 % of
// what was recorded, whatever its size. Memory is fixed, recording is an addition.

const SUB_BITS = 7
const SUB = 1 << SUB_BITS
/** Up to 2^36 us: 19 hours. */
const BUCKETS = SUB * (36 - SUB_BITS + 2)

export interface Quantiles {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

function bucketOf(micros: number): number {
  if (micros < SUB) return micros
  const exponent = Math.floor(Math.log2(micros)) - SUB_BITS
  return exponent * SUB + Math.floor(micros / 2 ** exponent)
}

/** The middle of what falls into a bucket. */
function middleOf(bucket: number): number {
  if (bucket < SUB * 2) return bucket
  const exponent = Math.floor(bucket / SUB) - 1
  return (bucket - exponent * SUB + 0.5) * 2 ** exponent
}

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  record(ms: number): void {
    const micros = Math.max(0, Math.round(ms * 1000))
    const bucket = Math.min(BUCKETS - 1, bucketOf(micros))
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
    if (micros > this.#max) this.#max = micros
  }

  add(other: Histogram): void {
    for (let i = 0; i < BUCKETS; i++) this.#counts[i] = (this.#counts[i] as number) + (other.#counts[i] as number)
    this.#count += other.#count
    this.#max = Math.max(this.#max, other.#max)
  }

  /** In milliseconds: the smallest value that this share of all is not above; NaN without any. */
  at(quantile: number): number {
    if (this.#count === 0) return Number.NaN
    if (quantile >= 1) return this.#max / 1000
    let left = Math.max(1, Math.ceil(this.#count * quantile))
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] as number
      if (left <= 0) return Math.min(middleOf(bucket), this.#max) / 1000
    }
    return this.#max / 1000
  }

  quantiles(): Quantiles {
    return { p50Ms: this.at(0.5), p99Ms: this.at(0.99), p999Ms: this.at(0.999), maxMs: this.at(1) }
  }
}
