// The settings of a broker: how values are read, sources and their precedence, refusals in clear words, listeners, and
// dynamic changes.
import { hostname } from 'node:os'
import { test } from 'tap'
import { advertisedControllers } from '../../broker/broker-settings.ts'
import { canonicalText, parseSetting, type Setting } from '../../broker/config/setting.ts'
import { nearestKey, settingOf } from '../../broker/config/table.ts'
import { BrokerConfig, loadConfig } from '../../broker/config.ts'

test('values are read as Kafka reads them', async t => {
  const { config } = loadConfig({
    set: [
      'num.partitions= +5 ',
      'auto.create.topics.enable=FALSE',
      'log.flush.interval.messages=9223372036854775807',
      'log.cleaner.min.cleanable.ratio=0.25',
      'group.coordinator.rebalance.protocols=classic , consumer',
      'broker.rack= '
    ]
  })
  t.equal(config.get('num.partitions'), 5)
  t.equal(config.get('auto.create.topics.enable'), false)
  t.equal(config.textOf('auto.create.topics.enable'), 'false')
  t.equal(config.get('log.flush.interval.messages'), Infinity)
  t.equal(config.textOf('log.flush.interval.messages'), '9223372036854775807', 'the exact text is kept')
  t.equal(config.get('log.cleaner.min.cleanable.ratio'), 0.25)
  t.same(config.get('group.coordinator.rebalance.protocols'), ['classic', 'consumer'])
  t.equal(config.get('broker.rack'), '')
  t.equal(config.get('log.retention.ms'), null)
  t.equal(canonicalText(settingOf('topic', 'cleanup.policy') as Setting, ' delete , compact'), 'delete,compact')
})

test('a bad value is an error that names key, value, and what is allowed', async t => {
  const complaints: [string, RegExp][] = [
    ['num.partitions=abc', /num\.partitions=abc: not a whole number; allowed is an int of at least 1/],
    ['num.partitions=0', /num\.partitions=0: too small; allowed is an int of at least 1/],
    ['num.partitions=2147483648', /beyond the range of int/],
    ['num.partitions=1.5', /not a whole number/],
    ['log.retention.bytes=9223372036854775808', /beyond the range of long/],
    ['log.cleaner.min.cleanable.ratio=1.5', /too large; allowed is a double from 0 to 1/],
    ['auto.create.topics.enable=yes', /not a boolean; allowed is true or false/],
    ['compression.type=gzap', /'gzap' is not one of the values; allowed is one of uncompressed, zstd/],
    ['compression.gzip.level=0', /allowed is an int from 1 to 9, or -1/],
    ['log.cleanup.policy=delete,keep', /'keep' is not one of the values; allowed is a list of compact, delete/],
    ['log.cleanup.policy=delete,delete', /a value stands twice/],
    ['log.retention.ms=0', /too small; allowed is a long of at least 1, or -1/],
    ['moldau.http.listener=9094', /allowed is host:port or off/],
    ['num.partitons=3', /unknown setting num\.partitons; did you mean num\.partitions\?/],
    ['nonsense', /must be key=value/],
    ['zookeeper.connect=x', /no meaning since Kafka 4\.0/]
  ]
  for (const [set, message] of complaints)
    t.throws(() => loadConfig({ set: [set] }), { code: 'ERR_CONFIG', message }, set)
  const secret = () =>
    parseSetting('ssl.key.password', { ...(settingOf('broker', 'node.id') as Setting), type: 'password' }, 'hush')
  t.throws(secret, { message: /ssl\.key\.password=\[hidden\]/ })
  t.throws(() => loadConfig({ file: { path: 's.properties', text: 'node.id=1\nnum.partitions=x' } }), {
    message: /^s\.properties:2: num\.partitions=x/
  })
  t.throws(() => loadConfig({ env: { KAFKA_NUM_PARTITIONS: 'x' } }), {
    message: /^KAFKA_NUM_PARTITIONS: num\.partitions=x/
  })
})

test('flags go before the environment, and that before the file', async t => {
  const file = { path: 's.properties', text: 'num.partitions=2\ndefault.replication.factor=2\nbroker.rack=a' }
  const env = {
    KAFKA_DEFAULT_REPLICATION_FACTOR: '3',
    KAFKA_BROKER_RACK: 'b',
    MOLDAU_LOG_FLUSH_POLICY: 'page-cache',
    PATH: '/bin'
  }
  const { config, warnings } = loadConfig({ file, env, set: ['broker.rack=c=d'] })
  t.equal(config.get('num.partitions'), 2)
  t.equal(config.get('default.replication.factor'), 3)
  t.equal(config.get('broker.rack'), 'c=d')
  t.equal(config.get('moldau.log.flush.policy'), 'page-cache')
  t.same(warnings, [])
})

test('strangers in file and environment are one warning each, and images may set their own variables', async t => {
  const { warnings, config } = loadConfig({
    file: {
      path: 's',
      text: 'log.retention.hour=3\nzookeeper.connect=z\nconfluent.x=1\nnum.partitions=1\nnum.partitions=4'
    },
    env: {
      KAFKA_HEAP_OPTS: '-Xmx1g',
      KAFKA_OPTS: '',
      KAFKA_JMX_PORT: '9999',
      KAFKA_LOG4J_OPTS: '',
      KAFKA_LISTNERS: 'x',
      KAFKA_SSL___X: ''
    }
  })
  t.same(warnings, [
    's:1: unknown setting log.retention.hour; did you mean log.retention.hours?',
    's:2: zookeeper.connect has no meaning since Kafka 4.0',
    's:3: unknown setting confluent.x',
    's:5: num.partitions stands twice; this one counts, not s:4',
    'KAFKA_LISTNERS: unknown setting listners; did you mean listeners?',
    'KAFKA_SSL___X: unknown setting ssl-x'
  ])
  t.equal(config.get('num.partitions'), 4)
  t.equal(nearestKey('retention.m', 'topic'), 'retention.ms')
  t.equal(nearestKey('completely.different'), null)
})

test('a setting without effect is named once, with the reason; stating its default asks for nothing', async t => {
  const { warnings } = loadConfig({
    set: [
      'num.io.threads=4',
      'num.network.threads=2',
      'background.threads=10',
      'ssl.keystore.location=/k',
      'listener.name.plaintext.max.connections=5'
    ]
  })
  t.same(warnings, [
    'without effect: num.io.threads, num.network.threads (one event loop does the work of these threads)',
    'without effect: ssl.keystore.location (TLS, SASL, ACLs and delegation tokens are not built yet)',
    'without effect: listener.name.plaintext.max.connections (one value holds for all listeners)'
  ])
})

test('what is not built yet is refused in clear words', async t => {
  const refusals: [string, RegExp][] = [
    ['log.dirs=/a,/b', /more than one directory is not built yet/],
    ['log.dirs=', /a directory is needed/],
    ['metadata.log.dir=/elsewhere', /directory of its own for metadata is not built yet/],
    ['process.roles=broker', /a node is both for now/],
    ['process.roles=controller', /a node is both for now/],
    ['authorizer.class.name=org.Acl', /ACLs are not built yet/],
    ['listeners=SSL://:9093', /SSL speaks SSL; only PLAINTEXT is built yet/],
    ['queued.max.request.bytes=10', /must be at least socket\.request\.max\.bytes/],
    ['group.coordinator.rebalance.protocols=consumer', /classic cannot be left out/],
    ['group.min.session.timeout.ms=1800001', /must not be above group\.max/]
  ]
  for (const [set, message] of refusals)
    t.throws(() => loadConfig({ set: [set] }), { code: 'ERR_CONFIG', message }, set)
  t.throws(() => loadConfig({ set: ['broker.id=3', 'node.id=4'] }), { message: /broker\.id=3 .* node\.id=4 .* differ/ })
  t.equal(loadConfig({ set: ['broker.id=3'] }).config.nodeId, 3)
})

test('without a file: for a laptop; with one: as Kafka', async t => {
  const laptop = loadConfig().config
  t.match(laptop.listeners, [{ name: 'PLAINTEXT', host: 'localhost', port: 9092, controller: false }])
  t.equal(laptop.dataDirectory, './moldau-data')
  t.equal(laptop.get('group.initial.rebalance.delay.ms'), 0)
  t.equal(laptop.get('moldau.http.listener'), 'localhost:9094')
  const file = loadConfig({ file: { path: 's', text: '' } }).config
  t.match(file.listeners, [{ name: 'PLAINTEXT', host: '', port: 9092 }])
  t.match(file.advertisedListeners, [{ name: 'PLAINTEXT', host: null, port: 9092 }])
  t.equal(file.dataDirectory, '/tmp/kafka-logs')
  t.equal(file.get('group.initial.rebalance.delay.ms'), 3000)
  t.equal(file.get('moldau.http.listener'), 'off')
  const copies = (...set: string[]) => {
    const { config } = loadConfig({
      set: ['listeners=PLAINTEXT://:9092,C://:9093', 'controller.listener.names=C', ...set]
    })
    return REPLICATION.map(key => config.get(key))
  }
  const two = ['node.id=1', 'controller.quorum.voters=1@a:9093,2@b:9093']
  t.same(copies(), [1, 1, 1, 1, 1])
  t.same(copies('controller.quorum.voters=1@a:9093'), [1, 1, 1, 1, 1])
  t.same(copies(...two), [3, 3, 2, 3, 2], 'nodes of a cluster keep copies, also without a file')
  t.same(copies(...two, 'offsets.topic.replication.factor=1'), [1, 3, 2, 3, 2], 'unless they are told otherwise')
})

const REPLICATION = [
  'offsets.topic.replication.factor',
  'transaction.state.log.replication.factor',
  'transaction.state.log.min.isr',
  'share.coordinator.state.topic.replication.factor',
  'share.coordinator.state.topic.min.isr'
] as const

test("the file of a single Kafka node starts this broker, its controller's listener apart", async t => {
  const text = `process.roles=broker,controller
node.id=7
controller.quorum.voters=7@127.0.0.1:19192
listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19192
advertised.listeners=PLAINTEXT://127.0.0.1:19092
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/data/one
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0`
  const { config, warnings } = loadConfig({ file: { path: 's', text } })
  t.same(warnings, [])
  t.equal(config.nodeId, 7)
  t.same(
    config.listeners.map(each => [each.name, each.controller]),
    [
      ['PLAINTEXT', false],
      ['CONTROLLER', true]
    ]
  )
  t.same(config.advertisedListeners, [{ name: 'PLAINTEXT', protocol: 'PLAINTEXT', host: '127.0.0.1', port: 19092 }])
})

test('listeners: names, hosts, ports, and what clients are told', async t => {
  const { config } = loadConfig({
    set: [
      'listeners=INTERNAL://[::1]:9092,external://0.0.0.0:0,plaintext://:9093,PRIVATE://127.0.0.1:9092',
      'listener.security.protocol.map=internal:PLAINTEXT, EXTERNAL:plaintext,PLAINTEXT:PLAINTEXT,PRIVATE:PLAINTEXT',
      'advertised.listeners=EXTERNAL://kafka.example.org:9192,INTERNAL://[fe80::1]:9092',
      'inter.broker.listener.name=internal'
    ]
  })
  t.same(
    config.listeners.map(each => `${each.name} ${each.host} ${each.port}`),
    ['INTERNAL ::1 9092', 'EXTERNAL 0.0.0.0 0', 'PLAINTEXT  9093', 'PRIVATE 127.0.0.1 9092']
  )
  t.same(
    config.advertisedListeners.map(each => `${each.name} ${each.host} ${each.port}`),
    ['EXTERNAL kafka.example.org 9192', 'INTERNAL fe80::1 9092']
  )
  t.equal(config.interBrokerListener, 'INTERNAL')
  const refusals: [string[], RegExp][] = [
    [['listeners='], /at least one is needed/],
    [['listeners=localhost:9092'], /must be NAME:\/\/host:port/],
    [['listeners=PLAINTEXT://localhost:99999'], /must be NAME/],
    [['listeners=A://:1'], /does not say which protocol A speaks/],
    [['listeners=PLAINTEXT://:1,plaintext://:2'], /PLAINTEXT stands twice/],
    [
      ['listeners=PLAINTEXT://:1,B://a:1', 'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT'],
      /same port 1/
    ],
    [['advertised.listeners=PLAINTEXT://0.0.0.0:1'], /nobody can connect to 0\.0\.0\.0/],
    [['advertised.listeners=X://a:1'], /X is not among listeners/],
    [['controller.listener.names=C'], /C is not among listeners/],
    [['controller.listener.names=PLAINTEXT'], /none is left for clients/],
    [['listener.security.protocol.map=PLAINTEXT:PLAIN'], /must be NAME:PROTOCOL/],
    [['inter.broker.listener.name=X'], /X is not advertised/]
  ]
  for (const [set, message] of refusals)
    t.throws(() => loadConfig({ set }), { code: 'ERR_CONFIG', message }, set.join(' '))
})

test("controllers' listeners: what is advertised, else where the voters look, else where it listens", async t => {
  const bound = [
    { name: 'PLAINTEXT', host: '', port: 9092, isController: false },
    { name: 'C', host: '', port: 9093, isController: true },
    { name: 'D', host: '', port: 9094, isController: true }
  ]
  const told = (...set: string[]) => {
    const names = ['controller.listener.names=C', 'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,C:PLAINTEXT']
    const listeners = 'listeners=PLAINTEXT://:9092,C://0.0.0.0:9093'
    const { config } = loadConfig({ set: ['node.id=1', listeners, ...names, ...set] })
    t.same(
      config.advertisedListeners.map(each => each.name),
      ['PLAINTEXT'],
      'clients are told nothing of them'
    )
    return advertisedControllers(config, bound).map(({ name, host, port }) => `${name} ${host} ${port}`)
  }
  const voters = 'controller.quorum.voters=1@host1:19093,2@host2:9093'
  const advertised = 'advertised.listeners=PLAINTEXT://host1:9092'
  t.same(told(voters, `${advertised},C://one.example.org:29093`), ['C one.example.org 29093'])
  t.same(told(`${advertised},c://one.example.org:0`), ['C one.example.org 9093'])
  t.same(told(voters), ['C host1 19093'])
  t.same(told(voters, advertised), ['C host1 19093'], 'a list may say nothing of them')
  t.same(told(voters, 'listeners=PLAINTEXT://:9092,C://inside:9093'), ['C inside 9093'])
  t.same(told(), [`C ${hostname()} 9093`])
  t.same(told('controller.quorum.voters=1@anything:0'), ['C anything 9093'])
  const two = [
    'listeners=PLAINTEXT://:9092,C://:9093,D://:9094',
    'controller.listener.names=C,D',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,C:PLAINTEXT,D:PLAINTEXT'
  ]
  t.same(told(voters, ...two), ['C host1 19093', 'D host1 9094'])
  const nowhere = `${advertised},C://0.0.0.0:9093`
  t.throws(() => told(nowhere), { code: 'ERR_CONFIG', message: /nobody can connect to 0\.0\.0\.0/ })
  t.throws(() => told('advertised.listeners=C://one:1'), { code: 'ERR_CONFIG', message: /at least one is needed/ })
})

test('dynamic changes: precedence, live topics, notices, and values that are of no use', async t => {
  const { config } = loadConfig({ set: ['log.retention.ms=1'] })
  const heard: string[][] = []
  const end = config.onChange(changed => heard.push([...changed].sort()))
  const before = config.logConfig()
  t.same(
    config.applyDynamic(
      new Map(),
      new Map([
        ['log.retention.ms', '2'],
        ['log.cleanup.policy', 'compact']
      ])
    ),
    []
  )
  t.equal(config.logConfig().retentionMs, 2)
  t.equal(config.logConfig().compacts, true)
  t.equal(config.logConfig(new Map([['cleanup.policy', 'delete']])).compacts, false)
  t.equal(before.compacts, false, 'a log keeps the object that it was given')
  config.applyDynamic(new Map([['log.retention.ms', '3']]), new Map([['log.retention.ms', '2']]))
  t.equal(config.get('log.retention.ms'), 3)
  t.same(
    config.sourcesOf('log.retention.ms').map(each => `${each.origin} ${each.text}`),
    ['dynamic broker 3', 'dynamic default 2', 'static 1']
  )
  t.same(heard, [
    ['log.cleanup.policy', 'log.retention.ms'],
    ['log.cleanup.policy', 'log.retention.ms']
  ])
  const complaints = config.applyDynamic(
    new Map([
      ['message.max.bytes', 'x'],
      ['num.partitions', '9'],
      ['stranger', '1']
    ]),
    new Map()
  )
  t.match(complaints, [/message\.max\.bytes=x/])
  t.equal(config.get('num.partitions'), 1, 'a read-only setting does not change')
  t.equal(config.get('message.max.bytes'), 1048588)
  t.equal(config.get('log.retention.ms'), 1, 'undone')
  end()
  config.applyDynamic(new Map([['log.retention.ms', '4']]), new Map())
  t.equal(heard.length, 3)
  t.equal(new BrokerConfig(new Map()).get('node.id'), 1)
})
