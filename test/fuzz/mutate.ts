// Turns sound bytes into hostile ones: flips, cuts, insertions, repeats, and lengths at their extremes.

/** A source of chance that a seed repeats (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What lengths and counts look like when someone means harm; varints among them. */
const EXTREMES = [
  '7fffffff',
  '80000000',
  'ffffffff',
  'fffffffe',
  '00ffffff',
  '7fff',
  '8000',
  'ffff',
  '00',
  '7f',
  '80',
  'ff'
]
  .concat(['ffffffff0f', 'feffffff0f', 'ffffffff07', '8080808000', 'ffffffffffffffffff01', '7fffffffffffffff'])
  .map(hex => Buffer.from(hex, 'hex'))

export function mutate(sample: Buffer, random: () => number): Buffer {
  let bytes: Buffer = Buffer.from(sample)
  for (let left = 1 + Math.floor(random() * 3); left > 0; left--) bytes = once(bytes, random)
  return bytes
}

function once(bytes: Buffer, random: () => number): Buffer {
  const below = (n: number): number => Math.floor(random() * n)
  const at = below(bytes.length + 1)
  const extreme = EXTREMES[below(EXTREMES.length)] as Buffer
  switch (below(7)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(8))
      return bytes
    case 1:
      return bytes.subarray(0, at)
    case 2:
      return Buffer.concat([bytes.subarray(0, at), extreme, bytes.subarray(at)])
    case 3:
    case 4:
      extreme.copy(bytes, at)
      return bytes
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))])
    default: {
      const again = bytes.subarray(at, at + 1 + below(64))
      return Buffer.concat([bytes.subarray(0, at), again, bytes.subarray(at)])
    }
  }
}
