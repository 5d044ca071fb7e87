// The command as people use it, in processes of its own: flags, exit codes, one clear line for what goes wrong, the ready
// line, and both ways of stopping.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { settingsAsMarkdown } from '../../broker/config/listing.ts'
import { VERSION } from '../../broker/version.ts'
import { freePorts } from '../../clients/free-ports.ts'
import { UNHOOKED } from '../process/broker-process.ts'

const COMMAND = fileURLToPath(new URL('../../broker/moldau.cjs', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves with everything printed so far once that was printed or logged; rejects if the process ends before. */
  printed(what: RegExp): Promise<string>
}

function run(args: string[], cwd?: string, env: Record<string, string> = {}): Running {
  const [command, ...unhooked] = UNHOOKED
  const child = spawn(command, [...unhooked, COMMAND, ...args], { cwd, env: { PATH: process.env.PATH ?? '', ...env } })
  let out = ''
  let err = ''
  const waiting = new Set<() => void>()
  child.stdout.on('data', chunk => {
    out += chunk
    for (const check of waiting) check()
  })
  child.stderr.on('data', chunk => {
    err += chunk
    for (const check of waiting) check()
  })
  const ended = new Promise<Ended>(resolve => child.on('close', code => resolve({ code, out, err })))
  const printed = (what: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (what.test(out) || what.test(err)) resolve(out)
      }
      waiting.add(check)
      check()
      void ended.then(() => reject(new Error(`ended before ${what}: ${out}${err}`)))
    })
  return { process: child, ended, printed }
}

const LOCAL = ['--set', 'listeners=PLAINTEXT://127.0.0.1:0', '--set', 'moldau.http.listener=127.0.0.1:0']

test('help, version, and what is wrong with a command', async t => {
  const [help, version, none, flag, word, set, unknown] = await Promise.all(
    [['--help'], ['--version'], [], ['start', '--nope'], ['begin'], ['start', '--set', 'x'], ['start', 'a', 'b']].map(
      args => run(args).ended
    )
  )
  t.match(help, { code: 0, out: /start \[options\] \[FILE\]/, err: '' })
  t.match(version, { code: 0, out: `${VERSION}\n` })
  t.equal(VERSION, JSON.parse(readFileSync('package.json', 'utf8')).version)
  t.equal(none!.code, 2)
  t.match(flag, { code: 2, out: '', err: /^moldau: unknown option '--nope'\n$/ })
  t.match(word, { code: 2, err: /^moldau: unknown command 'begin'\n$/ })
  t.match(set, { code: 2, err: /^moldau: .*'x' is invalid\. It must be key=value\.\n$/ })
  t.match(unknown, { code: 2, err: /^moldau: too many arguments.*\n$/ })
})

test('the table of settings: as text, as JSON, as the page in docs', async t => {
  const [text, json] = await Promise.all([run(['config', 'retention.m']).ended, run(['config', '--json']).ended])
  t.match(text!.out, /^log\.retention\.ms=\n {4}a long of at least 1, or -1; cluster-wide\. How long/m)
  t.match(
    JSON.parse(json!.out).find((each: { name: string }) => each.name === 'num.partitions'),
    {
      scope: 'broker',
      type: 'int',
      default: '1',
      change: 'read-only'
    }
  )
  t.equal(
    readFileSync('docs/SETTINGS.md', 'utf8'),
    settingsAsMarkdown(),
    'docs/SETTINGS.md is current: moldau config --markdown'
  )
})

test('settings that cannot be: one line, exit code 1, nothing left behind', async t => {
  const directory = t.testdir({ 'bad.properties': 'node.id=1\nnum.partitions=many\n' })
  const cases: [string[], RegExp][] = [
    [['start', 'nowhere.properties'], /^moldau: settings file nowhere\.properties: there is no such file\n$/],
    [['start', '.'], /^moldau: settings file \.: it is a directory\n$/],
    [
      ['start', 'bad.properties'],
      /^moldau: bad\.properties:2: num\.partitions=many: not a whole number; allowed is an int of at least 1\n$/
    ],
    [
      ['start', '--set', 'num.partitons=1'],
      /^moldau: --set num\.partitons=1: unknown setting num\.partitons; did you mean num\.partitions\?\n$/
    ],
    [['start', '--set', 'log.dirs=/a,/b'], /^moldau: .*more than one directory is not built yet\n$/]
  ]
  for (const [args, err] of cases) t.match(await run(args, directory).ended, { code: 1, out: '', err }, args.join(' '))
  t.notOk(existsSync(`${directory}/moldau-data`))
})

test('starts with no file, says what people need, is ready, and stops in order', async t => {
  const directory = t.testdir()
  const broker = run(['start', ...LOCAL], directory)
  const out = await broker.printed(/readyz/)
  t.match(
    out,
    /^moldau \S+ is ready on 127\.0\.0\.1:\d+\n {2}data {4}\/.*\/moldau-data\n {2}try it {2}.*kcat -b 127\.0\.0\.1:\d+ -L\n/
  )
  const url = /http:\S+readyz/.exec(out)?.[0] ?? ''
  t.equal((await fetch(url)).status, 200)
  if (process.platform === 'linux') {
    const threads = Number(/Threads:\s+(\d+)/.exec(readFileSync(`/proc/${broker.process.pid}/status`, 'utf8'))?.[1])
    t.ok(threads > 20, `${threads} threads: the pool has 16, set before anything used it`)
  }
  broker.process.kill('SIGINT')
  t.match(await broker.ended, { code: 0, out: /moldau has stopped\n$/ })
  t.ok(existsSync(`${directory}/moldau-data/.kafka_cleanshutdown`))
})

test('goes on when nobody reads what it prints', async t => {
  const broker = run(['start', ...LOCAL], t.testdir())
  broker.process.stdout?.destroy()
  await broker.printed(/broker-started/)
  broker.process.kill('SIGTERM')
  t.equal((await broker.ended).code, 0)
})

test('a data directory in use, or of another node, and a port in use', async t => {
  const directory = t.testdir({ 'not-a-directory': '' })
  const first = run(['start', ...LOCAL], directory)
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(await first.printed(/readyz/))?.[1])
  const locked = await run(['start', ...LOCAL], directory).ended
  t.match(locked, { code: 1, out: '', err: /^moldau: .*another process.*\n$/m })
  t.equal(locked.err.split('\n').filter(line => line.startsWith('moldau: ')).length, 1)
  const taken = run(
    ['start', ...LOCAL, '--set', `listeners=PLAINTEXT://127.0.0.1:${port}`, '--set', 'log.dirs=other'],
    directory
  )
  t.match(await taken.ended, { code: 1, out: '', err: new RegExp(`^moldau: .*${port}.*\n$`, 'm') })
  first.process.kill('SIGTERM')
  t.equal((await first.ended).code, 0)
  t.match(await run(['start', ...LOCAL, '--set', 'node.id=2'], directory).ended, { code: 1, err: /^moldau: .*\n$/m })
  t.match(await run(['start', ...LOCAL, '--set', 'log.dirs=not-a-directory'], directory).ended, {
    code: 1,
    err: /^moldau: .*not-a-directory.*\n$/m
  })
  // Where a directory's parent exists and yet takes none.
  t.match(await run(['start', ...LOCAL, '--set', 'log.dirs=/proc/moldau'], directory).ended, {
    code: 1,
    err: /^moldau: .*\n$/m
  })
})

test('a taken http port is one warning, and no reason to stop', async t => {
  const directory = t.testdir()
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await new Promise(resolve => other.once('listening', resolve))
  const { port } = other.address() as { port: number }
  const args = ['start', ...LOCAL, '--set', `moldau.http.listener=127.0.0.1:${port}`]
  const broker = run([...args, '--set', 'moldau.log.level=warn'], directory)
  await broker.printed(/Ctrl-C/)
  broker.process.kill('SIGTERM')
  const { code, err } = await broker.ended
  t.equal(code, 0)
  t.match(err, /^\{"level":"warn",.*"msg":"no-http"\}\n$/, 'and at moldau.log.level=warn it is the only line')
})

test('a file with settings of Kafka, and one warning for each that has no effect', async t => {
  const directory = t.testdir()
  writeFileSync(
    `${directory}/server.properties`,
    `process.roles=broker,controller\nnode.id=5\ncontroller.quorum.voters=5@127.0.0.1:19092\n` +
      `listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\ncontroller.listener.names=CONTROLLER\n` +
      `log.dirs=${directory}/data\nnum.io.threads=4\nlog.retention.hour=1\n`
  )
  const broker = run(['start', 'server.properties', '--set', 'num.partitions=3'], directory, {
    KAFKA_HEAP_OPTS: '-Xmx1g'
  })
  const out = await broker.printed(/Ctrl-C/)
  t.notMatch(out, /http:/, 'off when a file is given')
  broker.process.kill('SIGTERM')
  const { code, err } = await broker.ended
  t.equal(code, 0)
  t.same(
    err
      .split('\n')
      .filter(line => line.includes('"settings"'))
      .map(line => JSON.parse(line).warning),
    [
      'server.properties:8: unknown setting log.retention.hour; did you mean log.retention.hours?',
      'without effect: num.io.threads (one event loop does the work of these threads)'
    ]
  )
})

test('format prepares a directory as Kafka does, and refuses what is somebody else\u2019s', async t => {
  const directory = t.testdir({
    'node.properties': 'node.id=5\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs=data\n',
    'other.properties': 'node.id=6\nlog.dirs=data\n',
    'foreign.properties': 'node.id=5\nlog.dirs=foreign\n',
    'three.properties':
      'node.id=5\nlog.dirs=three\ncontroller.quorum.voters=5@a:1,6@b:1\nlisteners=PLAINTEXT://:9092,C://a:1\ncontroller.listener.names=C\n',
    foreign: { 'orders-0': {} }
  })
  t.match((await run(['random-uuid']).ended).out, /^[\w-]{22}\n$/)
  const format = (file: string, ...more: string[]) =>
    run(['format', '-t', '5L6g3nShT-eMCtK--X86sw', '-c', `${file}.properties`, ...more], directory).ended
  t.match(await format('node'), {
    code: 0,
    out: 'formatted log directory data for node 5 of cluster 5L6g3nShT-eMCtK--X86sw\n'
  })
  t.same(readdirSync(`${directory}/data`).sort(), ['bootstrap.checkpoint', 'meta.properties'], 'as Kafka leaves it')
  const again = await Promise.all([
    format('node'),
    format('node', '--ignore-formatted'),
    format('other', '-g'),
    format('foreign'),
    format('three', '--standalone'),
    run(['format', '-g', '-t', 'another', '-c', 'node.properties'], directory).ended,
    run(['format', '-t', 'a b', '-c', 'node.properties'], directory).ended,
    run(['format', '-t', 'x'], directory).ended
  ])
  t.match(again[0], { code: 1, err: /^moldau: log directory data: it is formatted already; --ignore-formatted/ })
  t.match(again[1], { code: 0, out: 'log directory data is formatted already\n' })
  t.match(again[2], { code: 1, err: /^moldau: .*it belongs to node 5, this is node 6/ })
  t.match(again[3], { code: 1, err: /^moldau: .*it holds orders-0 but no meta\.properties/ })
  t.match(again[4], { code: 1, err: /^moldau: --standalone: controller\.quorum\.voters names/ })
  t.match(again[5], {
    code: 1,
    err: /^moldau: .*it belongs to cluster 5L6g3nShT-eMCtK--X86sw, this is cluster another/
  })
  t.match(again[6], { code: 1, err: /^moldau: --cluster-id a b: must be letters/ })
  t.match(again[7], { code: 2, err: /^moldau: required option '-c, --config <FILE>' not specified/ })
  const broker = run(['start', 'node.properties'], directory)
  await broker.printed(/Ctrl-C/)
  await broker.printed(/"clusterId":"5L6g3nShT-eMCtK--X86sw"/)
  broker.process.kill('SIGTERM')
  t.equal((await broker.ended).code, 0, 'and it starts')
})

test('one of several that waits for the others says for whom, lives, is not ready, and can be stopped', async t => {
  const directory = t.testdir()
  const [own, other, http] = await freePorts(3)
  const settings = {
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${own},2@127.0.0.1:${other}`,
    listeners: `PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:${own}`,
    'controller.listener.names': 'CONTROLLER',
    'moldau.http.listener': `127.0.0.1:${http}`
  }
  const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const broker = run(['start', ...flags], directory)
  await broker.printed(/"http-open"/)
  const ask = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${http}${path}`)
    return [reply.status, await reply.text()]
  }
  t.same(await ask('/livez'), [200, '{"status":"live"}'], 'nothing that a probe should end')
  t.same(await ask('/readyz'), [503, '{"status":"not ready","why":"starting"}'])
  t.equal((await ask('/metrics'))[0], 200)
  await broker.printed(/"start-waits"/)
  broker.process.kill('SIGTERM')
  const { code, out, err } = await broker.ended
  t.same([code, out], [0, 'moldau has stopped\n'])
  t.match(
    err,
    new RegExp(
      `"why":"waiting for the metadata quorum: voter 2 at 127\\.0\\.0\\.1:${other}: connection refused; ` +
        'a new cluster needs all 2 voters at its first start","seconds":3'
    )
  )
})
