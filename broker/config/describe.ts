// Settings as DescribeConfigs and CreateTopics show them: the value, where it comes from, and every place that has one
// (KIP-226, KIP-569; core/.../ConfigHelper.scala). Pure: the broker's settings and the resource's own ones go in.
import type { BrokerConfig, Origin } from '../config.ts'
import { inheritedText, synonymsOf } from './log-settings.ts'
import { GROUP_SYNONYMS } from './resources.ts'
import { canonicalText, type Setting, type SettingType } from './setting.ts'
import { SCOPES, type Scope, settingOf } from './table.ts'
import { TOPIC_SYNONYMS, type TopicKey } from './topics.ts'

/** DescribeConfigsResponse.ConfigSource */
export const ConfigSource = {
  TOPIC: 1,
  DYNAMIC_BROKER: 2,
  DYNAMIC_DEFAULT_BROKER: 3,
  STATIC_BROKER: 4,
  DEFAULT: 5,
  DYNAMIC_BROKER_LOGGER: 6,
  CLIENT_METRICS: 7,
  GROUP: 8
} as const

/** DescribeConfigsResponse.ConfigType */
const TYPE_IDS: Readonly<Record<SettingType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9
}

const SOURCE_OF: Readonly<Record<Origin, number>> = {
  'dynamic broker': ConfigSource.DYNAMIC_BROKER,
  'dynamic default': ConfigSource.DYNAMIC_DEFAULT_BROKER,
  static: ConfigSource.STATIC_BROKER,
  default: ConfigSource.DEFAULT
}

export interface Synonym {
  readonly name: string
  readonly value: string | null
  readonly source: number
}

export interface DescribedConfig {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  readonly configSource: number
  readonly isSensitive: boolean
  readonly synonyms: readonly Synonym[]
  readonly configType: number
  readonly documentation: string
}

export function describeTopic(config: BrokerConfig, own: ReadonlyMap<string, string>): DescribedConfig[] {
  const broker = (key: string) => config.textOf(key)
  return shownKeys('topic', own).map(name => {
    const value = own.get(name) ?? inheritedText(name as TopicKey, broker)
    const inherited = synonymsIn(
      config,
      synonymsOf(name).map(([key]) => key)
    )
    return described('topic', name, value, [...ownSynonym(name, own, ConfigSource.TOPIC), ...inherited])
  })
}

/** All settings of this broker, those that only other brokers or the cluster set left out. */
export function describeBroker(config: BrokerConfig): DescribedConfig[] {
  const broker = Object.keys(SCOPES.broker)
    .filter(name => !settingOf('broker', name)?.internal || config.isGiven(name))
    .map(name => described('broker', name, config.textOf(name), synonymsIn(config, brokerNames(name))))
  const throttles = shownKeys('broker quota', config.throttles).flatMap(name => {
    const own = ownSynonym(name, config.throttles, ConfigSource.DYNAMIC_BROKER)
    return own.length === 0 ? [] : [described('broker quota', name, config.throttles.get(name) ?? null, own)]
  })
  return [...broker, ...throttles]
}

/** The dynamic defaults for all brokers, and nothing else. */
export function describeClusterDefaults(config: BrokerConfig): DescribedConfig[] {
  return [...config.clusterDefaults].map(([name, value]) =>
    described('broker', name, value, [
      { name, value: shown('broker', name, value), source: ConfigSource.DYNAMIC_DEFAULT_BROKER }
    ])
  )
}

export function describeGroup(config: BrokerConfig, own: ReadonlyMap<string, string>): DescribedConfig[] {
  return shownKeys('group', own).map(name => {
    const synonym = GROUP_SYNONYMS[name]
    const fallback =
      (synonym === undefined ? undefined : config.textOf(synonym)) ?? settingOf('group', name)?.defaultText ?? null
    const inherited =
      synonym === undefined ? [{ name, value: fallback, source: ConfigSource.DEFAULT }] : synonymsIn(config, [synonym])
    return described('group', name, own.get(name) ?? fallback, [
      ...ownSynonym(name, own, ConfigSource.GROUP),
      ...inherited
    ])
  })
}

export function describeClientMetrics(own: ReadonlyMap<string, string>): DescribedConfig[] {
  return shownKeys('client metrics', own).map(name => {
    const value = own.get(name) ?? settingOf('client metrics', name)?.defaultText ?? null
    return described('client metrics', name, value, ownSynonym(name, own, ConfigSource.CLIENT_METRICS))
  })
}

/** Public settings, and internal ones that are set. */
function shownKeys(scope: Scope, own: ReadonlyMap<string, string>): string[] {
  return Object.keys(SCOPES[scope]).filter(name => !settingOf(scope, name)?.internal || own.has(name))
}

function described(scope: Scope, name: string, value: string | null, synonyms: readonly Synonym[]): DescribedConfig {
  const setting = settingOf(scope, name)
  return {
    name,
    value: shown(scope, name, value),
    readOnly: scope === 'broker' && setting?.update === 'read-only',
    configSource: synonyms[0]?.source ?? ConfigSource.DEFAULT,
    isSensitive: isSensitive(setting),
    synonyms,
    configType: setting === undefined ? 0 : TYPE_IDS[setting.type],
    documentation: setting === undefined ? '' : documentation(setting)
  }
}

function documentation({ doc, ignored }: Setting): string {
  return ignored === null ? doc : `${doc} Without effect: ${ignored}.`
}

/** Passwords are never shown, nor what nobody knows (it might be one). */
function isSensitive(setting: Setting | undefined): boolean {
  return setting === undefined || setting.type === 'password'
}

function shown(scope: Scope, name: string, value: string | null): string | null {
  const setting = settingOf(scope, name)
  if (setting === undefined || isSensitive(setting) || value === null) return null
  return canonicalText(setting, value)
}

function ownSynonym(name: string, own: ReadonlyMap<string, string>, source: number): Synonym[] {
  const value = own.get(name)
  return value === undefined ? [] : [{ name, value, source }]
}

/** A broker setting and the coarser ones that stand in for it: log.retention.ms, .minutes, .hours. */
function brokerNames(name: string): readonly string[] {
  const family = Object.values(TOPIC_SYNONYMS).find(each => each[0][0] === name)
  return family === undefined ? [name] : family.map(([key]) => key)
}

/** What the broker has for these keys: by source, and within a source in the order of the keys. What goes before the
 *  first entry of the first key is not shown (ConfigHelper.configSynonyms). */
function synonymsIn(config: BrokerConfig, keys: readonly string[]): Synonym[] {
  const found = keys.flatMap(key => config.sourcesOf(key))
  const all = Object.entries(SOURCE_OF).flatMap(([origin, source]) =>
    found
      .filter(each => each.origin === origin)
      .map(({ key, text }) => ({ name: key, value: shown('broker', key, text), source }))
  )
  const first = all.findIndex(each => each.name === keys[0])
  return first < 0 ? [] : all.slice(first)
}
