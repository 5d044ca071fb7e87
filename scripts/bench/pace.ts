// How load is given. `saturate`: each lane sends again as soon as it is answered, for as much as the broker takes. `paced`: at a
// fixed rate, whatever the answers do, with latency from the moment when the request was due (no coordinated omission).
import { Histogram } from './histogram.ts'
import type { Pipe } from './pipe.ts'
import type { Outcome } from './workload.ts'

export interface Tally {
  requests: number
  records: number
  bytes: number
}

/** One request on its way at a time. */
export interface Lane {
  readonly pipe: Pipe
  /** What goes out next; it stays as it is until it was answered. */
  next(): readonly Buffer[]
  /** Throws on a wrong answer: that must not count as speed. Adds what it stands for. */
  check(frame: Buffer, size: number, tally: Tally): void
}

/** Sleeps shorter than a timer can, so that a rate is held without a loop that burns a core. */
const NAP_MS = 0.1
const nap = new Int32Array(new SharedArrayBuffer(4))

/** Calls `due(n, dueMs)` for n = 0, 1, ... at a fixed rate; resolves when the last was called. */
export function atRate(perSecond: number, seconds: number, due: (n: number, dueMs: number) => void): Promise<void> {
  const startedMs = performance.now()
  const total = Math.round(perSecond * seconds)
  let sent = 0
  return new Promise(resolve => {
    const turn = () => {
      const dueCount = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + 1)
      for (; sent < dueCount; sent++) due(sent, startedMs + (sent / perSecond) * 1000)
      if (sent >= total) return resolve()
      Atomics.wait(nap, 0, 0, NAP_MS)
      setImmediate(turn)
    }
    turn()
  })
}

function wireBytes(lanes: readonly Lane[]): number {
  let sum = 0
  for (const pipe of new Set(lanes.map(each => each.pipe))) sum += pipe.sentBytes + pipe.receivedBytes
  return sum
}

export async function saturate(lanes: readonly Lane[], seconds: number): Promise<Outcome> {
  const tally: Tally = { requests: 0, records: 0, bytes: 0 }
  const latency = new Histogram()
  const wireBefore = wireBytes(lanes)
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  await Promise.all(lanes.map(lane => keepBusy(lane, endMs, tally, latency)))
  const tookSeconds = (performance.now() - startedMs) / 1000
  return { ...tally, seconds: tookSeconds, wireBytes: wireBytes(lanes) - wireBefore, latency }
}

function keepBusy(lane: Lane, endMs: number, tally: Tally, latency: Histogram): Promise<void> {
  return new Promise(resolve => {
    let sentMs = performance.now()
    const send = () => lane.pipe.send(lane.next(), answered)
    const answered = (frame: Buffer, size: number) => {
      const now = performance.now()
      latency.record(now - sentMs)
      tally.requests++
      lane.check(frame, size, tally)
      if (now >= endMs) return resolve()
      sentMs = now
      send()
    }
    send()
  })
}

/** `makeLane` gives a lane for a request on the n-th connection: as many may be on their way as it takes. */
export async function paced(pools: readonly LanePool[], perSecond: number, seconds: number): Promise<Outcome> {
  const tally: Tally = { requests: 0, records: 0, bytes: 0 }
  const latency = new Histogram()
  const sample = pools.map(each => each.sample)
  const wireBefore = wireBytes(sample)
  const startedMs = performance.now()
  let open = 0
  let wake = () => {}
  await atRate(perSecond, seconds, (n, dueMs) => {
    const pool = pools[n % pools.length] as LanePool
    const lane = pool.take()
    open++
    lane.pipe.send(lane.next(), (frame, size) => {
      latency.record(performance.now() - dueMs)
      tally.requests++
      lane.check(frame, size, tally)
      pool.giveBack(lane)
      if (--open === 0) wake()
    })
  })
  await new Promise<void>(resolve => {
    wake = resolve
    if (open === 0) resolve()
  })
  const tookSeconds = (performance.now() - startedMs) / 1000
  return { ...tally, seconds: tookSeconds, wireBytes: wireBytes(sample) - wireBefore, latency }
}

/** Lanes of one connection, as many as are on their way at once. */
export class LanePool {
  readonly sample: Lane
  readonly #make: () => Lane
  readonly #free: Lane[] = []

  constructor(make: () => Lane) {
    this.#make = make
    this.sample = make()
    this.#free.push(this.sample)
  }

  take(): Lane {
    return this.#free.pop() ?? this.#make()
  }

  giveBack(lane: Lane): void {
    this.#free.push(lane)
  }
}
