// One story of a single simulated broker, from a seed: a client produces, the broker is killed, crashes, loses its power,
// is stopped or paused, and everything acknowledged must be there afterwards. As a program it prints the trace's hash.
import { pathToFileURL } from 'node:url'
import { connect } from '../../clients/connection.ts'
import { type SimClient, World } from '../../clients/simulate/world.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { buildBatch } from '../../protocol/records/builder.ts'

export interface Story {
  readonly hash: string
  readonly acked: number
  readonly lost: string[]
  readonly events: number
  readonly deaths: string[]
}

const TOPIC = 'story'
const DEATHS = ['kill', 'crash', 'power-off', 'stop', 'pause'] as const

/** Values by partition, each at its offset. */
type Acked = Map<number, string>[]

export async function tell(seed: number, deaths = 3): Promise<Story> {
  const world = new World({ seed })
  const client = world.client('client')
  const acked: Acked = [new Map(), new Map(), new Map()]
  const story: string[] = []
  await world.start()
  await world.until(create(client), 10_000)
  for (let death = 0; death < deaths; death++) {
    const producing = produceOn(client, acked, `life ${death}`)
    await world.run(world.dice.between(50, 600))
    story.push(await die(world, world.dice.pick(DEATHS)))
    const { process } = world.node(1)
    await world.until(producing, 60_000)
    if (process === null) await world.start()
  }
  const lost = await world.until(missing(client, acked), 20_000)
  world.end()
  const count = acked.reduce((sum, each) => sum + each.size, 0)
  return { hash: world.traceHash, acked: count, lost, events: world.agenda.count, deaths: story }
}

async function die(world: World, how: (typeof DEATHS)[number]): Promise<string> {
  const node = world.node(1)
  if (how === 'kill') node.kill()
  else if (how === 'crash') node.crash(world.dice.pick(['drop', 'mixed']))
  else if (how === 'power-off') node.powerOff()
  else if (how === 'stop') await world.until(node.stop(), 30_000)
  else {
    node.pause()
    await world.run(2000)
    node.resume()
  }
  if (how === 'power-off') {
    await world.run(1000)
    await world.start()
  }
  return how
}

async function create(client: SimClient): Promise<void> {
  const connection = await connect('broker-1', 9092, client)
  await connection.send(createTopics, 7, {
    topics: [{ name: TOPIC, numPartitions: 3, replicationFactor: 1 }],
    timeoutMs: 5000
  })
  void connection.close()
}

/** One after the other until the connection ends; for five seconds at most, since a machine without power says no word. */
async function produceOn(client: SimClient, acked: Acked, name: string): Promise<void> {
  try {
    const connection = await connect('broker-1', 9092, client)
    client.clock.after(5000, () => connection.destroy())
    for (let n = 0; ; n++) {
      const [index, value] = [n % 3, `${name}, ${n}`]
      const records = buildBatch({
        records: [{ timestamp: client.clock.nowMs(), key: null, value: Buffer.from(value) }]
      })
      const topicData = [{ name: TOPIC, partitionData: [{ index, records }] }]
      const { responses } = await connection.send(produce, 9, { acks: -1, timeoutMs: 5000, topicData })
      const [answer] = responses[0]?.partitionResponses ?? []
      if (answer?.errorCode === 0) acked[index]?.set(answer.baseOffset, value)
    }
  } catch {
    // The broker died; what was in flight is unknown.
  }
}

/** What was acknowledged and is not at its offset. */
async function missing(client: SimClient, acked: Acked): Promise<string[]> {
  const connection = await connect('broker-1', 9092, client)
  const lost: string[] = []
  for (const [partition, values] of acked.entries()) {
    for (const [fetchOffset, value] of values) {
      const partitions = [{ partition, fetchOffset, partitionMaxBytes: 1 }]
      const request = { maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20, topics: [{ topic: TOPIC, partitions }] }
      const { responses } = await connection.send(fetch, 12, request)
      const found = responses[0]?.partitions[0]
      const bytes = Buffer.concat([(found?.records as Buffer | null) ?? Buffer.alloc(0)])
      if (!bytes.includes(value)) lost.push(`${partition}@${fetchOffset}: ${value}`)
    }
  }
  await connection.close()
  return lost
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { hash } = await tell(Number(process.argv[2]))
  process.stdout.write(`${hash}\n`)
}
