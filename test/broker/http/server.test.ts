// /livez, /readyz and /metrics, the next free port, and that nothing that fails here is more than a warning.
import { test } from 'tap'
import { systemClock } from '../../../broker/clock.ts'
import { metricsText } from '../../../broker/http/metrics.ts'
import { type HttpServer, openHttp } from '../../../broker/http/server.ts'
import { createLogger, readableLine } from '../../../broker/log.ts'
import { LoopTurns } from '../../../broker/loop-turns.ts'
import { MemoryBudget } from '../../../broker/net/budget.ts'
import type { Readiness } from '../../../broker/progress.ts'
import { MoldauError } from '../../../protocol/failure.ts'
import { worldOf } from '../broker-fixture.ts'

function logged() {
  const lines: { level: string; msg: string; reason?: string }[] = []
  return { lines, log: createLogger({ level: 'info', to: { write: line => lines.push(JSON.parse(line)) } }) }
}

const turns = new LoopTurns()
const memory = new MemoryBudget({
  clock: systemClock,
  limitBytes: 256 * 2 ** 20,
  cacheBytes: 64 * 2 ** 20,
  maxFrameBytes: 2 ** 20
})
const measured = { turns, memory, connections: 7, replicas: null }

test('whether it lives and whether it is ready', async t => {
  const broker: { readiness: Readiness } = { readiness: 'starting' }
  const { log } = logged()
  const server = (await openHttp({ listener: '127.0.0.1:0', nextFree: false, broker, measured, log })) as HttpServer
  t.teardown(() => server.close())
  const ask = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return [reply.status, await reply.text()]
  }
  t.same(await ask('/livez'), [200, '{"status":"live"}'])
  t.same(await ask('/readyz'), [503, '{"status":"not ready","why":"starting"}'])
  broker.readiness = 'ready'
  t.same(await ask('/readyz'), [200, '{"status":"ready"}'])
  t.equal((await ask('/other'))[0], 404)
  turns.start()
  while (turns.count < 3) await new Promise(setImmediate)
  turns.stop()
  memory.takeSmall(17)
  const [status, text] = await ask('/metrics')
  t.equal(status, 200)
  const value = (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}+]/g, '\\$&')} (\\S+)$`, 'm').exec(String(text))?.[1])
  t.equal(value('moldau_connections'), 7)
  t.equal(value('moldau_memory_bytes{of="small-requests"}'), 17)
  t.equal(value('moldau_loop_turn_cpu_seconds_count'), turns.count)
  t.equal(value('moldau_loop_turn_cpu_seconds_bucket{le="+Inf"}'), turns.count)
  t.ok(value('process_resident_memory_bytes') > 2 ** 20)
  for (const line of String(text).trim().split('\n')) {
    t.match(
      line,
      /^# (HELP [a-z_]+ \S.*|TYPE [a-z_]+ (gauge|counter|histogram))$|^[a-z_]+(\{(of|le)="[^"]+"\})? [\d.e-]+$/
    )
  }
})

const valueIn = (text: string, name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])

test('the figures of replicas: of a broker, and as the metadata has them', async t => {
  const world = await worldOf(t, 'min.insync.replicas=1')
  const { broker } = world
  t.equal(broker.readiness, 'ready')
  await world.create('orders', {}, 3)
  const { services } = broker
  const text = () => metricsText({ ...measured, replicas: services })
  t.equal(valueIn(text(), 'moldau_partition_count'), 3)
  t.equal(valueIn(text(), 'moldau_leader_count'), 3)
  t.equal(valueIn(text(), 'moldau_active_controller_count'), 1)
  for (const name of ['under_replicated_partitions', 'offline_replica_count', 'offline_partitions_count']) {
    t.equal(valueIn(text(), `moldau_${name}`), 0, name)
  }
  t.notMatch(metricsText(measured), /partition_count/, 'unknown while the log directory is not open')
  const stopped = broker.stop()
  t.equal(broker.readiness, 'stopping')
  await stopped

  const one = { leader: 1, isr: [1, 2, 3], replicas: [1, 2, 3], addingReplicas: [] as number[] }
  const partitions = [
    one,
    { ...one, isr: [1] },
    { ...one, replicas: [1, 2, 3, 4], addingReplicas: [4] },
    { ...one, leader: 2, isr: [2] },
    { ...one, leader: -1 },
    { ...one, leader: 2, replicas: [2, 3], isr: [2] }
  ]
  const topic = { name: 'orders', topicId: 'x', partitions }
  const failed = { log: { isOffline: true } }
  const replicas = {
    nodeId: 1,
    metadata: { image: { topicsById: new Map([['x', topic]]) } },
    partitions: {
      all: () => [{ hasTooFewReplicas: false }, { hasTooFewReplicas: true }],
      get: (_: string, index: number) => (index === 3 ? failed : undefined)
    },
    catalog: { isOffline: false, refusals: () => new Map([['orders-4', new Error()]]) },
    controller: { isActive: true }
  }
  const figures = () => {
    const said = metricsText({ ...measured, replicas: replicas as unknown as typeof services })
    return ['partition_count', 'leader_count', 'under_replicated_partitions', 'under_min_isr_partition_count']
      .concat(['offline_replica_count', 'offline_log_directory_count', 'active_controller_count'])
      .concat(['offline_partitions_count'])
      .map(name => valueIn(said, `moldau_${name}`))
  }
  t.same(figures(), [5, 3, 1, 1, 2, 0, 1, 1])
  replicas.catalog.isOffline = true
  replicas.controller.isActive = false
  t.same(figures(), [5, 3, 1, 1, 5, 1, 0, 0])
})

test('a taken port: the next one if nobody asked for this one, else a warning', async t => {
  const broker = { readiness: 'ready' as const }
  const { log, lines } = logged()
  const first = (await openHttp({ listener: '127.0.0.1:0', nextFree: false, broker, measured, log })) as HttpServer
  t.teardown(() => first.close())
  const listener = `127.0.0.1:${first.port}`
  const second = (await openHttp({ listener, nextFree: true, broker, measured, log })) as HttpServer
  t.teardown(() => second.close())
  t.ok(second.port > first.port)
  t.equal(await openHttp({ listener, nextFree: false, broker, measured, log }), null)
  t.match(lines, [{ level: 'warn', msg: 'no-http', reason: 'the port is in use' }])
  t.equal(await openHttp({ listener: '256.0.0.1:0', nextFree: true, broker, measured, log }), null, 'no such address')
  t.equal(lines.length, 2)
})

test('log lines for people', async t => {
  t.equal(
    readableLine(
      '{"level":"warn","time":"2026-05-09T12:01:02.345Z","topic":"orders","partitions":3,"why":"a b","x":[1],"msg":"topic created"}'
    ),
    '12:01:02.345 warn  topic created topic=orders partitions=3 why="a b" x=[1]\n'
  )
  const lines: string[] = []
  const log = createLogger({ level: 'info', readable: true, to: { write: line => lines.push(line) } })
  const failure = new MoldauError('ERR_NO_SPACE', 'no space', { cause: new Error('ENOSPC') })
  log.error({ error: failure }, 'append failed')
  log.debug('not written')
  t.equal(lines.length, 1)
  t.match(lines[0], /error append failed error={"code":"ERR_NO_SPACE","message":"no space","cause":"ENOSPC"}\n$/)
})
