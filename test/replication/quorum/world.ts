// The world around a simulated quorum, in the spirit of Kafka's RaftEventSimulationTest: one agenda, one seed, a network
// that loses, delays, repeats and cuts one way, and somebody who crashes, pauses, wipes and restarts nodes. First any
// faults and nothing may be wrong; then all is healed and everything must come to an end.
import assert from 'node:assert/strict'
import type { Effect, Input } from '../../../replication/quorum/step.ts'
import { Invariants } from './invariants.ts'
import { type FetchAnswer, type FetchRequest, QuorumNode, type Step } from './node.ts'

export interface WorldOptions {
  readonly seed: number
  readonly voters: number
  readonly isFormatted: boolean
  readonly step: Step
  /** No faults of the network of its own accord. */
  readonly isCalm?: boolean
}

interface Event {
  readonly ms: number
  readonly sequence: number
  readonly node: QuorumNode | null
  readonly run: () => void
}

type Answer = Effect & { kind: 'reply' }

export class World {
  readonly voters: number[]
  readonly nodes: QuorumNode[]
  readonly isFormatted: boolean
  readonly timeouts = { electionMs: 1000, fetchMs: 2000, backoffMaxMs: 1000 }
  readonly step: Step
  readonly invariants = new Invariants(() => this.nodes)
  readonly paused = new Map<QuorumNode, { sinceMs: number; events: Event[] }>()
  readonly cuts = new Set<string>()
  isCalm: boolean
  /** Crashes nodes at the worst moments: with a vote just given, a leadership or a high watermark just won. */
  onSeen: (node: QuorumNode, effect: Effect) => void = () => {}
  /** How long a message takes at most, when nothing is wrong with the network. */
  latencyMs = 3
  /** How many records an answer to Fetch has at most. */
  fetchRecords = 20
  nowMs = 0
  events = 0
  #state: number
  #sequence = 0
  #tokens = 0
  #values = 0
  readonly #agenda: Event[] = []
  readonly #waiting = new Map<number, (answer: Answer) => void>()

  constructor({ seed, voters, isFormatted, step, isCalm }: WorldOptions) {
    this.#state = Math.imul(seed, 0x9e3779b1) >>> 0
    this.voters = Array.from({ length: voters }, (_, index) => index + 1)
    this.isFormatted = isFormatted
    this.step = step
    this.isCalm = isCalm ?? false
    this.nodes = this.voters.map(id => new QuorumNode(id, this))
  }

  /** mulberry32 */
  chance(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  below(limit: number): number {
    return Math.floor(this.chance() * limit)
  }

  diskMs(): number {
    return !this.isCalm && this.chance() < 0.03 ? this.chance() * 200 : 0.5 + this.chance() * 3
  }

  /** What happens to a node that is paused happens when it goes on. */
  after(ms: number, node: QuorumNode | null, run: () => void): void {
    const event = { ms: this.nowMs + ms, sequence: this.#sequence++, node, run }
    let at = this.#agenda.length
    this.#agenda.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = this.#agenda[parent] as Event
      if (!isSooner(event, above)) break
      this.#agenda[at] = above
      at = parent
    }
    this.#agenda[at] = event
  }

  runUntil(ms: number): void {
    while ((this.#agenda[0]?.ms ?? Infinity) <= ms) {
      const event = this.#next()
      this.nowMs = event.ms
      this.events++
      const pause = event.node === null ? undefined : this.paused.get(event.node)
      if (pause !== undefined) pause.events.push(event)
      else event.run()
    }
    this.nowMs = ms
  }

  #next(): Event {
    const first = this.#agenda[0] as Event
    const last = this.#agenda.pop() as Event
    const { length } = this.#agenda
    if (length === 0) return first
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= length) break
      const right = left + 1
      const child = right < length && isSooner(this.#agenda[right] as Event, this.#agenda[left] as Event) ? right : left
      if (!isSooner(this.#agenda[child] as Event, last)) break
      this.#agenda[at] = this.#agenda[child] as Event
      at = child
    }
    this.#agenda[at] = last
    return first
  }

  crash(node: QuorumNode): void {
    this.resume(node)
    if (!node.isUp) return
    const wasLeader = node.leads !== -1
    node.crash()
    if (!wasLeader) return
    // A reset or refused connection tells most of them soon that the process is gone.
    for (const other of this.nodes) {
      if (other === node || (!this.isCalm && this.chance() < 0.3)) continue
      // In peace after what was in flight: on one connection nothing overtakes its end.
      this.after((this.isCalm ? 4 : 0) + this.chance() * 5, other, () => {
        if (other.isUp) other.give({ kind: 'hinted', leaderId: node.id })
      })
    }
  }

  pause(node: QuorumNode): void {
    if (!this.paused.has(node)) this.paused.set(node, { sinceMs: this.nowMs, events: [] })
  }

  resume(node: QuorumNode): void {
    const pause = this.paused.get(node)
    if (pause === undefined) return
    this.paused.delete(node)
    const forMs = this.nowMs - pause.sinceMs
    if (node.isUp && this.chance() < 0.5) node.give({ kind: 'stalled', forMs })
    for (const { run } of pause.events) this.after(0, node, run)
  }

  heal(): void {
    this.isCalm = true
    this.cuts.clear()
    for (const node of this.nodes) this.resume(node)
  }

  seen(node: QuorumNode, effect: Effect): void {
    if (!this.isCalm) this.onSeen(node, effect)
  }

  /** A client appends at whoever believes to lead. */
  append(): string[] {
    const leaders = this.nodes.filter(node => node.isUp && node.leads !== -1 && !this.paused.has(node))
    return leaders.map(node => {
      const value = `v${this.#values++} of ${node.id}`
      node.append(value)
      return value
    })
  }

  reply(node: QuorumNode, effect: Answer): void {
    const answer = this.#waiting.get(effect.token)
    this.#waiting.delete(effect.token)
    assert(answer, `node ${node.id} answers once`)
    answer(effect)
  }

  sendVote(from: QuorumNode, effect: Effect & { kind: 'send-vote' }): void {
    const { to, epoch, lastOffset, lastOffsetEpoch, isPreVote } = effect
    const request = { candidateId: from.id, epoch, lastOffset, lastOffsetEpoch, isPreVote }
    const ask = (token: number): Input => ({ kind: 'vote-requested', token, ...request })
    this.#call(from, to, ask, answer => {
      if (answer.isGranted && !isPreVote) this.invariants.votes(to, epoch, from.id)
      return { kind: 'vote-answered', from: to, requestEpoch: epoch, isPreVote, ...outcome(answer) }
    })
  }

  sendBegin(from: QuorumNode, { to, epoch }: Effect & { kind: 'send-begin' }): void {
    const ask = (token: number): Input => ({ kind: 'begin-requested', token, leaderId: from.id, epoch })
    this.#call(from, to, ask, answer => ({ kind: 'begin-answered', from: to, ...outcome(answer) }))
  }

  sendEnd(from: QuorumNode, { to, epoch, preferredSuccessors }: Effect & { kind: 'send-end' }): void {
    const request = { leaderId: from.id, epoch, preferredSuccessors }
    const ask = (token: number): Input => ({ kind: 'end-requested', token, ...request })
    this.#call(from, to, ask, answer => ({ kind: 'leader-told', from: to, ...outcome(answer) }))
  }

  sendFetch(from: QuorumNode, to: number, request: FetchRequest, onAnswer: (answer: FetchAnswer) => void): void {
    const target = this.nodes[to - 1] as QuorumNode
    const { life } = from
    this.#deliver(from, target, () => {
      target.serveFetch(request, answer => {
        this.#deliver(target, from, () => {
          if (from.life === life) onAnswer(answer)
        })
      })
    })
  }

  /** A request may outlive its sender's process, not its sender's disk; an answer needs who asked. */
  #call(from: QuorumNode, to: number, ask: (token: number) => Input, told: (answer: Answer) => Input): void {
    const target = this.nodes[to - 1] as QuorumNode
    const { life } = from
    this.#deliver(from, target, () => {
      const token = this.#tokens++
      this.#waiting.set(token, answer => {
        const input = told(answer)
        this.#deliver(target, from, () => {
          if (from.life === life) from.give(input)
        })
      })
      target.give(ask(token))
    })
  }

  #deliver(from: QuorumNode, to: QuorumNode, run: () => void): void {
    const { wipes } = from
    const copies = this.isCalm ? 1 : this.chance() < 0.05 ? 0 : this.chance() < 0.05 ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const isSlow = !this.isCalm && this.chance() < 0.04
      this.after(0.2 + this.chance() * (isSlow ? 800 : this.isCalm ? 3 : this.latencyMs), to, () => {
        if (to.isUp && from.wipes === wipes && !this.cuts.has(`${from.id}>${to.id}`)) run()
      })
    }
  }
}

function isSooner(left: Event, right: Event): boolean {
  return left.ms < right.ms || (left.ms === right.ms && left.sequence < right.sequence)
}

function outcome({ epoch, leaderId, isGranted }: Answer): { epoch: number; leaderId: number; isGranted: boolean } {
  return { epoch, leaderId, isGranted }
}
