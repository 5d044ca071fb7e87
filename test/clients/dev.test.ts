// Goal: `moldau dev` as people use it. Its nodes' files load, its commands are understood, it is ready when it says so, goes
// on with its data, and no broker outlives it, however it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { loadConfig } from '../../broker/config.ts'
import { connect } from '../../clients/connection.ts'
import { parseCommand } from '../../clients/dev/commands.ts'
import { layOut, type NodeLayout, nodesOf } from '../../clients/dev/layout.ts'
import { freePorts, isFree } from '../../clients/free-ports.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { UNHOOKED } from '../process/broker-process.ts'

/** What somebody has set for a broker that is alone. */
const EXPORTED = {
  ...{ KAFKA_NODE_ID: '7', KAFKA_BROKER_ID: '8', KAFKA_LISTENERS: 'PLAINTEXT://:1', KAFKA_LOG_DIRS: '/x' },
  ...{ KAFKA_CONTROLLER_QUORUM_VOTERS: '7@localhost:1', KAFKA_NUM_PARTITIONS: '9' }
}
const COMMAND = fileURLToPath(new URL('../../broker/moldau.cjs', import.meta.url))

test('each node has a file that loads without a warning, and all agree on the voters', async t => {
  const shared = ['num.partitions=4', 'log.retention.ms=5', 'broker.rack=a\\b\nc=d']
  const read = ({ file, text, set }: NodeLayout, isByFile: boolean) =>
    loadConfig({ file: { path: file, text }, ...(isByFile ? {} : { set, env: EXPORTED }) })
  for (const [brokers, isByFile] of [1, 2, 3, 5].flatMap(count => [[count, true] as const, [count, false] as const])) {
    const nodes = nodesOf('/cluster', brokers, 9092, shared)
    t.equal(nodes.length, brokers)
    for (const node of nodes) {
      const { nodeId, port, directory } = node
      const { config, warnings } = read(node, isByFile)
      t.same(warnings, [])
      t.equal(config.get('broker.rack'), 'a\\b\nc=d')
      t.equal(config.nodeId, nodeId)
      t.equal(config.dataDirectory, directory)
      t.same(
        config.voters.map(each => each.nodeId),
        nodes.map(each => each.nodeId)
      )
      t.equal(config.advertisedListeners[0]?.port, port)
      t.equal(config.get('num.partitions'), 4)
      t.equal(config.get('min.insync.replicas'), brokers < 3 ? 1 : 2)
    }
  }
})

test('a directory stays the cluster that it is, and a taken port is told', async t => {
  const directory = t.testdir()
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await t.rejects(layOut({ directory, brokers: 3, port }), {
    code: 'ERR_CONFIG',
    message: new RegExp(`another process listens on port ${port}`)
  })
  await t.rejects(layOut({ directory, brokers: 0, port: null }), { message: /from 1 to 9/ })
  await t.rejects(layOut({ directory, brokers: 3, port: 65500 }), { message: /--port 65500: must be a number/ })
  const refused: [string[], RegExp][] = [
    [['numpartitions=3'], /^--set numpartitions=3: unknown setting numpartitions; did you mean num\.partitions\?$/],
    [['num.partitions=x'], /^num\.partitions=x: not a whole number/],
    [['num.partitions'], /must be key=value/],
    [['num.partitions=2', 'node.id=7'], /^--set node\.id=7: each node of a local cluster is given its node\.id$/],
    [['broker.id=7'], /is given its broker\.id/],
    [['listeners=PLAINTEXT://:9092'], /is given its listeners/]
  ]
  for (const [set, message] of refused) {
    await t.rejects(layOut({ directory, brokers: 5, port: null, set }), { code: 'ERR_CONFIG', message }, String(set))
  }
  t.same(readdirSync(directory), [], 'nothing was made')
  t.notOk(await isFree(port))
  const free = await freePorts(20)
  t.equal(new Set(free).size, 20)
  t.ok((await Promise.all(free.map(isFree))).every(Boolean))
  await layOut({ directory, brokers: 5, port: null })
  await t.resolves(layOut({ directory, brokers: 3, port: null }), 'of an attempt that made no data nothing is left')
  // One of them has come so far.
  mkdirSync(`${directory}/data-2`)
  writeFileSync(`${directory}/data-2/meta.properties`, '')
  const other = { code: 'ERR_WRONG_DIRECTORY', message: /holds a cluster of 3; start it with --brokers 3/ }
  await t.rejects(layOut({ directory, brokers: 2, port: null }), other)
  await t.rejects(layOut({ directory, brokers: 1, port: null }), other)
  await t.resolves(layOut({ directory, brokers: 3, port: null }), 'a second start')
  rmSync(`${directory}/node-2.properties`)
  await t.rejects(layOut({ directory, brokers: 1, port: null }), { message: /holds a cluster of 2;/ })
})

test('what people type', async t => {
  const verbs: [string, object][] = [
    ['kill 2', { verb: 'kill', target: 2 }],
    [' K2 ', { verb: 'kill', target: 2 }],
    ['s3', { verb: 'start', target: 3 }],
    ['stop 1', { verb: 'stop', target: 1 }],
    ['p 10', { verb: 'pause', target: 10 }],
    ['r1', { verb: 'resume', target: 1 }],
    ['kill controller', { verb: 'kill', target: 'controller' }],
    ['status', { verb: 'status' }],
    ['?', { verb: 'help' }],
    ['q', { verb: 'quit' }],
    ['', { verb: 'nothing' }],
    ['kill', { verb: 'unknown', text: 'kill' }],
    ['kill all', { verb: 'unknown', text: 'kill all' }],
    ['constructor 2', { verb: 'unknown', text: 'constructor 2' }]
  ]
  for (const [line, command] of verbs) t.same(parseCommand(line), command, line)
})

interface Dev {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  out(): string
  /** From that place in the output on. */
  printed(what: RegExp, from?: number): Promise<RegExpExecArray>
}

function startDev(t: Test, cwd: string, ...args: string[]): Dev {
  const [command, ...unhooked] = UNHOOKED
  // Other tests start brokers at the same time.
  const port = String(12_000 + Math.floor(Math.random() * 7_000))
  const child = spawn(command, [...unhooked, COMMAND, 'dev', '--port', port, ...args], {
    ...{ cwd, stdio: 'pipe' as const },
    env: { ...process.env, ...EXPORTED }
  })
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  const checks = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text
      for (const check of checks) check()
    })
  }
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  const printed = (what: RegExp, from = 0) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const check = () => {
        const match = what.exec(out.slice(from))
        if (match === null) return
        checks.delete(check)
        resolve(match)
      }
      checks.add(check)
      check()
      void ended.then(() => reject(new Error(`ended before ${what}: ${out}`)))
    })
  return { child, ended, out: () => out, printed }
}

/** How many partitions a topic gets for which nobody says it. */
async function partitionsOfNew(address: string): Promise<number | undefined> {
  const [host, port] = address.split(':') as [string, string]
  const client = await connect(host, Number(port))
  const topics = [{ name: 'orders', numPartitions: -1, replicationFactor: -1 }]
  const made = await client.send(createTopics, 7, { topics, timeoutMs: 10_000 })
  client.destroy()
  return made.topics[0]?.numPartitions
}

/** The process is gone, within reason. */
async function goes(pid: number): Promise<boolean> {
  for (let i = 0; i < 1000; i++) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return false
}

test('ready, killed and started by command, stopped in order, and its data are there again', async t => {
  const directory = t.testdir()
  const first = startDev(t, directory, '--brokers', '1', '--set', 'num.partitions=2')
  await first.printed(/moldau is ready: 1 broker on 127\.0\.0\.1:\d+ after/)
  const cluster = (await first.printed(/clusterId=(\S+)/))[1]
  const { address } = (await first.printed(/1 broker on (?<address>\S+)/)).groups as { address: string }
  t.equal(await partitionsOfNew(address), 2, 'as the command line said, whatever is exported')
  first.child.stdin?.write('kill 7\nk1\nkill 1\nfly 1\ns1\n')
  await first.printed(/has no node 7/)
  await first.printed(/node 1 was killed/)
  await first.printed(/node 1 is not running/)
  await first.printed(/does not know 'fly 1'/)
  await first.printed(/node 1 is back/)
  first.child.stdin?.write('status\n')
  await first.printed(/node 1 {2}running +127\.0\.0\.1:\d+, pid \d+, leads 2, controller/)
  first.child.stdin?.end('quit\n')
  t.equal(await first.ended, 0)
  t.match(first.out(), /moldau stopping[\s\S]*broker-stopped[\s\S]*moldau has stopped\n$/)
  t.match(readFileSync(`${directory}/moldau-cluster/node-1.properties`, 'utf8'), /^num\.partitions=2$/m)

  const second = startDev(t, directory, '--brokers', '1')
  // Nobody at the keyboard.
  second.child.stdin?.end()
  await second.printed(/moldau is ready/)
  t.equal((await second.printed(/clusterId=(\S+)/))[1], cluster, 'the same cluster')
  second.child.kill('SIGINT')
  t.equal(await second.ended, 0)
})

/** All that is printed from now on is new. */
function typed(dev: Dev, ...lines: string[]): (what: RegExp) => Promise<RegExpExecArray> {
  const from = dev.out().length
  dev.child.stdin?.write(lines.map(each => `${each}\n`).join(''))
  return what => dev.printed(what, from)
}

test('no command waits for what the cluster makes of another', async t => {
  const dev = startDev(t, t.testdir(), '--brokers', '3', '--set', 'moldau.http.listener=off')
  const port = Number((await dev.printed(/3 brokers on 127\.0\.0\.1:(\d+)/))[1])
  const client = await connect('127.0.0.1', port)
  const topics = [{ name: 'orders', numPartitions: 6, replicationFactor: 3 }]
  t.equal((await client.send(createTopics, 7, { topics, timeoutMs: 10_000 })).topics[0]?.errorCode, 0)
  client.destroy()

  // Nobody can be elected for what 1 and 2 led.
  const held = typed(dev, 'pause 1', 'pause 2', 'resume 1', 'status')
  await held(/node 2 is held; it led [1-6] of 6 partitions/)
  await held(/node 1 goes on/)
  await held(/node 2 {2}paused/)
  await typed(dev, 'resume 2')(/node 2: all its copies are in sync/)

  // One of three is not ready by itself.
  const killed = typed(dev, 'kill 1', 'kill 2', 'kill 3', 'start 1', 'pause 1', 'resume 1', 'start 1', 'status')
  await killed(/node 1 is starting already/)
  await killed(/node 1 {2}starting.*\n.*node 2 {2}killed/)
  const whole = typed(dev, 'start 2', 'start 3')
  for (const id of [1, 2, 3]) await whole(new RegExp(`node ${id}: all its copies are in sync`))
  // Each node has its own view, and another may answer than the one that was asked before.
  const status = () => typed(dev, 'status')(/node 1 .* pid (\d+)[\s\S]*6 partitions, (.*)\n/)
  let [, pid, copies] = await status()
  while (copies !== '0 with a replica missing or behind, 0 without a leader') [, pid, copies] = await status()

  // What is done to one node is done in order, and keeps nothing else waiting: its stop cannot end before the status is seen.
  process.kill(Number(pid), 'SIGSTOP')
  const again = typed(dev, 'stop 1', 'stop 1', 'start 1', 'kill 1', 'status')
  await again(/stops in order[\s\S]*is stopping already[\s\S]*node 1 {2}stopping/)
  t.notMatch(dev.out(), /is stopping already[\s\S]*(node 1 starts|node 1 was killed)/)
  process.kill(Number(pid), 'SIGCONT')
  await again(/node 1 starts[\s\S]*node 1 was killed/)
  dev.child.stdin?.write('quit\nstart 1\n')
  t.equal(await dev.ended, 0)
  t.notMatch(dev.out(), /moldau stopping[\s\S]*node 1 starts/)
})

test('a directory is of one commander at a time, and no broker outlives its own', async t => {
  const directory = t.testdir()
  const first = startDev(t, directory, '--brokers', '1')
  await first.printed(/moldau is ready/)
  const file = `${directory}/moldau-cluster/node-1.properties`
  const text = readFileSync(file, 'utf8')
  const second = startDev(t, directory, '--brokers', '1')
  t.equal(await second.ended, 1)
  t.match(second.out(), /^moldau: directory \S+\/moldau-cluster: a cluster is running in it already;[^\n]*\n$/)
  t.equal(readFileSync(file, 'utf8'), text, 'nothing was written')
  first.child.stdin?.write('status\n')
  const pid = Number((await first.printed(/pid (\d+)/))[1])
  first.child.kill('SIGKILL')
  await first.ended
  t.ok(await goes(pid), 'the broker noticed')
  const third = startDev(t, directory, '--brokers', '1')
  await third.printed(/moldau is ready/)
  third.child.kill('SIGINT')
  t.equal(await third.ended, 0)
})

test('a broker that cannot start ends the whole with its own line', async t => {
  const directory = t.testdir({ 'moldau-cluster': { 'data-1': { 'orders-0': {} } } })
  const dev = startDev(t, directory, '--brokers', '1')
  t.equal(await dev.ended, 1)
  t.match(dev.out(), /^moldau: node 1: log directory .*data-1: it holds orders-0 but no meta\.properties/m)
  const wrong = startDev(t, directory, '--brokers', 'three')
  t.equal(await wrong.ended, 2)
  t.match(wrong.out(), /^moldau: .*'three' is invalid\. It must be a whole number\.\n$/m)
})
