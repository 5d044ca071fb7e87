// Requests about topics and settings for the comparison with Apache Kafka: good ones, and all kinds of bad ones.
import { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { createPartitions } from '../../protocol/messages/create-partitions.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { describeConfigs } from '../../protocol/messages/describe-configs.ts'
import { describeTopicPartitions } from '../../protocol/messages/describe-topic-partitions.ts'
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import { listConfigResources } from '../../protocol/messages/list-config-resources.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import type { Scenario, Stage } from './differential-stage.ts'

const TOPIC = 2
const BROKER = 4
const NO_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

const creating: Scenario = {
  name: 'topics',
  api: createTopics,
  async play(stage, version) {
    const timeoutMs = 10_000
    const one = { numPartitions: 1, replicationFactor: 1 }
    const name = (word: string) => `${stage.tag}-${word}`
    const create = (what: string, topics: object[], validateOnly = false) =>
      stage.call(what, createTopics, version, { topics, timeoutMs, validateOnly })
    await create('one', [{ name: name('a'), ...one, configs: [{ name: 'retention.ms', value: '1000' }] }])
    await create('again', [{ name: name('a'), ...one }])
    await create('validate only', [{ name: name('b'), ...one }], true)
    await create('validate only, exists', [{ name: name('a'), ...one }], true)
    await create('twice in one request', [
      { name: name('c'), ...one },
      { name: name('c'), ...one }
    ])
    await create('defaults', [{ name: name('d'), numPartitions: -1, replicationFactor: -1 }])
    for (const [i, bad] of ['', '.', '..', 'a/b', 'ü', 'x'.repeat(250)].entries()) {
      await create(`bad name ${i}`, [{ name: bad, ...one }])
    }
    await create('colliding name', [{ name: name('a').replaceAll('-', '.'), ...one }])
    for (const numPartitions of [0, -2])
      await create(`${numPartitions} partitions`, [{ name: name('e'), ...one, numPartitions }])
    for (const replicationFactor of [0, 2, -2])
      await create(`factor ${replicationFactor}`, [{ name: name('f'), ...one, replicationFactor }])
    const configs: [string, string | null][] = [
      ['retention.ms', 'soon'],
      ['no.such', '1'],
      ['cleanup.policy', 'shred'],
      ['min.insync.replicas', '0'],
      ['segment.bytes', null],
      ['cleanup.policy', ''],
      ['compression.type', 'gzip'],
      ['retention.ms', '-2']
    ]
    for (const [key, value] of configs)
      await create(`${key}=${value}`, [{ name: name('g'), ...one, configs: [{ name: key, value }] }], true)
    const assigned = (word: string, assignments: object[], more = {}) =>
      create(word, [{ name: name(word), numPartitions: -1, replicationFactor: -1, assignments, ...more }])
    await assigned('assigned', [
      { partitionIndex: 0, brokerIds: [1] },
      { partitionIndex: 1, brokerIds: [1] }
    ])
    await assigned('both', [{ partitionIndex: 0, brokerIds: [1] }], { numPartitions: 1 })
    await assigned('gap', [{ partitionIndex: 1, brokerIds: [1] }])
    await assigned('stranger', [{ partitionIndex: 0, brokerIds: [99] }])
    await assigned('repeated', [{ partitionIndex: 0, brokerIds: [1, 1] }])
    await assigned('empty', [{ partitionIndex: 0, brokerIds: [] }])
  }
}

const asking: Scenario = {
  name: 'topics',
  api: metadata,
  async play(stage, version) {
    const name = `${stage.tag}-a`
    const topicId = await stage.createTopic(name, 2)
    const ask = (what: string, request: object) => stage.call(what, metadata, version, request)
    await ask('known', { topics: [{ name }], allowAutoTopicCreation: false })
    await ask('unknown', { topics: [{ name: `${name}-missing` }], allowAutoTopicCreation: false })
    await ask('unknown, may be created, but the broker does not', {
      topics: [{ name: `${name}-missing` }],
      allowAutoTopicCreation: true
    })
    await ask('invalid', { topics: [{ name: 'a/b' }], allowAutoTopicCreation: false })
    if (version >= 1) await ask('none', { topics: [] })
    await ask('twice', { topics: [{ name }, { name }] })
    if (version >= 8)
      await ask('operations', {
        topics: [{ name }],
        includeTopicAuthorizedOperations: true,
        includeClusterAuthorizedOperations: true
      })
    if (version < 10) return
    await ask('by id and name', { topics: [{ name, topicId }] })
    await ask('no name', { topics: [{ name: null, topicId }] })
    await ask('unknown id', { topics: [{ name: null, topicId: 'EREREREREREREREREREREQ' }] })
    await ask('neither', { topics: [{ name: null, topicId: NO_ID }] })
  }
}

const deleting: Scenario = {
  name: 'topics',
  api: deleteTopics,
  async play(stage, version) {
    const [a, b, c] = ['a', 'b', 'c'].map(word => `${stage.tag}-${word}`) as [string, string, string]
    await stage.createTopic(a)
    const topicId = await stage.createTopic(b)
    await stage.createTopic(c)
    const remove = (what: string, names: string[], topics = names.map(name => ({ name }))) =>
      stage.call(what, deleteTopics, version, { topicNames: names, topics, timeoutMs: 10_000 })
    await remove('one', [a])
    await remove('again', [a])
    await remove('twice', [c, c])
    await remove('unknown', [`${a}-missing`, c])
    await remove('nothing', [])
    if (version < 6) return
    const byId = (what: string, topics: object[]) =>
      stage.call(what, deleteTopics, version, { topics, timeoutMs: 10_000 })
    await byId('by id', [{ name: null, topicId }])
    await byId('by an unknown id', [{ name: null, topicId }])
    await byId('neither', [{ name: null, topicId: NO_ID }])
    await byId('both', [{ name: c, topicId }])
  }
}

const growing: Scenario = {
  name: 'topics',
  api: createPartitions,
  async play(stage, version) {
    const name = `${stage.tag}-a`
    await stage.createTopic(name)
    const grow = (what: string, topics: object[], validateOnly = false) =>
      stage.call(what, createPartitions, version, { topics, timeoutMs: 10_000, validateOnly })
    const assignments = (...lists: number[][]) => lists.map(brokerIds => ({ brokerIds }))
    await grow('validate', [{ name, count: 3, assignments: null }], true)
    await grow('to three', [{ name, count: 3, assignments: null }])
    await grow('to three again', [{ name, count: 3, assignments: null }])
    await grow('back', [{ name, count: 1, assignments: null }])
    await grow('zero', [{ name, count: 0, assignments: null }])
    await grow('unknown', [{ name: `${name}-missing`, count: 2, assignments: null }])
    await grow('twice', [
      { name, count: 5, assignments: null },
      { name, count: 6, assignments: null }
    ])
    await grow('assigned', [{ name, count: 5, assignments: assignments([1], [1]) }])
    await grow('too few assigned', [{ name, count: 7, assignments: assignments([1]) }])
    await grow('stranger', [{ name, count: 6, assignments: assignments([99]) }])
    await grow('two replicas', [{ name, count: 6, assignments: assignments([1, 1]) }])
    await stage.settle()
    await stage.call('after', metadata, 12, { topics: [{ name }] })
  }
}

const pages: Scenario = {
  name: 'topics',
  api: describeTopicPartitions,
  async play(stage, version) {
    const [a, b] = ['a', 'b'].map(word => `${stage.tag}-${word}`) as [string, string]
    await stage.createTopic(a, 3)
    await stage.createTopic(b, 2)
    const ask = (what: string, request: object) => stage.call(what, describeTopicPartitions, version, request)
    const topics = [{ name: a }, { name: b }]
    await ask('all', { topics, responsePartitionLimit: 2000, cursor: null })
    await ask('first page', { topics, responsePartitionLimit: 2, cursor: null })
    await ask('next page', { topics, responsePartitionLimit: 2, cursor: { topicName: a, partitionIndex: 2 } })
    await ask('last page', { topics, responsePartitionLimit: 10, cursor: { topicName: b, partitionIndex: 1 } })
    await ask('unknown', { topics: [{ name: `${a}-missing` }], responsePartitionLimit: 10, cursor: null })
  }
}

const describe = (stage: Stage, what: string, version: number, resources: object[], more = {}) =>
  stage.call(what, describeConfigs, version, { resources, includeSynonyms: true, ...more })

const describing: Scenario = {
  name: 'settings',
  api: describeConfigs,
  async play(stage, version) {
    const resourceName = `${stage.tag}-a`
    await stage.createTopic(resourceName, 1, { 'retention.ms': '1234', 'cleanup.policy': 'compact' })
    const topic = { resourceType: TOPIC, resourceName, configurationKeys: null }
    await describe(stage, 'topic', version, [topic])
    await describe(stage, 'some', version, [
      { ...topic, configurationKeys: ['retention.ms', 'segment.bytes', 'no.such'] }
    ])
    await describe(stage, 'no synonyms', version, [topic], { includeSynonyms: false })
    await describe(stage, 'unknown topic', version, [{ ...topic, resourceName: `${resourceName}-missing` }])
    await describe(stage, 'bad topic', version, [{ ...topic, resourceName: 'a/b' }])
    await describe(stage, 'default of brokers', version, [
      { resourceType: BROKER, resourceName: '', configurationKeys: null }
    ])
    for (const name of ['99', 'x']) {
      await describe(stage, `broker ${name}`, version, [
        { resourceType: BROKER, resourceName: name, configurationKeys: null }
      ])
    }
    for (const resourceType of [0, 3, 8]) {
      await describe(stage, `type ${resourceType}`, version, [
        { resourceType, resourceName: '1', configurationKeys: ['x'] }
      ])
    }
    const answer = await stage.ask(describeConfigs, version, {
      includeSynonyms: true,
      resources: [{ resourceType: BROKER, resourceName: '1', configurationKeys: null }]
    })
    if (typeof answer === 'string') throw new Error(answer)
    for (const entry of answer.results[0]?.configs ?? []) {
      if (isOwn(entry.name)) continue
      stage.answers.push({ step: `broker ${entry.name}`, answer: { ...entry, documentation: null } })
    }
    stage.answers.sort((x, y) => (x.step < y.step ? -1 : 1))
  }
}

/** Settings of the process under test, and those that one of the two does not have. */
const isOwn = (name: string): boolean =>
  /^(log\.dirs?|(advertised\.)?listeners|controller\.quorum\.voters|node\.id|broker\.id|moldau\..*|(share\.coordinator\.state\.topic|transaction\.state\.log)\..*)$/.test(
    name
  )

const changing: Scenario = {
  name: 'settings',
  api: alterConfigs,
  async play(stage, version) {
    const resourceName = `${stage.tag}-a`
    await stage.createTopic(resourceName, 1, { 'retention.ms': '1234' })
    const alter = (what: string, configs: [string, string | null][], resource: object = {}, validateOnly = false) =>
      stage.call(what, alterConfigs, version, {
        validateOnly,
        resources: [
          { resourceType: TOPIC, resourceName, configs: configs.map(([name, value]) => ({ name, value })), ...resource }
        ]
      })
    await alter('validate', [['segment.bytes', '2000000']], {}, true)
    await alter('replaces all', [['segment.bytes', '2000000']])
    await stage.settle()
    await describe(stage, 'after', 4, [
      { resourceType: TOPIC, resourceName, configurationKeys: ['retention.ms', 'segment.bytes'] }
    ])
    await alter('bad value', [['segment.bytes', 'many']])
    await alter('unknown key', [['no.such', '1']])
    await alter('null value', [['segment.bytes', null]])
    await alter('unknown topic', [['segment.bytes', '2000000']], { resourceName: `${resourceName}-missing` })
    await alter('unknown broker', [['log.retention.ms', '1000']], { resourceType: BROKER, resourceName: '99' })
    await alter('read-only broker setting', [['log.dirs', '/tmp']], { resourceType: BROKER, resourceName: '1' })
    await alter('wrong type', [['x', '1']], { resourceType: 3 })
  }
}

const stepping: Scenario = {
  name: 'settings',
  api: incrementalAlterConfigs,
  async play(stage, version) {
    const resourceName = `${stage.tag}-a`
    await stage.createTopic(resourceName, 1, { 'retention.ms': '1234' })
    const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]
    const alter = (
      what: string,
      configs: [string, number, string | null][],
      resource: object = {},
      validateOnly = false
    ) =>
      stage.call(what, incrementalAlterConfigs, version, {
        validateOnly,
        resources: [
          {
            resourceType: TOPIC,
            resourceName,
            configs: configs.map(([name, configOperation, value]) => ({ name, configOperation, value })),
            ...resource
          }
        ]
      })
    await alter('set', [['segment.bytes', SET, '2000000']])
    await alter('append', [['cleanup.policy', APPEND, 'compact']])
    await alter('append again', [['cleanup.policy', APPEND, 'compact']])
    await alter('subtract', [['cleanup.policy', SUBTRACT, 'delete']])
    await alter('delete', [['retention.ms', DELETE, null]])
    await alter('delete again', [['retention.ms', DELETE, null]])
    await stage.settle()
    await describe(stage, 'after', 4, [
      { resourceType: TOPIC, resourceName, configurationKeys: ['retention.ms', 'segment.bytes', 'cleanup.policy'] }
    ])
    await alter('append to a number', [['segment.bytes', APPEND, '1']])
    await alter('subtract from a number', [['segment.bytes', SUBTRACT, '1']])
    await alter('twice', [
      ['segment.bytes', SET, '2000000'],
      ['segment.bytes', DELETE, null]
    ])
    await alter('null', [['segment.bytes', SET, null]])
    await alter('unknown operation', [['segment.bytes', 9, '1']])
    await alter('unknown key', [['no.such', SET, '1']])
    await alter('bad value', [['segment.bytes', SET, 'many']])
    await alter('validate a bad one', [['segment.bytes', SET, 'many']], {}, true)
    await alter('unknown topic', [['segment.bytes', SET, '2000000']], { resourceName: `${resourceName}-missing` })
    const broker = { resourceType: BROKER, resourceName: '1' }
    await alter('broker', [['log.segment.bytes', SET, '3000000']], broker)
    await stage.settle()
    await describe(stage, 'broker after', 4, [{ ...broker, configurationKeys: ['log.segment.bytes'] }])
    await stage.settle()
    await describe(stage, 'topic under the broker', 4, [
      { resourceType: TOPIC, resourceName, configurationKeys: ['segment.bytes'] }
    ])
    await alter('broker back', [['log.segment.bytes', DELETE, null]], broker)
    await alter('brokers', [['log.retention.ms', SET, '3000000']], { ...broker, resourceName: '' })
    await stage.settle()
    await describe(stage, 'brokers after', 4, [{ ...broker, resourceName: '', configurationKeys: null }])
    await alter('brokers back', [['log.retention.ms', DELETE, null]], { ...broker, resourceName: '' })
    await alter('broker, bad value', [['log.segment.bytes', SET, '-1']], broker)
    await alter('broker, read-only', [['node.id', SET, '4']], broker)
    await alter('broker, not a number', [['log.segment.bytes', SET, '1']], { ...broker, resourceName: 'x' })
    await alter('another broker', [['log.segment.bytes', SET, '2000000']], { ...broker, resourceName: '99' })
  }
}

const listing: Scenario = {
  name: 'settings',
  api: listConfigResources,
  async play(stage, version) {
    await stage.call('none', listConfigResources, version, { resourceTypes: [] })
    if (version >= 1) await stage.call('brokers', listConfigResources, version, { resourceTypes: [BROKER] })
    if (version >= 1) await stage.call('type 99', listConfigResources, version, { resourceTypes: [99] })
  }
}

export const topicScenarios = [creating, asking, deleting, growing, pages, describing, changing, stepping, listing]
