// `npm run interop`: real clients and real tools against a real broker. Starts one broker for each suite, counts, and
// ends with the line `N passed, N failed`. Tools that are not on this machine are named as skipped.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildSuites } from './cache.ts'
import { compression } from './compression.ts'
import { differential } from './differential.ts'
import { javaCluster } from './java-cluster.ts'
import { javaFiles } from './java-files.ts'
import { javaGroups } from './java-groups.ts'
import { javaTools } from './java-tools.ts'
import { kafkajs } from './kafkajs.ts'
import { kcat } from './kcat.ts'
import { librdkafka, librdkafkaNoAutoCreate, librdkafkaThree, librdkafkaThreeNoAutoCreate } from './librdkafka.ts'
import { move } from './move.ts'
import { nodeRdkafka } from './node-rdkafka.ts'
import { endAll } from './process.ts'
import { python } from './python.ts'
import { Checks, type Suite } from './suite.ts'
import { type BrokerKind, startBroker } from './target.ts'
import { findTools, Tools } from './tools.ts'

const usage = `npm run interop -- [options]
  --fast              one pass of each client and tool, and the quick part of the long suites
  --only NAME         this suite only (may be repeated)
  --nodes COUNT       so many nodes in the cluster, for every suite
  --check TEXT        those checks only whose name contains TEXT
  --bootstrap ADDR    a broker that runs already (MOLDAU_INTEROP_DATA names its data directory)
  --kafka             Apache Kafka by MOLDAU_KAFKA_TOOLS, to prove the suites themselves
  --keep              keep the temporary folder
  --build             first build the native suites of librdkafka and node-rdkafka where they are missing`

const suites: Suite[] = [
  kafkajs,
  kcat,
  python,
  javaTools,
  javaGroups,
  javaFiles,
  javaCluster,
  compression,
  differential,
  move,
  librdkafka,
  librdkafkaNoAutoCreate,
  librdkafkaThree,
  librdkafkaThreeNoAutoCreate,
  nodeRdkafka
]

interface Options {
  fast?: boolean
  only?: string[]
  nodes?: number
  check?: string
  bootstrap?: string
  kafka?: boolean
  keep?: boolean
  build?: boolean
  help?: boolean
}

function parseOptions(): Options {
  const { nodes, ...others } = parseArgs({
    options: {
      nodes: { type: 'string' },
      fast: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      check: { type: 'string' },
      bootstrap: { type: 'string' },
      kafka: { type: 'boolean' },
      keep: { type: 'boolean' },
      build: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  }).values
  return nodes === undefined ? others : { ...others, nodes: Number(nodes) }
}

function brokerKind(options: Options, program: string | undefined): BrokerKind {
  if (options.bootstrap !== undefined) return { kind: 'given', bootstrap: options.bootstrap }
  if (options.kafka !== true) return { kind: 'moldau' }
  if (program === undefined) throw new Error('--kafka: MOLDAU_KAFKA_TOOLS does not name a program')
  return { kind: 'kafka', program }
}

async function runSuite(
  suite: Suite,
  kind: BrokerKind,
  folder: string,
  options: Options,
  tools: Tools | undefined
): Promise<Checks> {
  const checks = new Checks(suite.name, options.check)
  const begin = performance.now()
  try {
    const broker = await startBroker(kind, join(folder, suite.name), suite.settings, options.nodes ?? suite.nodes)
    const { bootstrap, controllers, dataDirectory, nodes } = broker
    const scratch = mkdtempSync(join(folder, `${suite.name}-scratch-`))
    const tag = `i${Math.floor(performance.timeOrigin + performance.now()).toString(36)}`
    try {
      await suite.run(
        {
          kind: kind.kind,
          bootstrap,
          controllers,
          dataDirectory,
          nodes,
          scratch,
          tools,
          fast: options.fast === true,
          tag
        },
        checks
      )
    } finally {
      await broker.stop()
    }
  } catch (cause) {
    checks.fail('runs to its end', cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  console.log(
    `# ${suite.name}: ${checks.passed} passed, ${checks.failed} failed, ${checks.skipped} skipped, ${seconds} s\n`
  )
  return checks
}

/** Runs what the command line asks for. Returns the number of failed checks. */
export async function interop(): Promise<number> {
  const options = parseOptions()
  if (options.help === true) {
    console.log(usage)
    return 0
  }
  if (options.build === true) await buildSuites(options.fast === true)
  const program = findTools()
  const kind = brokerKind(options, program)
  const chosen = suites.filter(suite => options.only === undefined || options.only.includes(suite.name))
  if (chosen.length === 0) throw new Error(`--only: the suites are ${suites.map(suite => suite.name).join(', ')}`)
  const tools = program === undefined ? undefined : new Tools(program)
  const folder = mkdtempSync(join(tmpdir(), 'moldau-interop-'))
  const done: Checks[] = []
  try {
    for (const suite of chosen) done.push(await runSuite(suite, kind, folder, options, tools))
  } finally {
    tools?.stop()
    endAll()
  }
  const sum = (key: 'passed' | 'failed' | 'skipped') => done.reduce((total, checks) => total + checks[key], 0)
  if (options.keep === true || sum('failed') > 0) console.log(`# files kept in ${folder}`)
  else rmSync(folder, { recursive: true, force: true })
  for (const checks of done) {
    console.log(
      `# ${checks.suite.padEnd(26)} ${checks.passed} passed, ${checks.failed} failed, ${checks.skipped} skipped`
    )
  }
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
  return sum('failed')
}
