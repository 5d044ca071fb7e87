// `npm run bench -- cluster`: what three brokers cost and how long they are silent. Replicated throughput and latency with
// acks=all; the produce gap: per partition that the victim led, the longest silence between acks from the command on, as a
// client sees it that asks for Metadata every 10 ms; the same for the commits of a group. `--help` says what it takes.
import { parseArgs } from 'node:util'
import { findTools } from '../test/interop/tools.ts'
import { coordinatorOf, dropTopic, gapsOf, makeTopic, pause } from './bench-cluster-gap.ts'
import { latency, throughput } from './bench-cluster-load.ts'
import { type ClusterResult, type Fencings, gapsOver, markdownOf, tableOf } from './bench-cluster-report.ts'
import { controllerOf, type Subject, startKafka, startMoldau, whole } from './bench-cluster-subject.ts'

const LOADS = ['idle', 'throughput', 'latency'] as const
const KILLS = ['kill-leader', 'kill-controller', 'kill-both'] as const
const GAPS = [...KILLS, 'graceful', 'graceful-controller', 'coordinator', 'sigstop'] as const
type Gap = (typeof GAPS)[number]

const { values } = parseArgs({
  args: process.argv.slice(2).filter(each => each !== 'cluster'),
  options: {
    rounds: { type: 'string', default: '10' },
    'against-rounds': { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    warm: { type: 'string', default: '10' },
    idle: { type: 'string', default: '20' },
    rate: { type: 'string', default: '10000' },
    partitions: { type: 'string', default: '12' },
    'load-partitions': { type: 'string', default: '3' },
    only: { type: 'string' },
    against: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

if (values.help) {
  console.log(`npm run bench -- cluster [options]

  --only ROW,ROW        of ${[...LOADS, ...GAPS].join(', ')}
  --rounds N            how often each kind of failure (10); a round takes a few seconds, that of sigstop ten
  --seconds N           of each measurement of load (5), after --warm N seconds of the same (10: a virtual machine must compile)
  --idle N              seconds of doing nothing (20)
  --rate N              records a second for the latency (10000)
  --partitions N        that fall silent (12)
  --load-partitions N   under load (3, one led by each broker)
  --set KEY=VALUE       a setting of the brokers
  --against kafka       Apache Kafka beside it, with its defaults and with session time-outs like ours
  --against-rounds N    its rounds (3): it takes a minute for one
  --json, --markdown    instead of a table`)
  process.exit(0)
}

const wanted = values.only?.split(',') ?? [...LOADS, ...GAPS]
const partitions = Number(values.partitions)
let topics = 0

/** Who leads the partitions of a new topic, and who is struck. */
async function parts(subject: Subject, kind: Gap, group: string) {
  const controller = await controllerOf(subject)
  const others = subject.places.map(each => each.nodeId).filter(id => id !== controller)
  const of = (ids: readonly number[]) =>
    Array.from({ length: partitions }, (_, index) => ids[index % ids.length] as number)
  if (kind === 'kill-both' || kind === 'graceful-controller') return { victim: controller, leaders: of([controller]) }
  // Partitions that somebody else leads: nothing should happen to them at all.
  if (kind === 'kill-controller') return { victim: controller, leaders: of(others) }
  if (kind === 'coordinator') return { victim: await coordinatorOf(subject, group), leaders: of([others[0] as number]) }
  const victim = others[topics % others.length] as number
  return { victim, leaders: of([victim]) }
}

async function round(subject: Subject, kind: Gap): Promise<number[]> {
  await whole(subject)
  const group = `bench-${topics}`
  if (kind === 'coordinator') await coordinatorOf(subject, group)
  const { victim, leaders } = await parts(subject, kind, group)
  const topic = `gap-${++topics}`
  await makeTopic(subject, topic, leaders)
  await whole(subject)
  subject.healed()
  const strike = async () => {
    if (kind === 'sigstop') await subject.pause(victim)
    else if (kind === 'graceful' || kind === 'graceful-controller') await subject.stop(victim)
    else await subject.kill(victim)
    // Long enough for a silence to begin that has not begun yet.
    await pause(300)
  }
  const gaps = await gapsOf({ subject, topic, leaders, group: kind === 'coordinator' ? group : null, strike })
  if (kind === 'sigstop') await subject.resume(victim)
  else await subject.start(victim)
  await whole(subject)
  // What this round left behind must not make the next one longer.
  await dropTopic(subject, topic)
  return gaps
}

async function load(subject: Subject, kind: (typeof LOADS)[number]) {
  if (kind === 'idle') {
    await pause(2000)
    const before = subject.cpuSeconds()
    await pause(Number(values.idle) * 1000)
    return { cpuPercent: Number((((subject.cpuSeconds() - before) / Number(values.idle)) * 100).toFixed(1)) }
  }
  const all = subject.places.map(each => each.nodeId)
  const [seconds, warm] = [Number(values.seconds), Number(values.warm)]
  const topic = `load-${++topics}`
  const count = Number(values['load-partitions'])
  const leaders = Array.from({ length: count }, (_, index) => all[index % all.length] as number)
  await makeTopic(subject, topic, leaders)
  await whole(subject)
  const figures =
    kind === 'throughput'
      ? await throughput(subject, topic, leaders, seconds, warm)
      : await latency(subject, topic, leaders, Number(values.rate), seconds, warm)
  await dropTopic(subject, topic)
  return figures
}

async function measure(subject: Subject, rounds: number): Promise<void> {
  const note = (text: string) => process.stderr.write(`${subject.name}: ${text}\n`)
  const told = (row: string, figures: ClusterResult['figures']) => {
    results.push({ subject: subject.name, row, figures })
    note(`${row} ${JSON.stringify(figures)}`)
  }
  for (const kind of LOADS) if (wanted.includes(kind)) told(kind, await load(subject, kind))
  for (const kind of GAPS.filter(each => wanted.includes(each))) {
    const each: number[] = []
    for (let count = 1; count <= rounds; count++) {
      const gaps = await round(subject, kind)
      each.push(...gaps)
      note(`${kind} ${count} of ${rounds}: ${Math.round(Math.max(...gaps))} ms`)
    }
    told(kind, gapsOver(each, rounds))
  }
}

async function one(starting: Promise<Subject>, rounds: number): Promise<void> {
  const subject = await starting
  try {
    await whole(subject)
    await measure(subject, rounds)
    fencings.push({ subject: subject.name, unexplained: subject.unexplained() })
  } finally {
    await subject.end()
  }
}

const results: ClusterResult[] = []
const fencings: Fencings[] = []
await one(startMoldau(values.set), Number(values.rounds))
if (values.against === 'kafka') {
  const program = findTools()
  if (program === undefined)
    throw new Error('Apache Kafka was not found: MOLDAU_KAFKA_TOOLS names the program that starts it')
  const rounds = Number(values['against-rounds'])
  await one(startKafka(program, 'kafka', []), rounds)
  const likeOurs = ['broker.session.timeout.ms=6000', 'broker.heartbeat.interval.ms=500']
  await one(startKafka(program, 'kafka with our sessions', likeOurs), rounds)
}
if (values.json) console.log(JSON.stringify({ results, fencings }, null, 2))
else console.log((values.markdown ? markdownOf : tableOf)(results, fencings))
process.exit(0)
