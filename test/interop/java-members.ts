// Java consumers as members of one group, each a process of its own: they share, one dies, one comes back as the static
// member that it was. Every record is read, and the rebalances are those that Kafka's protocol wants.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { callOf, lines } from './java-tools.ts'
import { end } from './process.ts'
import type { Checks, Target } from './suite.ts'
import { until } from './suite.ts'
import type { Tools } from './tools.ts'

interface Event {
  name: string
  partitions?: { topic: string; partition: number | { partition: number }[] }[]
  count?: number
}

/** One verifiable consumer, and what it tells of itself. */
class Member {
  readonly process: ChildProcess
  readonly owned = new Set<number>()
  consumed = 0
  assignments = 0

  constructor(tools: Tools, args: string[]) {
    this.process = tools.launch('kafka-verifiable-consumer', args)
    let rest = ''
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const whole = (rest + text).split('\n')
      rest = whole.pop() ?? ''
      for (const line of whole) if (line.startsWith('{')) this.#take(JSON.parse(line) as Event)
    })
  }

  #take({ name, partitions = [], count = 0 }: Event): void {
    if (name === 'records_consumed') this.consumed += count
    if (name === 'partitions_assigned') this.assignments++
    const numbers = partitions.flatMap(({ partition }) => (typeof partition === 'number' ? [partition] : []))
    if (name === 'partitions_assigned') for (const each of numbers) this.owned.add(each)
    if (name === 'partitions_revoked') for (const each of numbers) this.owned.delete(each)
  }
}

const all = (members: Member[]): number[] => members.flatMap(member => [...member.owned]).sort((a, b) => a - b)
const isShared = (members: Member[], partitions: number): boolean =>
  all(members).join() === Array.from({ length: partitions }, (_, i) => i).join() &&
  members.every(member => member.owned.size > 0)

export async function checkSharing(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const assignors = ['RangeAssignor', 'CooperativeStickyAssignor']
  for (const assignor of target.fast ? assignors.slice(1) : assignors) {
    await checks.check(`three members share, one is killed (${assignor})`, () => share(target, tools, assignor), {
      limitMs: 120_000
    })
  }
  if (target.fast) return
  await checks.check('a static member comes back without a rebalance', () => comeBack(target, tools), {
    limitMs: 120_000
  })
}

function memberOf(target: Target, tools: Tools, group: string, topic: string, more: string[]): Member {
  const args = ['--bootstrap-server', target.bootstrap, '--topic', topic, '--group-id', group]
  return new Member(tools, [...args, '--reset-policy', 'earliest', ...more])
}

async function share(target: Target, tools: Tools, assignor: string): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-${assignor}`
  await call('kafka-topics', `--create --topic ${topic} --partitions 6`)
  const strategy = [
    '--assignment-strategy',
    `org.apache.kafka.clients.consumer.${assignor}`,
    '--session-timeout',
    '6000'
  ]
  const members = [1, 2, 3].map(() => memberOf(target, tools, `${topic}-g`, topic, strategy))
  const consumed = (): number => members.reduce((sum, member) => sum + member.consumed, 0)
  try {
    await until('six partitions on three members', 60_000, () => isShared(members, 6) || undefined)
    assert.deepEqual(
      members.map(member => member.owned.size),
      [2, 2, 2]
    )
    const produce = `--topic ${topic} --num-records 6000 --record-size 100 --throughput -1`
    await call('kafka-producer-perf-test', produce)
    await until('6000 records', 30_000, () => consumed() >= 6000 || undefined)
    const [victim, ...rest] = members
    if (victim !== undefined) end(victim.process, 'SIGKILL')
    await until('six partitions on two members', 40_000, () => isShared(rest, 6) || undefined)
    const before = consumed()
    await call('kafka-producer-perf-test', produce)
    await until('6000 more', 30_000, () => consumed() >= before + 6000 || undefined)
    // Commits follow what was read, so the members live until theirs have come.
    await until('nothing is left', 20_000, async () => {
      const text = await call('kafka-consumer-groups', `--describe --group ${topic}-g`)
      const lags = lines(text)
        .filter(line => line.includes(` ${topic} `))
        .map(line => line.split(/\s+/)[5])
      return (lags.length === 6 && lags.every(lag => lag === '0')) || undefined
    })
  } finally {
    for (const member of members) end(member.process, 'SIGKILL')
  }
}

async function comeBack(target: Target, tools: Tools): Promise<void> {
  const topic = `${target.tag}-static`
  await callOf(target, tools)('kafka-topics', `--create --topic ${topic} --partitions 4`)
  const join = (name: string): Member =>
    memberOf(target, tools, `${topic}-g`, topic, ['--group-instance-id', name, '--session-timeout', '30000'])
  const stays = join('stays')
  let returns = join('returns')
  try {
    await until('four partitions on two members', 60_000, () => isShared([stays, returns], 4) || undefined)
    const { assignments } = stays
    const owned = [...returns.owned].sort()
    end(returns.process, 'SIGKILL')
    returns = join('returns')
    await until('its partitions again', 40_000, () => isShared([stays, returns], 4) || undefined)
    assert.deepEqual([...returns.owned].sort(), owned)
    assert.equal(stays.assignments, assignments, 'the other member noticed nothing')
  } finally {
    end(stays.process, 'SIGKILL')
    end(returns.process, 'SIGKILL')
  }
}
