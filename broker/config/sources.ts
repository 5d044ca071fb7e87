// Where settings come from: a properties file, the environment, and flags, the later ones winning. An unknown key in file
// or environment is one warning with a suggestion (real files carry plug-in keys, images set variables of their own); an
// unknown key in a flag is an error.
import { MoldauError } from '../../protocol/failure.ts'
import { readProperties } from './properties.ts'
import { readList } from './setting.ts'
import { nearestKey, settingOf } from './table.ts'

/** A value as it was written, and where. */
export interface Given {
  readonly text: string
  /** For messages: `server.properties:12`, `KAFKA_NODE_ID`, `--set`. */
  readonly origin: string
}

export interface Sources {
  readonly file?: { readonly path: string; readonly text: string } | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** `key=value` each. */
  readonly set?: readonly string[] | undefined
  /** What messages call them where no command line gave them. */
  readonly setOrigin?: string | undefined
}

/** The origin of values that nobody asked for. */
export const BUILT_IN = 'the defaults'

/** Of WITHOUT_FILE, what only a node that is alone does: among several these are Kafka's defaults. */
export const WHERE_ALONE: Readonly<Record<string, string>> = {
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1'
}

/** What a broker without a file does: for a laptop, seen by this machine only. */
export const WITHOUT_FILE: Readonly<Record<string, string>> = {
  'node.id': '1',
  'process.roles': 'broker,controller',
  listeners: 'PLAINTEXT://localhost:9092',
  'log.dirs': './moldau-data',
  ...WHERE_ALONE,
  'group.initial.rebalance.delay.ms': '0',
  'moldau.http.listener': 'localhost:9094'
}

/** Variables of Kafka's scripts and images that are no settings. */
const IMAGE_VARIABLES =
  /^KAFKA_(HEAP_OPTS|OPTS|JMX_\w+|JVM_PERFORMANCE_OPTS|GC_LOG_OPTS|\w*LOG4J\w*|DEBUG|HOME|VERSION|MODE|HEAP|CLUSTER_ID|LOG_DIR_OPTS)$/
/** Settings that Kafka 4.0 dropped, which old files still carry. */
const RETIRED =
  /^(zookeeper\.|password\.encoder\.|inter\.broker\.protocol\.version$|log\.message\.(format\.version|downconversion\.enable|timestamp\.difference\.max\.ms)$|control\.plane\.listener\.name$|broker\.id\.generation\.enable$|reserved\.broker\.max\.id$|offsets\.commit\.required\.acks$|auto\.include\.jmx\.reporter$|group\.coordinator\.new\.enable$|delegation\.token\.master\.key$|leader\.imbalance\.per\.broker\.percentage$|confluent\.support\.)/

export interface Gathered {
  readonly values: ReadonlyMap<string, Given>
  readonly warnings: readonly string[]
}

export function gather({ file, env = {}, set = [], setOrigin = '--set' }: Sources): Gathered {
  const values = new Map<string, Given>()
  const warnings: string[] = []
  if (file === undefined) {
    for (const [key, text] of Object.entries(WITHOUT_FILE)) values.set(key, { text, origin: BUILT_IN })
  } else {
    fromFile(file, values, warnings)
  }
  fromEnvironment(env, values, warnings)
  for (const assignment of set) fromFlag(assignment, setOrigin, values)
  if (isAmongSeveral(values)) {
    for (const key of Object.keys(WHERE_ALONE)) if (values.get(key)?.origin === BUILT_IN) values.delete(key)
  }
  warnings.push(...ignoredOnes(values))
  return { values, warnings }
}

function isAmongSeveral(values: ReadonlyMap<string, Given>): boolean {
  return readList(values.get('controller.quorum.voters')?.text ?? '').length > 1
}

function fromFile(file: { path: string; text: string }, values: Map<string, Given>, warnings: string[]): void {
  for (const { key, value, line } of readProperties(file.text, file.path)) {
    const origin = `${file.path}:${line}`
    const earlier = values.get(key)
    if (earlier !== undefined) warnings.push(`${origin}: ${key} stands twice; this one counts, not ${earlier.origin}`)
    take(key, { text: value, origin }, values, warnings)
  }
}

/** KAFKA_LOG_DIRS is log.dirs: `_` is a dot, `__` an underscore, `___` a dash, as in Kafka's image. MOLDAU_* likewise. */
function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  values: Map<string, Given>,
  warnings: string[]
): void {
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !/^(KAFKA|MOLDAU)_[A-Z]/.test(name) || IMAGE_VARIABLES.test(name)) continue
    const dotted = name
      .replace(/^KAFKA_/, '')
      .toLowerCase()
      .replace(/_+/g, run => (run.length === 1 ? '.' : run.length === 2 ? '_' : '-'))
    take(dotted, { text, origin: name }, values, warnings)
  }
}

function fromFlag(assignment: string, origin: string, values: Map<string, Given>): void {
  const at = assignment.indexOf('=')
  if (at < 1) throw new MoldauError('ERR_CONFIG', `${origin} ${assignment}: must be key=value`)
  const key = assignment.slice(0, at).trim()
  if (underlyingKey(key) === null) throw new MoldauError('ERR_CONFIG', `${origin} ${assignment}: ${stranger(key)}`)
  values.set(key, { text: assignment.slice(at + 1), origin })
}

function take(key: string, given: Given, values: Map<string, Given>, warnings: string[]): void {
  if (underlyingKey(key) === null) warnings.push(`${given.origin}: ${stranger(key)}`)
  else values.set(key, given)
}

function stranger(key: string): string {
  if (RETIRED.test(key)) return `${key} has no meaning since Kafka 4.0`
  const nearest = nearestKey(key)
  return `unknown setting ${key}${nearest === null ? '' : `; did you mean ${nearest}?`}`
}

/** The key itself, or what stands behind `listener.name.NAME.` (and a SASL mechanism); null if it is not known. */
export function underlyingKey(key: string): string | null {
  if (settingOf('broker', key) !== undefined) return key
  const behind = /^listener\.name\.[^.]+\.(.+)$/.exec(key)?.[1]
  if (behind !== undefined) {
    const parts = behind.split('.')
    return [behind, parts.slice(1).join('.')].find(each => settingOf('broker', each) !== undefined) ?? null
  }
  if (/^(rsm|rlmm)\.config\./.test(key)) return 'remote.log.storage.system.enable'
  return null
}

/** One warning for each reason: settings that were given and have no effect. */
function ignoredOnes(values: ReadonlyMap<string, Given>): string[] {
  const byReason = new Map<string, string[]>()
  for (const [key, { text, origin }] of values) {
    const known = underlyingKey(key)
    const setting = known === null ? undefined : settingOf('broker', known)
    if (setting === undefined || origin === BUILT_IN) continue
    const oneForAll = key !== known ? 'one value holds for all listeners' : null
    const why = setting.ignored ?? oneForAll
    // Stating the default asks for nothing.
    if (why === null || (key === known && text.trim() === setting.defaultText)) continue
    byReason.set(why, [...(byReason.get(why) ?? []), key])
  }
  return [...byReason].map(([why, keys]) => `without effect: ${keys.join(', ')} (${why})`)
}
