// The table of settings for people and programs: `moldau config`, and the page docs/SETTINGS.md.

import type { Setting } from './setting.ts'
import { WHERE_ALONE, WITHOUT_FILE } from './sources.ts'
import { AREAS, SCOPES, type Scope, settingOf } from './table.ts'

interface Row {
  readonly name: string
  readonly scope: Scope
  readonly area: string
  readonly setting: Setting
  /** How it is changed. */
  readonly change: string
}

const TITLES: Readonly<Record<string, string>> = {
  topic: 'Settings of one topic',
  group: 'Settings of one group',
  'client metrics': 'Settings of a client metrics subscription',
  'broker quota': 'Throttles of one broker'
}

/** All rows, internal ones left out, whose name contains the word. */
function rows(word = ''): Row[] {
  const found: Row[] = []
  for (const [area, settings] of Object.entries(AREAS)) found.push(...rowsOf('broker', area, settings))
  for (const scope of Object.keys(SCOPES) as Scope[]) {
    if (scope !== 'broker') found.push(...rowsOf(scope, scope, SCOPES[scope]))
  }
  return found.filter(({ name, setting }) => !setting.internal && name.includes(word))
}

/** A broker reads some settings once; everybody else's can always be changed. */
function changeOf(scope: Scope, setting: Setting): string {
  return scope === 'broker' ? setting.update : 'at any time'
}

function rowsOf(scope: Scope, area: string, settings: Readonly<Record<string, Setting>>): Row[] {
  return Object.entries(settings).map(([name, setting]) => ({
    name,
    scope,
    area,
    setting,
    change: changeOf(scope, setting)
  }))
}

export function settingsAsText(word?: string): string {
  return rows(word)
    .map(({ name, scope, setting, change }) => {
      const of = scope === 'broker' ? '' : ` (${scope})`
      const why = setting.ignored === null ? '' : ` Without effect: ${setting.ignored}.`
      return `${name}${of}=${setting.defaultText ?? ''}\n    ${setting.allowed}; ${change}. ${setting.doc}${why}\n`
    })
    .join('')
}

export function settingsAsJson(word?: string): string {
  const list = rows(word).map(({ name, scope, area, setting, change }) => {
    const { type, defaultText, allowed, ignored, doc } = setting
    return { name, scope, area, type, default: defaultText, change, allowed, ignored, doc }
  })
  return `${JSON.stringify(list, null, 2)}\n`
}

export function settingsAsMarkdown(word?: string): string {
  const all = rows(word)
  const areas = [...new Set(all.map(each => each.area))]
  return [
    HEAD,
    ...areas.map(area =>
      section(
        area,
        all.filter(each => each.area === area)
      )
    )
  ].join('\n')
}

const HEAD = `# Settings

Written by \`moldau config --markdown\`; do not edit. Names, types, defaults and limits are Kafka's, except for those that begin with \`moldau.\`;
where a default is not Kafka's, its line says so and why.

A setting comes from a file with Kafka's names (\`moldau start server.properties\`), from the environment (\`KAFKA_LOG_DIRS\` is
\`log.dirs\`: \`_\` stands for a dot, \`__\` for an underscore, \`___\` for a dash; \`MOLDAU_LOG_FLUSH_POLICY\` is \`moldau.log.flush.policy\`), and
from \`--set key=value\`; the later ones win. Those that are *cluster-wide* or *per-broker* can be changed while the broker runs
(\`kafka-configs --alter\`, \`admin.alterConfigs\`).

Without a file the broker is one for a laptop:

${asLines(Object.entries(WITHOUT_FILE))}

Of these, where \`controller.quorum.voters\` names several nodes and nothing else is given, Kafka's defaults hold for

${asLines(Object.keys(WHERE_ALONE).map(key => [key, settingOf('broker', key)?.defaultText ?? '']))}
`

function asLines(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([key, text]) => `    ${key}=${text}`).join('\n')
}

function section(area: string, of: readonly Row[]): string {
  const lines = of.map(({ name, setting, change }) => {
    const shown =
      setting.defaultText === null ? '' : setting.defaultText === '' ? '(empty)' : `\`${setting.defaultText}\``
    const why = setting.ignored === null ? '' : ` *Without effect: ${setting.ignored}.*`
    return `| \`${name}\` | ${shown} | ${setting.allowed} | ${change} | ${(setting.doc + why).replaceAll('|', '\\|')} |`
  })
  return [
    `## ${TITLES[area] ?? area}`,
    '',
    '| setting | default | allowed | change | |',
    '|---|---|---|---|---|',
    ...lines,
    ''
  ].join('\n')
}
