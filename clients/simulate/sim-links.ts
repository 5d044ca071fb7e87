// The wires between hosts, each direction by itself: how long a segment takes, and whether one arrives at all. A cut wire is
// silent: what was sent waits in the sender's system and comes some time after the wire is whole again, as TCP does it;
// only a reset is sent once and lost. What is sent in one direction of a connection arrives in the order of sending.
import type { Agenda } from './agenda.ts'
import type { Dice } from './dice.ts'
import type { Trace } from './trace.ts'

export type SegmentKind = 'accept' | 'data' | 'end' | 'reset'

export interface Segment {
  readonly kind: SegmentKind
  readonly sentUs: number
  arrivesUs: number
  parts: Uint8Array[]
  sizeInBytes: number
}

/** Who takes the segments of one direction of a connection. */
export interface Receiver {
  receive(kind: SegmentKind, bytes: Buffer | null): void
}

export interface Latency {
  readonly leastUs: number
  readonly mostUs: number
}

/** Segments that TCP sends again after a cut come within this time after it. */
const RESENT_US = 300_000
/** Every so many segments of data arrive in two pieces. */
const SPLIT_ONE_IN = 24
const SPLIT_US = 200

export class Link {
  readonly from: string
  readonly to: string
  readonly agenda: Agenda
  readonly trace: Trace
  readonly dice: Dice
  latency: Latency
  /** Added to each segment's time: a slow way. */
  delayUs = 0
  #isCut = false
  #isFarDown = false
  readonly #waiting = new Set<Flow>()

  constructor(parts: Pick<Link, 'from' | 'to' | 'agenda' | 'trace' | 'dice' | 'latency'>) {
    this.from = parts.from
    this.to = parts.to
    this.agenda = parts.agenda
    this.trace = parts.trace
    this.dice = parts.dice
    this.latency = parts.latency
  }

  get isCut(): boolean {
    return this.#isCut
  }

  /** Nothing arrives: the wire is cut, or the host at its end has no power. */
  get isSilent(): boolean {
    return this.#isCut || this.#isFarDown
  }

  cut(): void {
    this.#isCut = true
  }

  heal(): void {
    this.#isCut = false
    this.#sendAgain()
  }

  setFarDown(isDown: boolean): void {
    this.#isFarDown = isDown
    if (!isDown) this.#sendAgain()
  }

  drawUs(): number {
    const { leastUs, mostUs } = this.latency
    return this.delayUs + leastUs + this.dice.below(mostUs - leastUs + 1)
  }

  wait(flow: Flow): void {
    this.#waiting.add(flow)
  }

  #sendAgain(): void {
    if (this.isSilent) return
    const flows = [...this.#waiting]
    this.#waiting.clear()
    for (const flow of flows) flow.sendAgain(this.dice.below(RESENT_US))
  }
}

/** One direction of one connection. */
export class Flow {
  readonly #link: Link
  readonly #to: Receiver
  #queue: Segment[] = []
  #isScheduled = false
  #lastUs = 0

  constructor(link: Link, to: Receiver) {
    this.#link = link
    this.#to = to
  }

  send(kind: SegmentKind, bytes: Uint8Array | null = null): void {
    const { agenda } = this.#link
    const last = this.#queue.at(-1)
    if (kind === 'data' && last?.kind === 'data' && last.sentUs === agenda.nowUs) {
      last.parts.push(bytes as Uint8Array)
      last.sizeInBytes += (bytes as Uint8Array).length
      return
    }
    this.#lastUs = Math.max(agenda.nowUs + this.#link.drawUs(), this.#lastUs)
    const parts = bytes === null ? [] : [bytes]
    this.#queue.push({ kind, sentUs: agenda.nowUs, arrivesUs: this.#lastUs, parts, sizeInBytes: bytes?.length ?? 0 })
    this.#schedule()
  }

  sendAgain(afterUs: number): void {
    this.#lastUs = Math.max(this.#lastUs, this.#link.agenda.nowUs + afterUs)
    for (const each of this.#queue) each.arrivesUs = Math.max(each.arrivesUs, this.#link.agenda.nowUs + afterUs)
    this.#isScheduled = false
    this.#schedule()
  }

  #schedule(): void {
    const first = this.#queue[0]
    if (this.#isScheduled || first === undefined) return
    this.#isScheduled = true
    this.#link.agenda.after(first.arrivesUs - this.#link.agenda.nowUs, () => this.#arrive())
  }

  #arrive(): void {
    const { trace, dice, agenda } = this.#link
    if (this.#link.isSilent) {
      if (this.#queue[0]?.kind === 'reset') this.#queue = []
      this.#link.wait(this)
      return
    }
    const segment = this.#queue.shift() as Segment
    let bytes: Buffer | null = null
    if (segment.kind === 'data') {
      bytes = joined(segment)
      trace.addBytes(bytes)
      if (bytes.length > 1 && dice.isOneIn(SPLIT_ONE_IN)) {
        const cut = dice.between(1, bytes.length - 1)
        const rest = bytes.subarray(cut)
        bytes = bytes.subarray(0, cut)
        const arrivesUs = agenda.nowUs + dice.below(SPLIT_US)
        this.#queue.unshift({ ...segment, sentUs: -1, arrivesUs, parts: [rest], sizeInBytes: rest.length })
        this.#lastUs = Math.max(this.#lastUs, arrivesUs)
      }
    }
    this.#isScheduled = false
    this.#schedule()
    this.#to.receive(segment.kind, bytes)
  }
}

/** In memory of its own: what one process changes in what it got is nobody else's, and no pool is shared. */
function joined({ parts, sizeInBytes }: Segment): Buffer {
  const bytes = Buffer.allocUnsafeSlow(sizeInBytes)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
