// What a broker that waits says, to people (a line now and then) and to probes (ready, or why not).
import { test } from 'tap'
import { loadConfig } from '../../broker/config.ts'
import { createLogger } from '../../broker/log.ts'
import { Progress } from '../../broker/progress.ts'
import { type QuorumFacts, type Stage, tellWhileWaiting, waitingFor } from '../../broker/waiting.ts'
import { CatalogClock } from '../storage/catalog-fixture.ts'

const voters = [
  { nodeId: 1, host: 'a', port: 9093 },
  { nodeId: 2, host: 'b', port: 9093 },
  { nodeId: 3, host: '::1', port: 9093 }
]
const facts = (more: Partial<QuorumFacts>, troubles: [number, string][] = []): QuorumFacts => ({
  ...{ voters, isFresh: false, leaderId: -1, troubles: new Map(troubles) },
  ...more
})

test('what it waits for, in words', async t => {
  const refused = facts({}, [[3, 'connection refused']])
  const cases: [Stage, QuorumFacts | null, string | null][] = [
    ['storage', null, 'waiting for the log directory to be opened'],
    [
      'quorum',
      { ...refused, isFresh: true },
      'waiting for the metadata quorum: voter 3 at [::1]:9093: connection refused; ' +
        'a new cluster needs all 3 voters at its first start'
    ],
    [
      'quorum',
      facts({}, [
        [3, 'host not found'],
        [2, 'no answer yet']
      ]),
      'waiting for the metadata quorum: voter 2 at b:9093: no answer yet; voter 3 at [::1]:9093: host not found; ' +
        'it needs 2 of 3 voters'
    ],
    ['quorum', facts({}), 'waiting for the metadata quorum: no leader is elected yet; it needs 2 of 3 voters'],
    ['quorum', { ...refused, leaderId: 2 }, "waiting for the metadata of the quorum's leader, voter 2 at b:9093"],
    [
      'quorum',
      { ...refused, leaderId: 3 },
      "waiting for the metadata of the quorum's leader, voter 3 at [::1]:9093: connection refused"
    ],
    ['logs', refused, 'waiting for the logs of partitions to be opened'],
    ['registration', facts({ leaderId: 1 }), 'waiting to be registered by the controller, voter 1 at a:9093'],
    ['unfencing', facts({ leaderId: 1 }), 'registered, waiting to be unfenced by the controller, voter 1 at a:9093'],
    [
      'unfencing',
      refused,
      'waiting for the metadata quorum: voter 3 at [::1]:9093: connection refused; it needs 2 of 3 voters'
    ],
    ['entered', refused, null],
    ['stopping', refused, null]
  ]
  for (const [stage, quorum, words] of cases) t.equal(waitingFor(stage, quorum), words)
})

test('it is said after three seconds, then every thirty, and no more once nothing is waited for', async t => {
  const clock = new CatalogClock()
  const lines: Record<string, unknown>[] = []
  const log = createLogger({ level: 'warn', to: { write: line => lines.push(JSON.parse(line)) } })
  let why: string | null = 'waiting for somebody'
  tellWhileWaiting({ clock, log, waitingFor: () => why })
  clock.advance(2900)
  t.same(lines, [], 'an ordinary start of three says nothing')
  clock.advance(100)
  t.match(lines, [{ level: 'warn', msg: 'start-waits', why: 'waiting for somebody', seconds: 3 }])
  clock.advance(29_900)
  t.equal(lines.length, 1)
  clock.advance(100)
  t.match(lines[1], { seconds: 33 })
  why = null
  clock.advance(60_000)
  t.equal(lines.length, 2)
  t.equal(clock.timerCount, 0, 'and nothing ticks any more')
  const end = tellWhileWaiting({ clock, log, waitingFor: () => 'waiting' })
  end()
  clock.advance(60_000)
  t.equal(lines.length, 2, 'ended before')
})

test('ready: entered, unfenced in this registration, heard within the session, not stopping', async t => {
  const clock = new CatalogClock()
  const { config } = loadConfig({ set: ['broker.session.timeout.ms=6000'] })
  const self = { brokerEpoch: 7, fenced: false }
  const brokers = new Map<number, object>([[1, self]])
  const catalog = { isOffline: false }
  const registration = { brokerEpoch: 7, heardMs: clock.ms }
  const controller = { metadataLog: { quorumFacts: facts({}) } }
  const services = { nodeId: 1, config, clock, catalog, metadata: { image: { brokers } }, controller }
  const progress = new Progress()
  t.equal(progress.readiness, 'starting')
  t.equal(progress.waitingFor, 'waiting for the log directory to be opened')
  progress.assembled = { services, registration } as unknown as NonNullable<Progress['assembled']>
  for (const stage of ['quorum', 'logs', 'registration', 'unfencing'] as const) {
    progress.stage = stage
    t.equal(progress.readiness, 'starting', stage)
    t.type(progress.waitingFor, 'string')
  }
  progress.stage = 'entered'
  t.equal(progress.readiness, 'ready')
  t.equal(progress.waitingFor, null)
  self.fenced = true
  t.equal(progress.readiness, 'fenced')
  self.fenced = false
  registration.brokerEpoch = 8
  t.equal(progress.readiness, 'fenced', 'what the metadata says was said of an earlier registration')
  registration.brokerEpoch = 7
  brokers.clear()
  t.equal(progress.readiness, 'fenced', 'unregistered')
  brokers.set(1, self)
  clock.advance(6000)
  t.equal(progress.readiness, 'ready')
  clock.advance(1)
  t.equal(progress.readiness, 'no-controller')
  registration.heardMs = clock.ms
  catalog.isOffline = true
  t.equal(progress.readiness, 'storage-failed')
  progress.stage = 'stopping'
  t.equal(progress.readiness, 'stopping')
})
