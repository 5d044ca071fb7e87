// Settings changed by request, blocks of producer ids, and broker sessions.
import { type Test, test } from 'tap'
import { errorName } from '../../../protocol/errors.ts'
import { clusterIdOf, decideActivation } from '../../../replication/controller/activation.ts'
import { decideFence } from '../../../replication/controller/brokers.ts'
import { decideAlterConfigs, decideIncrementalAlterConfigs } from '../../../replication/controller/configs.ts'
import { decideAllocateProducerIds } from '../../../replication/controller/leaders.ts'
import { Sessions } from '../../../replication/controller/sessions.ts'
import { decideUpdateFeatures } from '../../../replication/controller/update-features.ts'
import { MetadataImage } from '../../../replication/metadata/image.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import { cluster, heartbeat, idOf, partition, register, run, shows, withTopic } from './cluster.ts'

test('blocks of producer ids never overlap', async t => {
  const on = cluster([1])
  const epoch = on.image.brokers.get(1)?.brokerEpoch as number
  t.match(run(on, decideAllocateProducerIds(on.image, 1, epoch)), {
    errorCode: 0,
    producerIdStart: 0,
    producerIdLen: 1000
  })
  t.match(run(on, decideAllocateProducerIds(on.image, 1, epoch)), {
    errorCode: 0,
    producerIdStart: 1000,
    producerIdLen: 1000
  })
  t.equal(errorName(run(on, decideAllocateProducerIds(on.image, 1, epoch - 1)).errorCode), 'STALE_BROKER_EPOCH')
  t.equal(errorName(run(on, decideAllocateProducerIds(on.image, 5, 1)).errorCode), 'BROKER_ID_NOT_REGISTERED')
})

test('settings: set, delete, append, subtract; each resource as a whole', async t => {
  const on = withTopic([1], [1])
  const alter = (name: string, configs: [string, number, string | null][], validateOnly = false, resourceType = 2) => {
    const resource = {
      resourceType,
      resourceName: name,
      configs: configs.map(([key, configOperation, value]) => ({ name: key, configOperation, value }))
    }
    const [result] = run(on, decideIncrementalAlterConfigs(on.image, [resource], validateOnly, on.rules))
    return errorName(result?.errorCode ?? -2)
  }
  const own = () => Object.fromEntries(on.image.configs(2, 'a'))
  t.equal(
    alter('a', [
      ['x', 0, '1'],
      ['cleanup.policy', 2, 'compact']
    ]),
    'NONE'
  )
  t.strictSame(own(), { x: '1', 'cleanup.policy': 'delete,compact' }, 'appended to the default')
  t.equal(alter('a', [['cleanup.policy', 2, 'compact,compact']]), 'NONE')
  t.equal(own()['cleanup.policy'], 'delete,compact')
  t.equal(alter('a', [['cleanup.policy', 3, 'delete,nothing']]), 'NONE')
  t.equal(own()['cleanup.policy'], 'compact')
  t.equal(alter('a', [['x', 1, null]], true), 'NONE', 'only validated')
  t.equal(own().x, '1')
  t.equal(alter('a', [['x', 1, null]]), 'NONE')
  t.equal(own().x, undefined)
  t.equal(alter('a', [['x', 2, '2']]), 'INVALID_CONFIG', 'no list')
  t.equal(
    alter('a', [
      ['y', 0, '2'],
      ['bad', 0, '2']
    ]),
    'INVALID_CONFIG'
  )
  t.equal(own().y, undefined, 'all or nothing')
  t.equal(alter('a', [['y', 0, null]]), 'INVALID_REQUEST')
  t.equal(
    alter('a', [
      ['y', 0, '1'],
      ['y', 0, '2']
    ]),
    'INVALID_REQUEST'
  )
  t.equal(alter('a', [['y', 9, '1']]), 'INVALID_REQUEST')
  t.equal(alter('b', [['y', 0, '1']]), 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(alter('9', [['y', 0, '1']], false, 4), 'BROKER_ID_NOT_REGISTERED')
  t.equal(alter('nine', [['y', 0, '1']], false, 4), 'INVALID_REQUEST')
  t.equal(alter('', [['y', 0, '1']], false, 4), 'NONE')
  t.equal(on.image.configs(4, '').get('y'), '1')
  const same = decideIncrementalAlterConfigs(
    on.image,
    [{ resourceType: 4, resourceName: '', configs: [{ name: 'y', configOperation: 0, value: '1' }] }],
    false,
    on.rules
  )
  t.equal(same.records.length, 1, 'a broker setting is written again even if it is the same (KAFKA-14136)')
  const replace = (configs: { name: string; value: string | null }[], copies = 1) =>
    run(
      on,
      decideAlterConfigs(on.image, Array(copies).fill({ resourceType: 2, resourceName: 'a', configs }), false, on.rules)
    ).map(({ errorCode }) => errorName(errorCode))
  t.strictSame(replace([{ name: 'z', value: '1' }]), ['NONE'])
  t.strictSame(own(), { z: '1' }, 'the legacy way forgets the rest')
  t.strictSame(replace([{ name: 'z', value: '2' }], 2), ['INVALID_REQUEST', 'INVALID_REQUEST'])
})

test('sessions: silence ends them, a stall of this process does not', async t => {
  const sessions = new Sessions(() => 100)
  sessions.touch(1, 10, 0)
  sessions.touch(2, 5, 0)
  t.ok(sessions.isValid(1, 100))
  t.notOk(sessions.isValid(1, 101))
  t.notOk(sessions.isValid(3, 0), 'never heard of')
  sessions.credit(1000)
  t.strictSame(sessions.expired(1100), [])
  sessions.touch(2, 20, 1100)
  t.strictSame(sessions.expired(1101), [1])
  const all = () => true
  t.equal(sessions.lowestOffsetBut(2, all), 10)
  t.equal(sessions.lowestOffsetBut(1, all), 20)
  t.equal(
    sessions.lowestOffsetBut(1, id => id !== 2),
    Number.POSITIVE_INFINITY,
    'who does not count is not waited for'
  )
  sessions.shutdownBegan(2, 77)
  sessions.shutdownBegan(2, 99)
  t.equal(sessions.shutdownOffset(2), 77)
})

test('a new min ISR forgets who was eligible under the old one (KIP-966)', async t => {
  const on = withTopic([1, 2], [1, 2], { 'min.insync.replicas': '2' })
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: 2, isr: [2], elr: [1] })
  const alter = (resourceType: number, resourceName: string, value: string | null) => {
    const configs = [{ name: 'min.insync.replicas', configOperation: value === null ? 1 : 0, value }]
    const [result] = run(
      on,
      decideIncrementalAlterConfigs(on.image, [{ resourceType, resourceName, configs }], false, on.rules)
    )
    return result?.errorCode === 0 ? 'NONE' : `${errorName(result?.errorCode ?? -2)} ${result?.errorMessage}`
  }
  t.match(alter(4, '1', '1'), /INVALID_CONFIG Broker-level/)
  t.match(alter(4, '', null), /INVALID_CONFIG Cluster-level/)
  shows(t, partition(on), { elr: [1] })
  t.equal(alter(2, 'a', '1'), 'NONE')
  shows(t, partition(on), { elr: [] }, 'broker 1 may miss what is committed from now on')
})

/** Nobody is in sync: both replicas are known to have everything, or both crashed since, and 1 led last. */
function leaderless(t: Test, how: 'eligible' | 'last known') {
  const on = withTopic([1, 2], [1, 2], { 'min.insync.replicas': '2' })
  for (const id of [2, 1]) run(on, { records: decideFence(on.image, id, on.rules), reply: null })
  if (how === 'last known') for (const id of [1, 2]) register(on, id, { incarnationId: idOf(`crashed ${id}`) })
  const known = { leader: -1, isr: [], elr: how === 'eligible' ? [2, 1] : [], lastKnownElr: [1] }
  shows(t, partition(on), known)
  return { on, known, leaderRecoveryState: how === 'eligible' ? 0 : 1 }
}

test('a new min ISR leaves a partition with nobody in sync its way back', async t => {
  const resources = [
    { resourceType: 4, resourceName: '' },
    { resourceType: 2, resourceName: 'a' }
  ]
  const configs = [{ name: 'min.insync.replicas', configOperation: 0, value: '1' }]
  for (const how of ['eligible', 'last known'] as const) {
    for (const resource of resources) {
      const { on, known, leaderRecoveryState } = leaderless(t, how)
      run(on, decideIncrementalAlterConfigs(on.image, [{ ...resource, configs }], false, on.rules))
      shows(t, partition(on), known, `${how}, resource type ${resource.resourceType}`)
      heartbeat(on, 1)
      // The topic's own minimum is above the one of all: broker 1 commits nothing alone. With the lower one it does.
      const elr = how === 'eligible' && resource.resourceType === 4 ? [2] : []
      shows(t, partition(on), { leader: 1, isr: [1], elr, lastKnownElr: [], leaderRecoveryState })
    }
  }
})

test('without eligible leader replicas those are in sync who last were', async t => {
  for (const how of ['eligible', 'last known'] as const) {
    const { on, leaderRecoveryState } = leaderless(t, how)
    const level = { feature: 'eligible.leader.replicas.version', maxVersionLevel: 0, upgradeType: 2 }
    const request = { featureUpdates: [{ ...level, allowDowngrade: false }], validateOnly: false }
    t.equal(run(on, decideUpdateFeatures(on.image, request, { voters: [100] }, on.rules)).errorCode, 0)
    const isr = how === 'eligible' ? [2, 1] : [1]
    shows(t, partition(on), { leader: -1, isr, elr: [], lastKnownElr: [], leaderRecoveryState })
    heartbeat(on, 1)
    shows(t, partition(on), { leader: 1, isr, elr: [], leaderRecoveryState })
  }
})

test('the cluster keeps its id, whatever is done with the settings of all brokers', async t => {
  const on = cluster([1])
  const all = { resourceType: 4, resourceName: '' }
  const id = () => clusterIdOf(on.image)
  const before = id()
  t.type(before, 'string')
  for (const [configOperation, value] of [
    [1, null],
    [0, 'another']
  ] as const) {
    const configs = [{ name: 'moldau.cluster.id', configOperation, value }]
    const [outcome] = run(on, decideIncrementalAlterConfigs(on.image, [{ ...all, configs }], false, on.rules))
    t.equal(errorName(outcome?.errorCode ?? -2), 'INVALID_CONFIG')
  }
  const configs = [{ name: 'min.insync.replicas', value: '2' }]
  const [replaced] = run(on, decideAlterConfigs(on.image, [{ ...all, configs }], false, on.rules))
  t.equal(errorName(replaced?.errorCode ?? -2), 'NONE')
  t.equal(on.image.configs(4, '').get('min.insync.replicas'), '2')
  t.equal(id(), before, 'what is not named goes back to its default, and this has none')
})

test('a controller that takes over in the middle of a metadata transaction ends it, and begins anew', async t => {
  for (const isNew of [true, false]) {
    const on = isNew ? { ...cluster([]), image: new MetadataImage() } : withTopic([1], [1])
    on.image.apply(recordAt(30, 'BeginTransactionRecord', { name: 'Bootstrap records' }))
    on.image.apply(recordAt(30, 'TopicRecord', { name: 'half', topicId: on.rules.random.uuid() }))
    const self = { nodeId: 101, incarnationId: on.rules.random.uuid(), controllerEndPoints: [] }
    const facts = { ...self, minInsyncReplicas: 1, newClusterId: () => 'id', bootstrap: [] }
    run(on, decideActivation(on.image, facts))
    t.notOk(on.image.isInTransaction)
    t.notOk(on.image.topicsByName.has('half'))
    t.equal(on.image.metadataVersion, 30)
    t.ok(on.image.controllers.has(101))
  }
})
