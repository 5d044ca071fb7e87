// The settings of one broker: what was given at the start (file, environment, flags) and what admin requests changed
// since, in Kafka's order of precedence: this broker's dynamic value, the cluster's dynamic default, the static value, the
// default (DynamicBrokerConfig.scala). Reading a setting is one look-up; changes take effect at once, and listeners hear of them.
import { MoldauError } from '../protocol/failure.ts'
import type { LogConfig } from '../storage/log-config.ts'
import { checkTogether } from './config/consistency.ts'
import { type AdvertisedListener, type Endpoints, endpointsOf, type Listener } from './config/endpoints.ts'
import { groupComplaint } from './config/group-bounds.ts'
import { logConfigOf, topicComplaint } from './config/log-settings.ts'
import { canonicalText, parseSetting } from './config/setting.ts'
import { BUILT_IN, type Gathered, type Given, gather, type Sources } from './config/sources.ts'
import { type BrokerKey, brokerSettings, settingOf, type ValueOf } from './config/table.ts'
import { checkBootstrapServers, checkVoters, type VoterAddress, votersOf } from './config/voters.ts'

export type { AdvertisedListener, Listener, SecurityProtocol } from './config/endpoints.ts'
export type { BrokerKey, ValueOf } from './config/table.ts'
export type { VoterAddress } from './config/voters.ts'

/** Where a value comes from, the strongest first. */
export type Origin = 'dynamic broker' | 'dynamic default' | 'static' | 'default'

export interface Source {
  readonly origin: Origin
  readonly key: string
  readonly text: string
}

export interface LoadedConfig {
  readonly config: BrokerConfig
  readonly warnings: string[]
}

/** Reads all sources and checks everything that can be checked without the disk. Throws ERR_CONFIG. */
export function loadConfig(sources: Sources = {}): LoadedConfig {
  const { values, warnings }: Gathered = gather(sources)
  return { config: new BrokerConfig(values), warnings: [...warnings] }
}

export type ChangeListener = (changed: ReadonlySet<string>) => void

const KEYS = Object.keys(brokerSettings) as BrokerKey[]
const NO_OVERRIDES: ReadonlyMap<string, string> = new Map()

export class BrokerConfig {
  readonly nodeId: number
  readonly dataDirectory: string
  readonly listeners: readonly Listener[]
  readonly advertisedListeners: readonly AdvertisedListener[]
  readonly advertisedControllers: readonly AdvertisedListener[]
  readonly interBrokerListener: string
  /** controller.quorum.voters; empty: this node is alone. */
  readonly voters: readonly VoterAddress[]
  readonly #given: ReadonlyMap<string, Given>
  #ofBroker: ReadonlyMap<string, string> = NO_OVERRIDES
  #ofCluster: ReadonlyMap<string, string> = NO_OVERRIDES
  #throttles: ReadonlyMap<string, string> = NO_OVERRIDES
  #texts: ReadonlyMap<string, string | null>
  #values: ReadonlyMap<string, unknown>
  #plainLogConfig: LogConfig | null = null
  readonly #changeListeners = new Set<ChangeListener>()

  constructor(given: ReadonlyMap<string, Given>) {
    this.#given = withOlderNames(given)
    this.#texts = this.#effectiveTexts()
    this.#values = this.#parsed()
    const endpoints = this.#endpoints()
    this.listeners = endpoints.listeners
    this.advertisedListeners = endpoints.advertised
    this.advertisedControllers = endpoints.advertisedControllers
    this.interBrokerListener = endpoints.interBrokerListener
    this.nodeId = this.get('node.id')
    this.dataDirectory = checkTogether(this)
    this.voters = votersOf(this.get('controller.quorum.voters'))
    checkVoters(this.voters, this.get('controller.quorum.voters'), this)
    checkBootstrapServers(this.get('controller.quorum.bootstrap.servers'), this.voters, this)
  }

  get<K extends BrokerKey>(key: K): ValueOf<K> {
    return this.#values.get(key) as ValueOf<K>
  }

  /** The exact text that holds now; null: no value. */
  textOf(key: string): string | null {
    return this.#texts.get(key) ?? null
  }

  /** Every place that has a value for the key, the one that holds first. */
  sourcesOf(key: string): Source[] {
    const sources: Source[] = []
    const add = (origin: Origin, text: string | null | undefined) => {
      if (text !== null && text !== undefined) sources.push({ origin, key, text })
    }
    add('dynamic broker', this.#ofBroker.get(key))
    add('dynamic default', this.#ofCluster.get(key))
    add('static', this.#given.get(key)?.text)
    add('default', settingOf('broker', key)?.defaultText)
    return sources
  }

  /** True if somebody asked for a value: file, environment, flag, or an admin request. */
  isGiven(key: string): boolean {
    const given = this.#given.get(key)
    return (given !== undefined && given.origin !== BUILT_IN) || this.#ofBroker.has(key) || this.#ofCluster.has(key)
  }

  /** Throttles of this broker, which are dynamic only. */
  get throttles(): ReadonlyMap<string, string> {
    return this.#throttles
  }

  /** Keys and texts of the cluster-wide dynamic defaults. */
  get clusterDefaults(): ReadonlyMap<string, string> {
    return this.#ofCluster
  }

  /** Keys and texts that were set for this broker while it ran. */
  get brokerOverrides(): ReadonlyMap<string, string> {
    return this.#ofBroker
  }

  /** The settings of a log whose topic sets `overrides`. Topic settings that do not parse are a bug of whoever let them in. */
  logConfig(overrides: ReadonlyMap<string, string> = NO_OVERRIDES): LogConfig {
    if (overrides.size > 0) return logConfigOf(overrides, key => this.textOf(key))
    this.#plainLogConfig ??= logConfigOf(NO_OVERRIDES, key => this.textOf(key))
    return this.#plainLogConfig
  }

  /** What is wrong with these topic settings, in one line, or null. */
  topicComplaint(overrides: ReadonlyMap<string, string>): string | null {
    return topicComplaint(overrides, key => this.textOf(key))
  }

  /** What is wrong with these settings of a group, in one line, or null. */
  groupComplaint(overrides: ReadonlyMap<string, string>): string | null {
    return groupComplaint(overrides, key => this.textOf(key))
  }

  /** Takes the dynamic settings of this broker and of the whole cluster, as the metadata log has them now. A value that
   *  this broker cannot use is left out; the answer names those (for the log). */
  applyDynamic(brokerOverrides: ReadonlyMap<string, string>, clusterDefaults: ReadonlyMap<string, string>): string[] {
    const complaints: string[] = []
    this.#ofBroker = usable(brokerOverrides, complaints)
    this.#ofCluster = usable(clusterDefaults, complaints)
    this.#throttles = new Map([...brokerOverrides].filter(([key]) => settingOf('broker quota', key) !== undefined))
    const before = this.#texts
    this.#texts = this.#effectiveTexts()
    this.#values = this.#parsed()
    this.#plainLogConfig = null
    const changed = new Set(KEYS.filter(key => this.#texts.get(key) !== before.get(key)))
    if (changed.size > 0) for (const listener of this.#changeListeners) listener(changed)
    return complaints
  }

  /** Calls the listener after each change, with the keys that changed; the answer ends that. */
  onChange(listener: ChangeListener): () => void {
    this.#changeListeners.add(listener)
    return () => {
      this.#changeListeners.delete(listener)
    }
  }

  #effectiveTexts(): ReadonlyMap<string, string | null> {
    return new Map(
      KEYS.map(key => {
        const setting = brokerSettings[key]
        const text =
          this.#ofBroker.get(key) ?? this.#ofCluster.get(key) ?? this.#given.get(key)?.text ?? setting.defaultText
        return [key, text === null ? null : canonicalText(setting, text)]
      })
    )
  }

  #parsed(): ReadonlyMap<string, unknown> {
    return new Map(
      KEYS.map(key => {
        const text = this.#texts.get(key) ?? null
        return [key, text === null ? null : this.#parse(key, text)]
      })
    )
  }

  #parse(key: BrokerKey, text: string): unknown {
    try {
      return parseSetting<unknown>(key, brokerSettings[key], text)
    } catch (error) {
      const origin = this.#given.get(key)?.origin
      if (!(error instanceof MoldauError) || origin === undefined || origin === '--set') throw error
      throw new MoldauError('ERR_CONFIG', `${origin}: ${error.message}`)
    }
  }

  #endpoints(): Endpoints {
    return endpointsOf({
      listeners: this.get('listeners'),
      advertised: this.get('advertised.listeners'),
      protocolMap: this.get('listener.security.protocol.map'),
      protocolMapGiven: this.#given.has('listener.security.protocol.map'),
      controllerNames: this.get('controller.listener.names'),
      interBrokerName: this.get('inter.broker.listener.name'),
      interBrokerProtocol: this.get('security.inter.broker.protocol')
    })
  }
}

/** broker.id is the older name of node.id: one stands for both, and where both are given they must agree. */
function withOlderNames(given: ReadonlyMap<string, Given>): ReadonlyMap<string, Given> {
  const older = given.get('broker.id')
  const newer = given.get('node.id')
  if (older === undefined || older.text.trim() === '-1')
    return newer === undefined ? given : new Map(given).set('broker.id', newer)
  if (newer === undefined || newer.origin === BUILT_IN) return new Map(given).set('node.id', older)
  if (newer.text.trim() === older.text.trim()) return given
  throw new MoldauError(
    'ERR_CONFIG',
    `broker.id=${older.text} (${older.origin}) and node.id=${newer.text} (${newer.origin}) differ`
  )
}

function usable(overrides: ReadonlyMap<string, string>, complaints: string[]): ReadonlyMap<string, string> {
  const kept = new Map<string, string>()
  for (const [key, text] of overrides) {
    const setting = settingOf('broker', key)
    if (setting === undefined || setting.update === 'read-only') continue
    try {
      parseSetting(key, setting, text)
      kept.set(key, text)
    } catch (error) {
      if (!(error instanceof MoldauError)) throw error
      complaints.push(error.message)
    }
  }
  return kept
}
