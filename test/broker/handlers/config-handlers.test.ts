// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources, against a real metadata image
// whose controller decides at once: values, sources, synonyms, refusals, and that a change is live when it is answered.
import { test } from 'tap'
import { systemRandom } from '../../../broker/clock.ts'
import { ConfigSource } from '../../../broker/config/describe.ts'
import { loadConfig } from '../../../broker/config.ts'
import { rulesOf } from '../../../broker/controller-rules.ts'
import { followDynamicConfig } from '../../../broker/dynamic-config.ts'
import { onAlterConfigs } from '../../../broker/handlers/alter-configs.ts'
import { onDescribeConfigs } from '../../../broker/handlers/describe-configs.ts'
import type { RequestContext } from '../../../broker/handlers/handler.ts'
import { onIncrementalAlterConfigs } from '../../../broker/handlers/incremental-alter-configs.ts'
import { onListConfigResources } from '../../../broker/handlers/list-config-resources.ts'
import { createLogger } from '../../../broker/log.ts'
import { MetadataCache } from '../../../broker/metadata-cache.ts'
import type { Services } from '../../../broker/services.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { decideAlterConfigs, decideIncrementalAlterConfigs } from '../../../replication/controller/configs.ts'
import type { Decision } from '../../../replication/controller/decision.ts'
import { MetadataDelta } from '../../../replication/metadata/delta.ts'
import { MetadataImage } from '../../../replication/metadata/image.ts'
import { recordAt } from '../../../replication/metadata/records.ts'

const TOPIC = 2
const BROKER = 4
const BROKER_LOGGER = 8
const CLIENT_METRICS = 16
const GROUP = 32
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]

/** One broker's services, as far as these handlers use them, with a topic `orders`. */
function worldOf(...set: string[]) {
  const { config } = loadConfig({ set })
  const metadata = new MetadataCache(new MetadataImage(), 0, new MetadataDelta())
  const broker = recordAt(30, 'RegisterBrokerRecord', {
    brokerId: 1,
    incarnationId: 'cccccccccccccccccccccA',
    brokerEpoch: 1
  })
  metadata.commit([broker, recordAt(30, 'TopicRecord', { name: 'orders', topicId: 'bbbbbbbbbbbbbbbbbbbbbA' })], 2)
  const log = createLogger({ level: 'info', to: { write: () => {} } })
  followDynamicConfig(config, metadata, log)
  const rules = () => rulesOf(config, systemRandom)
  const commit = <T>({ records, reply }: Decision<T>): T => {
    metadata.commit(records, metadata.endOffset + records.length)
    return reply
  }
  const controller = {
    incrementalAlterConfigs: async (
      resources: Parameters<typeof decideIncrementalAlterConfigs>[1],
      validateOnly: boolean
    ) => commit(decideIncrementalAlterConfigs(metadata.image, resources, validateOnly, rules())),
    alterConfigs: async (resources: Parameters<typeof decideAlterConfigs>[1], validateOnly: boolean) =>
      commit(decideAlterConfigs(metadata.image, resources, validateOnly, rules()))
  }
  const channel = {
    forwardRequest: (_api: unknown, _request: unknown, _context: unknown, here: () => unknown) => here()
  }
  const services = {
    config,
    metadata,
    controller,
    channel,
    log,
    nodeId: 1,
    random: systemRandom
  } as unknown as Services
  const context = { apiVersion: 4, listener: 'broker' } as RequestContext

  async function describe(resourceType: number, resourceName: string, keys: string[] | null = null) {
    const reply = await onDescribeConfigs.handle(
      {
        resources: [{ resourceType, resourceName, configurationKeys: keys }],
        includeSynonyms: true,
        includeDocumentation: true
      } as never,
      context,
      services
    )
    const result = reply!.results![0]!
    return { ...result, byName: new Map(result.configs!.map(each => [each.name!, each])) }
  }
  async function change(
    resourceType: number,
    resourceName: string,
    configs: [string, number, string | null][],
    validateOnly = false
  ) {
    const resource = {
      resourceType,
      resourceName,
      configs: configs.map(([name, configOperation, value]) => ({ name, configOperation, value }))
    }
    const reply = await onIncrementalAlterConfigs.handle(
      { resources: [resource], validateOnly } as never,
      context,
      services
    )
    return reply!.responses![0]!
  }
  return { config, metadata, services, context, describe, change, log }
}

test('a topic: its own value, then the broker\u2019s in all forms, then the default', async t => {
  const { describe, change } = worldOf('log.retention.hours=24', 'message.max.bytes=2000000')
  const before = await describe(TOPIC, 'orders')
  t.equal(before.errorCode, 0)
  t.equal(before.errorMessage, null, 'clients show an empty string as an error')
  t.equal(before.byName.size, 33, 'all of them, internal ones left out')
  t.match(before.byName.get('retention.ms'), {
    value: '86400000',
    // As Apache Kafka: synonyms begin with the finest key, log.retention.ms, and that one is not set.
    configSource: ConfigSource.DEFAULT,
    readOnly: false,
    isSensitive: false,
    configType: 5
  })
  t.same(before.byName.get('retention.ms')?.synonyms, [])
  t.match(before.byName.get('max.message.bytes'), { value: '2000000', configSource: ConfigSource.STATIC_BROKER })
  t.match(before.byName.get('flush.ms'), { value: '9223372036854775807', configSource: ConfigSource.DEFAULT })
  t.match(before.byName.get('remote.storage.enable'), {
    value: 'false',
    configSource: ConfigSource.DEFAULT,
    synonyms: []
  })
  t.match(before.byName.get('cleanup.policy'), { value: 'delete', configType: 7, documentation: /KIP-1161/ })

  t.match(await change(TOPIC, 'orders', [['retention.ms', SET, '5']]), { errorCode: 0, errorMessage: null })
  t.match(await change(BROKER, '', [['log.retention.ms', SET, '7']]), { errorCode: 0 })
  t.match(await change(BROKER, '1', [['log.retention.ms', SET, '6']]), { errorCode: 0 })
  const after = (await describe(TOPIC, 'orders', ['retention.ms'])).configs!
  t.equal(after.length, 1)
  t.match(after[0], {
    value: '5',
    configSource: ConfigSource.TOPIC,
    synonyms: [
      { name: 'retention.ms', value: '5', source: ConfigSource.TOPIC },
      { name: 'log.retention.ms', value: '6', source: ConfigSource.DYNAMIC_BROKER },
      { name: 'log.retention.ms', value: '7', source: ConfigSource.DYNAMIC_DEFAULT_BROKER },
      { name: 'log.retention.hours', value: '24', source: ConfigSource.STATIC_BROKER },
      { name: 'log.retention.hours', value: '168', source: ConfigSource.DEFAULT }
    ]
  })
})

test('topic changes: set, append, subtract, delete, replace; a bad one changes nothing', async t => {
  const { change, metadata, services, context } = worldOf()
  const own = () => Object.fromEntries(metadata.image.configs(TOPIC, 'orders'))
  await change(TOPIC, 'orders', [
    ['retention.ms', SET, '5'],
    ['cleanup.policy', APPEND, 'compact']
  ])
  t.same(own(), { 'retention.ms': '5', 'cleanup.policy': 'delete,compact' })
  await change(TOPIC, 'orders', [
    ['retention.ms', DELETE, null],
    ['cleanup.policy', SUBTRACT, 'delete']
  ])
  t.same(own(), { 'cleanup.policy': 'compact' })

  const refusals: [[string, number, string | null][], number, RegExp][] = [
    [
      [['retention.ms', SET, 'x']],
      ErrorCode.INVALID_CONFIG,
      /retention\.ms=x: not a whole number; allowed is a long of at least -1/
    ],
    [
      [['retention.m', SET, '1']],
      ErrorCode.INVALID_CONFIG,
      /unknown topic setting retention\.m; did you mean retention\.ms\?/
    ],
    [[['segment.bytes', SET, '1']], ErrorCode.INVALID_CONFIG, /too small/],
    [[['retention.ms', APPEND, '1']], ErrorCode.INVALID_CONFIG, /LIST/],
    [[['retention.ms', SET, null]], ErrorCode.INVALID_REQUEST, /retention\.ms needs a value/],
    [
      [
        ['retention.ms', SET, '1'],
        ['retention.ms', SET, '2']
      ],
      ErrorCode.INVALID_REQUEST,
      /twice/
    ],
    [[['remote.storage.enable', SET, 'true']], ErrorCode.INVALID_CONFIG, /no tiered storage/],
    [
      [
        ['retention.bytes', SET, '7'],
        ['segment.ms', SET, '0']
      ],
      ErrorCode.INVALID_CONFIG,
      /segment\.ms=0/
    ]
  ]
  for (const [configs, errorCode, errorMessage] of refusals) {
    t.match(await change(TOPIC, 'orders', configs), { errorCode, errorMessage })
  }
  t.match(await change(TOPIC, 'missing', [['retention.ms', SET, '1']]), {
    errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  })
  t.match(await change(TOPIC, '', [['retention.ms', SET, '1']]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await change(99, 'orders', [['retention.ms', SET, '1']]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await change(TOPIC, 'orders', [['retention.ms', SET, '1']], true), { errorCode: 0 }, 'validateOnly')
  t.same(own(), { 'cleanup.policy': 'compact' })

  const replace = (configs: { name: string; value: string }[]) =>
    onAlterConfigs.handle(
      { resources: [{ resourceType: TOPIC, resourceName: 'orders', configs }], validateOnly: false } as never,
      context,
      services
    )
  await replace([{ name: 'retention.ms', value: '9' }])
  t.same(own(), { 'retention.ms': '9' }, 'what is not named goes back to its default')
  t.match((await replace([{ name: 'nope', value: '9' }]))!.responses, [{ errorCode: ErrorCode.INVALID_CONFIG }])
})

test('answers stand in the order of the request, whoever gave them', async t => {
  const { services, context } = worldOf()
  const resource = (resourceType: number, resourceName: string, name: string, value: string) => ({
    resourceType,
    resourceName,
    configs: [{ name, configOperation: SET, value }]
  })
  const resources = [
    resource(BROKER_LOGGER, '1', 'root', 'DEBUG'),
    resource(TOPIC, 'orders', 'retention.ms', '1'),
    resource(BROKER, '2', 'log.retention.ms', '1'),
    resource(TOPIC, 'missing', 'retention.ms', '1')
  ]
  const reply = await onIncrementalAlterConfigs.handle({ resources, validateOnly: false } as never, context, services)
  t.same(
    reply!.responses!.map(each => [each.resourceType, each.resourceName, each.errorCode]),
    [
      [BROKER_LOGGER, '1', ErrorCode.NONE],
      [TOPIC, 'orders', ErrorCode.NONE],
      [BROKER, '2', ErrorCode.INVALID_REQUEST],
      [TOPIC, 'missing', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    ]
  )
})

test('a broker: static, dynamic for all, dynamic for one; live before the answer, undone live', async t => {
  const { describe, change, config } = worldOf('log.cleanup.policy=delete')
  const value = async () => {
    const { value, configSource } = (await describe(BROKER, '1', ['log.cleanup.policy'])).configs![0]!
    return `${value} ${configSource}`
  }
  t.equal(await value(), `delete ${ConfigSource.STATIC_BROKER}`)
  await change(BROKER, '', [['log.cleanup.policy', SET, 'compact']])
  t.equal(config.logConfig().compacts, true)
  t.equal(await value(), `compact ${ConfigSource.DYNAMIC_DEFAULT_BROKER}`)
  await change(BROKER, '1', [['log.cleanup.policy', APPEND, 'compact']])
  t.equal(await value(), `delete,compact ${ConfigSource.DYNAMIC_BROKER}`)
  const defaults = await describe(BROKER, '')
  t.match(defaults.configs, [
    {
      name: 'log.cleanup.policy',
      value: 'compact',
      synonyms: [{ name: 'log.cleanup.policy', value: 'compact', source: ConfigSource.DYNAMIC_DEFAULT_BROKER }]
    }
  ])
  await change(BROKER, '1', [['log.cleanup.policy', DELETE, null]])
  await change(BROKER, '', [['log.cleanup.policy', DELETE, null]])
  t.equal(await value(), `delete ${ConfigSource.STATIC_BROKER}`)
  t.equal(config.logConfig().compacts, false)
  t.same((await describe(BROKER, '')).configs, [])
})

test('a broker: every default is there, passwords are not shown, read-only says so', async t => {
  const { describe, change } = worldOf('ssl.key.password=hush')
  const { byName } = await describe(BROKER, '1')
  t.ok(byName.size > 330)
  t.match(byName.get('num.partitions'), {
    value: '1',
    readOnly: true,
    configSource: ConfigSource.DEFAULT,
    configType: 3
  })
  t.match(byName.get('message.max.bytes'), { readOnly: false })
  t.match(byName.get('ssl.key.password'), {
    value: null,
    isSensitive: true,
    configType: 9,
    synonyms: [{ value: null, source: ConfigSource.STATIC_BROKER }]
  })
  t.match(byName.get('log.retention.ms'), { value: null })
  t.same(byName.get('log.retention.ms')?.synonyms, [])
  t.notOk(byName.has('log.initial.task.delay.ms'), 'internal')
  t.match(byName.get('num.io.threads'), { documentation: /Without effect: one event loop/ })
  const refusals: [string, string, string, RegExp][] = [
    ['1', 'num.partitions', '3', /num\.partitions is read when the broker starts/],
    ['1', 'message.max.bytes', 'x', /message\.max\.bytes=x: not a whole number/],
    ['1', 'mesage.max.bytes', '1', /did you mean message\.max\.bytes\?/],
    ['2', 'message.max.bytes', '1', /this is broker 1/],
    ['x', 'message.max.bytes', '1', /this is broker 1/],
    ['', 'ssl.keystore.location', '/k', /for each broker/]
  ]
  for (const [name, key, value, errorMessage] of refusals) {
    t.match(
      await change(BROKER, name, [[key, SET, value]]),
      { errorCode: ErrorCode.INVALID_REQUEST, errorMessage },
      `${key}=${value}`
    )
  }
  t.match(await describe(BROKER, '2'), {
    errorCode: ErrorCode.INVALID_REQUEST,
    errorMessage: /this is broker 1/,
    configs: []
  })
  t.match(await change(BROKER, '1', [['leader.replication.throttled.rate', SET, '1000']]), { errorCode: 0 })
  t.match((await describe(BROKER, '1')).byName.get('leader.replication.throttled.rate'), { value: '1000' })
})

test('topics that are not there, and names that cannot be', async t => {
  const { describe } = worldOf()
  t.match(await describe(TOPIC, 'missing'), { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, configs: [] })
  t.match(await describe(TOPIC, 'a b'), { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION })
  t.match(await describe(99, 'x'), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await describe(GROUP, ''), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await describe(CLIENT_METRICS, ''), { errorCode: ErrorCode.INVALID_REQUEST })
})

test('groups and client metrics subscriptions', async t => {
  const { describe, change } = worldOf('group.consumer.session.timeout.ms=50000')
  t.match((await describe(GROUP, 'g')).byName.get('consumer.session.timeout.ms'), {
    value: '50000',
    configSource: ConfigSource.STATIC_BROKER
  })
  t.match((await describe(GROUP, 'g')).byName.get('share.isolation.level'), { configSource: ConfigSource.DEFAULT })
  t.match(await change(GROUP, 'g', [['consumer.session.timeout.ms', SET, '44999']]), {
    errorCode: ErrorCode.INVALID_CONFIG,
    errorMessage: /at least group\.consumer\.min\.session\.timeout\.ms \(45000\)/
  })
  t.match(await change(GROUP, 'g', [['streams.num.standby.replicas', SET, '3']]), {
    errorMessage: /at most group\.streams\.max\.standby/
  })
  t.match(await change(CLIENT_METRICS, 's', [['interval.ms', SET, '99']]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await change(CLIENT_METRICS, 's', [['nope', SET, '99']]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await change(BROKER, '1', [['min.insync.replicas', SET, '1']]), {
    errorCode: ErrorCode.INVALID_CONFIG,
    errorMessage: /for all brokers/
  })
  t.match(await change(GROUP, 'g', [['consumer.session.timeout.ms', SET, '46000']]), { errorCode: 0 })
  t.match((await describe(GROUP, 'g')).byName.get('consumer.session.timeout.ms'), {
    value: '46000',
    configSource: ConfigSource.GROUP
  })
  t.match(await change(GROUP, 'g', [['session.timeout', SET, '1']]), { errorCode: ErrorCode.INVALID_CONFIG })
  t.match(await change(CLIENT_METRICS, 's', [['interval.ms', SET, '1000']]), { errorCode: 0 })
  t.match((await describe(CLIENT_METRICS, 's')).byName.get('interval.ms'), {
    value: '1000',
    configSource: ConfigSource.CLIENT_METRICS
  })
})

test('log levels are changed at once, for parts of the log too, and kept nowhere', async t => {
  const { describe, change, log } = worldOf()
  const part = log.child({ component: 'net' })
  t.match((await describe(BROKER_LOGGER, '1')).configs, [
    { name: 'root', value: 'INFO', configSource: ConfigSource.DYNAMIC_BROKER_LOGGER }
  ])
  t.match(await change(BROKER_LOGGER, '1', [['root', SET, 'DEBUG']], true), { errorCode: 0 })
  t.equal(log.level, 'info', 'validateOnly')
  t.match(await change(BROKER_LOGGER, '1', [['root', SET, 'DEBUG']]), { errorCode: 0 })
  t.equal(log.level, 'debug')
  t.equal(part.level, 'debug')
  t.match(await change(BROKER_LOGGER, '1', [['root', SET, 'LOUD']]), {
    errorCode: ErrorCode.INVALID_CONFIG,
    errorMessage: /TRACE, DEBUG/
  })
  t.match(await change(BROKER_LOGGER, '1', [['kafka.server', SET, 'INFO']]), { errorCode: ErrorCode.INVALID_CONFIG })
  t.match(await change(BROKER_LOGGER, '1', [['root', DELETE, null]]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await change(BROKER_LOGGER, '2', [['root', SET, 'INFO']]), { errorCode: ErrorCode.INVALID_REQUEST })
  t.match(await describe(BROKER_LOGGER, ''), { errorCode: ErrorCode.INVALID_REQUEST })
})

test('resources that have settings', async t => {
  const { change, services } = worldOf()
  await change(GROUP, 'g', [['consumer.session.timeout.ms', SET, '46000']])
  await change(CLIENT_METRICS, 's', [['interval.ms', SET, '1000']])
  const list = async (apiVersion: number, resourceTypes: number[]) => {
    const reply = await onListConfigResources.handle(
      { resourceTypes } as never,
      { apiVersion } as RequestContext,
      services
    )
    return reply!.errorCode === 0
      ? reply!.configResources!.map(each => `${each.resourceType} ${each.resourceName}`)
      : reply!.errorCode
  }
  t.same(await list(0, []), ['16 s'])
  t.same(await list(1, []), ['2 orders', '4 1', '8 1', '16 s', '32 g'])
  t.same(await list(1, [GROUP, GROUP]), ['32 g'])
  t.equal(await list(1, [7]), ErrorCode.UNSUPPORTED_VERSION)
})
