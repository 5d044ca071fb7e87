// Where the nodes of a local cluster live: their ports, their directories, and one properties file each, which
// `moldau start` and Kafka itself would take as well. A directory remembers of how many nodes its cluster is. Where a node
// lives nobody else may say, and what cannot be said is refused before anything is made.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadConfig } from '../../broker/config.ts'
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import { META_PROPERTIES } from '../../storage/checkpoints.ts'
import { isFree } from '../free-ports.ts'

export interface NodeLayout {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly controllerPort: number
  readonly directory: string
  /** The node's properties file, and what stands in it. */
  readonly file: string
  readonly text: string
  /** `key=value` each: what the environment does not change, as the command line of the node says it. */
  readonly set?: readonly string[]
}

export interface LayoutOptions {
  readonly directory: string
  readonly brokers: number
  /** Of the first broker; null: the first free range of the usual ones. */
  readonly port: number | null
  /** Settings for all nodes, `key=value`; they go before ours and before the environment. */
  readonly set?: readonly string[]
  /** Before a port is looked at and a file is written: whether the directory may be used. */
  readonly hold?: (directory: string) => Promise<void>
}

export const MOST_BROKERS = 9
const HOST = '127.0.0.1'
const USUAL_PORT = 9092
/** From a broker's port to that of its controller. */
export const CONTROLLER_STEP = 100
const NEXT_RANGE = 1000
const ATTEMPTS = 20

/** Chooses ports, makes the directory and writes the files. Throws ERR_CONFIG or ERR_WRONG_DIRECTORY. */
export async function layOut(options: LayoutOptions): Promise<NodeLayout[]> {
  const directory = resolve(options.directory)
  const { brokers, set = [] } = options
  checkBrokers('--brokers', brokers)
  checkSize(directory, brokers)
  if (options.port !== null) checkPort(options.port, brokers)
  checkSettings(nodesOf(directory, brokers, options.port ?? USUAL_PORT, set))
  await options.hold?.(directory)
  const port = options.port === null ? await freeRange(brokers) : await given(options.port, brokers)
  const nodes = nodesOf(directory, brokers, port, set)
  try {
    mkdirSync(directory, { recursive: true })
    for (const { file, text } of nodes) writeFileSync(file, text)
  } catch (error) {
    throw new MoldauError('ERR_STORAGE', `directory ${directory}: ${(error as Error).message}`, { cause: error })
  }
  return nodes
}

/** As layOut, on ports that nobody would look at: for tests and measurements, several of which may run at a time. */
export async function layOutAnywhere(options: Omit<LayoutOptions, 'port'>): Promise<NodeLayout[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await layOut({ ...options, port: 11_000 + Math.floor(Math.random() * 20_000) })
    } catch (error) {
      if (attempt === ATTEMPTS || !isFailure(error, 'ERR_CONFIG')) throw error
    }
  }
}

/** Pure: the nodes of a cluster whose first broker has that port. Throws ERR_CONFIG for a setting that is not one for all. */
export function nodesOf(directory: string, brokers: number, port: number, set: readonly string[] = []): NodeLayout[] {
  const ids = Array.from({ length: brokers }, (_, index) => index + 1)
  const voters = ids.map(id => `${id}@${HOST}:${port + CONTROLLER_STEP + id - 1}`).join(',')
  return ids.map(nodeId => {
    const own = { nodeId, host: HOST, port: port + nodeId - 1, controllerPort: port + CONTROLLER_STEP + nodeId - 1 }
    const data = join(directory, `data-${nodeId}`)
    const place = placeOf({ ...own, directory: data, voters })
    // With the older word for node.id: one of the environment would contradict it.
    const fixed = { ...place, 'broker.id': String(nodeId) }
    const refused = set.find(each => Object.hasOwn(fixed, keyOf(each)))
    if (refused !== undefined) {
      throw new MoldauError(
        'ERR_CONFIG',
        `--set ${refused}: each node of a local cluster is given its ${keyOf(refused)}`
      )
    }
    return {
      ...{ ...own, directory: data, file: join(directory, fileName(nodeId)) },
      text: propertiesOf(nodeId, brokers, place, set),
      set: [...set, ...Object.entries(fixed).map(([key, value]) => `${key}=${value}`)]
    }
  })
}

interface NodeFacts {
  readonly nodeId: number
  readonly port: number
  readonly controllerPort: number
  readonly directory: string
  readonly voters: string
}

/** What each node has of its own: its name, its addresses, its directory. */
function placeOf({ nodeId, port, controllerPort, directory, voters }: NodeFacts): Readonly<Record<string, string>> {
  return {
    'process.roles': 'broker,controller',
    'node.id': String(nodeId),
    'controller.quorum.voters': voters,
    // Both loopback addresses for clients, one for the nodes.
    listeners: `PLAINTEXT://localhost:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': directory
  }
}

function propertiesOf(
  nodeId: number,
  brokers: number,
  place: Readonly<Record<string, string>>,
  set: readonly string[]
): string {
  const copies = Math.min(3, brokers)
  const lines = {
    ...place,
    'default.replication.factor': copies,
    'min.insync.replicas': Math.max(1, copies - 1),
    'offsets.topic.replication.factor': copies,
    'group.initial.rebalance.delay.ms': 0
  }
  const settings = new Map(Object.entries(lines).map(([key, value]) => [key, String(value)]))
  for (const each of set) settings.set(keyOf(each), each.slice(each.indexOf('=') + 1))
  const text = [...settings].map(([key, value]) => `${key}=${escaped(value)}`).join('\n')
  return `# Node ${nodeId} of a local cluster; written at each start of \`moldau dev\`.\n${text}\n`
}

function keyOf(assignment: string): string {
  return assignment.slice(0, assignment.indexOf('=')).trim()
}

/** As a properties file has it. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

function fileName(nodeId: number): string {
  return `node-${nodeId}.properties`
}

/** Throws ERR_CONFIG, with the name that the number was asked for by. */
export function checkBrokers(name: string, brokers: number): void {
  if (Number.isInteger(brokers) && brokers >= 1 && brokers <= MOST_BROKERS) return
  throw new MoldauError('ERR_CONFIG', `${name} ${brokers}: must be a number from 1 to ${MOST_BROKERS}`)
}

/** Reads what the nodes will read, as they will. */
function checkSettings(nodes: readonly NodeLayout[]): void {
  for (const { file, text, set } of nodes) loadConfig({ file: { path: file, text }, env: process.env, set })
}

/** The list of voters cannot change behind the back of a cluster that has data. */
function checkSize(directory: string, brokers: number): void {
  const found = nodesIn(directory)
  if (found === 0 || found === brokers) return
  throw new MoldauError(
    'ERR_WRONG_DIRECTORY',
    `directory ${directory}: it holds a cluster of ${found}; start it with --brokers ${found}, or give another --data`
  )
}

/** Of how many nodes the cluster is whose data are here. Files tell nothing without data: an attempt may have left them.
 *  Data alone tell too little: not every node may have come as far. So it counts what a node with data knows as voters. */
function nodesIn(directory: string): number {
  const ids = entriesOf(directory)
    .filter(name => /^data-\d+$/.test(name) && existsSync(join(directory, name, META_PROPERTIES)))
    .map(name => Number(name.slice('data-'.length)))
  const voters = ids.map(nodeId => votersIn(join(directory, fileName(nodeId))))
  return Math.max(0, ...(voters.some(count => count > 0) ? voters : ids))
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function votersIn(file: string): number {
  try {
    return /^controller\.quorum\.voters=(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.split(',').length ?? 0
  } catch {
    return 0
  }
}

function checkPort(port: number, brokers: number): void {
  const highest = 65535 - CONTROLLER_STEP - brokers
  if (Number.isInteger(port) && port >= 1 && port <= highest) return
  throw new MoldauError('ERR_CONFIG', `--port ${port}: must be a number from 1 to ${highest}`)
}

async function given(port: number, brokers: number): Promise<number> {
  const taken = await firstTaken(port, brokers)
  if (taken === null) return port
  throw new MoldauError('ERR_CONFIG', `--port ${port}: another process listens on port ${taken}`)
}

async function freeRange(brokers: number): Promise<number> {
  for (let port = USUAL_PORT; port < 65000; port += NEXT_RANGE) {
    if ((await firstTaken(port, brokers)) === null) return port
  }
  throw new MoldauError('ERR_CONFIG', 'no free ports were found; give --port')
}

/** The first port that somebody listens on, of those that so many brokers and their controllers need from `port` on. */
export async function firstTaken(port: number, brokers: number): Promise<number | null> {
  for (let index = 0; index < brokers; index++) {
    for (const each of [port + index, port + CONTROLLER_STEP + index]) if (!(await isFree(each))) return each
  }
  return null
}
