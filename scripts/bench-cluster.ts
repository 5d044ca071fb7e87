// `npm run bench -- cluster`: what three brokers cost and how long they are silent. Replicated throughput and latency with
// acks=all; the produce gap: per partition that the victim led, the longest silence between acks from the command on, as a
// client sees it that asks for Metadata every 10 ms; the same for the commits of a group.
//   --rounds N     how often each kind of failure (10)      --only kill-leader,throughput,...
//   --seconds N    of each measurement of load (5), after --warm N seconds of the same (10: a virtual machine must compile)
//   --json
//   --against kafka    Apache Kafka beside it, with its defaults and with session time-outs like ours
import { parseArgs } from 'node:util'
import { findTools } from '../test/interop/tools.ts'
import { coordinatorOf, gapsOf, makeTopic, pause } from './bench-cluster-gap.ts'
import { latency, throughput } from './bench-cluster-load.ts'
import { controllerOf, type Subject, startKafka, startMoldau, whole } from './bench-cluster-subject.ts'

const LOADS = ['throughput', 'latency'] as const
const GAPS = ['kill-leader', 'kill-controller', 'kill-both', 'graceful', 'coordinator', 'sigstop'] as const
type Gap = (typeof GAPS)[number]

const { values } = parseArgs({
  args: process.argv.slice(2).filter(each => each !== 'cluster'),
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '5' },
    warm: { type: 'string', default: '10' },
    rate: { type: 'string', default: '10000' },
    partitions: { type: 'string', default: '12' },
    only: { type: 'string' },
    against: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false }
  }
})
const wanted = values.only?.split(',') ?? [...LOADS, ...GAPS]
const partitions = Number(values.partitions)
let topics = 0

if (values.help) {
  console.log(`npm run bench -- cluster [--rounds N] [--seconds N] [--warm N] [--rate N] [--partitions N] [--only ROW,ROW] [--against kafka] [--json]

rows: ${[...LOADS, ...GAPS].join(', ')}`)
  process.exit(0)
}

/** Who leads the partitions of a new topic, and who is struck. */
async function parts(subject: Subject, kind: Gap, group: string) {
  const controller = await controllerOf(subject)
  const others = subject.places.map(each => each.nodeId).filter(id => id !== controller)
  const of = (ids: readonly number[]) =>
    Array.from({ length: partitions }, (_, index) => ids[index % ids.length] as number)
  if (kind === 'kill-both') return { victim: controller, leaders: of([controller]) }
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
  const strike = async () => {
    if (kind === 'sigstop') await subject.pause(victim)
    else if (kind === 'graceful') await subject.stop(victim)
    else await subject.kill(victim)
    // Long enough for a silence to begin that has not begun yet.
    await pause(300)
  }
  const gaps = await gapsOf({ subject, topic, leaders, group: kind === 'coordinator' ? group : null, strike })
  if (kind === 'sigstop') await subject.resume(victim)
  else await subject.start(victim)
  await whole(subject)
  return gaps
}

function at(sorted: readonly number[], quantile: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? Number.NaN)
}

async function measure(subject: Subject, rows: Record<string, object>): Promise<void> {
  const note = (text: string) => process.stderr.write(`${subject.name}: ${text}\n`)
  const all = subject.places.map(each => each.nodeId)
  const [seconds, warm] = [Number(values.seconds), Number(values.warm)]
  for (const kind of LOADS.filter(each => wanted.includes(each))) {
    const topic = `load-${++topics}`
    const leaders = Array.from({ length: partitions }, (_, index) => all[index % all.length] as number)
    await makeTopic(subject, topic, leaders)
    await whole(subject)
    const row =
      kind === 'throughput'
        ? await throughput(subject, topic, leaders, seconds, warm)
        : await latency(subject, topic, leaders, Number(values.rate), seconds, warm)
    rows[`${subject.name} ${kind}`] = row
    note(`${kind} ${JSON.stringify(row)}`)
  }
  for (const kind of GAPS.filter(each => wanted.includes(each))) {
    const worst: number[] = []
    const each: number[] = []
    for (let count = 0; count < Number(values.rounds); count++) {
      const gaps = await round(subject, kind)
      each.push(...gaps)
      worst.push(Math.max(...gaps))
      note(`${kind} ${count + 1}: ${Math.round(Math.max(...gaps))} ms`)
    }
    each.sort((a, b) => a - b)
    worst.sort((a, b) => a - b)
    const row = { rounds: worst.length, medianMs: at(each, 0.5), p99Ms: at(each, 0.99), maxMs: at(each, 1) }
    rows[`${subject.name} ${kind}`] = row
    note(`${kind} ${JSON.stringify(row)}`)
  }
}

async function one(starting: Promise<Subject>, rows: Record<string, object>): Promise<void> {
  const subject = await starting
  try {
    await whole(subject)
    await measure(subject, rows)
  } finally {
    await subject.end()
  }
}

const rows: Record<string, object> = {}
await one(startMoldau(values.set), rows)
if (values.against === 'kafka') {
  const program = findTools()
  if (program === undefined)
    throw new Error('Apache Kafka was not found: MOLDAU_KAFKA_TOOLS names the program that starts it')
  await one(startKafka(program, 'kafka', []), rows)
  const likeOurs = ['broker.session.timeout.ms=6000', 'broker.heartbeat.interval.ms=500']
  await one(startKafka(program, 'kafka with our sessions', likeOurs), rows)
}
if (values.json) console.log(JSON.stringify(rows, null, 2))
else console.table(rows)
process.exit(0)
