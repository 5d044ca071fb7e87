// `npm run soak -- --real`: three real broker processes under load while faults fall on them: kill -9, SIGSTOP, cut links both
// ways and one way, restarts of all, a full disk. Nothing acknowledged may be lost or be there twice, orders are kept, the
// group finishes, and the cluster heals by itself.
//   --faults N      how many (200)         --seed N    which (random)
//   --directory D   where (a temporary one, kept when something was wrong)
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect } from '../clients/connection.ts'
import { LocalCluster, until } from '../clients/dev/cluster.ts'
import { layOutAnywhere, type NodeLayout } from '../clients/dev/layout.ts'
import { Dice } from '../clients/simulate/dice.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { LinkProxy } from './link-proxy.ts'
import { countFrom, readOptions } from './soak-options.ts'
import { checkCopies, checkPartition, groupLag, readPartition } from './soak-real-check.ts'
import { type SmallDisk, smallDisk } from './soak-real-disk.ts'
import { Faults, pause } from './soak-real-faults.ts'
import { Notes, SoakConsumer, SoakProducer, TOPIC } from './soak-real-load.ts'

const PARTITIONS = 12
const PRODUCERS = 3
const CONSUMERS = 3
const HEAL_LIMIT_MS = 120_000
const SETTINGS = [
  // Snapshots of the metadata often enough that one who was away needs them.
  'metadata.log.max.record.bytes.between.snapshots=20000',
  'moldau.log.level=info'
]

interface Stage {
  readonly directory: string
  readonly layout: readonly NodeLayout[]
  readonly cluster: LocalCluster
  readonly proxy: LinkProxy
  readonly faults: Faults
  readonly disk: SmallDisk
  readonly notes: Notes
  readonly seed: string
  readonly unexpected: string[]
  readonly logLines: Map<string, number>
}

function optionsOf(args: string[]) {
  return readOptions(() => {
    const { values } = parseArgs({
      args,
      options: {
        real: { type: 'boolean' },
        faults: { type: 'string', default: '200' },
        seed: { type: 'string' },
        directory: { type: 'string' }
      }
    })
    return { ...values, faults: countFrom('faults', values.faults) }
  })
}

/** The exit code. */
async function soakReal(args: string[]): Promise<number> {
  const { faults: count, ...values } = optionsOf(args)
  const seed = values.seed ?? String(Math.floor(Math.random() * 1e9))
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), 'moldau-soak-'))
  say(`seed ${seed}, directory ${directory}`)
  const startedAt = performance.now()
  const stage = await setUp(directory, seed)
  // Whoever ends this process ends the brokers: one that is held would notice nothing by itself.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void stage.cluster.kill().then(() => {
        stage.disk.unmount()
        process.exit(130)
      })
    })
  }
  let wrong: string[]
  try {
    wrong = await play(stage, count)
  } catch (error) {
    wrong = [`the run itself failed: ${(error as Error).stack}`, ...stage.notes.wrong]
  }
  await stage.cluster.stop().catch(() => stage.cluster.kill())
  stage.proxy.stop()
  if (wrong.length === 0) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      wrong.push(
        ...checkCopies(
          stage.layout.map(each => each.directory),
          partition
        )
      )
    }
  }
  summary(stage, wrong, performance.now() - startedAt)
  stage.disk.unmount()
  if (wrong.length === 0 && values.directory === undefined) rmSync(directory, { recursive: true, force: true })
  return wrong.length === 0 ? 0 : 1
}

async function setUp(directory: string, seed: string): Promise<Stage> {
  const layout = await layOutAnywhere({ directory, brokers: 3, set: SETTINGS })
  const dice = new Dice(`soak ${seed}`)
  const small = smallDisk(layout[dice.below(layout.length)] as NodeLayout)
  if (!small.isMounted)
    say('no file system of limited size: only root may mount one; a quota on its writes fills the disk')
  const proxy = new LinkProxy(layout)
  await proxy.start()
  mkdirSync(join(directory, 'logs'), { recursive: true })
  const logs = new Map(
    layout.map(({ nodeId }) => [nodeId, createWriteStream(join(directory, 'logs', `${nodeId}.log`), { flags: 'a' })])
  )
  const unexpected: string[] = []
  const logLines = new Map<string, number>()
  const hooks = ['./link-hook.js', './quota-hook.js'].map(file => `--import=${new URL(file, import.meta.url).href}`)
  const cli = fileURLToPath(new URL('../broker/moldau.cjs', import.meta.url))
  const cluster = new LocalCluster({
    nodes: layout,
    command: [process.execPath, ...hooks, cli],
    // The hooks are ES modules: loading them uses the pool of threads before the broker could set its size.
    env: nodeId => ({
      ...proxy.environmentOf(nodeId),
      ...(nodeId === small.nodeId ? small.environment : {}),
      UV_THREADPOOL_SIZE: '16'
    }),
    onLine: (nodeId, line) => {
      logs.get(nodeId)?.write(`${line}\n`)
      const event = /"msg":"([^"]+)"/.exec(line)?.[1]
      if (event !== undefined) logLines.set(event, (logLines.get(event) ?? 0) + 1)
    },
    onFailed: (nodeId, reason) => {
      if (faults.ended(nodeId)) return say(`node ${nodeId} ended, its disk is full: ${reason}`)
      unexpected.push(`node ${nodeId} ended by itself: ${reason}`)
      say(unexpected[unexpected.length - 1] as string)
    }
  })
  const faults: Faults = new Faults({ cluster, proxy, random: dice.of('faults'), say, smallDisk: small })
  return {
    directory,
    layout,
    cluster,
    proxy,
    faults,
    disk: small,
    notes: new Notes(PARTITIONS),
    seed,
    unexpected,
    logLines
  }
}

async function play({ cluster, layout, faults, notes, seed, unexpected }: Stage, count: number): Promise<string[]> {
  notes.onSilence = ms =>
    say(`      nothing was acknowledged for ${Math.round(ms)} ms until ${new Date().toISOString()}`)
  await cluster.start()
  await createTopic(layout[0] as NodeLayout)
  const random = new Dice(`load ${seed}`)
  const producers = Array.from(
    { length: PRODUCERS },
    (_, index) =>
      new SoakProducer({ index, layout, partitions: PARTITIONS, notes, random: random.of(`producer ${index}`) })
  )
  const consumers = Array.from(
    { length: CONSUMERS },
    (_, index) => new SoakConsumer(`consumer-${index}`, layout, notes)
  )
  const producing = Promise.all(producers.map(each => each.run()))
  await Promise.all(consumers.map(each => each.start()))
  const gap = new Dice(`gaps ${seed}`)
  while (faults.total < count) {
    await pause(gap.between(200, 5000))
    const isMany = faults.total % 10 === 9
    if ((await faults.strike()) && isMany) progress(cluster, notes)
  }
  await faults.settled()
  say('no more faults: the cluster heals')
  const healedAt = performance.now()
  await healed(cluster)
  say(`every copy of every partition is in sync again after ${Math.round(performance.now() - healedAt)} ms`)
  await pause(3000)
  for (const each of producers) each.stop()
  await producing
  await until(
    async () => (await groupLag(cluster, PARTITIONS).catch(() => 1)) === 0,
    HEAL_LIMIT_MS,
    'the group to finish'
  )
  for (const each of consumers) await each.stop()
  const wrong = [...notes.wrong, ...unexpected, ...faults.wrong]
  for (let partition = 0; partition < PARTITIONS; partition++) {
    wrong.push(...checkPartition(partition, await readPartition(cluster, partition), notes))
  }
  return wrong
}

async function createTopic(node: NodeLayout): Promise<void> {
  const connection = await connect(node.host, node.port)
  const { topics } = await connection.send(createTopics, 7, {
    topics: [
      {
        ...{ name: TOPIC, numPartitions: PARTITIONS, replicationFactor: 3 },
        configs: [{ name: 'segment.bytes', value: String(4 << 20) }]
      }
    ],
    timeoutMs: 30_000
  })
  connection.destroy()
  if (topics[0]?.errorCode !== 0) throw new Error(`the topic was not made: ${topics[0]?.errorMessage}`)
}

async function healed(cluster: LocalCluster): Promise<void> {
  // One that ended for its full disk may still be starting.
  await until(async () => cluster.processes.every(each => each.state === 'running'), HEAL_LIMIT_MS, 'all nodes to run')
  await cluster.whole(HEAL_LIMIT_MS)
  const isWhole = async () => {
    const view = await cluster.view()
    return view?.partitions.every(each => each.leaderId >= 0 && each.isr.length === each.replicas.length) === true
  }
  await until(isWhole, HEAL_LIMIT_MS, 'all copies to be in sync')
}

function progress(cluster: LocalCluster, notes: Notes): void {
  const states = cluster.processes.map(each => `${each.nodeId} ${each.state}`).join(', ')
  say(`      ${notes.ackedRecords} records acked, ${notes.consumedRecords} consumed; nodes: ${states}`)
}

function summary({ faults, notes, seed, logLines, directory }: Stage, wrong: readonly string[], tookMs: number): void {
  const list = (entries: Iterable<readonly [string, number]>) =>
    [...entries].map(([name, count]) => `${name} ${count}`).join(', ')
  const events = [
    'metadata-quorum-leader',
    'broker-session-expired',
    'unclean-start',
    'torn-tail-cut',
    'log-directory-offline'
  ]
  say(`\nseed ${seed}: ${faults.total} faults in ${Math.round(tookMs / 1000)} s (${list(faults.counts)})`)
  say(
    `  ${notes.ackedRecords} records acked in ${notes.ackedBatches} batches, ${notes.unknown} attempts of unknown end, ${notes.consumedRecords} consumed`
  )
  say(
    `  longest time without any ack ${Math.round(notes.longestSilenceMs)} ms; brokers that a full disk ended: ${faults.diskDeaths}`
  )
  say(`  errors told to producers: ${list(notes.errors) || 'none'}`)
  say(`  in the logs: ${list(events.map(name => [name, logLines.get(name) ?? 0] as const))}`)
  if (wrong.length === 0) say('  nothing lost, nothing twice, every order kept, the group finished, copies equal')
  for (const each of wrong.slice(0, 50)) say(`  WRONG: ${each}`)
  if (wrong.length > 0) say(`  ${wrong.length} wrong; logs and data are in ${directory}`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

process.exit(await soakReal(process.argv.slice(2)))
