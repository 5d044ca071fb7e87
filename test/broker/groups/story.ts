// Runs a story: commands at the margin, what came of them indented below. A story knows actors (clients) and groups;
// member ids are shown as name#n, n counting the ids given out. UPDATE=1 writes what happened into the file: read the
// diff before you commit it.
import { readFileSync, writeFileSync } from 'node:fs'
import type { CommitRequest } from '../../../broker/groups/offsets.ts'
import type { JoinReply, SyncReply } from '../../../broker/groups/turn.ts'
import { errorName } from '../../../protocol/errors.ts'
import { MoldauError } from '../../../protocol/failure.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { WALL_AT_START, World } from './world.ts'

interface Actor {
  readonly name: string
  memberId: string
  generationId: number
  instance: string | null
  group: string
}

type Options = ReadonlyMap<string, string>

/** Gives the story as it was and as it went. */
export async function runStory(file: string): Promise<{ expected: string; actual: string }> {
  const expected = readFileSync(file, 'utf8')
  const actual = await tell(expected)
  if (process.env.UPDATE && actual !== expected) writeFileSync(file, actual)
  return { expected: process.env.UPDATE ? actual : expected, actual }
}

async function tell(text: string): Promise<string> {
  const out: string[] = []
  let teller = new Teller()
  for (const line of text.split('\n')) {
    if (line.startsWith('  ')) continue
    out.push(line)
    if (line.startsWith('## ')) teller = new Teller()
    if (line === '' || line.startsWith('#')) continue
    for (const each of await teller.run(line)) out.push(`  ${each}`)
  }
  return out.join('\n')
}

class Teller {
  readonly #world = new World()
  readonly #actors = new Map<string, Actor>()
  #said: string[] = []
  #isStarted = false
  #linesSeen = 0

  /** Commands joined by `; ` arrive in the same turn of the event loop. */
  async run(line: string): Promise<string[]> {
    for (const one of line.split('; ')) {
      const [command = '', ...words] = one.split(' ')
      const plain = words.filter(word => !word.includes('=') || /^\w+:\d/.test(word))
      const options = new Map(words.filter(word => !plain.includes(word)).map(word => split(word, '=')))
      if (!this.#isStarted && command !== 'settings') {
        this.#isStarted = true
        await this.#world.start()
      }
      await this.#do(command, plain, options)
    }
    await this.#world.clock.settle()
    return this.#said.splice(0)
  }

  async #do(command: string, words: readonly string[], options: Options): Promise<void> {
    const { clock, logs, settings, coordinator } = this.#world
    const [log] = logs
    if (!log) return
    switch (command) {
      case 'settings':
        for (const [key, value] of options) Object.assign(settings, { [key]: Number(value) })
        return
      case 'join':
        this.#join(this.#actor(words[0]), options)
        return
      case 'sync':
        this.#sync(this.#actor(words[0]), options)
        return
      case 'heartbeat':
        this.#heartbeat(this.#actor(words[0]), options)
        return
      case 'leave':
        this.#leave(
          words.map(word => this.#actor(word)),
          options
        )
        return
      case 'commit':
        this.#commit(words, options)
        return
      case 'fetch':
        this.#fetch(words, options)
        return
      case 'delete-offsets':
        this.#deleteOffsets(words)
        return
      case 'wait':
        await clock.advance(durationOf(words[0]))
        return
      case 'stall':
        clock.stall(durationOf(words[0]))
        return
      case 'alive':
        await this.#alive(
          durationOf(words[0]),
          words.slice(1).map(word => this.#actor(word))
        )
        return
      case 'hold':
        log.isHeld = true
        return
      case 'release':
        log.isHeld = false
        log.commit()
        return
      case 'fail':
        log.failAppends = words[0] === 'no' ? null : new MoldauError('ERR_NO_SPACE', 'the disk is full')
        return
      case 'restart':
        await this.#world.restart(words[0] === 'crash' ? 'crash' : 'clean')
        return
      case 'forget':
        await Promise.race([
          coordinator.forgetTopics(words.map(name => ({ name, topicId: options.get('topic-id') ?? 'deleted' }))),
          clock.settle()
        ])
        return
      case 'new':
        this.#actors.delete(words[0] ?? '')
        return
      default:
        this.#show(command, words, options)
    }
  }

  #show(command: string, words: readonly string[], options: Options): void {
    const { coordinator } = this.#world
    const group = words[0] ?? 'g'
    switch (command) {
      case 'describe': {
        const [it] = coordinator.describeGroups([group], Number(options.get('version') ?? 5))
        if (!it) return
        this.#say(
          `${it.groupState || '-'} ${codeOf(it.errorCode)} type=${it.protocolType} protocol=${it.protocolData}${it.errorMessage ? ` "${it.errorMessage}"` : ''}`
        )
        for (const each of it.members)
          this.#say(
            `${this.#id(each.memberId)} ${each.groupInstanceId ?? '-'} ${each.clientId}@${each.clientHost} assignment=${each.memberAssignment}`
          )
        return
      }
      case 'list': {
        const lists = (key: string): string[] => options.get(key)?.split(',') ?? []
        const { errorCode, groups } = coordinator.listGroups({
          statesFilter: lists('states'),
          typesFilter: lists('types')
        })
        this.#say(
          `${codeOf(errorCode)} ${groups.map(each => `${each.groupId}(${each.groupState},${each.protocolType})`).join(' ')}`
        )
        return
      }
      case 'delete':
        void coordinator.deleteGroups(words).then(results => {
          for (const { groupId, errorCode } of results) this.#say(`${groupId} ${codeOf(errorCode)}`)
        })
        return
      case 'history':
        for (const { atMs, generationId, from, to, reason } of coordinator.historyOf(group)) {
          this.#say(`${atMs - WALL_AT_START}ms generation ${generationId} ${from} -> ${to}: ${this.#ids(reason)}`)
        }
        return
      case 'log':
        for (const { data, message } of this.#world.lines.slice(this.#linesSeen))
          this.#say(this.#ids(`${message} ${JSON.stringify(data)}`))
        this.#linesSeen = this.#world.lines.length
        return
      default:
        throw new Error(`no such command: ${command}`)
    }
  }

  #join(actor: Actor, options: Options): void {
    actor.instance = options.get('instance') ?? actor.instance
    actor.group = options.get('group') ?? actor.group
    const version = Number(options.get('version') ?? 9)
    const request = {
      groupId: actor.group,
      sessionTimeoutMs: Number(options.get('session') ?? 10_000),
      rebalanceTimeoutMs: Number(options.get('rebalance') ?? 60_000),
      memberId: options.get('member') ?? actor.memberId,
      groupInstanceId: actor.instance,
      protocolType: options.get('type') ?? 'consumer',
      protocols: (options.get('protocols') ?? 'range/t').split(',').map(protocolOf),
      reason: options.get('reason') ?? null
    }
    const client = { clientId: actor.name, clientHost: '/1.2.3.4', apiVersion: version }
    this.#answer(actor, 'joined', this.#world.coordinator.joinGroup(request, client), (reply: JoinReply) => {
      if (reply.errorCode === 0 || reply.errorCode === 79) actor.memberId = reply.memberId
      if (reply.errorCode === 0) actor.generationId = reply.generationId
      if (reply.errorCode !== 0) return `member=${this.#id(reply.memberId)}`
      const members = reply.members.map(each => this.#id(each.memberId)).join(' ')
      const skips = reply.skipAssignment ? ' skip-assignment' : ''
      return `generation=${reply.generationId} protocol=${reply.protocolName} leader=${this.#id(reply.leader)} member=${this.#id(reply.memberId)} members=[${members}]${skips}`
    })
  }

  #sync(actor: Actor, options: Options): void {
    const assignments = (options.get('assign')?.split(',') ?? []).map(each => {
      const [name, what] = split(each, '/')
      return { memberId: this.#actor(name).memberId, assignment: Buffer.from(what) }
    })
    const request = {
      groupId: actor.group,
      generationId: Number(options.get('generation') ?? actor.generationId),
      memberId: options.get('member') ?? actor.memberId,
      groupInstanceId: actor.instance,
      protocolType: options.get('type') ?? null,
      protocolName: options.get('protocol') ?? null,
      assignments
    }
    this.#answer(actor, 'synced', this.#world.coordinator.syncGroup(request), (reply: SyncReply) =>
      reply.errorCode === 0 ? `protocol=${reply.protocolName} assignment=${reply.assignment}` : ''
    )
  }

  #heartbeat(actor: Actor, options: Options): void {
    const request = {
      groupId: actor.group,
      generationId: Number(options.get('generation') ?? actor.generationId),
      memberId: options.get('member') ?? actor.memberId,
      groupInstanceId: actor.instance
    }
    this.#answer(actor, 'heartbeat', this.#world.coordinator.heartbeat(request), () => '')
  }

  #leave(actors: readonly Actor[], options: Options): void {
    const members = actors.map(({ memberId, instance }) => ({
      memberId: options.get('by') === 'instance' ? '' : memberId,
      groupInstanceId: instance,
      reason: options.get('reason') ?? null
    }))
    const [first] = actors
    if (!first) return
    this.#answer(first, 'left', this.#world.coordinator.leaveGroup(first.group, members), reply =>
      reply.members.map((each, i) => `${actors[i]?.name}:${codeOf(each.errorCode)}`).join(' ')
    )
  }

  /** `commit A t:0=5 t:1=6` as a member, `commit - t:0=5 group=g` as an outsider. */
  #commit(words: readonly string[], options: Options): void {
    const [name = '-', ...offsets] = words
    const actor = name === '-' ? null : this.#actor(name)
    const byTopic = byTopicOf(offsets)
    const request: CommitRequest = {
      groupId: options.get('group') ?? actor?.group ?? 'g',
      generationIdOrMemberEpoch: Number(options.get('generation') ?? actor?.generationId ?? -1),
      memberId: options.get('member') ?? actor?.memberId ?? '',
      groupInstanceId: actor?.instance ?? null,
      retentionTimeMs: Number(options.get('retention') ?? -1),
      topics: [...byTopic].map(([topic, partitions]) => ({
        name: topic,
        topicId: options.get('topic-id') ?? ZERO_UUID,
        partitions: partitions.map(({ partition, offset }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedLeaderEpoch: 3,
          committedMetadata: options.has('note') ? 'x'.repeat(Number(options.get('note'))) : null
        }))
      }))
    }
    const reply = this.#world.coordinator.commitOffsets(request, Number(options.get('version') ?? 9))
    void reply.then(({ errorCode, reply: topics }) => {
      const codes = (topics ?? []).flatMap(({ name: topic, partitions }) =>
        partitions.map(each => `${topic}:${each.partitionIndex} ${codeOf(each.errorCode)}`)
      )
      this.#say(`${name} committed ${topics ? codes.join(' ') : codeOf(errorCode)}`)
    })
  }

  #fetch(words: readonly string[], options: Options): void {
    const [groupId = 'g', ...names] = words
    const asked = byTopicOf(names)
    const topicId = options.get('topic-id') ?? ZERO_UUID
    const topics = [...asked].map(([name, each]) => ({
      name,
      topicId,
      partitionIndexes: each.map(one => one.partition)
    }))
    const request = { groupId, topics: names.length > 0 ? topics : null, requireStable: options.has('stable') }
    void this.#world.coordinator.fetchOffsets(request).then(({ errorCode, reply }) => {
      const found = (reply ?? []).flatMap(({ name, partitions }) =>
        partitions.map(
          each =>
            `${name}:${each.partitionIndex}=${each.errorCode === 0 ? each.committedOffset : codeOf(each.errorCode)}`
        )
      )
      this.#say(`${codeOf(errorCode)} ${found.join(' ')}`)
    })
  }

  #deleteOffsets(words: readonly string[]): void {
    const [groupId = 'g', ...names] = words
    const asked = byTopicOf(names)
    const topics = [...asked].map(([name, each]) => ({
      name,
      partitions: each.map(one => ({ partitionIndex: one.partition }))
    }))
    void this.#world.coordinator.deleteOffsets({ groupId, topics }).then(({ errorCode, reply }) => {
      const codes = (reply?.topics ?? []).flatMap(({ name, partitions }) =>
        partitions.map(each => `${name}:${each.partitionIndex} ${codeOf(each.errorCode)}`)
      )
      this.#say(`${codeOf(reply?.errorCode ?? errorCode)} ${codes.join(' ')}`)
    })
  }

  /** Time passes while these members send heartbeats each 3 s, quietly. */
  async #alive(forMs: number, actors: readonly Actor[]): Promise<void> {
    for (let passed = 0; passed < forMs; passed += 3_000) {
      for (const { group, generationId, memberId, instance } of actors) {
        void this.#world.coordinator.heartbeat({ groupId: group, generationId, memberId, groupInstanceId: instance })
      }
      await this.#world.clock.advance(Math.min(3_000, forMs - passed))
    }
  }

  #answer<T extends { errorCode: number }>(
    actor: Actor,
    what: string,
    reply: T | Promise<T>,
    tell: (reply: T) => string
  ): void {
    void Promise.resolve(reply).then(it => {
      const said = tell(it)
      this.#say(`${actor.name} ${what} ${codeOf(it.errorCode)} ${said}`)
    })
  }

  #actor(name = 'A'): Actor {
    const known = this.#actors.get(name)
    if (known) return known
    const actor = { name, memberId: '', generationId: -1, instance: null, group: 'g' }
    this.#actors.set(name, actor)
    return actor
  }

  #say(text: string): void {
    this.#said.push(text.trimEnd())
  }

  #id(memberId: string): string {
    return this.#ids(memberId) || '-'
  }

  #ids(text: string): string {
    return text.replace(
      /-([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
      (_, hex: string) => `#${Number.parseInt(hex, 16)}`
    )
  }
}

/** name/topic+topic, a consumer's protocol; `!` in place of topics are bytes that are none. */
function protocolOf(text: string): { name: string; metadata: Buffer } {
  const [name, topics] = split(text, '/')
  if (topics === '!') return { name, metadata: Buffer.from([0]) }
  const names = topics.split('+').filter(each => each !== '')
  const parts = [Buffer.from([0, 0, 0, 0, 0, names.length])]
  for (const each of names) parts.push(Buffer.from([0, each.length]), Buffer.from(each))
  return { name, metadata: Buffer.concat([...parts, Buffer.from([255, 255, 255, 255])]) }
}

function byTopicOf(words: readonly string[]): Map<string, ReturnType<typeof parseOffset>[]> {
  const byTopic = new Map<string, ReturnType<typeof parseOffset>[]>()
  for (const each of words.map(parseOffset)) byTopic.set(each.topic, [...(byTopic.get(each.topic) ?? []), each])
  return byTopic
}

function parseOffset(text: string): { topic: string; partition: number; offset: number } {
  const [at, offset] = split(text, '=')
  const [topic, partition] = split(at, ':')
  return { topic, partition: Number(partition || 0), offset: Number(offset || 0) }
}

function durationOf(text = '0'): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(text) ?? []
  const factor = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? 'ms'] ?? 1
  return Number(number) * factor
}

function codeOf(errorCode: number): string {
  return errorCode === 0 ? 'ok' : errorName(errorCode)
}

function split(text: string, by: string): [string, string] {
  const at = text.indexOf(by)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + by.length)]
}
