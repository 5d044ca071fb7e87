// The one table of settings: every key that a file, the environment, a flag, or an admin request may name.
import { MoldauError } from '../../protocol/failure.ts'
import { connectionsSettings } from './connections.ts'
import { consumerGroupsSettings } from './consumer-groups.ts'
import { groupsSettings } from './groups.ts'
import { logSettings } from './log.ts'
import { nodeSettings } from './node.ts'
import { oauthSettings } from './oauth.ts'
import { ownSettings } from './own.ts'
import { quorumSettings } from './quorum.ts'
import { quotasSettings } from './quotas.ts'
import { replicationSettings } from './replication.ts'
import { brokerQuotaSettings, clientMetricsSettings, groupSettings } from './resources.ts'
import { securitySettings } from './security.ts'
import { parseSetting, type Setting } from './setting.ts'
import { sharesSettings } from './shares.ts'
import { streamsGroupsSettings } from './streams-groups.ts'
import { tieredSettings } from './tiered.ts'
import { tlsSettings } from './tls.ts'
import { topicSettings } from './topics.ts'
import { transactionsSettings } from './transactions.ts'

/** The settings of a broker, by area, in the order of the documentation. */
export const AREAS = {
  node: nodeSettings,
  moldau: ownSettings,
  connections: connectionsSettings,
  log: logSettings,
  groups: groupsSettings,
  replication: replicationSettings,
  quorum: quorumSettings,
  transactions: transactionsSettings,
  'consumer groups': consumerGroupsSettings,
  'share groups': sharesSettings,
  'streams groups': streamsGroupsSettings,
  quotas: quotasSettings,
  security: securitySettings,
  tls: tlsSettings,
  oauth: oauthSettings,
  'tiered storage': tieredSettings
} satisfies Record<string, Record<string, Setting>>

export const brokerSettings = {
  ...nodeSettings,
  ...ownSettings,
  ...connectionsSettings,
  ...logSettings,
  ...groupsSettings,
  ...replicationSettings,
  ...quorumSettings,
  ...transactionsSettings,
  ...consumerGroupsSettings,
  ...sharesSettings,
  ...streamsGroupsSettings,
  ...quotasSettings,
  ...securitySettings,
  ...tlsSettings,
  ...oauthSettings,
  ...tieredSettings
}

export type BrokerKey = keyof typeof brokerSettings
export type ValueOf<K extends BrokerKey> = (typeof brokerSettings)[K] extends Setting<infer V> ? V : never
export type Scope = 'broker' | 'topic' | 'group' | 'client metrics' | 'broker quota'

/** Everything that can be set, by whose setting it is. */
export const SCOPES: Readonly<Record<Scope, Readonly<Record<string, Setting>>>> = {
  broker: brokerSettings,
  topic: topicSettings,
  group: groupSettings,
  'client metrics': clientMetricsSettings,
  'broker quota': brokerQuotaSettings
}

export function settingOf(scope: Scope, key: string): Setting | undefined {
  return Object.hasOwn(SCOPES[scope], key) ? SCOPES[scope][key] : undefined
}

/** The key of one scope that looks most like the one given, if any does. */
export function nearestKey(key: string, scope: Scope = 'broker'): string | null {
  let best: string | null = null
  let least = Math.max(2, Math.floor(key.length / 4)) + 1
  for (const candidate of Object.keys(SCOPES[scope])) {
    if (Math.abs(candidate.length - key.length) >= least) continue
    const distance = editDistance(key, candidate)
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

/** What is wrong with a setting of that scope: an unknown key (with a suggestion) or a bad value; null if nothing is. */
export function complaintAbout(scope: Scope, key: string, value: string): string | null {
  const setting = settingOf(scope, key)
  if (setting === undefined) {
    const nearest = nearestKey(key, scope)
    return `unknown ${scope} setting ${key}${nearest === null ? '' : `; did you mean ${nearest}?`}`
  }
  try {
    parseSetting(key, setting, value)
    return null
  } catch (error) {
    if (error instanceof MoldauError) return error.message
    throw error
  }
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
