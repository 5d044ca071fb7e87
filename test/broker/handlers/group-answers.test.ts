// A conversation about groups that was held with Apache Kafka 4.3.1, held again with a broker of ours: every answer must
// be the same. test/golden/group-answers.jsonl has one request a line with Kafka's reply; bytes are `b:` and hex, member
// ids are name#n (n: the order in which they were seen), topic ids `id:name`. A parked request is answered by a later
// line. Lists are compared without their order, which is a hash's in Kafka. What of this is ours: FindCoordinator's
// errorMessage (Kafka: "NONE"), and that a refused join leaves no empty group behind.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { type Connection, connect } from '../../../clients/connection.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { deleteGroups } from '../../../protocol/messages/delete-groups.ts'
import { describeGroups } from '../../../protocol/messages/describe-groups.ts'
import { findCoordinator } from '../../../protocol/messages/find-coordinator.ts'
import { heartbeat } from '../../../protocol/messages/heartbeat.ts'
import { joinGroup } from '../../../protocol/messages/join-group.ts'
import { leaveGroup } from '../../../protocol/messages/leave-group.ts'
import { listGroups } from '../../../protocol/messages/list-groups.ts'
import { offsetCommit } from '../../../protocol/messages/offset-commit.ts'
import { offsetDelete } from '../../../protocol/messages/offset-delete.ts'
import { offsetFetch } from '../../../protocol/messages/offset-fetch.ts'
import { syncGroup } from '../../../protocol/messages/sync-group.ts'
import type { Api } from '../../../protocol/schema.ts'
import { until, type World, worldOf } from '../broker-fixture.ts'

const APIS = new Map<string, Api>(
  [
    joinGroup,
    syncGroup,
    heartbeat,
    leaveGroup,
    offsetCommit,
    offsetFetch,
    offsetDelete,
    describeGroups,
    listGroups,
    deleteGroups
  ].map(api => [api.name, api as unknown as Api])
)
const MEMBER_ID = /[\w.]*-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

interface Line {
  readonly about?: string
  readonly connection: number
  readonly api: string
  readonly version: number
  readonly request: Json
  readonly reply?: Json
  readonly parked?: number
  readonly until?: { readonly groupId: string; readonly groupState: string }
  readonly answer?: number
}

/** What stands for what in the golden file. */
class Names {
  readonly #labels = new Map<string, string>()
  readonly #ids = new Map<string, string>()

  add(id: string, label: string): void {
    this.#labels.set(id, label)
    this.#ids.set(label, id)
  }

  /** As the file writes it; lists in an order of their own. */
  shown(value: unknown): Json {
    if (Buffer.isBuffer(value)) return `b:${value.toString('hex')}`
    if (Array.isArray(value))
      return value.map(each => this.shown(each)).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    if (typeof value === 'string') return this.#labels.get(value) ?? value.replace(MEMBER_ID, id => this.#labelOf(id))
    if (value === null || typeof value !== 'object') return value as Json
    const fields = Object.entries(value).filter(([key]) => key !== 'throttleTimeMs')
    return Object.fromEntries(fields.map(([key, each]) => [key, this.shown(each)]))
  }

  meant(value: Json): unknown {
    if (Array.isArray(value)) return value.map(each => this.meant(each))
    if (typeof value === 'string')
      return value.startsWith('b:') ? Buffer.from(value.slice(2), 'hex') : (this.#ids.get(value) ?? value)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.meant(each)]))
  }

  #labelOf(id: string): string {
    const known = this.#labels.get(id)
    if (known) return known
    const members = [...this.#labels.values()].filter(each => each.includes('#')).length
    this.add(id, `${id.split('-')[0]}#${members + 1}`)
    return this.shown(id) as string
  }
}

class Conversation {
  readonly #world: World
  readonly #names = new Names()
  readonly #connections: Connection[] = []
  readonly #parked = new Map<number, Promise<unknown>>()

  constructor(world: World) {
    this.#world = world
  }

  async begin(): Promise<void> {
    for (const [name, partitions] of [
      ['t', 2],
      ['u', 1]
    ] as const) {
      const { topicId } = await this.#world.create(name, {}, partitions)
      this.#names.add(topicId, `id:${name}`)
    }
    const client = await this.#world.client()
    await this.#world.passing(client.send(findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] }))
  }

  /** The reply to compare, undefined where there is none yet. */
  async hold(line: Line): Promise<Json | undefined> {
    if (line.answer !== undefined)
      return this.#names.shown(await this.#world.passing(this.#parked.get(line.answer) ?? Promise.resolve(null)))
    const connection = await this.#connection(line.connection)
    const api = APIS.get(line.api)
    if (!api) throw new Error(`no API ${line.api}`)
    const reply = connection.send(api, line.version, this.#names.meant(line.request) as object)
    if (line.parked === undefined) return this.#names.shown(await this.#world.passing(reply))
    this.#parked.set(line.parked, reply)
    if (line.until) await this.#untilGroup(line.until.groupId, line.until.groupState)
    return undefined
  }

  sameOrder(value: Json): Json {
    return this.#names.shown(value)
  }

  close(): Promise<unknown> {
    return Promise.all(this.#connections.map(each => each?.close()))
  }

  async #untilGroup(groupId: string, groupState: string): Promise<void> {
    const client = await this.#world.client()
    await until(async () => {
      const { groups } = await client.send(describeGroups, 5, { groups: [groupId] })
      return groups[0]?.groupState === groupState
    }, `${groupId} is ${groupState}`)
  }

  async #connection(index: number): Promise<Connection> {
    this.#connections[index] ??= await connect('127.0.0.1', this.#world.broker.listeners[0]?.port ?? 0, {
      clientId: 'raw'
    })
    return this.#connections[index]
  }
}

test('groups answer as Kafka does', async t => {
  const world = await worldOf(
    t,
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=1000',
    'group.max.size=4',
    // Time passes here faster than a slow disk works.
    'offsets.commit.timeout.ms=100000000',
    'offsets.topic.num.partitions=3'
  )
  const conversation = new Conversation(world)
  await conversation.begin()
  const lines = readFileSync('test/golden/group-answers.jsonl', 'utf8').trim().split('\n')
  let about = ''
  for (const [i, text] of lines.entries()) {
    const line: Line = JSON.parse(text)
    about = line.about ?? about
    if (line.about !== undefined) continue
    const reply = await conversation.hold(line)
    if (reply === undefined || line.reply === undefined) continue
    t.same(
      reply,
      conversation.sameOrder(line.reply),
      `${about}, line ${i + 1}: ${line.api ?? 'the answer'} ${line.version ?? ''}`
    )
  }
  await conversation.close()
})

test('who asks while __consumer_offsets is made is sent to a coordinator that answers', async t => {
  const world = await worldOf(t, 'offsets.topic.num.partitions=20')
  const clients = await Promise.all(Array.from({ length: 8 }, () => world.connect()))
  const answers = await Promise.all(
    clients.map(async (client, i) => {
      // One after the other, at whatever stage the topic is by then.
      for (let turn = 0; turn < i * 3; turn++) await new Promise(resolve => setImmediate(resolve))
      const { coordinators } = await client.send(findCoordinator, 4, { coordinatorKeys: [`group-${i}`] })
      const found = coordinators[0]?.errorCode
      if (found !== ErrorCode.NONE) return found
      const { groups } = await client.send(offsetFetch, 8, { groups: [{ groupId: `group-${i}`, topics: null }] })
      return groups[0]?.errorCode
    })
  )
  const mayBe: (number | undefined)[] = [ErrorCode.NONE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS]
  for (const answer of answers) t.ok(mayBe.includes(answer), `error code ${answer}`)
})
