// Who is in the quorum: the voters, and that this node is one of them where the others look for it; a node without voters
// is alone, and says no to a file that means otherwise.
import { hostname } from 'node:os'
import { test } from 'tap'
import { loadConfig } from '../../../broker/config.ts'

/** What Kafka's own quick start for three nodes on one machine writes, node by node. */
const NODE_OF_THREE = (id: number) => `process.roles=broker,controller
node.id=${id}
controller.quorum.voters=1@127.0.0.1:19192,2@127.0.0.1:19193,3@127.0.0.1:19194
listeners=PLAINTEXT://127.0.0.1:${19091 + id},CONTROLLER://127.0.0.1:${19191 + id}
advertised.listeners=PLAINTEXT://127.0.0.1:${19091 + id}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/data/data-${id}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0`

test('the files of three Kafka nodes are those of three moldau nodes', async t => {
  for (const id of [1, 2, 3]) {
    const { config, warnings } = loadConfig({ file: { path: `${id}.properties`, text: NODE_OF_THREE(id) } })
    t.same(
      warnings.filter(each => !/transaction\.state|share\.coordinator/.test(each)),
      [],
      'nothing asked for in vain but what is not built yet'
    )
    t.equal(config.nodeId, id)
    t.same(config.voters, [
      { nodeId: 1, host: '127.0.0.1', port: 19192 },
      { nodeId: 2, host: '127.0.0.1', port: 19193 },
      { nodeId: 3, host: '127.0.0.1', port: 19194 }
    ])
    t.equal(config.interBrokerListener, 'PLAINTEXT')
  }
  t.same(loadConfig().config.voters, [], 'alone')
  t.equal(loadConfig().config.get('broker.heartbeat.interval.ms'), 500)
  t.equal(loadConfig().config.get('broker.session.timeout.ms'), 6000)
})

test('voters: who they are, where they are, and that this node is where the others look for it', async t => {
  const load = (voters: string, ...more: string[]) => {
    const controller = [
      'listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093',
      'controller.listener.names=CONTROLLER',
      'node.id=1'
    ]
    return loadConfig({ set: [...controller, `controller.quorum.voters=${voters}`, ...more] }).config.voters
  }
  t.same(load('1@[::1]:9093, 2@b.example:1'), [
    { nodeId: 1, host: '::1', port: 9093 },
    { nodeId: 2, host: 'b.example', port: 1 }
  ])
  t.equal(load('1@outside:19093,2@b:1').length, 2, 'a port may be mapped on the way')
  t.equal(load('1@anything:0').length, 1, 'one that is alone is looked for by nobody')
  const refusals: [string, RegExp][] = [
    ['a:1', /'a:1' must be id@host:port/],
    ['1@a:65536,2@b:1', /'1@a:65536' must be id@host:port/],
    ['1@a:1,1@b:1', /node 1 stands twice/],
    ['1@a:1,2@a:1', /nodes 1 and 2 have the same address/],
    ['2@a:1', /must name this node, whose node\.id is 1/],
    ['2@a:1,3@b:1', /must name this node, whose node\.id is 1/],
    ['1@localhost:9093,2@b:0', /nobody can connect to b:0/],
    ['1@0.0.0.0:9093,2@b:1', /nobody can connect to 0\.0\.0\.0:9093/],
    [
      '1@localhost:9193,2@b:1',
      /node 1 is at localhost:9193 there, but its controller listens on CONTROLLER:\/\/localhost:9093/
    ]
  ]
  for (const [voters, message] of refusals) t.throws(() => load(voters), { code: 'ERR_CONFIG', message }, voters)
  const two = ['node.id=1', 'controller.quorum.voters=1@a:9093,2@b:9093']
  const nameless = { code: 'ERR_CONFIG', message: /a node among several must be given its own node\.id/ }
  t.throws(() => loadConfig({ set: two.slice(1) }), nameless, 'not everybody is node 1')
  t.throws(() => loadConfig({ file: { path: 's', text: two[1] as string } }), nameless)
  t.throws(() => loadConfig({ set: two }), { message: /needs a listener named in controller\.listener\.names/ })
  const free = ['listeners=PLAINTEXT://:0,C://:0', 'controller.listener.names=C']
  t.throws(() => loadConfig({ set: [...two, ...free] }), { message: /but its controller listens on C:\/\/:0/ })
})

/** What config/server.properties of Kafka 4.3 says of nodes and listeners. */
const KAFKAS_OWN = `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=/tmp/kraft-combined-logs
offsets.topic.replication.factor=1`

test('one that names controllers elsewhere, and no voters, does not begin a cluster of its own', async t => {
  const own = loadConfig({ file: { path: 's', text: KAFKAS_OWN } })
  t.same([own.config.voters, own.warnings], [[], []], "Kafka's own file starts as it is")
  const load = (servers: string, ...set: string[]) => {
    const text = KAFKAS_OWN.replace('localhost:9093\nlisteners', `${servers}\nlisteners`)
    return loadConfig({ file: { path: 's', text }, set }).config.nodeId
  }
  const told = 'advertised.listeners=PLAINTEXT://a:9092,CONTROLLER://One.example.org:19093'
  for (const good of ['', '127.0.0.1:9093', '[::1]:9093', 'LOCALHOST:9093', `${hostname()}:9093`]) {
    t.equal(load(good), 1, good)
  }
  t.equal(load('one.example.org:19093', told), 1, 'as it is advertised')
  t.equal(load('one.example.org:9093', told), 1)
  t.equal(load('inside:9093', 'listeners=PLAINTEXT://:9092,CONTROLLER://inside:9093'), 1, 'as it listens')
  t.equal(load('host1:9093', 'controller.quorum.voters=1@host0:9093'), 1, 'voters count first')
  const elsewhere: [string, ...string[]][] = [
    ['host1.example.org:9093'],
    ['localhost:9094'],
    ['localhost:9092'],
    ['localhost'],
    ['one.example.org:9092', told],
    ['a:9092', told],
    ['localhost:9093,localhost:9094'],
    ['localhost:0', 'listeners=PLAINTEXT://:0,CONTROLLER://:0']
  ]
  for (const [servers, ...set] of elsewhere) {
    const message =
      /^controller\.quorum\.bootstrap\.servers=.*members change is not built yet; name all controllers in controller\.quorum\.voters, as id@host:port.*leave .* out/
    t.throws(() => load(servers, ...set), { code: 'ERR_CONFIG', message }, servers)
  }
})
