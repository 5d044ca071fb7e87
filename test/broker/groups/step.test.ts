// The step of a classic group under random inputs: after each one the group must be consistent with itself, every
// request must be answered once, and generations only rise. Then the parts that a random walk does not show well.
import fc from 'fast-check'
import { test } from 'tap'
import {
  type ClassicGroup,
  createGroup,
  earliestDeadline,
  groupFrom,
  HISTORY_MAX
} from '../../../broker/groups/classic-group.ts'
import { Deadlines } from '../../../broker/groups/deadlines.ts'
import { partitionFor } from '../../../broker/groups/placement.ts'
import { step } from '../../../broker/groups/step.ts'
import { subscribedTopicsOf } from '../../../broker/groups/subscription.ts'
import type { Effect, Input, JoinReply } from '../../../broker/groups/turn.ts'

const SETTINGS = { initialRebalanceDelayMs: 3_000, maxSize: 4 }
const CLIENTS = 6

/** Everything that must hold of a group between two inputs. Gives what does not. */
function inconsistencies(group: ClassicGroup): string[] {
  const wrong: string[] = []
  const hold = (what: string, is: boolean): void => {
    if (!is) wrong.push(what)
  }
  const members = [...group.members.values()]
  hold('joinedCount', group.joinedCount === members.filter(each => each.join !== null).length)
  hold('leader', group.leaderId === null ? members.length === 0 : group.members.has(group.leaderId))
  hold('instances', members.filter(each => each.groupInstanceId !== null).length === group.instances.size)
  for (const [instance, memberId] of group.instances) {
    hold(`instance ${instance}`, group.members.get(memberId)?.groupInstanceId === instance)
  }
  for (const name of new Set(members.flatMap(each => each.protocols.map(one => one.name)))) {
    const supporting = members.filter(each => each.protocols.some(one => one.name === name)).length
    hold(`support of ${name}`, group.supportCounts.get(name) === supporting)
  }
  for (const memberId of group.pendingJoins.keys()) hold('pending and member', !group.members.has(memberId))
  for (const memberId of group.pendingSyncs) hold('pending sync of nobody', group.members.has(memberId))
  hold('empty', group.state !== 'Empty' || members.length === 0)
  hold(
    'no sync is parked outside of CompletingRebalance',
    group.state === 'CompletingRebalance' || members.every(each => each.sync === null)
  )
  hold(
    'no join is parked in CompletingRebalance',
    group.state !== 'CompletingRebalance' || members.every(each => each.join === null)
  )
  hold('protocol', group.state === 'Empty' || group.state === 'PreparingRebalance' || group.protocolName !== null)
  hold('a wait for joins ends', group.state !== 'PreparingRebalance' || group.joinDeadlineMs < Infinity)
  hold('looked at in time', group.checkAtMs <= earliestDeadline(group))
  hold('history', group.history.length <= HISTORY_MAX)
  return wrong
}

const action = fc.record({
  kind: fc.constantFrom(
    'join',
    'join',
    'join',
    'sync',
    'sync',
    'heartbeat',
    'leave',
    'tick',
    'tick',
    'stored',
    'store-failed',
    'offsets',
    'forget'
  ),
  client: fc.nat(CLIENTS - 1),
  ms: fc.constantFrom(1, 500, 3_000, 10_000, 60_000),
  protocols: fc.constantFrom(['range'], ['range', 'sticky'], ['sticky', 'range'], ['sticky']),
  version: fc.constantFrom(3, 9)
})

class Walk {
  readonly group = createGroup('g', 0)
  readonly #ids: string[] = Array(CLIENTS).fill('')
  readonly #asked = new Set<number>()
  readonly #tickets: number[] = []
  readonly wrong: string[] = []
  #clientOf = new Map<number, number>()
  #nowMs = 0
  #tokens = 0
  #newIds = 0
  #generation = 0

  take({ kind, client, ms, protocols, version }: typeof action extends fc.Arbitrary<infer A> ? A : never): void {
    const memberId = this.#ids[client] ?? ''
    const groupInstanceId = client < 2 ? `i${client}` : null
    const token = ++this.#tokens
    const who = { groupId: 'g', memberId, groupInstanceId, generationId: this.group.generationId }
    switch (kind) {
      case 'join': {
        const request = {
          ...who,
          sessionTimeoutMs: 10_000,
          rebalanceTimeoutMs: 30_000,
          protocolType: 'consumer',
          protocols: protocols.map(name => ({ name, metadata: Buffer.from([0, 0, 0, 0, 0, 0]) })),
          reason: null
        }
        const newMemberId = `m${++this.#newIds}`
        this.#ask(client, token, {
          kind,
          token,
          request,
          client: { clientId: 'c', clientHost: '/h', apiVersion: version },
          newMemberId
        })
        return
      }
      case 'sync': {
        const assignments = [...this.group.members.keys()].map(each => ({
          memberId: each,
          assignment: Buffer.from(each)
        }))
        this.#ask(client, token, {
          kind,
          token,
          request: { ...who, protocolType: null, protocolName: null, assignments }
        })
        return
      }
      case 'heartbeat':
        this.#ask(client, token, { kind, token, request: who })
        return
      case 'leave':
        this.#ask(client, token, { kind, token, members: [{ memberId, groupInstanceId, reason: null }] })
        return
      case 'stored':
      case 'store-failed': {
        const ticket = this.#tickets.shift()
        if (ticket === undefined) return
        this.#step(kind === 'stored' ? { kind, ticket } : { kind: 'store-failed', ticket, errorCode: 16 })
        return
      }
      case 'tick':
        this.#nowMs += ms
        this.#step({ kind: 'ticked' })
        return
      case 'offsets':
        this.#step({ kind: 'committed-offsets', memberId })
        return
      default:
        this.#ids[client] = ''
    }
  }

  /** Nobody asks any more and everything is stored: time alone must answer the rest. */
  end(): void {
    for (let i = 0; i < 60 && this.#asked.size > 0; i++) {
      for (const ticket of this.#tickets.splice(0)) this.#step({ kind: 'stored', ticket })
      this.#nowMs += 10_000
      this.#step({ kind: 'ticked' })
    }
    if (this.#asked.size > 0) this.wrong.push(`${this.#asked.size} requests were never answered`)
  }

  resign(): void {
    this.#step({ kind: 'resigned', errorCode: 16 })
    if (this.#asked.size > 0) this.wrong.push(`${this.#asked.size} requests were not answered at the end`)
  }

  #ask(client: number, token: number, input: Input): void {
    this.#asked.add(token)
    this.#clientOf.set(token, client)
    this.#step(input)
  }

  #step(input: Input): void {
    const effects = step(this.group, input, { wallMs: this.#nowMs, monotonicMs: this.#nowMs }, SETTINGS)
    for (const effect of effects) this.#perform(effect)
    if (this.group.generationId < this.#generation) this.wrong.push('the generation went back')
    this.#generation = this.group.generationId
    if (input.kind !== 'resigned') this.wrong.push(...inconsistencies(this.group).map(each => `${input.kind}: ${each}`))
  }

  #perform(effect: Effect): void {
    if (effect.kind === 'store') this.#tickets.push(effect.ticket)
    if (effect.kind !== 'reply') return
    if (!this.#asked.delete(effect.token)) this.wrong.push('answered twice')
    const client = this.#clientOf.get(effect.token) ?? 0
    const { errorCode, memberId } = effect.reply as JoinReply
    if (memberId && (errorCode === 0 || errorCode === 79)) this.#ids[client] = memberId
    if (errorCode === 25 || errorCode === 82) this.#ids[client] = ''
  }
}

test('a random walk: consistent after each step, every request answered once', async t => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 80, size: 'max' }), fc.boolean(), (actions, resigns) => {
      const walk = new Walk()
      for (const each of actions) walk.take(each)
      if (resigns) walk.resign()
      else walk.end()
      if (walk.wrong.length > 0) throw new Error(walk.wrong.join('; '))
    }),
    { numRuns: Number(process.env.RUNS ?? 1_500) }
  )
  t.pass('no inconsistency')
})

test('a group that was stored comes back as it was', async t => {
  const member = {
    memberId: 'm',
    groupInstanceId: 'i',
    clientId: 'c',
    clientHost: '/h',
    rebalanceTimeout: -1,
    sessionTimeout: 10_000,
    subscription: Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 116]),
    assignment: Buffer.from('a')
  }
  const stored = {
    protocolType: 'consumer',
    generation: 7,
    protocol: 'range',
    leader: 'm',
    currentStateTimestamp: 5,
    members: [member]
  }
  const group = groupFrom('g', stored)
  t.same(inconsistencies(group), [])
  t.match(group, { state: 'Stable', generationId: 7, protocolName: 'range', leaderId: 'm', stateTimestampMs: 5 })
  t.equal(group.members.get('m')?.rebalanceTimeoutMs, 10_000, 'an old record without a rebalance time-out')
  t.same([...(group.subscribedTopics ?? [])], ['t'])
  const empty = groupFrom('g', { ...stored, protocol: null, leader: null, members: [] })
  t.match(empty, { state: 'Empty', protocolType: 'consumer', leaderId: null })
})

test('subscribed topics: hostile bytes are unknown, never a failure', async t => {
  t.same(subscribedTopicsOf(Buffer.from([0, 3, 0, 0, 0, 1, 0, 1, 116, 9, 9])), ['t'], 'later versions begin alike')
  for (const bytes of [
    [],
    [0, 0, 0, 0, 0],
    [255, 255, 0, 0, 0, 0],
    [0, 0, 127, 255, 255, 255],
    [0, 0, 0, 0, 0, 1, 0, 9, 116],
    [0, 0, 0, 0, 0, 1, 255, 255]
  ]) {
    t.equal(subscribedTopicsOf(Buffer.from(bytes)), null)
  }
})

test('the partition of a group id is that of Java', async t => {
  // From Kafka's own client: id, of 50, of 3.
  const known: [string, number, number][] = [
    ['', 0, 0],
    ['a', 47, 1],
    ['my-group', 12, 0],
    ['orders', 31, 0],
    ['polygenelubricants', 0, 0],
    ['žluť', 34, 1],
    ['馬🐴', 29, 1],
    ['app-333', 7, 0]
  ]
  for (const [id, of50, of3] of known) t.same([partitionFor(id, 50), partitionFor(id, 3)], [of50, of3], id)
})

test('deadlines: the earliest first, moved ones only once', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(9), fc.oneof(fc.nat(100), fc.constant(Infinity))), { maxLength: 300, size: 'max' }),
      moves => {
        const deadlines = new Deadlines<number>()
        const model = new Map<number, number>()
        for (const [of, atMs] of moves) {
          deadlines.set(of, atMs)
          if (atMs === Infinity) model.delete(of)
          else model.set(of, atMs)
        }
        for (let nowMs = 0; nowMs <= 100; nowMs += 10) {
          const due = deadlines.takeDue(nowMs)
          const expected = [...model].filter(([, atMs]) => atMs <= nowMs).map(([of]) => of)
          for (const of of expected) model.delete(of)
          if (String(due.sort()) !== String(expected.sort())) throw new Error(`at ${nowMs}: ${due}, not ${expected}`)
        }
      }
    )
  )
  t.pass('as the model')
})
