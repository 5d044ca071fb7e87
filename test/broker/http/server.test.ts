// /livez and /readyz, the next free port, and that nothing that fails here is more than a warning.
import { test } from 'tap'
import { type HttpServer, openHttp } from '../../../broker/http/server.ts'
import { createLogger, readableLine } from '../../../broker/log.ts'

function logged() {
  const lines: { level: string; msg: string; reason?: string }[] = []
  return { lines, log: createLogger({ level: 'info', to: { write: line => lines.push(JSON.parse(line)) } }) }
}

test('whether it lives and whether it is ready', async t => {
  const broker = { isReady: false }
  const { log } = logged()
  const server = (await openHttp({ listener: '127.0.0.1:0', nextFree: false, broker, log })) as HttpServer
  t.teardown(() => server.close())
  const ask = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return [reply.status, await reply.text()]
  }
  t.same(await ask('/livez'), [200, '{"status":"live"}'])
  t.same(await ask('/readyz'), [503, '{"status":"not ready"}'])
  broker.isReady = true
  t.same(await ask('/readyz'), [200, '{"status":"ready"}'])
  t.equal((await ask('/other'))[0], 404)
})

test('a taken port: the next one if nobody asked for this one, else a warning', async t => {
  const broker = { isReady: true }
  const { log, lines } = logged()
  const first = (await openHttp({ listener: '127.0.0.1:0', nextFree: false, broker, log })) as HttpServer
  t.teardown(() => first.close())
  const listener = `127.0.0.1:${first.port}`
  const second = (await openHttp({ listener, nextFree: true, broker, log })) as HttpServer
  t.teardown(() => second.close())
  t.ok(second.port > first.port)
  t.equal(await openHttp({ listener, nextFree: false, broker, log }), null)
  t.match(lines, [{ level: 'warn', msg: 'no-http', reason: 'the port is in use' }])
  t.equal(await openHttp({ listener: '256.0.0.1:0', nextFree: true, broker, log }), null, 'no such address')
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
  const failure = Object.assign(new Error('no space', { cause: new Error('ENOSPC') }), { code: 'ERR_NO_SPACE' })
  log.error({ error: failure }, 'append failed')
  log.debug('not written')
  t.equal(lines.length, 1)
  t.match(lines[0], /error append failed error={"code":"ERR_NO_SPACE","message":"no space","cause":"ENOSPC"}\n$/)
})
