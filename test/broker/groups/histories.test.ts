// Random histories of model clients against a whole coordinator: its log holds commits back, refuses appends, and is
// restarted, cleanly or by a crash. What must hold: a committed offset is never lost, and an answer never shows one that
// was refused; all assignments told in a generation come from one assignment; a stored generation never comes again;
// whatever is parked is answered; and when the faults end, the clients get on.
import fc from 'fast-check'
import { test } from 'tap'
import type { JoinReply, SyncReply } from '../../../broker/groups/turn.ts'
import { MoldauError } from '../../../protocol/failure.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { World } from './world.ts'

const CLIENTS = 5
const STATIC = 2
const PARTITIONS = 3
const NONE = 0
const MEMBER_ID_REQUIRED = 79
/** The coordinator went, or did not hear of the commit in time: the write may be there or not. */
const UNKNOWN_OUTCOMES = new Set([15, 16])

interface Model {
  readonly name: string
  readonly groupInstanceId: string | null
  memberId: string
  generationId: number
  isLeader: boolean
  members: string[]
  isBusy: boolean
  isStable: boolean
}

/** What may be read of one partition: what was acked last, or any later attempt whose outcome is not known. */
interface Position {
  acked: number
  unknown: number[]
}

const action = fc.record({
  kind: fc.constantFrom(
    ...['go', 'go', 'go', 'go', 'heartbeat', 'leave', 'rejoin', 'forget'],
    ...['commit', 'commit', 'commit', 'commit', 'simple', 'fetch', 'fetch', 'wait', 'wait'],
    ...['hold', 'release', 'release', 'fail', 'mend', 'mend', 'crash', 'clean']
  ),
  client: fc.nat(CLIENTS - 1),
  partition: fc.nat(PARTITIONS - 1),
  ms: fc.constantFrom(10, 400, 3_000, 9_000, 40_000)
})
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never

/** How often the things happened that the invariants are about: a test of nothing must not pass. */
const seen = { synced: 0, committed: 0, fetched: 0, lost: 0 }

class History {
  readonly world = new World()
  readonly clients: Model[] = Array.from({ length: CLIENTS }, (_, i) => ({
    name: `c${i}`,
    groupInstanceId: i < STATIC ? `i${i}` : null,
    memberId: '',
    generationId: -1,
    isLeader: false,
    members: [],
    isBusy: false,
    isStable: false
  }))
  readonly wrong: string[] = []
  readonly #positions: Position[] = Array.from({ length: PARTITIONS }, () => ({ acked: -1, unknown: [] }))
  /** generation -> the leader's assignment that members were told of. */
  readonly #told = new Map<number, string>()
  #storedGeneration = 0
  #open = 0
  #offsets = 0
  #assignments = 0

  async take({ kind, client, partition, ms }: Action): Promise<void> {
    const { world } = this
    const [log] = world.logs
    const model = this.clients[client]
    if (!log || !model) return
    switch (kind) {
      case 'go':
        for (const each of this.clients) this.#go(each)
        break
      case 'rejoin':
        if (!model.isBusy) this.#join(model)
        break
      case 'heartbeat':
        this.#heartbeat(model)
        break
      case 'leave':
        this.#leave(model)
        break
      case 'commit':
        this.#commit(model, partition)
        break
      case 'simple':
        this.#commit(null, partition)
        break
      case 'fetch':
        this.#fetch()
        break
      case 'wait':
        await world.clock.advance(ms)
        break
      case 'hold':
        log.isHeld = true
        break
      case 'release':
        log.isHeld = false
        log.commit()
        break
      case 'fail':
        log.failAppends = new MoldauError('ERR_NO_SPACE', 'the disk is full')
        break
      case 'mend':
        log.failAppends = null
        break
      case 'crash':
      case 'clean':
        await world.restart(kind)
        break
      default:
        // Its process was replaced by another.
        model.memberId = ''
        model.isStable = false
    }
    await world.clock.settle()
  }

  /** Everybody does what a client does, for a while. */
  async goOn(rounds: number): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      for (const each of this.clients) {
        if (each.isStable) this.#heartbeat(each)
        else this.#go(each)
      }
      await this.world.clock.advance(1_000)
    }
  }

  /** No more faults: within two minutes everybody who is there shares one generation, and nothing is open. */
  async heal(): Promise<void> {
    const [log] = this.world.logs
    if (!log) return
    log.isHeld = false
    log.failAppends = null
    log.commit()
    await this.goOn(120)
    this.#fetch()
    await this.world.clock.settle()
    const generations = new Set(this.clients.map(each => each.generationId))
    if (generations.size > 1 || this.clients.some(each => !each.isStable)) {
      this.wrong.push(
        `the clients did not get on: ${this.clients.map(each => `${each.generationId}${each.isStable ? '' : '?'}`)}`
      )
    }
  }

  /** Everybody goes silent: only time passes. */
  async silence(): Promise<void> {
    const [log] = this.world.logs
    if (!log) return
    log.isHeld = false
    log.failAppends = null
    log.commit()
    await this.world.clock.advance(700_000)
    if (this.#open > 0) this.wrong.push(`${this.#open} requests were never answered`)
    const [group] = this.world.coordinator.describeGroups(['g'], 5)
    if (group && group.members.length > 0) this.wrong.push('members outlive their sessions')
  }

  #go(model: Model): void {
    if (model.isBusy || model.isStable) return
    if (model.generationId === -1 || model.memberId === '') this.#join(model)
    else this.#sync(model)
  }

  #join(model: Model): void {
    model.isStable = false
    const request = {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 20_000,
      memberId: model.memberId,
      groupInstanceId: model.groupInstanceId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from([0, 0, 0, 0, 0, 0]) }],
      reason: null
    }
    const client = { clientId: model.name, clientHost: '/h', apiVersion: 9 }
    this.#await(model, this.world.coordinator.joinGroup(request, client), reply => this.#joined(model, reply))
  }

  #joined(model: Model, reply: JoinReply): void {
    if (reply.errorCode === MEMBER_ID_REQUIRED) {
      model.memberId = reply.memberId
      this.#join(model)
      return
    }
    if (reply.errorCode !== NONE) {
      this.#lost(model, reply.errorCode)
      return
    }
    if (reply.generationId < this.#storedGeneration) {
      this.wrong.push(`generation ${reply.generationId} after ${this.#storedGeneration} was stored`)
    }
    model.memberId = reply.memberId
    model.generationId = reply.generationId
    model.isLeader = reply.leader === reply.memberId && !reply.skipAssignment
    model.members = reply.members.map(each => each.memberId)
  }

  #sync(model: Model): void {
    const name = `${++this.#assignments}`
    const assignments = model.isLeader
      ? model.members.map(memberId => ({ memberId, assignment: Buffer.from(name) }))
      : []
    const { generationId } = model
    const { memberId, groupInstanceId } = model
    const request = {
      groupId: 'g',
      generationId,
      memberId,
      groupInstanceId,
      protocolType: null,
      protocolName: null,
      assignments
    }
    this.#await(model, this.world.coordinator.syncGroup(request), reply => this.#synced(model, generationId, reply))
  }

  #synced(model: Model, generationId: number, reply: SyncReply): void {
    if (reply.errorCode !== NONE) {
      this.#lost(model, reply.errorCode)
      return
    }
    seen.synced++
    const told = `${reply.assignment}`
    const before = this.#told.get(generationId)
    if (before !== undefined && before !== told)
      this.wrong.push(`generation ${generationId} has assignments ${before} and ${told}`)
    this.#told.set(generationId, told)
    this.#storedGeneration = Math.max(this.#storedGeneration, generationId)
    model.isStable = true
  }

  #heartbeat(model: Model): void {
    if (!model.isStable) return
    const { memberId, generationId, groupInstanceId } = model
    const reply = this.world.coordinator.heartbeat({ groupId: 'g', memberId, generationId, groupInstanceId })
    this.#count(reply, ({ errorCode }) => {
      if (errorCode !== NONE && !model.isBusy) this.#lost(model, errorCode)
    })
  }

  #leave(model: Model): void {
    if (model.isBusy || model.memberId === '') return
    const { memberId, groupInstanceId } = model
    this.#count(this.world.coordinator.leaveGroup('g', [{ memberId, groupInstanceId, reason: null }]), () => {})
    this.#lost(model, 25)
  }

  #commit(model: Model | null, partition: number): void {
    const position = this.#positions[partition]
    if (!position || (model && !model.isStable)) return
    const offset = ++this.#offsets
    // Every attempt counts as possible from now on, until an answer says more.
    position.unknown.push(offset)
    const request = {
      groupId: 'g',
      generationIdOrMemberEpoch: model?.generationId ?? -1,
      memberId: model?.memberId ?? '',
      groupInstanceId: model?.groupInstanceId ?? null,
      retentionTimeMs: -1,
      topics: [
        {
          name: 't',
          topicId: ZERO_UUID,
          partitions: [
            { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: 0, committedMetadata: null }
          ]
        }
      ]
    }
    this.#count(this.world.coordinator.commitOffsets(request, 9), ({ errorCode, reply }) => {
      if (reply) seen.committed++
      if (reply) this.#settled(position, offset)
      else if (!UNKNOWN_OUTCOMES.has(errorCode)) position.unknown = position.unknown.filter(each => each !== offset)
    })
  }

  /** This offset is the truth, or one that was tried later is. */
  #settled(position: Position, offset: number): void {
    if (offset > position.acked) position.acked = offset
    position.unknown = position.unknown.filter(each => each > position.acked)
  }

  #fetch(): void {
    const known = this.#positions.map(({ acked }) => acked)
    const newest = this.#offsets
    this.#count(
      this.world.coordinator.fetchOffsets({ groupId: 'g', topics: null, requireStable: false }),
      ({ reply }) => {
        if (!reply) return
        seen.fetched++
        const found = new Map(
          reply.flatMap(({ partitions }) => partitions).map(each => [each.partitionIndex, each.committedOffset])
        )
        this.#positions.forEach((position, partition) => {
          const offset = found.get(partition) ?? -1
          if (offset < (known[partition] ?? -1))
            this.wrong.push(`partition ${partition}: ${offset} is read, ${known[partition]} was acked`)
          else if (offset > newest) this.wrong.push(`partition ${partition}: ${offset} is from the future`)
          else if (offset !== position.acked && offset > position.acked && !position.unknown.includes(offset)) {
            this.wrong.push(`partition ${partition}: ${offset} is read, which was refused`)
          } else if (offset > position.acked) this.#settled(position, offset)
        })
      }
    )
  }

  #lost(model: Model, errorCode: number): void {
    seen.lost++
    model.isStable = false
    model.generationId = -1
    // UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID: it begins anew.
    if (errorCode === 25 || errorCode === 82) model.memberId = ''
  }

  #await<T>(model: Model, reply: T | Promise<T>, then: (reply: T) => void): void {
    model.isBusy = true
    this.#count(reply, it => {
      model.isBusy = false
      then(it)
    })
  }

  #count<T>(reply: T | Promise<T>, then: (reply: T) => void): void {
    this.#open++
    void Promise.resolve(reply).then(it => {
      this.#open--
      then(it)
    })
  }
}

test('random histories', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 10, maxLength: 80, size: 'max' }),
      fc.boolean(),
      async (actions, heals) => {
        const history = new History()
        await history.world.start()
        await history.goOn(8)
        for (const each of actions) await history.take(each)
        if (heals) await history.heal()
        await history.silence()
        if (history.wrong.length > 0) throw new Error(history.wrong.join('; '))
      }
    ),
    { numRuns: Number(process.env.RUNS ?? 120) }
  )
  for (const [what, times] of Object.entries(seen)) t.ok(times > 100, `${what} ${times} times`)
})
