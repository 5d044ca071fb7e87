// The settings of one group stay within the bounds that the broker sets for all groups (GroupConfig.java, validate):
// consumer.session.timeout.ms between group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms.
import type { BrokerTexts } from './log-settings.ts'
import { complaintAbout, settingOf } from './table.ts'

/** Where the names of setting and bound differ by more than the word min or max. */
const ODD_BOUNDS: Readonly<Record<string, string>> = {
  'streams.num.standby.replicas': 'group.streams.max.standby.replicas'
}

/** What is wrong with the settings of a group, in one line, or null. */
export function groupComplaint(overrides: ReadonlyMap<string, string>, broker: BrokerTexts): string | null {
  for (const [key, text] of overrides) {
    const complaint = complaintAbout('group', key, text) ?? beyondBounds(key, Number(text), broker)
    if (complaint !== null) return complaint
  }
  return null
}

function beyondBounds(key: string, value: number, broker: BrokerTexts): string | null {
  const [, kind, rest] = /^(consumer|share|streams)\.(.+)$/.exec(key) ?? []
  const least = boundOf(`group.${kind}.min.${rest}`, broker)
  if (least !== null && value < least.value) return `${key}=${value}: must be at least ${least.key} (${least.value})`
  const most = boundOf(ODD_BOUNDS[key] ?? `group.${kind}.max.${rest}`, broker)
  if (most !== null && value > most.value) return `${key}=${value}: must be at most ${most.key} (${most.value})`
  return null
}

function boundOf(key: string, broker: BrokerTexts): { key: string; value: number } | null {
  const text = settingOf('broker', key) === undefined ? null : broker(key)
  return text === null ? null : { key, value: Number(text) }
}
