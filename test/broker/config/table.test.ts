// The table of settings: every fact of Kafka's own list, doc lines, topic settings with their synonyms, and files of
// settings as Java reads them.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { synonymsOf } from '../../../broker/config/log-settings.ts'
import { readProperties } from '../../../broker/config/properties.ts'
import { GROUP_SYNONYMS } from '../../../broker/config/resources.ts'
import type { Setting } from '../../../broker/config/setting.ts'
import { complaintAbout, SCOPES, type Scope, settingOf } from '../../../broker/config/table.ts'
import { loadConfig } from '../../../broker/config.ts'

const SCOPE_OF: Record<string, Scope> = {
  broker: 'broker',
  topic: 'topic',
  group: 'group',
  clientMetrics: 'client metrics',
  brokerQuota: 'broker quota'
}
/** Where the table differs from Kafka's on purpose. */
const DIFFERENT: Record<string, string> = {
  'broker|node.id': 'not required: 1',
  'broker|process.roles': 'not required: both',
  'broker|broker.heartbeat.interval.ms': 'more often, for a shorter session',
  'broker|broker.session.timeout.ms': 'shorter, and yet twelve reports long',
  'broker|controller.listener.names': 'not required: a single node needs no listener for its controller',
  'broker|listeners': 'not dynamic yet',
  'broker|listener.security.protocol.map': 'not dynamic yet'
}

function kafkaRows(): {
  name: string
  scope: Scope
  type: string
  text: string
  limits: string
  rest: string
  internal: boolean
}[] {
  return readFileSync('test/golden/settings.txt', 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => {
      const [scope, name, type, text, limits, rest, internal] = line.split('|') as [
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
      return { scope: SCOPE_OF[scope] as Scope, name, type, text, limits, rest, internal: internal === 'internal' }
    })
}

function takes(setting: Setting, text: string): boolean {
  try {
    setting.read(text)
    return true
  } catch {
    return false
  }
}

/** Probes a setting at the edges of Kafka's limits; what it gets wrong. */
function edgesWrong(setting: Setting, limits: string): string[] {
  const wrong: string[] = []
  const expect = (text: string, good: boolean) => {
    if (takes(setting, text) !== good) wrong.push(`${text} ${good ? 'refused' : 'taken'}`)
  }
  const range = /^\[(-?[\d.]+),\.\.\.(?:,(-?[\d.]+))?\](?: or (-?\d+))?$/.exec(limits)
  const words = /^(?:\(case insensitive\) )?\[([A-Za-z_, \d-]+)\]$/.exec(limits)
  if (range) {
    expect(range[1] as string, true)
    if (range[3] === undefined) expect(String(Number(range[1]) - 1), false)
    else
      for (const [text, good] of [
        [range[3], true],
        ['0', false],
        ['-2', false]
      ] as const)
        expect(text, good)
    if (range[2] !== undefined)
      for (const [text, good] of [
        [range[2], true],
        [String(Number(range[2]) + 1), false]
      ] as const)
        expect(text, good)
  }
  if (words) {
    for (const word of (words[1] as string).split(', ')) expect(word, true)
    expect('xyzzy', false)
  }
  return wrong
}

test('every setting of Kafka is in the table, with its type, default, limits, and way of change', async t => {
  const rows = kafkaRows()
  t.equal(rows.length, 417)
  const wrong: string[] = []
  for (const row of rows) {
    const setting = settingOf(row.scope, row.name)
    const id = `${row.scope}|${row.name}`
    if (setting === undefined) {
      wrong.push(`${id}: missing`)
      continue
    }
    if (setting.type !== row.type) wrong.push(`${id}: type ${setting.type}, Kafka ${row.type}`)
    if (setting.internal !== row.internal) wrong.push(`${id}: internal`)
    wrong.push(...edgesWrong(setting, row.limits).map(each => `${id}: ${each}`))
    if (DIFFERENT[id] !== undefined) continue
    if ((setting.defaultText ?? '-') !== row.text)
      wrong.push(`${id}: default ${setting.defaultText}, Kafka ${row.text}`)
    if (row.scope === 'broker' && setting.update !== row.rest)
      wrong.push(`${id}: update ${setting.update}, Kafka ${row.rest}`)
    if (row.scope === 'topic' && (synonymsOf(row.name)[0]?.[0] ?? '') !== row.rest) wrong.push(`${id}: synonym`)
    if (row.scope === 'group' && (GROUP_SYNONYMS[row.name] ?? '') !== row.rest) wrong.push(`${id}: synonym`)
  }
  t.same(wrong, [])
  // A required setting (`!`) has no default: any that stands here is our own.
  const ours = rows.filter(
    row => row.scope === 'broker' && (settingOf('broker', row.name)?.defaultText ?? '-') !== row.text
  )
  t.equal(ours.length, 5)
  t.same(
    ours
      .filter(({ name }) => !/ Kafka: .+[;,] .+\.$/.test(settingOf('broker', name)?.doc ?? ''))
      .map(({ name }) => name),
    [],
    "a default that is not Kafka's says so, and why"
  )
  const theirs = new Set(rows.map(each => `${each.scope}|${each.name}`))
  const all = Object.entries(SCOPES).flatMap(([scope, settings]) => Object.keys(settings).map(key => `${scope}|${key}`))
  t.same(
    all.filter(id => !theirs.has(id) && !id.startsWith('broker|moldau.')),
    [],
    'and nothing that Kafka does not have'
  )
})

test('every default parses, and every row has a doc line', async t => {
  const wrong: string[] = []
  for (const [scope, settings] of Object.entries(SCOPES)) {
    for (const [key, setting] of Object.entries(settings)) {
      if (setting.defaultText !== null && !takes(setting, setting.defaultText)) wrong.push(`${scope} ${key}: default`)
      if (!/^[A-Z/].{8,}\.$/s.test(setting.doc)) wrong.push(`${scope} ${key}: doc`)
    }
  }
  t.same(wrong, [])
})

test('topic settings: their own, else the broker\u2019s by synonym and unit, else the default', async t => {
  const topic = (overrides: Record<string, string>, ...set: string[]) =>
    loadConfig({ set }).config.logConfig(new Map(Object.entries(overrides)))
  t.equal(topic({}).retentionMs, 604800000)
  t.equal(topic({}, 'log.retention.hours=2').retentionMs, 7200000)
  t.equal(topic({}, 'log.retention.hours=2', 'log.retention.minutes=3').retentionMs, 180000)
  t.equal(topic({}, 'log.retention.hours=2', 'log.retention.minutes=3', 'log.retention.ms=4').retentionMs, 4)
  t.equal(topic({ 'retention.ms': '5' }, 'log.retention.ms=4').retentionMs, 5)
  t.equal(topic({}, 'log.retention.hours=-1').retentionMs, -1, 'for ever stays for ever')
  t.equal(topic({}, 'log.roll.hours=1').segmentMs, 3600000)
  t.equal(topic({}, 'log.roll.hours=1', 'log.roll.ms=9').segmentMs, 9)
  t.equal(topic({}, 'log.roll.jitter.hours=1').segmentJitterMs, 3600000)
  t.equal(topic({}, 'log.flush.scheduler.interval.ms=100').flushMs, 100)
  t.equal(topic({}).flushMs, Infinity)
  t.equal(topic({ 'internal.segment.bytes': '100' }).segmentBytes, 100)
  t.match(topic({ 'cleanup.policy': 'compact' }), { compacts: true, deletes: false })
  t.match(topic({ 'cleanup.policy': 'delete,compact' }), { compacts: true, deletes: true })
  t.match(topic({ 'cleanup.policy': '' }), { compacts: false, deletes: false }, 'KIP-1161')
  t.equal(topic({}, 'message.max.bytes=77').maxMessageBytes, 77)
  t.equal(topic({ 'unclean.leader.election.enable': 'true' }).uncleanLeaderElectionEnable, true)
})

test('topic settings that cannot be are told in one line', async t => {
  const { config } = loadConfig()
  const complaint = (key: string, text: string) => config.topicComplaint(new Map([[key, text]]))
  t.equal(complaint('retention.ms', '1'), null)
  t.match(complaint('retention.ms', '-2'), /retention\.ms=-2: too small; allowed is a long of at least -1/)
  t.match(complaint('retension.ms', '1'), /unknown topic setting retension\.ms; did you mean retention\.ms\?/)
  t.match(complaint('segment.bytes', '1048575'), /too small/)
  t.match(complaint('remote.storage.enable', 'true'), /no tiered storage/)
  t.match(complaint('leader.replication.throttled.replicas', '1-2'), /allowed is partition:broker/)
  t.equal(complaint('leader.replication.throttled.replicas', '0:1,1:2'), null)
  const lags = new Map([
    ['min.compaction.lag.ms', '10'],
    ['max.compaction.lag.ms', '5']
  ])
  t.match(config.topicComplaint(lags), /must not be above max\.compaction\.lag\.ms/)
  t.match(complaintAbout('group', 'share.auto.offset.reset', 'by_duration:1h'), /allowed is latest, earliest/)
  t.equal(complaintAbout('group', 'share.auto.offset.reset', 'by_duration:P1DT2H3.5S'), null)
})

test('properties files as Java reads them', async t => {
  const read = (text: string) => readProperties(text, 'f').map(({ key, value, line }) => [key, value, line])
  t.same(read('a=1\r\n  b : 2\n\n# c\n! d\ne f g\nh\ni=\n'), [
    ['a', '1', 1],
    ['b', '2', 2],
    ['e', 'f g', 6],
    ['h', '', 7],
    ['i', '', 8]
  ])
  t.same(read('a=1,\\\n   2,\\\n   3\nb=x\\\\\nc=\\'), [
    ['a', '1,2,3', 1],
    ['b', 'x\\', 4],
    ['c', '', 5]
  ])
  t.same(read('k\\=\\:\\ x = a=b:c \\u0041\\t\\z'), [['k=: x', 'a=b:c A\tz', 1]])
  t.same(read('\uFEFFa==1'), [['a', '=1', 1]])
  t.throws(() => read('x\na=\\u12'), { code: 'ERR_CONFIG', message: /^f:2: \\u must be followed/ })
})
